/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/lookup_iter.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/iterate.h"

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

struct lookup_iter {
	struct bpf_object *object;
	struct bpf_link *files;
	struct bpf_link *namespaces;
	struct listing_query *query; /* mapped: to write it takes no privilege */
};

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
	iter->object =
		object_load_quietly(lookup_object_start, lookup_object_end - lookup_object_start);
	if (!iter->object)
		goto fail;
	iter->query = query_map(iter->object);
	iter->files = iterator_attach(iter->object, "lookup_files");
	iter->namespaces = iterator_attach(iter->object, "lookup_namespaces");
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

int lookup_iter_run(struct lookup_iter *iter, const struct listing_query *query,
		    struct listing_record **records, size_t *count)
{
	size_t length = 0;
	void *bytes = NULL;
	int error;

	memcpy(iter->query, query, sizeof(*query));
	error = iterator_read(iter->files, &bytes, &length);
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
	int error = iterator_read(iter->namespaces, &bytes, &length);

	if (error)
		return error;
	*namespaces = bytes;
	*count = length / sizeof(**namespaces);
	return 0;
}
