/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that walk through what the kernel has: the walk is a read. */
#ifndef PORTSNOOP_ITERATE_H
#define PORTSNOOP_ITERATE_H

#include <stddef.h>
#include <sys/types.h>

struct bpf_link;
struct bpf_object;
struct bpf_program;

/* Runs a loaded iterator program once, to its end. How many bytes it wrote, which are
 * thrown away, or negative errno. */
ssize_t program_iterate(const struct bpf_program *program);

/* Loads an object without a word: a refusal is no news to who asks, and says so in
 * errno. NULL: refused. */
struct bpf_object *object_load_quietly(const void *bytes, size_t size);

/* Of a loaded object; NULL with errno set. */
struct bpf_link *iterator_attach(const struct bpf_object *object, const char *program);

/* Runs it once, to its end: all that it says, to be freed. 0 or negative errno. What
 * belongs to a network namespace is told of the calling thread's. */
int iterator_read(const struct bpf_link *iterator, void **bytes, size_t *length);

#endif
