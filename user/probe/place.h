/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where this machine keeps what hooks attach to. */
#ifndef PORTSNOOP_PLACE_H
#define PORTSNOOP_PLACE_H

#include <stdbool.h>
#include <stdint.h>

/* A descriptor of tracefs' root; where it is not mounted, a private mount that
 * nobody else sees, and *private is set. Negative errno: not to be had; -EACCES: it may
 * not be read, -EPERM: not be mounted. */
int place_tracefs(bool *private);

/* Number of a tracepoint, below tracefs; negative errno. */
int place_tracepoint_id(int tracefs, const char *group, const char *name);

/* A descriptor of the topmost cgroup v2 that can be reached; *root says whether
 * it is the root of them all. -ENOENT: no cgroup v2 is mounted. It is not mounted
 * privately, because that would reset the options of the system's own mount. */
int place_cgroup(bool *root);

/* Whether a loaded module has a function of this name. */
bool place_module_symbol(const char *module, const char *name);

/* Capabilities in force, as bits; 0 if they cannot be read. */
uint64_t place_capabilities(void);

#endif
