/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/lookup_iter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"

/* As in object.c. */
__asm__(".pushsection .rodata.lookup_object,\"a\",@progbits\n"
	".balign 8\n"
	".globl lookup_object_start, lookup_object_end\n"
	"lookup_object_start:\n"
	".incbin \"" PORTSNOOP_LOOKUP_OBJECT "\"\n"
	"lookup_object_end:\n"
	".popsection\n");
extern const char lookup_object_start[] __attribute__((visibility("hidden")));
extern const char lookup_object_end[] __attribute__((visibility("hidden")));

/* The kernel gives at most its own buffer, eight pages, at a time. */
#define READ_SIZE 65536

struct lookup_iter {
	struct bpf_object *object;
	struct bpf_link *files;
	struct bpf_link *namespaces;
	struct listing_query *query; /* mapped: to write it takes no privilege */
};

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

static struct bpf_object *object_load(void)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "portsnoop");
	/* A refusal is no news: it says so in errno. */
	libbpf_print_fn_t print = libbpf_set_print(print_nothing);
	struct bpf_object *object = bpf_object__open_mem(
		lookup_object_start, lookup_object_end - lookup_object_start, &options);

	if (object && bpf_object__load(object)) {
		int saved = errno;

		bpf_object__close(object);
		object = NULL;
		errno = saved;
	}
	libbpf_set_print(print);
	return object;
}

static struct bpf_link *program_attach(struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__attach_iter(program, NULL) : NULL;
}

static struct listing_query *query_map(const struct bpf_object *object)
{
	void *memory = mmap(NULL, sizeof(struct listing_query), PROT_READ | PROT_WRITE, MAP_SHARED,
			    bpf_object__find_map_fd_by_name(object, ".bss"), 0);

	return memory == MAP_FAILED ? NULL : memory;
}

struct lookup_iter *lookup_iter_open(void)
{
	struct lookup_iter *iter = calloc(1, sizeof(*iter));

	if (!iter)
		return NULL;
	iter->object = object_load();
	if (!iter->object)
		goto fail;
	iter->query = query_map(iter->object);
	iter->files = program_attach(iter->object, "lookup_files");
	iter->namespaces = program_attach(iter->object, "lookup_namespaces");
	if (iter->query && iter->files && iter->namespaces)
		return iter;
fail:
	lookup_iter_close(iter);
	return NULL;
}

void lookup_iter_close(struct lookup_iter *iter)
{
	int saved = errno;

	if (!iter)
		return;
	if (iter->query)
		munmap(iter->query, sizeof(*iter->query));
	bpf_link__destroy(iter->files);
	bpf_link__destroy(iter->namespaces);
	bpf_object__close(iter->object);
	free(iter);
	errno = saved;
}

/* All that the iterator says, to be freed. */
static int link_read(const struct bpf_link *link, void **bytes, size_t *length)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	CLEANUP_FD int fd = bpf_iter_create(bpf_link__fd(link));
	ssize_t got;

	if (fd < 0)
		return -errno;
	do {
		if (!buffer_room(&text, READ_SIZE))
			return -ENOMEM;
		got = read(fd, text.data + text.length, READ_SIZE);
		if (got > 0)
			text.length += (size_t)got;
		/* EAGAIN: a million files were none of ours, and the kernel took a breath. */
	} while (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)));
	if (got < 0)
		return -errno;
	*length = text.length;
	*bytes = TAKE_POINTER(text.data);
	return 0;
}

int lookup_iter_run(struct lookup_iter *iter, const struct listing_query *query,
		    struct listing_record **records, size_t *count)
{
	size_t length = 0;
	void *bytes = NULL;
	int error;

	memcpy(iter->query, query, sizeof(*query));
	error = link_read(iter->files, &bytes, &length);
	if (error)
		return error;
	*records = bytes;
	*count = length / sizeof(**records);
	return 0;
}

int lookup_iter_namespaces(struct lookup_iter *iter, struct listing_namespace **namespaces,
			   size_t *count)
{
	size_t length = 0;
	void *bytes = NULL;
	int error = link_read(iter->namespaces, &bytes, &length);

	if (error)
		return error;
	*namespaces = bytes;
	*count = length / sizeof(**namespaces);
	return 0;
}
