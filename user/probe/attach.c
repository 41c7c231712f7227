/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/attach.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model/coverage.h"
#include "probe/feature.h"
#include "probe/hook.h"
#include "probe/iterate.h"
#include "probe/kernel_filter.h"
#include "probe/map_size.h"
#include "probe/object.h"
#include "probe/place.h"
#include "probe/privilege.h"

#define HOOKS_MAX 64
#define SNAPSHOT_PASSES 8 /* at most; on a quiet machine two */

/* A tier that cannot see these is none. */
#define C_NEEDED                                                                                   \
	(COVERAGE_BIT(COVERAGE_BIND) | COVERAGE_BIT(COVERAGE_LISTEN) |                             \
	 COVERAGE_BIT(COVERAGE_TCP_CONNECT))

/* What lies in the object's .bss; see bpf/maps.bpf.h. */
struct shared {
	uint32_t reader_asleep;
	uint32_t tally_stopped;
};

struct probe {
	enum wire_tier tier;
	uint64_t coverage;
	bool fetch;
	struct bpf_object *object;
	struct bpf_map *ring, *counters, *tree;
	struct shared *shared;
	struct config knobs;
	const struct cpu_counters *per_cpu;
	size_t cpus;
	struct bpf_link *links[HOOKS_MAX];
	struct hook_report report[HOOKS_MAX];
	unsigned int hooks;
};

const enum wire_tier tier_list[TIER_COUNT] = {WIRE_TIER_FENTRY, WIRE_TIER_KPROBE,
					      WIRE_TIER_TRACEPOINT};

const char *tier_name(enum wire_tier tier)
{
	switch (tier) {
	case WIRE_TIER_FENTRY:
		return "fentry";
	case WIRE_TIER_KPROBE:
		return "kprobe";
	case WIRE_TIER_TRACEPOINT:
		return "tracepoint";
	}
	return "unknown";
}

static int failure_set(struct probe_failure *failure, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int failure_set(struct probe_failure *failure, int error, const char *format, ...)
{
	va_list arguments;

	failure->error = error;
	va_start(arguments, format);
	vsnprintf(failure->text, sizeof(failure->text), format, arguments);
	va_end(arguments);
	return error;
}

static int log_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0; /* what matters comes back as an errno and goes into the report */
}

#define AS_ROOT "run it as root, with sudo for instance"

/* Without these of no tier, or of this one, it is not worth a try. */
static int privileges_require(enum wire_tier tier, struct probe_failure *failure)
{
	char missing[256];

	if (privilege_check(tier, missing, sizeof(missing)))
		return failure_set(failure, -EPERM, "missing capability %s: " AS_ROOT, missing);
	return 0;
}

/* What everything stands on, each with what to do about it. */
static int requirements_check(struct probe_failure *failure)
{
	if (privileges_require(0, failure))
		return failure->error;
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return failure_set(
			failure, -ENOENT,
			"/sys/kernel/btf/vmlinux: %s. The kernel must be built with "
			"CONFIG_DEBUG_INFO_BTF=y (Debian from 11, Ubuntu from 20.10), and /sys "
			"must be mounted: mount -t sysfs sysfs /sys",
			strerror(errno));
	return 0;
}

/* What the hooks of a tier are attached to. */
struct places {
	int tracefs, cgroup; /* of the tracepoint tier; else -1 */
	struct btf *btf;
};

static bool btf_has_function(const struct btf *btf, const char *name)
{
	return btf && btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static bool kernel_has_function(const struct places *places, const char *name)
{
	return btf_has_function(places->btf, name);
}

/* For a kprobe the symbol is enough; a trampoline needs the module's BTF (5.11). */
static bool module_has_function(const struct places *places, enum hook_kind kind,
				const char *module, const char *name)
{
	struct btf *btf;
	uint32_t any;
	bool found;

	if (kind != HOOK_TRACE)
		return place_module_symbol(module, name);
	/* A trampoline is asked for by the number of the module's BTF, and to look for
	 * numbers takes CAP_SYS_ADMIN. */
	if (bpf_btf_get_next_id(0, &any))
		return false;
	btf = btf__load_module_btf(module, places->btf);
	found = btf_has_function(btf, name);
	btf__free(btf);
	return found;
}

/* Half a view of SCTP is worse than none. */
static bool kernel_has_sctp(const struct places *places, enum wire_tier tier)
{
	return tier != WIRE_TIER_TRACEPOINT &&
	       module_has_function(places, tier == WIRE_TIER_FENTRY ? HOOK_TRACE : HOOK_KPROBE,
				   "sctp", "sctp_put_port");
}

static void maps_configure(struct probe *probe, const struct places *places,
			   const struct probe_options *options)
{
	struct bpf_map *config = bpf_object__find_map_by_name(probe->object, ".rodata");
	struct config *knobs;
	size_t size = 0;

	probe->ring = bpf_object__find_map_by_name(probe->object, "ring");
	probe->counters = bpf_object__find_map_by_name(probe->object, "counters");
	probe->tree = bpf_object__find_map_by_name(probe->object, "tree");
	if (options->ring_bytes)
		bpf_map__set_max_entries(probe->ring, options->ring_bytes);
	bpf_map__set_max_entries(probe->counters, probe->cpus);
	maps_size(probe->object, &(struct map_need){.tier = probe->tier,
						    .kernel = places->btf,
						    .cpus = probe->cpus,
						    .tree = options->tree,
						    .releases = options->releases,
						    .tally = options->tally});
	knobs = (struct config *)bpf_map__initial_value(config, &size);
	knobs->fetch = probe->fetch;
	knobs->releases = options->releases;
	knobs->ledger = options->ledger;
	knobs->tree = options->tree;
	knobs->tally = options->tally;
	knobs->sctp = kernel_has_sctp(places, probe->tier);
	knobs->time_wait = probe->tier != WIRE_TIER_TRACEPOINT;
	kernel_filter_configure(probe->object, knobs, options->filter, options->hold_back);
	probe->knobs = *knobs;
}

static bool hook_wanted(const struct hook *hook, const struct places *places,
			const struct probe *probe)
{
	if (hook->unless && kernel_has_function(places, hook->unless))
		return false;
	if (hook->before && !kernel_has_function(places, hook->target) &&
	    kernel_has_function(places, hook->before))
		return false;
	return hook->tiers ? hook->tiers >> probe->tier & 1
			   : probe->knobs.tree || probe->knobs.follow;
}

/* A program whose function is missing cannot even be loaded. */
static bool hook_possible(const struct hook *hook, const struct places *places)
{
	bool function =
		hook->kind == HOOK_KPROBE || hook->kind == HOOK_KRETPROBE ||
		(hook->kind == HOOK_TRACE && (hook->tiers & (hook->tiers - 1)) == 0 && hook->tiers);

	if (hook->module)
		return module_has_function(places, hook->kind, hook->module, hook->target);
	return !function || kernel_has_function(places, hook->target);
}

static struct bpf_link *syscall_attach(struct bpf_program *program, const char *name, int tracefs)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attributes), .sample_period = 1};
	struct bpf_link *link;
	int fd, id = place_tracepoint_id(tracefs, "syscalls", name);

	if (id < 0) {
		errno = -id;
		return NULL;
	}
	attributes.config = id;
	fd = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return NULL;
	link = bpf_program__attach_perf_event(program, fd); /* owns fd if it succeeds */
	if (!link) {
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return link;
}

static struct bpf_link *hook_attach(const struct hook *hook, struct bpf_program *program,
				    const struct places *places)
{
	switch (hook->kind) {
	case HOOK_SYSCALL:
		return syscall_attach(program, hook->target, places->tracefs);
	case HOOK_TRACE:
		return bpf_program__attach_trace(program);
	case HOOK_KPROBE:
	case HOOK_KRETPROBE:
		return bpf_program__attach_kprobe(program, hook->kind == HOOK_KRETPROBE,
						  hook->target);
	case HOOK_CGROUP:
		return bpf_program__attach_cgroup(program, places->cgroup);
	}
	errno = EINVAL;
	return NULL;
}

static void places_close(struct places *places)
{
	if (places->tracefs >= 0)
		close(places->tracefs);
	if (places->cgroup >= 0)
		close(places->cgroup);
	btf__free(places->btf);
}

static int places_open(struct places *places, enum wire_tier tier, struct probe_failure *failure)
{
	bool root = false, private = false;

	*places = (struct places){.tracefs = -1, .cgroup = -1, .btf = btf__load_vmlinux_btf()};
	if (!places->btf)
		return failure_set(failure, -errno, "cannot read the kernel's BTF: %s",
				   strerror(errno));
	if (tier != WIRE_TIER_TRACEPOINT)
		return 0;
	places->tracefs = place_tracefs(&private);
	if (places->tracefs == -EACCES)
		return failure_set(failure, -EACCES,
				   "missing capability CAP_DAC_READ_SEARCH (to read tracefs, which "
				   "only root may): " AS_ROOT);
	if (places->tracefs == -EPERM)
		return failure_set(failure, -EPERM,
				   "tracefs is not mounted: mount -t tracefs tracefs "
				   "/sys/kernel/tracing; or missing capability CAP_SYS_ADMIN (to "
				   "mount it for itself): " AS_ROOT);
	if (places->tracefs < 0)
		return failure_set(failure, places->tracefs,
				   "tracefs cannot be reached (%s): mount -t tracefs tracefs "
				   "/sys/kernel/tracing",
				   strerror(-places->tracefs));
	places->cgroup = place_cgroup(&root);
	if (places->cgroup < 0)
		return failure_set(
			failure, places->cgroup,
			"no cgroup v2 is mounted (%s): mkdir -p /sys/fs/cgroup/unified && "
			"mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
			strerror(-places->cgroup));
	return 0;
}

static void program_want(const struct probe *probe, const char *name)
{
	bpf_program__set_autoload(bpf_object__find_program_by_name(probe->object, name), true);
}

static void programs_choose(const struct probe *probe, const struct places *places)
{
	struct bpf_program *program;

	bpf_object__for_each_program (program, probe->object)
		bpf_program__set_autoload(program, false);
	for (unsigned int i = 0; i < hook_count; i++) {
		const struct hook *hook = &hook_table[i];

		if (hook_wanted(hook, places, probe) && hook_possible(hook, places))
			program_want(probe, hook->program);
	}
	program_want(probe, "snapshot_sockets");
	if (probe->knobs.follow)
		program_want(probe, "snapshot_followed");
}

/* The hooks of a tier, loaded and attached; the report is filled in either way. */
static int tier_attach(struct probe *probe, const struct places *places,
		       const struct filter *filter, struct probe_failure *failure)
{
	int error;

	programs_choose(probe, places);
	error = bpf_object__load(probe->object);
	if (error == -EPERM && !probe->fetch && privilege_memory_limited())
		return failure_set(failure, error,
				   "the kernel refused to load the programs of the %s tier. Before "
				   "5.11 it counts their memory as locked: missing capability "
				   "CAP_SYS_RESOURCE (to raise the limit), or ulimit -l unlimited",
				   tier_name(probe->tier));
	if (error)
		return failure_set(failure, error,
				   "the kernel refused to load the programs of the %s tier (%s)",
				   tier_name(probe->tier), strerror(-error));
	error = kernel_filter_fill(probe->object, &probe->knobs, filter);
	if (error)
		return failure_set(failure, error, "cannot hand the filter to the kernel (%s)",
				   strerror(-error));

	for (unsigned int i = hook_count; i-- > 0;) {
		const struct hook *hook = &hook_table[i];
		struct hook_report *line = &probe->report[probe->hooks];

		if (!hook_wanted(hook, places, probe))
			continue;
		*line = (struct hook_report){
			.program = hook->program, .hook = hook->target, .coverage = hook->coverage};
		if (hook_possible(hook, places)) {
			errno = 0;
			probe->links[probe->hooks] = hook_attach(
				hook,
				bpf_object__find_program_by_name(probe->object, hook->program),
				places);
			if (!probe->links[probe->hooks])
				line->error = errno ? -errno : -EINVAL;
		} else {
			line->error = -ENOENT;
		}
		probe->hooks++;
		if (!line->error)
			continue;
		probe->coverage &= ~hook->coverage;
		if (line->error == -EACCES && privilege_perf_limited())
			return failure_set(
				failure, line->error,
				"missing capability CAP_SYS_ADMIN (to attach to %s, where "
				"kernel.perf_event_paranoid is above 2), or sysctl "
				"kernel.perf_event_paranoid=2",
				hook->target);
		if (hook->coverage & C_NEEDED || !hook->coverage)
			return failure_set(failure, line->error,
					   "cannot attach to %s (%s), without which there is no "
					   "%s tier",
					   hook->target, strerror(-line->error),
					   tier_name(probe->tier));
	}
	error = probe->knobs.follow ? kernel_filter_follow(probe->object) : 0;
	if (error)
		return failure_set(failure, error, "cannot list the processes (%s)",
				   strerror(-error));
	return 0;
}

static void *map_memory(struct bpf_map *map, size_t size, int protection)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, bpf_map__fd(map), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int memory_map(struct probe *probe, struct probe_failure *failure)
{
	struct bpf_map *bss = bpf_object__find_map_by_name(probe->object, ".bss");

	probe->shared = map_memory(bss, sizeof(*probe->shared), PROT_READ | PROT_WRITE);
	probe->per_cpu =
		map_memory(probe->counters, probe->cpus * sizeof(*probe->per_cpu), PROT_READ);
	if (!probe->shared || !probe->per_cpu)
		return failure_set(failure, -errno, "cannot map the programs' memory: %s",
				   strerror(errno));
	return 0;
}

static struct probe *tier_open(enum wire_tier tier, const struct probe_options *options,
			       struct probe_failure *failure)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	int cpus = libbpf_num_possible_cpus();
	struct places places;
	int error;

	if (!probe || cpus < 0) {
		failure_set(failure, cpus < 0 ? cpus : -ENOMEM, "%s",
			    cpus < 0 ? "cannot count the CPUs: is /sys mounted?" : "out of memory");
		free(probe);
		return NULL;
	}
	probe->cpus = cpus;
	probe->tier = tier;
	probe->coverage = tier_coverage(tier);
	probe->fetch = feature_fetch();
	probe->object = object_open(probe->fetch);
	if (!probe->object) {
		failure_set(failure, -errno, "cannot open the BPF object: %s", strerror(errno));
		probe_close(probe);
		return NULL;
	}
	error = privileges_require(tier, failure);
	if (error) {
		probe_close(probe);
		return NULL;
	}
	error = places_open(&places, tier, failure);
	if (!error) {
		maps_configure(probe, &places, options);
		error = tier_attach(probe, &places, options->filter, failure);
	}
	places_close(&places);
	/* The kernel's BTF took megabytes, which the C library would keep. */
	malloc_trim(0);
	if (error || memory_map(probe, failure)) {
		probe_close(probe);
		return NULL;
	}
	return probe;
}

/* Cheap, and by doing it: the load of a whole tier that cannot be attached would
 * cost a quarter of a second. */
static bool tier_possible(enum wire_tier tier)
{
	switch (tier) {
	case WIRE_TIER_FENTRY:
		return !feature_trampolines();
	case WIRE_TIER_KPROBE:
		return !feature_kprobes();
	case WIRE_TIER_TRACEPOINT:
		return true;
	}
	return false;
}

struct probe *probe_open(const struct probe_options *options, struct probe_failure *failure)
{
	struct probe_failure attempt;
	struct probe *probe = NULL;

	libbpf_set_print(log_nothing);
	if (requirements_check(failure))
		return NULL;
	failure->error = 0;
	for (size_t i = 0; i < TIER_COUNT && !probe; i++) {
		enum wire_tier tier = tier_list[i];

		if (options->tier ? options->tier != tier : !tier_possible(tier))
			continue;
		probe = tier_open(tier, options, &attempt);
		/* Of several tiers the best one's failure is worth most. */
		if (!probe && !failure->error)
			*failure = attempt;
	}
	return probe;
}

void probe_detach(struct probe *probe)
{
	for (unsigned int i = probe->hooks; i-- > 0;) {
		bpf_link__destroy(probe->links[i]);
		probe->links[i] = NULL;
	}
}

void probe_close(struct probe *probe)
{
	if (!probe)
		return;
	probe_detach(probe);
	if (probe->per_cpu)
		munmap((void *)probe->per_cpu, probe->cpus * sizeof(*probe->per_cpu));
	if (probe->shared)
		munmap(probe->shared, sizeof(*probe->shared));
	bpf_object__close(probe->object);
	free(probe);
}

enum wire_tier probe_tier(const struct probe *probe)
{
	return probe->tier;
}

uint64_t probe_coverage(const struct probe *probe)
{
	return probe->coverage;
}

int probe_ring_fd(const struct probe *probe)
{
	return bpf_map__fd(probe->ring);
}

size_t probe_ring_bytes(const struct probe *probe)
{
	return bpf_map__max_entries(probe->ring);
}

volatile uint32_t *probe_reader_asleep(const struct probe *probe)
{
	return &probe->shared->reader_asleep;
}

volatile uint32_t *probe_tally_stopped(const struct probe *probe)
{
	return &probe->shared->tally_stopped;
}

bool probe_fetch(const struct probe *probe)
{
	return probe->fetch;
}

const struct bpf_map *probe_map(const struct probe *probe, const char *name)
{
	return bpf_object__find_map_by_name(probe->object, name);
}

int probe_snapshot(struct probe *probe)
{
	const struct bpf_program *program =
		bpf_object__find_program_by_name(probe->object, "snapshot_sockets");
	ssize_t found;

	/* A socket that is handed to a process behind which the walk has passed is found by
	 * the next one. */
	for (int i = 0; i < SNAPSHOT_PASSES; i++) {
		found = program_iterate(program);
		if (found <= 0)
			return (int)found;
	}
	return 0;
}

int probe_tree_add(struct probe *probe, uint32_t pid)
{
	uint64_t any = 0;

	return bpf_map__update_elem(probe->tree, &pid, sizeof(pid), &any, sizeof(any), BPF_ANY);
}

void probe_totals(const struct probe *probe, struct cpu_counters *totals)
{
	*totals = (struct cpu_counters){0};
	for (size_t i = 0; i < probe->cpus; i++) {
		const volatile struct cpu_counters *cpu = &probe->per_cpu[i];

		totals->seen += cpu->seen;
		totals->lost += cpu->lost;
		totals->filtered += cpu->filtered;
		totals->untracked += cpu->untracked;
		totals->unseen += cpu->unseen;
	}
}

uint64_t probe_skipped(const struct probe *probe)
{
	struct bpf_program *program;
	uint64_t skipped = 0;

	/* Return probes that found no free instance are counted where nobody can read
	 * it before 6.7. */
	if (probe->tier == WIRE_TIER_KPROBE)
		return UINT64_MAX;

	bpf_object__for_each_program (program, probe->object) {
		struct bpf_prog_info info = {0};
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program);

		if (fd < 0)
			continue;
		if (bpf_obj_get_info_by_fd(fd, &info, &size) ||
		    size < offsetof(struct bpf_prog_info, recursion_misses) +
				    sizeof(info.recursion_misses))
			return UINT64_MAX;
		skipped += info.recursion_misses;
	}
	return skipped;
}

const struct hook_report *probe_report(const struct probe *probe, unsigned int *count)
{
	*count = probe->hooks;
	return probe->report;
}
