/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A JSON writer that owns the commas. Keys are our own constants; texts may be
 * anything. The renderer of the event stream, which has other needs, is
 * format/json.c. */
#ifndef PORTSNOOP_JSON_H
#define PORTSNOOP_JSON_H

#include "lib/buffer.h"

struct json {
	struct buffer *out;
	bool comma; /* something stands before in this object or array */
};

void json_open(struct json *json, char bracket); /* '{' or '[' */
void json_close(struct json *json, char bracket);
void json_key(struct json *json, const char *key);

void json_text(struct json *json, const char *text, size_t length);
void json_string(struct json *json, const char *text); /* NULL: null */
void json_unsigned(struct json *json, uint64_t number);
void json_bool(struct json *json, bool truth);

#endif
