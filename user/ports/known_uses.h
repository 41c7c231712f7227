/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Uses of ports that nobody registered, each with a source: hints, never a
 * statement about a process. The table is made by tools/ports/generate.py from
 * tools/ports/known-uses.tsv. The uses with the fewest ports come first.
 *
 * A use of more than 2000 ports (a relay, a port range for passive FTP, macOS'
 * Xsan) says next to nothing about one of them: such uses come last and are no
 * hint for a claim; `portsnoop explain` shows them.
 */
#ifndef PORTSNOOP_KNOWN_USES_H
#define PORTSNOOP_KNOWN_USES_H

#include "ports/iana.h"

struct known_use {
	uint16_t low;
	uint16_t high;
	uint16_t protocols; /* enum iana_protocol */
	uint16_t text;	    /* "mosh (udp 60000-61000)"; offsets in known_use_strings */
	uint16_t name;
	uint16_t source;
	uint16_t note; /* may be empty */
};

extern const char known_use_date[]; /* of the list, YYYY-MM-DD */
extern const char known_use_strings[];
extern const struct known_use known_use_table[];
extern const unsigned int known_use_count;
extern const unsigned int known_use_specific; /* the first ones: at most 2000 ports */

#endif
