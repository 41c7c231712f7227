/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Loads and attaches each program of the BPF object by itself and says what the
 * running kernel's verifier made of it, a line of tab-separated words a program:
 *
 *   verifier NAME INSNS LOAD ATTACH
 *
 * three times: as a trace sets them up that filters nothing in the kernel; as NAME+filter
 * with all that can be filtered there, and as NAME+tally for counting alone, but these
 * loaded only.
 *
 * INSNS is the verifier's effort ("processed N insns"), LOAD and ATTACH are "ok",
 * "absent" (the kernel has no such function or tracepoint) or an errno's name or
 * number, or "-" when it was not tried. The end of the log of what does not load
 * follows its line, each line after a "|". Runs in a guest, so it is linked
 * statically.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <portsnoop/config.h>
#include "probe/object.h"

#define LOG_BYTES (16u << 20) /* kernels before 6.4 refuse a program whose log does not fit */
#define LOG_LINES 30
#define NAMES_MAX 256

enum variant { PLAIN, FILTER, TALLY, VARIANTS };

static const char *const variant_names[VARIANTS] = {"", "+filter", "+tally"};

static char library_words[8192];

static int library_print(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(library_words);

	if (level <= LIBBPF_WARN && used < sizeof(library_words) - 1)
		vsnprintf(library_words + used, sizeof(library_words) - used, format, arguments);
	return 0;
}

static bool kernel_has_fetch(void)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8},
		{.code = BPF_STX | 0xc0 | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8, .imm = 1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "fetch", "GPL", program, 5, NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* As the tracer sets it up, except that maps are small: the verifier does not
 * look at their size, and filling them takes long under emulation. */
static struct bpf_object *object_prepare(bool fetch, enum variant variant)
{
	struct bpf_object *object = object_open(fetch);
	struct bpf_program *program;
	struct config *config;
	struct bpf_map *map;
	size_t size = 0;

	if (!object)
		return NULL;
	bpf_object__for_each_map (map, object)
		if (bpf_map__max_entries(map) > 64 && bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
			bpf_map__set_max_entries(map, 64);
	/* Its own name has the object's in front: only this finds it. */
	map = bpf_object__find_map_by_name(object, ".rodata");
	config = map ? (void *)bpf_map__initial_value(map, &size) : NULL;
	if (!config || size < sizeof(*config)) {
		bpf_object__close(object);
		errno = EPROTO;
		return NULL;
	}
	*config = (struct config){.fetch = fetch,
				  .releases = variant != TALLY,
				  .sctp = 1,
				  .ledger = variant == PLAIN,
				  .tally = variant == TALLY};
	if (variant == FILTER) {
		config->filter = UINT32_MAX;
		config->follow = 1;
		config->family = 4;
		config->triggers = UINT32_MAX;
		config->cgroup_lasts = config->cgroup_firsts = 1;
	}
	bpf_object__for_each_program (program, object)
		bpf_program__set_autoload(program, false);
	return object;
}

/* libbpf looks a trampoline's function up in BTF before it loads anything. */
static bool load_is_absent(const struct bpf_program *program, int error)
{
	return error == -ESRCH && (bpf_program__type(program) == BPF_PROG_TYPE_TRACING ||
				   bpf_program__type(program) == BPF_PROG_TYPE_LSM);
}

static bool attach_is_absent(const struct bpf_program *program, int error)
{
	return error == -ENOENT && (bpf_program__type(program) == BPF_PROG_TYPE_KPROBE ||
				    bpf_program__type(program) == BPF_PROG_TYPE_TRACEPOINT);
}

static struct bpf_object *program_load(const char *name, bool fetch, enum variant variant,
				       unsigned int level, char *log, int *error, bool *absent)
{
	struct bpf_object *object = object_prepare(fetch, variant);
	struct bpf_program *program;

	log[0] = '\0';
	library_words[0] = '\0';
	*error = -ENOMEM;
	*absent = false;
	if (!object)
		return NULL;
	program = bpf_object__find_program_by_name(object, name);
	bpf_program__set_autoload(program, true);
	bpf_program__set_log_level(program, level);
	bpf_program__set_log_buf(program, log, LOG_BYTES);
	*error = bpf_object__load(object);
	if (!*error)
		return object;
	*absent = load_is_absent(program, *error);
	bpf_object__close(object);
	return NULL;
}

static struct bpf_link *program_attach(const struct bpf_program *program)
{
	switch (bpf_program__type(program)) {
	case BPF_PROG_TYPE_CGROUP_SKB:
	case BPF_PROG_TYPE_CGROUP_SOCK:
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
	case BPF_PROG_TYPE_SOCK_OPS: {
		int cgroup = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct bpf_link *link = cgroup >= 0 ? bpf_program__attach_cgroup(program, cgroup)
						    : NULL;
		int saved = errno;

		if (cgroup >= 0)
			close(cgroup);
		errno = saved;
		return link;
	}
	default:
		return bpf_program__attach(program);
	}
}

static long log_insns(const char *log)
{
	const char *found = NULL, *next = log;
	long insns = -1;

	while ((next = strstr(next, "processed ")))
		found = next++;
	if (found && sscanf(found, "processed %ld insns", &insns) == 1)
		return insns;
	return -1;
}

static void log_print(const char *title, const char *log)
{
	const char *start = log + strlen(log);

	for (int lines = 0; start > log && lines <= LOG_LINES; start--)
		if (start[-1] == '\n' && ++lines > LOG_LINES)
			break;
	printf("| %s\n", title);
	while (*start) {
		int length = strcspn(start, "\n");

		printf("| %.*s\n", length, start);
		start += length + (start[length] == '\n');
	}
}

static const char *word(int error, char *room, size_t size)
{
	const char *name;

	if (!error)
		return "ok";
	name = strerrorname_np(-error);
	if (name)
		return name;
	snprintf(room, size, "%d", -error); /* 524, which user space has no name for */
	return room;
}

/* The most verbose log can be larger than any buffer: its own words stay out of
 * the way when the program loads. */
static bool program_verify(const char *name, bool fetch, enum variant variant, char *log)
{
	const char *suffix = variant_names[variant];
	char load_room[16], attach_room[16];
	int load, attach = 0;
	bool absent;
	struct bpf_object *object = program_load(name, fetch, variant, 4, log, &load, &absent);

	if (object) {
		struct bpf_program *program = bpf_object__find_program_by_name(object, name);
		struct bpf_link *link;
		long insns = log_insns(log);

		if (variant != PLAIN) {
			printf("verifier\t%s%s\t%ld\tok\t-\n", name, suffix, insns);
			bpf_object__close(object);
			return true;
		}
		errno = 0;
		library_words[0] = '\0';
		link = program_attach(program);
		if (!link)
			attach = errno ? -errno : -EINVAL;
		absent = attach_is_absent(program, attach);
		printf("verifier\t%s%s\t%ld\tok\t%s\n", name, suffix, insns,
		       absent ? "absent" : word(attach, attach_room, sizeof(attach_room)));
		if (attach && !absent)
			log_print("libbpf:", library_words);
		bpf_link__destroy(link);
		bpf_object__close(object);
		return !attach || absent;
	}
	if (absent) {
		printf("verifier\t%s%s\t-\tabsent\t-\n", name, suffix);
		return true;
	}
	printf("verifier\t%s%s\t-\t%s\t-\n", name, suffix,
	       word(load, load_room, sizeof(load_room)));
	log_print("libbpf:", library_words);
	object = program_load(name, fetch, variant, 1, log, &load, &absent);
	if (object)
		bpf_object__close(object);
	log_print("verifier:", log);
	return false;
}

int main(int argc, char **argv)
{
	char *names[NAMES_MAX], *log = malloc(LOG_BYTES);
	struct bpf_object *object;
	struct bpf_program *program;
	int count = 0, failed = 0;
	bool fetch;

	libbpf_set_print(library_print);
	setvbuf(stdout, NULL, _IOLBF, 0);
	fetch = kernel_has_fetch();
	object = object_open(fetch);
	if (!object || !log) {
		fprintf(stderr, "verify: cannot open the object: %s\n%s", strerror(errno),
			library_words);
		return 2;
	}
	bpf_object__for_each_program (program, object)
		if (count < NAMES_MAX)
			names[count++] = strdup(bpf_program__name(program));
	bpf_object__close(object);
	for (int i = 0; i < count; i++) {
		bool wanted = argc < 2;

		for (int j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], names[i]);
		for (int variant = 0; wanted && variant < VARIANTS; variant++)
			failed += !program_verify(names[i], fetch, variant, log);
		free(names[i]);
	}
	free(log);
	return failed ? 1 : 0;
}
