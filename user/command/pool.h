/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parts of `portsnoop pool` share: one look at the pools, and the ways to show it. */
#ifndef PORTSNOOP_COMMAND_POOL_H
#define PORTSNOOP_COMMAND_POOL_H

#include "lib/buffer.h"
#include "lib/list.h"
#include "model/pool_traffic.h"
#include "probe/lookup.h"
#include "probe/pool.h"
#include "probe/tally.h"

/* Exit status: as the plugins of Nagios count, in which 1 is a warning. */
#define POOL_FINE 0
#define POOL_PRESSED 1
#define POOL_ERROR 2

/* A process and how many ports of a pool it has. */
struct pool_holder {
	uint64_t start;
	uint32_t pid;
	uint32_t ports;
	char comm[WIRE_COMM + 1];
};

struct pool_row {
	struct pool_use use;
	struct pool_traffic traffic; /* zero if nobody watched */
	struct pool_forecast forecast;
	struct pool_holder *holders; /* most ports first */
	size_t holder_count;
};

/* Allocations that failed while somebody watched, by process and errno. */
struct pool_failure {
	uint32_t pid; /* 0: unknown */
	uint32_t error;
	uint16_t protocol;
	uint8_t trigger;
	uint64_t count;
	char comm[WIRE_COMM + 1];
};

struct pool_place {
	uint32_t netns;
	const char *name; /* NULL: it has none */
	bool own;
	struct pool settings;
	struct pool_space *space;
	struct pool_row *rows; /* as of pool_space_count() */
	size_t row_count;
	struct pool_failure *failures; /* most first */
	size_t failure_count;
};

/* Everything at one moment. */
struct pool_picture {
	int64_t wall; /* CLOCK_REALTIME, ns */
	struct holdings holdings;
	struct netns_list names;
	struct pool_place *places; /* the own one first */
	size_t place_count;
	bool watched;	 /* rates and failures are known */
	bool estimated;	 /* TIME_WAIT of what was watched is inferred */
	uint64_t window; /* ns of watching that the rates are of */
	uint64_t missed; /* counted by the tally, but in no pool: its maps are full */
};

/* Pools that have to be told of, whether anybody uses them or not. */
struct pool_keys {
	struct pool_key *list;
	size_t count;
};

/* What is kept from one look to the next. */
struct pool_look;
struct pool_look_options {
	const struct number_list *namespaces; /* NULL: all that have sockets, and the own one */
	const struct pool_keys *kept;
	bool watch; /* rates are wanted */
};
/* NULL, and that was said. Where the kernel's tally is not to be had, it says so and
 * goes on without. */
struct pool_look *pool_look_open(const struct pool_look_options *options);
void pool_look_close(struct pool_look *look);
bool pool_look_watches(const struct pool_look *look);

/* Takes a picture; rates are of the time since the one before, or since opening. 0, or
 * negative errno, and that was said. `blind` is told once. */
int pool_look_take(struct pool_look *look, struct pool_picture *picture);
void pool_picture_free(struct pool_picture *picture);

struct pool_view {
	const struct pool_picture *picture;
	const char *host;
	size_t top; /* pools of a namespace, and processes of a pool; 0: all */
	bool map;
	double threshold;   /* percent; 0: none */
	unsigned int width; /* of the terminal; 0: it is none */
	bool color;
};

void pool_table(struct buffer *out, const struct pool_view *view);
void pool_json(struct buffer *out, const struct pool_view *view);
/* The range of a pool, a character for some ports. */
void pool_map(struct buffer *out, const struct pool_view *view, const struct pool_place *place,
	      const struct pool_key *key);
void pool_map_legend(struct buffer *out, const struct pool_view *view);

/* An alert: a pool at the threshold or above (`over` false), no longer so (`over`), or
 * allocations that failed. Lines for people, or records. */
struct pool_alert {
	const struct pool_place *place;
	const struct pool_row *row; /* NULL: it is of a failure */
	const struct pool_failure *failure;
	bool over;
};
void pool_alert_text(struct buffer *out, const struct pool_view *view,
		     const struct pool_alert *alert);
void pool_alert_json(struct buffer *out, const struct pool_view *view,
		     const struct pool_alert *alert);

/* Which pools are at the threshold or above, from one picture to the next. */
struct pool_alerts {
	struct pool_keys keys; /* that were told, and are not over */
};

typedef void pool_alert_teller(const struct pool_alert *alert, void *context);

/* Tells what is new in the picture: a pool that came to the threshold (above 0), one that
 * fell below nine tenths of it, and every failure. 0, or -ENOMEM. */
int pool_alerts_find(struct pool_alerts *alerts, const struct pool_picture *picture,
		     double threshold, pool_alert_teller *tell, void *context);
void pool_alerts_free(struct pool_alerts *alerts);

/* Whether the picture has a pool at the threshold or above, or a failure. */
bool pool_is_pressed(const struct pool_picture *picture, double threshold);

/* The fullest pool; NULL: there is none. */
const struct pool_row *pool_fullest(const struct pool_picture *picture,
				    const struct pool_place **place);

/* ---- words, not escaped ---- */
void pool_words_pool(struct buffer *out, const struct pool_key *key);	 /* "tcp a -> b:443" */
void pool_words_outlook(struct buffer *out, const struct pool_row *row); /* "empty in 12s" */
void pool_words_netns(struct buffer *out, const struct pool_place *place);
const char *pool_words_way(const struct pool_key *key); /* "connect", "bind" */

/* Whether there is anything to tell of a pool beside its size. */
bool pool_row_is_used(const struct pool_row *row);

#endif
