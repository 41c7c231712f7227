/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/bucket.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "probe/iterate.h"
#include "probe/netns.h"

/* As in object.c. */
__asm__(".pushsection .rodata.bucket_object,\"a\",@progbits\n"
	".balign 8\n"
	".globl bucket_object_start, bucket_object_end\n"
	"bucket_object_start:\n"
	".incbin \"" PORTSNOOP_BUCKET_OBJECT "\"\n"
	"bucket_object_end:\n"
	".popsection\n");
extern const char bucket_object_start[] __attribute__((visibility("hidden")));
extern const char bucket_object_end[] __attribute__((visibility("hidden")));

struct buckets {
	struct bpf_object *object;
	struct bpf_link *sockets;
	struct bpf_link *files;
};

struct buckets *buckets_open(void)
{
	struct buckets *buckets = calloc(1, sizeof(*buckets));

	if (!buckets)
		return NULL;
	buckets->object = object_load_quietly(bucket_object_start,
					      (size_t)(bucket_object_end - bucket_object_start));
	if (!buckets->object)
		goto fail;
	buckets->sockets = iterator_attach(buckets->object, "bucket_sockets");
	buckets->files = iterator_attach(buckets->object, "bucket_files");
	if (buckets->sockets && buckets->files)
		return buckets;
fail:
	buckets_close(buckets);
	return NULL;
}

void buckets_close(struct buckets *buckets)
{
	int saved = errno;

	if (!buckets)
		return;
	bpf_link__destroy(buckets->sockets);
	bpf_link__destroy(buckets->files);
	bpf_object__close(buckets->object);
	free(buckets);
	errno = saved;
}

struct reading {
	const struct bpf_link *iterator;
	struct bucket_record **records;
	size_t *count;
};

static int reading_run(void *context)
{
	const struct reading *reading = context;
	void *bytes = NULL;
	size_t length = 0;
	int error = iterator_read(reading->iterator, &bytes, &length);

	if (error)
		return error;
	*reading->records = bytes;
	*reading->count = length / sizeof(struct bucket_record);
	return 0;
}

int buckets_read_netns(struct buckets *buckets, const struct netns *netns,
		       struct bucket_record **records, size_t *count)
{
	struct reading reading = {buckets->sockets, records, count};

	return netns ? netns_visit(netns, reading_run, &reading) : reading_run(&reading);
}

int buckets_read_ranges(struct buckets *buckets, struct bucket_record **records, size_t *count)
{
	struct reading reading = {buckets->files, records, count};

	return reading_run(&reading);
}
