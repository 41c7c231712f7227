/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Word from the kernel that a TCP or UDP socket is gone for good (sock_diag(7),
 * SKNLGRP_INET_TCP_DESTROY and its kin). It comes for accepted connections too, and for
 * those that no process has open any more; not for the end of TIME_WAIT, which is no
 * socket. No root is needed.
 */
#ifndef PORTSNOOP_DESTROY_H
#define PORTSNOOP_DESTROY_H

#include <stdbool.h>

#include "lib/parse.h"
#include "probe/lookup.h"

struct destroy_watch;

/* NULL with errno set. */
struct destroy_watch *destroy_watch_new(void);
void destroy_watch_free(struct destroy_watch *watch);

/* Watches a network namespace as well: 1 if it was not watched before, else 0, or
 * negative errno. The one that this process is in needs no path. */
int destroy_watch_add(struct destroy_watch *watch, const struct netns *netns);

int destroy_watch_fd(const struct destroy_watch *watch); /* to be polled for input */

/* Takes in what has come. True if a socket with a local port of the set is gone, or if
 * there was more than the kernel could keep. */
bool destroy_watch_read(struct destroy_watch *watch, const struct port_set *ports);

#endif
