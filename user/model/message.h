/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An event in words, for `message` and for the columns of the terminal. Each
 * function writes at most MESSAGE_MAX bytes and no NUL, and returns the length; 0:
 * there is nothing to say. Names in it are hostile bytes.
 */
#ifndef PORTSNOOP_MESSAGE_H
#define PORTSNOOP_MESSAGE_H

#include "model/event.h"

#define MESSAGE_MAX 512

size_t message_sentence(const struct event *event, char *out); /* any event */

/* Events of sockets only. */
const char *message_verb(const struct event *event);	       /* "bind" */
size_t message_protocol(const struct event *event, char *out); /* "tcp", "mptcp", "253" */
size_t message_local(const struct event *event, char *out);    /* where it is, or wanted to be */
size_t message_remote(const struct event *event, char *out);
size_t message_result(const struct event *event, char *out); /* "ok", "EADDRINUSE", "12.3ms" */
/* The first of what stood in the way of a failed call, and how many more did. */
size_t message_blocked(const struct event *event, char *out);
size_t message_class(const struct event *event, char *out); /* "user postgresql" */

/* What the events' fields and words have in common. */

/* Name of the process (of its leader); empty: not known. At most WIRE_COMM bytes. */
const char *event_comm(const struct event *event);
/* IANA's keyword of the protocol; NULL: none known here. */
const char *event_transport(const struct wire_event *socket);
/* Port that the classification is about: the local one, or the one that a failed
 * bind asked for. 0: none, or the protocol has no ports. */
uint16_t event_port(const struct event *event);
/* Name of an errno; NULL: it has none. */
const char *errno_name(uint32_t error);
bool event_in_pool(const struct wire_event *socket, uint16_t port);
/* The address as it stands in the packets: of a v4-mapped one the IPv4 address. */
const uint8_t *event_packet_address(const uint8_t *bytes, uint8_t *family);

#endif
