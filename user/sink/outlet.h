/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One sink, as the program sees it: its channel, its courier, and what it has to do without.
 * How an event becomes bytes is sinks.c's business.
 */
#ifndef PORTSNOOP_SINK_OUTLET_H
#define PORTSNOOP_SINK_OUTLET_H

#include "model/event.h"
#include "sink/sinks.h"

/* Events that found no room, one behind the other. */
struct outlet_gap {
	uint64_t count; /* 0: there is no gap */
	uint64_t first; /* event.sequence of the first one */
	int64_t since;	/* and its time */
	int64_t until;	/* of the last one */
	struct stream stream;
};

struct outlet {
	struct sink_spec spec; /* with its format; the rest belongs to the list */
	struct channel *channel;
	int pid;
	int pidfd;	    /* -1: the courier has ended, and was waited for */
	unsigned int group; /* of sinks.c */
	uint64_t put, dropped;
	struct outlet_gap gap;
	struct channel_state last; /* pidfd == -1: what it left */
	bool away;		   /* that the destination is away was said */
	int64_t said;		   /* when, CLOCK_MONOTONIC */
};

/* Starts the courier. 0, or negative errno with why. */
int outlet_open(struct outlet *outlet, const struct sinks_options *options, char *why, size_t size);
void outlet_free(struct outlet *outlet);

static inline bool outlet_alive(const struct outlet *outlet)
{
	return outlet->pidfd >= 0;
}

/* False: there is no room. `wait`: for it, as long as the courier lives and no stop is
 * asked for. */
bool outlet_put(struct outlet *outlet, const struct frame *frame, bool wait);
void outlet_drop(struct outlet *outlet, const struct event *event);
/* The lost-events record that stands for the gap. `gap` is what it points to. */
struct event outlet_gap_event(const struct outlet *outlet, struct event_gap *gap);

/* Says so when the destination goes away, and when it is back. */
void outlet_look(struct outlet *outlet);
/* After its pidfd has become readable. *status: as of waitpid(), -1: not known. */
void outlet_reap(struct outlet *outlet, int *status);
void outlet_report(const struct outlet *outlet, struct sink_report *report);
/* For people, the line at the end. True: nothing was dropped, refused or lost. */
bool outlet_sum(const struct outlet *outlet);

#endif
