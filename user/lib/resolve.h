/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names that only this machine can turn into numbers. They return 0, or -EINVAL
 * and leave the result untouched; *expected then completes "expected ...".
 */
#ifndef PORTSNOOP_RESOLVE_H
#define PORTSNOOP_RESOLVE_H

#include <stdint.h>

/* A user id, or the name of a user. */
int resolve_user(const char *text, uint64_t *uid, const char **expected);

/* The inode number of a network namespace, the path of its file, or its name
 * below /run/netns. */
int resolve_netns(const char *text, uint64_t *inode, const char **expected);

#endif
