/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A filter for the programs in the kernel, so that what it drops need not be sent. The
 * filter in user space still stands behind it: the kernel may let through more.
 */
#ifndef PORTSNOOP_KERNEL_FILTER_H
#define PORTSNOOP_KERNEL_FILTER_H

#include <portsnoop/config.h>
#include <stdbool.h>

#include "model/filter.h"

struct bpf_object;

/* Before the object is loaded: its knobs and the sizes of its maps. Without `hold_back`
 * only the processes of --pid are followed, and everything is sent. */
void kernel_filter_configure(struct bpf_object *object, struct config *knobs,
			     const struct filter *filter, bool hold_back);

/* After it is loaded, before its programs are attached: what the maps hold. 0 or
 * negative errno. */
int kernel_filter_fill(const struct bpf_object *object, const struct config *knobs,
		       const struct filter *filter);

/* After they are attached: what already descends from the processes of --pid. 0 or
 * negative errno. */
int kernel_filter_follow(const struct bpf_object *object);

#endif
