/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One datagram of https://systemd.io/JOURNAL_NATIVE_PROTOCOL/ an event. */
#include "format/journal.h"

#include <endian.h>
#include <stdlib.h>

#include "format/json_value.h"
#include "lib/escape.h"

struct named {
	const struct field *field;
	char name[JOURNAL_NAME_MAX + 1];
};

struct format {
	struct second_cache cache;
	struct buffer value;
	unsigned int count;
	struct named fields[];
};

bool journal_name(const struct field *field, char *name)
{
	size_t length = 0;

	for (const char *path = field->path; *path; path++) {
		char byte = *path;

		if (byte >= 'a' && byte <= 'z')
			byte = (char)(byte - 'a' + 'A');
		else if (byte == '.')
			byte = '_';
		else if (byte != '_' && (byte < '0' || byte > '9'))
			continue;
		if (length == JOURNAL_NAME_MAX)
			return false;
		name[length++] = byte;
	}
	name[length] = '\0';
	return true;
}

static struct format *journal_open(const struct format_options *options)
{
	struct format *format =
		calloc(1, sizeof(*format) + field_count * sizeof(format->fields[0]));

	if (!format)
		return NULL;
	for (unsigned int i = 0; i < field_count; i++) {
		struct named *named = &format->fields[format->count];

		if (!format_shows(options, &field_table[i]) ||
		    !journal_name(&field_table[i], named->name))
			continue;
		named->field = &field_table[i];
		format->count++;
	}
	return format;
}

static void journal_close(struct format *format)
{
	if (!format)
		return;
	buffer_free(&format->value);
	free(format);
}

static void journal_begin(struct format *format, struct buffer *out)
{
	(void)format;
	(void)out;
}

/* A value with a newline would end there: its length stands before it then. */
static void entry_write(struct buffer *out, const char *name, const char *bytes, size_t length)
{
	uint64_t size = htole64(length);

	buffer_text(out, name);
	if (length && memchr(bytes, '\n', length)) {
		buffer_byte(out, '\n');
		buffer_append(out, &size, sizeof(size));
	} else {
		buffer_byte(out, '=');
	}
	buffer_append(out, bytes, length);
	buffer_byte(out, '\n');
}

static void field_write(struct format *format, const struct named *named, const struct event *event,
			struct buffer *out)
{
	struct field_scratch scratch;
	struct value value = field_value(named->field, event, &scratch);

	buffer_reset(&format->value);
	switch (value.kind) {
	case VALUE_ABSENT:
		return;
	case VALUE_TEXT:
		if (strcmp(named->name, "MESSAGE") != 0) {
			entry_write(out, named->name, value.text.bytes, value.text.length);
			return;
		}
		value_plain(&format->value, &value, &format->cache);
		break;
	case VALUE_TOKENS:
		for (unsigned int i = 0; i < value.tokens.count; i++)
			entry_write(out, named->name, value.tokens.token[i],
				    strlen(value.tokens.token[i]));
		return;
	case VALUE_TEXTS:
	case VALUE_OBJECTS:
		value_json(&format->value, &value, &format->cache);
		break;
	default:
		value_plain(&format->value, &value, &format->cache);
		break;
	}
	if (format->value.failed)
		out->failed = true;
	entry_write(out, named->name, format->value.data, format->value.length);
}

static void journal_event(struct format *format, const struct event *event, struct buffer *out)
{
	buffer_printf(out, "PRIORITY=%d\n", event_severity(event));
	buffer_text(out, "SYSLOG_IDENTIFIER=portsnoop\n"
			 "SYSLOG_FACILITY=3\n"
			 "MESSAGE_ID=" JOURNAL_MESSAGE_ID "\n");
	for (unsigned int i = 0; i < format->count; i++)
		field_write(format, &format->fields[i], event, out);
}

const struct format_ops format_journal = {
	.name = "journal",
	.help = "records of journald's native protocol",
	.open = journal_open,
	.begin = journal_begin,
	.event = journal_event,
	.close = journal_close,
};
