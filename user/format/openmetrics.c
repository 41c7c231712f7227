/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/openmetrics.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/escape.h"

const char *openmetrics_suffix(enum openmetrics_type type)
{
	switch (type) {
	case OPENMETRICS_COUNTER:
		return "_total";
	case OPENMETRICS_INFO:
		return "_info";
	default:
		return "";
	}
}

const char *openmetrics_type_name(enum openmetrics_type type)
{
	switch (type) {
	case OPENMETRICS_COUNTER:
		return "counter";
	case OPENMETRICS_GAUGE:
		return "gauge";
	case OPENMETRICS_HISTOGRAM:
		return "histogram";
	case OPENMETRICS_INFO:
		return "info";
	}
	return "unknown";
}

static void line_begin(struct openmetrics *writer, const char *keyword)
{
	buffer_text(writer->out, keyword);
	buffer_text(writer->out, writer->family->name);
	if (writer->classic)
		buffer_text(writer->out, openmetrics_suffix(writer->family->type));
	buffer_byte(writer->out, ' ');
}

void openmetrics_family(struct openmetrics *writer, const struct openmetrics_family *family)
{
	enum openmetrics_type type = family->type;

	writer->family = family;
	if (writer->classic && type == OPENMETRICS_INFO)
		type = OPENMETRICS_GAUGE;
	line_begin(writer, "# HELP ");
	buffer_text(writer->out, family->help);
	buffer_byte(writer->out, '\n');
	line_begin(writer, "# TYPE ");
	buffer_text(writer->out, openmetrics_type_name(type));
	buffer_byte(writer->out, '\n');
	if (!family->unit || writer->classic)
		return;
	line_begin(writer, "# UNIT ");
	buffer_text(writer->out, family->unit);
	buffer_byte(writer->out, '\n');
}

void openmetrics_sample(struct openmetrics *writer, const char *part)
{
	buffer_text(writer->out, writer->family->name);
	buffer_text(writer->out, openmetrics_suffix(writer->family->type));
	buffer_text(writer->out, part);
	writer->labelled = false;
}

static void label_begin(struct openmetrics *writer, const char *name)
{
	buffer_byte(writer->out, writer->labelled ? ',' : '{');
	buffer_text(writer->out, name);
	buffer_text(writer->out, "=\"");
	writer->labelled = true;
}

void openmetrics_label(struct openmetrics *writer, const char *name, const char *text,
		       size_t length)
{
	label_begin(writer, name);
	escape_label(writer->out, text, length);
	buffer_byte(writer->out, '"');
}

void openmetrics_label_number(struct openmetrics *writer, const char *name, uint64_t number)
{
	label_begin(writer, name);
	buffer_unsigned(writer->out, number);
	buffer_byte(writer->out, '"');
}

void openmetrics_label_escaped(struct openmetrics *writer, const char *name, const char *text)
{
	label_begin(writer, name);
	buffer_text(writer->out, text);
	buffer_byte(writer->out, '"');
}

static void value_begin(struct openmetrics *writer)
{
	buffer_text(writer->out, writer->labelled ? "} " : " ");
}

void openmetrics_number(struct openmetrics *writer, uint64_t number)
{
	value_begin(writer);
	buffer_unsigned(writer->out, number);
	buffer_byte(writer->out, '\n');
}

void openmetrics_seconds(struct openmetrics *writer, uint64_t seconds, uint32_t nanoseconds)
{
	value_begin(writer);
	buffer_unsigned(writer->out, seconds);
	buffer_printf(writer->out, ".%09u\n", nanoseconds);
}

void openmetrics_end(struct openmetrics *writer)
{
	if (!writer->classic)
		buffer_text(writer->out, "# EOF\n");
}

/* ---- Accept ---- */

struct word {
	const char *text;
	size_t length;
};

static bool word_is(struct word word, const char *text)
{
	return strlen(text) == word.length && !strncasecmp(word.text, text, word.length);
}

/* Up to one of `ends`, without the spaces around it. Moves *text behind it. */
static struct word word_take(const char **text, const char *ends)
{
	struct word word = {*text, strcspn(*text, ends)};

	*text += word.length;
	while (word.length && isspace((unsigned char)*word.text)) {
		word.text++;
		word.length--;
	}
	while (word.length && isspace((unsigned char)word.text[word.length - 1]))
		word.length--;
	return word;
}

/* In thousandths: "0.5". */
static unsigned int quality_parse(struct word word)
{
	char text[8];
	double quality;
	char *end;

	if (!word.length || word.length >= sizeof(text) || !isdigit((unsigned char)*word.text))
		return 0;
	memcpy(text, word.text, word.length);
	text[word.length] = '\0';
	quality = strtod(text, &end);
	return !*end && quality >= 0 && quality <= 1 ? (unsigned int)(quality * 1000) : 0;
}

/* A media range and its parameters: how much who wants our format of this kind. */
struct range {
	struct word type, version;
	unsigned int quality;
};

static struct range range_take(const char **text)
{
	struct range range = {.type = word_take(text, ",;"), .quality = 1000};

	while (**text == ';') {
		struct word name, value;

		++*text;
		name = word_take(text, "=,;");
		value = (struct word){0};
		if (**text == '=') {
			++*text;
			value = word_take(text, ",;");
		}
		if (word_is(name, "q"))
			range.quality = quality_parse(value);
		else if (word_is(name, "version"))
			range.version = value;
	}
	if (**text == ',')
		++*text;
	return range;
}

bool openmetrics_accepted(const char *accept)
{
	unsigned int wanted = 0, other = 0;

	while (accept && *accept) {
		struct range range = range_take(&accept);
		const struct word version = range.version;

		/* What came as 0.0.1 became 1.0.0. */
		if (word_is(range.type, "application/openmetrics-text")) {
			if ((!version.length || word_is(version, "1.0.0") ||
			     word_is(version, "0.0.1")) &&
			    range.quality > wanted)
				wanted = range.quality;
		} else if (word_is(range.type, "text/plain") || word_is(range.type, "text/*") ||
			   word_is(range.type, "*/*")) {
			if ((!version.length || word_is(version, "0.0.4")) && range.quality > other)
				other = range.quality;
		}
	}
	return wanted && wanted >= other;
}
