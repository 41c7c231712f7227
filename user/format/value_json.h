/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A value of the field table as JSON by itself, for where JSON stands inside of something
 * else. The renderer of the event stream, which has other needs, is format/json.c. */
#ifndef PORTSNOOP_VALUE_JSON_H
#define PORTSNOOP_VALUE_JSON_H

#include "format/plain.h"
#include "lib/json.h"

/* Lists are arrays, objects are objects. Nothing for what is absent. */
void value_json(struct json *json, const struct value *value, struct second_cache *cache);

#endif
