/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that walk through what the kernel has: the walk is a read. */
#ifndef PORTSNOOP_ITERATE_H
#define PORTSNOOP_ITERATE_H

#include <sys/types.h>

struct bpf_program;

/* Runs a loaded iterator program once, to its end. How many bytes it wrote, which are
 * thrown away, or negative errno. */
ssize_t program_iterate(const struct bpf_program *program);

#endif
