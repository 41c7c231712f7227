/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Made-up holdings, and what `who` says of them. */
#ifndef PORTSNOOP_TESTS_WHO_WORLD_H
#define PORTSNOOP_TESTS_WHO_WORLD_H

#include "command/who_view.h"
#include "lib/buffer.h"
#include "lib/list.h"

#define OWN 4026531833u
#define OTHER 4026532567u
#define ALL (IANA_TCP | IANA_UDP | IANA_SCTP)
#define HOSTILE "\x1b[31m\n\xff\xe2\x80\xae\""

/* A view with its parts, which a test changes as it likes. */
struct who_world {
	struct explain_subject subject[3];
	struct subjects subjects;
	struct lookup_query query;
	struct pool pool;
	struct netns netns;
	struct netns_list names;
	struct who_view view;
	struct holdings holdings;
	struct buffer out;
};

void who_world_make(struct who_world *world, uint16_t low, uint16_t high);
void who_world_free(struct who_world *world);

/* Valid until the next one is added; also below. */
struct holding *holding_add(struct who_world *world, uint8_t state, const char *ip, uint16_t port);
void peer_set(struct holding *holding, const char *ip, uint16_t port);
struct holder *holder_add(struct holding *holding, uint32_t pid, const char *comm);
void all_hostile(struct who_world *world); /* every text of it */

const char *who_world_text(struct who_world *world);
const char *who_world_json(struct who_world *world);

size_t lines_count(const char *text);
void has(const char *text, const char *part);
void has_not(const char *text, const char *part);
/* Valid UTF-8 without anything that a terminal obeys or that forges a line. */
void is_harmless(const char *text, size_t lines);

#endif
