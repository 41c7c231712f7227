/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/member.h"

#include "model/message.h"
#include "model/text.h"

void member_string(struct json *json, const char *key, const char *string)
{
	json_key(json, key);
	json_string(json, string);
}

void member_number(struct json *json, const char *key, uint64_t number)
{
	json_key(json, key);
	json_unsigned(json, number);
}

void member_number_if(struct json *json, const char *key, uint64_t number)
{
	if (number)
		member_number(json, key, number);
}

void member_bool(struct json *json, const char *key, bool truth)
{
	json_key(json, key);
	json_bool(json, truth);
}

void member_flag(struct json *json, const char *key, bool truth)
{
	if (truth)
		member_bool(json, key, true);
}

void member_time(struct json *json, const char *key, int64_t ns)
{
	char text[TEXT_TIME];

	json_key(json, key);
	json_text(json, text, (size_t)(text_time(text, ns) - text));
}

void member_object(struct json *json, const char *key)
{
	json_key(json, key);
	json_open(json, '{');
}

void member_array(struct json *json, const char *key)
{
	json_key(json, key);
	json_open(json, '[');
}

/* ECS wants a string, also below. */
static void number_text(struct json *json, const char *key, uint64_t number)
{
	char text[TEXT_UNSIGNED];

	json_key(json, key);
	json_text(json, text, (size_t)(text_unsigned(text, number) - text));
}

void member_user(struct json *json, uint32_t uid, const char *name)
{
	member_object(json, "user");
	number_text(json, "id", uid);
	if (name)
		member_string(json, "name", name);
	json_close(json, '}');
}

void member_address(struct json *json, const char *key, const uint8_t *bytes, uint8_t family)
{
	char text[TEXT_ADDRESS];

	json_key(json, key);
	json_text(json, text, (size_t)(text_address(text, bytes, family) - text));
}

void member_endpoint(struct json *json, const char *key, const uint8_t *bytes, uint8_t family,
		     uint16_t port)
{
	member_object(json, key);
	member_address(json, "ip", bytes, family);
	member_number_if(json, "port", port);
	json_close(json, '}');
}

void member_network(struct json *json, uint16_t protocol, uint8_t family)
{
	const char *name = event_transport(&(struct wire_event){.protocol = protocol});

	member_object(json, "network");
	if (name)
		member_string(json, "transport", name);
	else
		number_text(json, "iana_number", protocol);
	if (family)
		member_string(json, "type", family == 4 ? "ipv4" : "ipv6");
	json_close(json, '}');
}

void member_event(struct json *json, const char *kind)
{
	member_object(json, "ecs");
	member_string(json, "version", "9.4.0");
	json_close(json, '}');
	member_object(json, "event");
	member_string(json, "kind", kind);
	member_array(json, "category");
	json_string(json, "network");
	json_close(json, ']');
}
