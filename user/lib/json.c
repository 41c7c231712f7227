/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/json.h"

#include "lib/escape.h"

static void json_before(struct json *json)
{
	if (json->comma)
		buffer_byte(json->out, ',');
	json->comma = true;
}

void json_open(struct json *json, char bracket)
{
	json_before(json);
	buffer_byte(json->out, bracket);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	buffer_byte(json->out, bracket);
	json->comma = true;
}

void json_key(struct json *json, const char *key)
{
	json_before(json);
	buffer_byte(json->out, '"');
	buffer_text(json->out, key);
	buffer_text(json->out, "\":");
	json->comma = false;
}

void json_text(struct json *json, const char *text, size_t length)
{
	json_before(json);
	buffer_byte(json->out, '"');
	escape_json(json->out, text, length);
	buffer_byte(json->out, '"');
}

void json_string(struct json *json, const char *text)
{
	if (text) {
		json_text(json, text, strlen(text));
		return;
	}
	json_before(json);
	buffer_text(json->out, "null");
}

void json_unsigned(struct json *json, uint64_t number)
{
	json_before(json);
	buffer_unsigned(json->out, number);
}

void json_bool(struct json *json, bool truth)
{
	json_before(json);
	buffer_text(json->out, truth ? "true" : "false");
}
