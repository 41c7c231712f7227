/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One process of the storm: the sockets that it holds, and what it does with them. */
#ifndef PORTSNOOP_TESTS_LEDGER_STORM_H
#define PORTSNOOP_TESTS_LEDGER_STORM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_SOCKETS 12
#define PROCESS_KEPT 3 /* the first ones stay to the end */

struct held {
	int fd;
	pid_t claimant;	 /* who made the newest claim; a process that may have ended */
	uint64_t before; /* CLOCK_MONOTONIC around that claim, ns */
	uint64_t after;
	bool connected;
	bool accepted; /* no claim: it has its listener's port */
};

struct process {
	unsigned long number, claims;
	int mailbox;   /* sockets from the one before come here */
	int neighbour; /* where to send them on */
	uint32_t random;
	unsigned int count;
	struct held held[PROCESS_SOCKETS];
};

void die(const char *what) __attribute__((noreturn));

/* Something, at random; with hand_over what needs two processes, too. */
void process_act(struct process *process, bool hand_over);

void process_linger(struct process *process); /* one connection into TIME_WAIT */
void process_report(struct process *process); /* takes in its mail, tells what it holds */

#endif
