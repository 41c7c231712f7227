/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What courier.c (the work) and courier_start.c (the process) share. */
#ifndef PORTSNOOP_SINK_COURIER_INSIDE_H
#define PORTSNOOP_SINK_COURIER_INSIDE_H

#include "sink/pending.h"
#include "sink/courier.h"
#include "sink/retry.h"

#define NS_PER_MS UINT64_C(1000000)
#define COURIER_SETTLE_LEAST_MS 100
#define COURIER_SETTLE_MOST_MS 5000

struct courier {
	const struct sink_ops *ops;
	struct channel *channel;
	struct sink sink;
	struct pending pending;
	struct batch batch;
	struct retry away;    /* the destination */
	struct retry stalled; /* it takes nothing now */
	struct retry settle;  /* when to ask what has arrived */
	bool open, closing, reopen;
	bool held;	       /* the next frame is refused, once what is sent is settled */
	size_t limit;	       /* frames of a batch */
	uint64_t opened;       /* CLOCK_MONOTONIC, ns; also below */
	uint64_t settled;      /* what ops->settled() said, of this connection */
	uint64_t rejected;     /* of sink.rejected: counted */
	uint64_t linger_until; /* 0: it does not linger */
	uint64_t kept_until;   /* when the pending wants to be looked at */
	uint64_t deadline;     /* closing */
};

/* Until there is nothing more to do. */
void courier_work(struct courier *courier);

#endif
