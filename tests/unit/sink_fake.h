/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A destination for tests: it does as it is told, and remembers, in memory that a courier
 * shares with the test. */
#ifndef PORTSNOOP_TESTS_SINK_FAKE_H
#define PORTSNOOP_TESTS_SINK_FAKE_H

#include <stdlib.h>
#include <time.h>

#include "sink/sink.h"

#define FAKE_ARRIVALS 400000

struct fake {
	/* As it is told; at once. */
	int prepare;	     /* what prepare() returns; 1: it dies */
	bool away;	     /* open() fails, and a connection breaks */
	bool gone;	     /* the same, for good */
	bool stalls;	     /* -EAGAIN */
	bool hangs;	     /* send() waits until its time is up */
	bool stuck;	     /* send() waits for ever */
	bool lags;	     /* takes frames, and settles none of them */
	bool slow;	     /* settles when it is asked, not when it sends */
	bool defers;	     /* what is taken arrives when it is settled, or, as when a
				 * buffer is lost with its connection, not at all */
	uint64_t breaks;     /* once so many more have arrived; 0: not */
	uint64_t most;	     /* takes so many at once; 0: all */
	uint64_t bad;	     /* refuses what has a sequence that it divides; 0: none */
	uint64_t rejects;    /* throws so many away after it took them */
	unsigned int chance; /* of a thousand calls, so many go wrong somehow */
	/* What happened. */
	int pid; /* of the courier */
	unsigned int prepared, opened, closed, reopened, freed, sent;
	int patience_early; /* s, with a name server: in prepare() */
	int patience;	    /* and in open() */
	unsigned int alone; /* so often a frame was refused that came alone */
	char gap[8192];	    /* the text of the last record of a gap */
	uint64_t count;
	struct frame arrived[FAKE_ARRIVALS]; /* bytes: NULL */
};

#define FAKES 3
extern struct fake *fake; /* an array; a courier uses the one that its spec's `keep` says */
extern struct sink_ops fake_ops;
extern const struct sink_ops fake_polled; /* has a settled() */

int fake_make(void **state);
int fake_remove(void **state);

/* Frames as they arrive here have these bytes. */
struct frame fake_frame(uint64_t sequence);
/* Of what arrived, repetitions left out: 1, 2, ... so many, in order. `bad` ones are missing. */
void fake_in_order(uint64_t first, uint64_t last);

/* Until it is so; what never comes is a failure. */
#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		const struct timespec pause__ = {.tv_nsec = 1000000};                              \
		unsigned int left__ = 30000;                                                       \
		while (!(condition) && --left__)                                                   \
			nanosleep(&pause__, NULL);                                                 \
		if (!left__)                                                                       \
			print_error("never: %s\n", #condition);                                    \
		assert_true(left__ > 0);                                                           \
	} while (0)

#endif
