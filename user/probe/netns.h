/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Network namespaces of this machine; their list is in lookup.h. */
#ifndef PORTSNOOP_NETNS_H
#define PORTSNOOP_NETNS_H

#include <portsnoop/listing.h>
#include <stdint.h>

#include "probe/lookup.h"

/* Inode number of the network namespace that this process is in; 0: no /proc. */
uint32_t netns_own(void);

/* The same list as netns_list_read()'s, from tasks that somebody else found: no process
 * has to be asked, none can refuse. */
int netns_list_make(struct netns_list *namespaces, const struct listing_namespace *tasks,
		    size_t count);

/*
 * What `open` returns inside of the namespace (a descriptor or a negative errno); the
 * calling thread is back in its own one afterwards, or, if the kernel does not let it
 * back, ended with the program. Negative errno: -ENOENT is a namespace that is gone.
 */
int netns_call(const struct netns *netns, int (*open)(void));

/* The same, for what needs to know more. */
int netns_visit(const struct netns *netns, int (*visit)(void *context), void *context);

#endif
