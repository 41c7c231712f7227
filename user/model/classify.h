/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What kind of port it is: the registry's view and this machine's, never mixed. */
#ifndef PORTSNOOP_CLASSIFY_H
#define PORTSNOOP_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

enum iana_range { IANA_SYSTEM, IANA_USER, IANA_DYNAMIC };

enum iana_range iana_range_of(uint16_t port);
const char *iana_range_name(enum iana_range range); /* "system", "user", "dynamic" */

/* Registered service of (port, IPPROTO_*), a constant; NULL where none is, and for
 * every protocol without a registry of ports. UDP-Lite uses UDP's, MPTCP TCP's. Of
 * several names it is the first that the registry has no reservation about. */
const char *iana_service(uint16_t port, uint16_t protocol);

/* Known unofficial uses as ready texts, "mosh (udp 60000-61000)": hints, those with
 * the fewest ports first. Uses of more than 2000 ports are left out, they say next
 * to nothing about one of them. Writes at most `limit` pointers to constants into
 * `uses`; returns how many there are. */
#define KNOWN_USES_MAX 8
unsigned int known_uses(uint16_t port, uint16_t protocol, const char **uses, unsigned int limit);

#endif
