/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The IANA registry of service names and port numbers, as constants: nothing is
 * read or built at start. The tables are made by tools/ports/generate.py.
 *
 * Entries are sorted by port; two spans of ports are equal or disjoint, and
 * equal ones stand together. Among these the first that has a service for a
 * protocol has the service; the others are further names of the same port.
 */
#ifndef PORTSNOOP_IANA_H
#define PORTSNOOP_IANA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 6335: never assigned from here on. */
#define IANA_DYNAMIC_LOW 49152

/* In entries; 0 is an entry that names no protocol. */
enum iana_protocol {
	IANA_TCP = 1 << 0,
	IANA_UDP = 1 << 1,
	IANA_SCTP = 1 << 2,
	IANA_DCCP = 1 << 3,
};

enum iana_status {
	IANA_ASSIGNED,
	IANA_RESERVED, /* also what was taken away from a service */
	IANA_UNASSIGNED,
	IANA_USED, /* the registry records a use that it did not assign */
};

/* reference, unauthorized, note, name and text are for iana_text(). */
struct iana_entry {
	uint16_t low; /* 0 to 0 in entries without a port */
	uint16_t high;
	uint16_t registered; /* for iana_date_text(); 0: the registry tells none */
	uint16_t modified;
	uint16_t reference;    /* "RFC 4251" */
	uint16_t unauthorized; /* "Known Unauthorized Use on port 6003" */
	uint16_t note;
	uint8_t protocols; /* enum iana_protocol */
	uint8_t status;	   /* enum iana_status */
	uint32_t name;	   /* of the service; empty: has none */
	uint32_t text;	   /* description */
};

extern const char iana_date[]; /* of the registry, YYYY-MM-DD */
extern const char iana_strings[];
extern const struct iana_entry iana_entries[];
extern const unsigned int iana_entry_count;
extern const unsigned int iana_port_count; /* the first ones: those with a port */
extern const uint16_t iana_names[];	   /* places in iana_entries, sorted by name without case */
extern const unsigned int iana_name_count;

/* Printable ASCII, maybe empty. */
static inline const char *iana_text(uint32_t offset)
{
	return iana_strings + offset;
}

/* Does the entry speak of this one protocol? One that names none speaks of TCP
 * and UDP: such entries are older than the registry's other protocols. Where it
 * is no assignment, it speaks of all. */
bool iana_entry_covers(const struct iana_entry *entry, enum iana_protocol protocol);

/* The entries whose ports meet low-high: how many, the first in *first. */
unsigned int iana_find(uint16_t low, uint16_t high, const struct iana_entry **first);

/* The entries of a service, by any of its names in any case: how many, their
 * places in iana_entries at *places. */
unsigned int iana_find_name(const char *name, const uint16_t **places);

/* The same for names that begin with `prefix`. */
unsigned int iana_find_prefix(const char *prefix, const uint16_t **places);

/* TCP's for TCP and MPTCP, UDP's for UDP and UDP-Lite; 0: has no registry. */
unsigned int iana_protocol_of(uint16_t protocol);

/* "2011-06-09", "2003-11" or, for 0, "". */
#define IANA_DATE_TEXT 16
void iana_date_text(uint16_t date, char text[IANA_DATE_TEXT]);

const char *iana_status_name(enum iana_status status); /* "assigned" */

#endif
