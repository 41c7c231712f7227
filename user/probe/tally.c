/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/tally.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "model/tally_end.h"

/* Rows at a time; more where a hash chain of the kernel's is longer. */
#define CHUNK 256

struct tally {
	struct probe *probe;
	const struct bpf_map *maps[TALLY_MAPS];
	struct tally_ends *ends;
	size_t cpus;
};

/* include/linux/proc_ns.h: PROC_PID_INIT_INO */
#define FIRST_PID_NAMESPACE 0xEFFFFFFCU

/* The kernel's numbers of processes are numbers here. */
static bool processes_are_seen(void)
{
	struct stat namespace;

	return !stat("/proc/self/ns/pid", &namespace) && namespace.st_ino == FIRST_PID_NAMESPACE;
}

/* Another process may have the number by now: then it only takes longer. */
static bool process_ended(void *context, uint32_t pid)
{
	(void)context;
	return kill((pid_t)pid, 0) && errno == ESRCH;
}

static const char *const map_names[TALLY_MAPS] = {
	[TALLY_MAP_CLAIMS] = "tally_claims",   [TALLY_MAP_PLACES] = "tally_places",
	[TALLY_MAP_ERRORS] = "tally_errors",   [TALLY_MAP_NAMES] = "tally_names",
	[TALLY_MAP_CGROUPS] = "tally_cgroups",
};

static bool row_remove(void *context, enum tally_map map, const void *key)
{
	const struct tally *tally = context;

	return !bpf_map_delete_elem(bpf_map__fd(tally->maps[map]), key);
}

static struct tally_ends *ends_new(struct tally *tally)
{
	struct tally_world world = {
		.sees_processes = processes_are_seen(),
		.ended = process_ended,
		.remove = row_remove,
		.context = tally,
	};

	for (size_t i = 0; i < TALLY_MAPS; i++)
		world.room[i] = bpf_map__max_entries(tally->maps[i]);
	return tally_ends_new(&world);
}

static int tally_fail(struct probe_failure *failure, int error, const char *what)
{
	failure->error = error;
	snprintf(failure->text, sizeof(failure->text), "%s: %s", what, strerror(-error));
	return error;
}

static int tally_begin(struct tally *tally, enum wire_tier tier, struct probe_failure *failure)
{
	const struct probe_options options = {
		.tier = tier, .ring_bytes = sysconf(_SC_PAGESIZE), .tally = true};
	int error, cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return tally_fail(failure, cpus, "cannot count the CPUs: is /sys mounted?");
	tally->cpus = cpus;
	tally->probe = probe_open(&options, failure);
	if (!tally->probe)
		return failure->error;
	for (size_t i = 0; i < TALLY_MAPS; i++)
		tally->maps[i] = probe_map(tally->probe, map_names[i]);
	tally->ends = ends_new(tally);
	if (!tally->ends)
		return tally_fail(failure, -ENOMEM, "cannot count");
	/* Without it the first datagram of an old socket would look like a claim in the
	 * tracepoint tier. */
	error = probe_snapshot(tally->probe);
	return error ? tally_fail(failure, error, "cannot list the sockets that are there") : 0;
}

struct tally *tally_open(enum wire_tier tier, struct probe_failure *failure)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally) {
		tally_fail(failure, -ENOMEM, "cannot count");
		return NULL;
	}
	if (tally_begin(tally, tier, failure)) {
		tally_close(tally);
		return NULL;
	}
	return tally;
}

void tally_close(struct tally *tally)
{
	if (!tally)
		return;
	probe_close(tally->probe);
	tally_ends_free(tally->ends);
	free(tally);
}

/* A grace period of RCU: every run of a program that has begun has ended. False: this kernel
 * has none to offer, because it has CPUs without a tick. */
static bool runs_await(void)
{
	return !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

void tally_stop(struct tally *tally)
{
	*probe_tally_stopped(tally->probe) = 1;
	/* To detach waits for the same, only longer. */
	if (!runs_await())
		probe_detach(tally->probe);
}

enum wire_tier tally_tier(const struct tally *tally)
{
	return probe_tier(tally->probe);
}

uint64_t tally_coverage(const struct tally *tally)
{
	return probe_coverage(tally->probe);
}

/* A row of a map: `value` is the first of as many as there are CPUs, each rounded up to
 * 8 bytes; of a map that is not per CPU the only one. */
typedef int row_visitor(struct tally_reading *reading, const void *key, const void *value,
			size_t cpus);

static size_t value_bytes(const struct bpf_map *map, size_t cpus)
{
	size_t size = bpf_map__value_size(map);

	if (bpf_map__type(map) != BPF_MAP_TYPE_PERCPU_HASH)
		return size;
	return (size + 7) / 8 * 8 * cpus;
}

/*
 * A bucket of the kernel's hash at a time, so that each row that is there all the while
 * is met once. Never -ENOSPC.
 */
static int map_chunk_read(const struct bpf_map *map, bool first, void *place, void *keys,
			  void *values, uint32_t *count)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	int error = bpf_map_lookup_batch(bpf_map__fd(map), first ? NULL : place, place, keys,
					 values, count, &options);

	return error ? -errno : 0;
}

static int map_read(const struct tally *tally, enum tally_map which, struct tally_reading *reading,
		    row_visitor *visit)
{
	const struct bpf_map *map = tally->maps[which];
	size_t key_size = bpf_map__key_size(map), value_size = value_bytes(map, tally->cpus);
	CLEANUP_FREE char *keys = NULL, *values = NULL;
	size_t room = CHUNK;
	uint64_t place = 0; /* the kernel's: a bucket's number */
	bool first = true, more = true;
	int error = 0;

	keys = malloc(room * key_size);
	values = malloc(room * value_size);
	while (more && !error) {
		uint32_t count = room;

		if (!keys || !values)
			return -ENOMEM;
		error = map_chunk_read(map, first, &place, keys, values, &count);
		if (error == -ENOSPC) {
			room *= 2;
			free(keys);
			free(values);
			keys = malloc(room * key_size);
			values = malloc(room * value_size);
			error = 0;
			continue;
		}
		if (error == -ENOENT) { /* that was the last bucket */
			more = false;
			error = 0;
		}
		first = false;
		for (uint32_t i = 0; i < count && !error; i++)
			error = visit(reading, keys + i * key_size, values + i * value_size,
				      tally->cpus);
	}
	return error;
}

/* The array, with room for one more element. The room is a power of two, and so known by
 * the number of elements. */
static void *array_grow(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return realloc(array, (count ? count * 2 : 1) * size);
}

/* A new last element of an array of the reading, zeroed; NULL: out of memory. */
#define ROW_ADD(array, count)                                                                      \
	({                                                                                         \
		__typeof__(array) grown = array_grow(array, count, sizeof(*(array)));              \
		if (grown) {                                                                       \
			(array) = grown;                                                           \
			grown += (count)++;                                                        \
			*grown = (__typeof__(*grown)){0};                                          \
		}                                                                                  \
		grown;                                                                             \
	})

static void counts_sum(struct tally_counts *sum, const void *value, size_t cpus)
{
	const struct tally_counts *each = value;

	for (size_t i = 0; i < cpus; i++)
		tally_add(sum, &each[i]);
}

static int row_add(struct tally_reading *reading, const void *key, const void *value, size_t cpus)
{
	struct tally_row *row = ROW_ADD(reading->rows, reading->row_count);

	if (!row)
		return -ENOMEM;
	memcpy(&row->key, key, sizeof(row->key));
	counts_sum(&row->counts, value, cpus);
	return 0;
}

static int place_add(struct tally_reading *reading, const void *key, const void *value, size_t cpus)
{
	struct tally_place_row *row = ROW_ADD(reading->places, reading->place_count);

	if (!row)
		return -ENOMEM;
	memcpy(&row->place, key, sizeof(row->place));
	counts_sum(&row->counts, value, cpus);
	return 0;
}

static int error_add(struct tally_reading *reading, const void *key, const void *value, size_t cpus)
{
	struct tally_error_row *row = ROW_ADD(reading->errors, reading->error_count);
	const uint64_t *each = value;

	if (!row)
		return -ENOMEM;
	memcpy(&row->error, key, sizeof(row->error));
	for (size_t i = 0; i < cpus; i++)
		row->count += each[i];
	return 0;
}

static int process_add(struct tally_reading *reading, const void *key, const void *value,
		       size_t cpus)
{
	struct tally_process_row *row = ROW_ADD(reading->processes, reading->process_count);
	const struct tally_process *process = key;
	const struct tally_name *name = value;

	(void)cpus;
	if (!row)
		return -ENOMEM;
	row->start = process->start;
	row->pid = process->pid;
	memcpy(row->comm, name->comm, strnlen(name->comm, sizeof(name->comm)));
	return 0;
}

/* From the components of the kernel, the last one first. NULL with errno ENODATA: it is
 * not whole. */
static char *path_make(const struct tally_path *path)
{
	size_t length = path->length, used = 0;
	char *text;

	if (path->flags || length > sizeof(path->path) ||
	    (length && path->path[length - 1] != '\0')) {
		errno = ENODATA;
		return NULL;
	}
	text = malloc(length + 2);
	if (!text)
		return NULL;
	while (length) {
		size_t start = length - 1;

		while (start && path->path[start - 1] != '\0')
			start--;
		text[used++] = '/';
		memcpy(text + used, path->path + start, length - start - 1);
		used += length - start - 1;
		length = start;
	}
	if (!used)
		text[used++] = '/';
	text[used] = '\0';
	return text;
}

static int cgroup_add(struct tally_reading *reading, const void *key, const void *value,
		      size_t cpus)
{
	struct tally_cgroup_row *row = ROW_ADD(reading->cgroups, reading->cgroup_count);

	(void)cpus;
	if (!row)
		return -ENOMEM;
	memcpy(&row->id, key, sizeof(row->id));
	row->path = path_make(value);
	return row->path || errno == ENODATA ? 0 : -ENOMEM;
}

static int rest_read(const struct tally *tally, struct tally_reading *reading)
{
	const struct bpf_map *map = probe_map(tally->probe, "tally_overflow");
	CLEANUP_FREE struct tally_counts *each = calloc(tally->cpus, sizeof(*each));

	if (!each)
		return -ENOMEM;
	for (uint32_t i = 0; i < TALLY_RESTS; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(map), &i, each))
			return -errno;
		counts_sum(&reading->rest[i], each, tally->cpus);
	}
	return 0;
}

static int maps_read(struct tally *tally, struct tally_reading *reading)
{
	int error = map_read(tally, TALLY_MAP_CLAIMS, reading, row_add);

	if (!error)
		error = map_read(tally, TALLY_MAP_PLACES, reading, place_add);
	if (!error)
		error = map_read(tally, TALLY_MAP_ERRORS, reading, error_add);
	if (!error)
		error = rest_read(tally, reading);
	/* Behind the rows, and when those who made them have ended: each of them finds its
	 * name and its path whole, now and not in a later reading. */
	runs_await();
	if (!error)
		error = map_read(tally, TALLY_MAP_NAMES, reading, process_add);
	if (!error)
		error = map_read(tally, TALLY_MAP_CGROUPS, reading, cgroup_add);
	return error;
}

int tally_read(struct tally *tally, struct tally_reading *reading)
{
	struct tally_reading fresh = {
		.time = clock_ns(CLOCK_MONOTONIC),
		.wall = clock_ns(CLOCK_REALTIME),
		.skipped = probe_skipped(tally->probe),
		.estimated = tally_tier(tally) == WIRE_TIER_TRACEPOINT,
	};
	struct cpu_counters totals;
	int error = maps_read(tally, &fresh);

	if (error) {
		tally_reading_free(&fresh);
		return error;
	}
	probe_totals(tally->probe, &totals);
	fresh.untracked = totals.untracked;
	tally_reading_sort(&fresh);
	tally_ends_find(tally->ends, &fresh);
	*reading = fresh;
	return 0;
}
