/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Events of a fleet, and the rows that come of them. */
#ifndef PORTSNOOP_TEST_FLEET_ROOM_H
#define PORTSNOOP_TEST_FLEET_ROOM_H

#include "fleet/fold.h"

#define ROOM_ROWS 64
#define SECOND UINT64_C(1000000000)
#define T0 (UINT64_C(1795271527) * SECOND)

/* Texts of rows that came are copies, as long as the test lives. */
struct fleet_room {
	struct history_row rows[ROOM_ROWS];
	unsigned int count;
	int result; /* what the visitor says */
};

int fleet_room_visit(void *room, const struct history_row *row);
void fleet_room_free(void);

/* A text that is a constant. */
struct history_text fleet_text(const char *text);

/* On "web1", of stream 0xabc, at T0 + `ms`: all that rows have in common. */
struct answer_row fleet_row(uint64_t sequence, uint64_t ms, const char *action);
/* A socket's; outcome success. */
struct answer_row fleet_bind(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port);
struct answer_row fleet_connect(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port);
struct answer_row fleet_release(uint64_t sequence, uint64_t ms, uint64_t socket, uint16_t port,
				uint64_t duration_ms);

#endif
