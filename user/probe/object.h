/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The program's own copy of the BPF object, made fit for the running kernel. */
#ifndef PORTSNOOP_OBJECT_H
#define PORTSNOOP_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

struct bpf_object;

/* Opens (does not load) the object. With `fetch` false, atomic additions that
 * return the old value are turned into plain ones, which is all that kernels
 * before 5.12 know. NULL with errno set. */
struct bpf_object *object_open(bool fetch);

/* The rewriting alone: `size` bytes of a BPF ELF file. Returns how many
 * instructions were changed, or -EINVAL for what is no such file. */
int object_remove_fetch(void *elf, size_t size);

#endif
