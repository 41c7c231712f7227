/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The record that an event in the fleet's table was made of, as far as the table tells. */
#ifndef PORTSNOOP_FLEET_RECORD_H
#define PORTSNOOP_FLEET_RECORD_H

#include <portsnoop/wire.h>

#include "fleet/answer.h"

/* Its time is CLOCK_REALTIME, and it has no name of a process. False: it makes no sense. */
bool record_make(const struct answer_row *row, struct wire_event *record);

#endif
