/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_CONTAINER_H
#define PORTSNOOP_CONTAINER_H

#include "model/process.h"

/* Fills in what the path of a cgroup v2 (absolute, not NUL-terminated) tells:
 * container id and runtime, Kubernetes pod, systemd unit. What it does not tell
 * stays empty; nothing is guessed. */
void container_parse(struct container *container, const char *path, size_t length);

#endif
