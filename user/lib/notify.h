/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a service tells its manager: the protocol of sd_notify(3), datagrams to the socket
 * that NOTIFY_SOCKET names. Without a manager they do nothing.
 */
#ifndef PORTSNOOP_NOTIFY_H
#define PORTSNOOP_NOTIFY_H

#include <stdint.h>

/* Reads the environment, and takes NOTIFY_SOCKET and WATCHDOG_* out of it. */
void notify_open(void);

void notify_ready(const char *status); /* one line for people, also below */
void notify_status(const char *status);
void notify_reloading(void); /* followed by notify_ready() */
void notify_stopping(void);
void notify_alive(void);	/* for the watchdog */
uint64_t notify_watchdog(void); /* ns between two notify_alive() at most; 0: no watchdog */

#endif
