/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Members of a JSON object, key and value in one. */
#ifndef PORTSNOOP_MEMBER_H
#define PORTSNOOP_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"

void member_string(struct json *json, const char *key, const char *string);
void member_number(struct json *json, const char *key, uint64_t number);
void member_number_if(struct json *json, const char *key, uint64_t number); /* unless it is 0 */
void member_bool(struct json *json, const char *key, bool truth);
void member_flag(struct json *json, const char *key, bool truth); /* unless it is false */
void member_time(struct json *json, const char *key, int64_t ns); /* CLOCK_REALTIME */
void member_object(struct json *json, const char *key);		  /* to be closed */
void member_array(struct json *json, const char *key);		  /* to be closed */
/* "user"; `name` NULL: unknown. */
void member_user(struct json *json, uint32_t uid, const char *name);
/* An IP; `family` 4 or 6. */
void member_address(struct json *json, const char *key, const uint8_t *bytes, uint8_t family);
/* An object: "ip", and "port" unless it is 0. */
void member_endpoint(struct json *json, const char *key, const uint8_t *bytes, uint8_t family,
		     uint16_t port);
/* "network": "transport", or "iana_number" without a name (IPPROTO_*), and "type" unless
 * `family` is 0. */
void member_network(struct json *json, uint16_t protocol, uint8_t family);
/* "ecs", and the beginning of "event": to be closed. */
void member_event(struct json *json, const char *kind);

#endif
