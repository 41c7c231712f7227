/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "model/blocked.h"
#include "model/decode.h"

#define WIDTH_FALLBACK 80
#define WIDTH_MOST 65535

struct pipeline {
	const struct pipeline_options *options;
	const struct format_ops *ops;
	struct format *format;
	struct decoder *decoder;
	struct output *output;
	struct ledger *ledger; /* NULL: --no-ledger */
	struct former_listeners *former;
	struct lease_process holder; /* of the newest release; pid 0: see struct event */
	uint64_t lingered;
	bool started, done;
	struct totals totals;
};

int pipeline_set_format(const char *argument, void *target, const char **expected)
{
	const struct format_ops *format = format_find(argument);

	if (!format) {
		*expected = "table, json or csv";
		return -EINVAL;
	}
	*(const struct format_ops **)target = format;
	return 0;
}

/* Words that name every field; kept in the choice, which frees them. */
static int field_refuse(struct field_choice *choice, const char *name, const char **expected)
{
	struct buffer words = BUFFER_EMPTY;

	buffer_printf(&words, "a comma-separated list of fields ('%s' is none of them): ", name);
	for (unsigned int i = 0; i < field_count; i++)
		buffer_printf(&words, "%s%s", i ? ", " : "", field_table[i].path);
	buffer_text(&words, "; or of headings: ");
	for (unsigned int i = 0, found = 0; i < field_count; i++)
		if (field_table[i].column)
			buffer_printf(&words, "%s%s", found++ ? ", " : "", field_table[i].column);
	buffer_byte(&words, '\0');
	if (words.failed) {
		buffer_free(&words);
		return -ENOMEM;
	}
	free(choice->expected);
	choice->expected = words.data;
	*expected = choice->expected;
	return -EINVAL;
}

struct field_taker {
	struct field_choice *choice;
	const char **expected;
};

static int field_take(const char *part, void *context)
{
	const struct field_taker *taker = context;
	struct field_choice *choice = taker->choice;
	const struct field *field = field_find(part, strlen(part));
	const struct field **grown;

	if (!field)
		return field_refuse(choice, part, taker->expected);
	grown = realloc(choice->fields, (choice->count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	choice->fields = grown;
	choice->fields[choice->count++] = field;
	return 0;
}

int pipeline_set_fields(const char *argument, void *target, const char **expected)
{
	struct field_taker taker = {target, expected};

	return list_split(argument, field_take, &taker);
}

static unsigned int terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t width;

	if (columns && !parse_unsigned(columns, 1, WIDTH_MOST, &width))
		return (unsigned int)width;
	if (!ioctl(fd, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return WIDTH_FALLBACK;
}

static bool terminal_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

void pipeline_options_settle(struct pipeline_options *options, int fd)
{
	if (!options->format)
		options->format = &format_table;
	options->width = 0;
	options->color = false;
	if (!isatty(fd))
		return;
	options->width = terminal_width(fd);
	options->color = terminal_color();
}

void pipeline_options_free(struct pipeline_options *options)
{
	free(options->fields.fields);
	free(options->fields.expected);
	options->fields = (struct field_choice){0};
	filter_free(&options->filter);
}

static int pipeline_release(struct pipeline *pipeline, const struct wire_event *release)
{
	const struct lease *lease;
	struct lease closed;
	int error;

	pipeline->holder.key.pid = 0;
	if (release->flags & WIRE_NO_CLAIMANT) {
		lease = ledger_socket(pipeline->ledger, release->socket);
		if (lease)
			pipeline->holder = lease->holder;
	}
	error = ledger_record(pipeline->ledger, release, &closed, &pipeline->lingered);
	if (error)
		return error;
	former_listeners_add(pipeline->former, &closed);
	if (release->flags & WIRE_NO_CLAIMANT && !pipeline->holder.key.pid)
		pipeline->holder = closed.holder; /* it was in TIME_WAIT */
	return 0;
}

/* Before the record's event. */
static int pipeline_observe(void *context, const struct wire_event *record)
{
	struct pipeline *pipeline = context;

	if (record->header.type == WIRE_RELEASE)
		return pipeline_release(pipeline, record);
	return ledger_record(pipeline->ledger, record, NULL, NULL);
}

/* With what the ledger has to say of it. */
static void pipeline_render(struct pipeline *pipeline, const struct event *event)
{
	struct ledger_totals totals;
	struct event explained;
	struct blocked blocked;

	if (event->socket && event->socket->error && blocked_applies(event->socket)) {
		blocked_find(&blocked, pipeline->ledger, pipeline->former, event);
		explained = *event;
		explained.blocked = &blocked;
		event = &explained;
	} else if (event->action == EVENT_RELEASED &&
		   (pipeline->lingered || pipeline->holder.key.pid)) {
		explained = *event;
		explained.lingered = pipeline->lingered;
		explained.holder = pipeline->holder.key.pid ? &pipeline->holder : NULL;
		event = &explained;
	} else if (event->action == EVENT_END && pipeline->ledger) {
		ledger_totals(pipeline->ledger, &totals);
		explained = *event;
		explained.ledger = &totals;
		event = &explained;
	}
	pipeline->ops->event(pipeline->format, event, &pipeline->output->pending);
}

static int pipeline_event(void *context, const struct event *event)
{
	struct pipeline *pipeline = context;

	if (event->action == EVENT_START) {
		pipeline->started = true;
		pipeline->ops->begin(pipeline->format, &pipeline->output->pending);
	}
	if (event->action == EVENT_END) {
		pipeline->totals.ended = true;
		pipeline->totals.end = *event->end;
	}
	if (!filter_passes(&pipeline->options->filter, event)) {
		pipeline->totals.filtered++;
		return 0;
	}
	pipeline_render(pipeline, event);
	/* Events of the stream about itself are neither claims nor counted by --count. */
	if (event->socket && ++pipeline->totals.delivered == pipeline->options->count)
		pipeline->done = true;
	if (pipeline->output->pending.length >= OUTPUT_FULL || pipeline->output->pending.failed)
		return pipeline_flush(pipeline);
	return 0;
}

struct pipeline *pipeline_new(const struct pipeline_options *options, struct output *output)
{
	struct format_options shape = {
		.fields = options->fields.fields,
		.field_count = options->fields.count,
		.width = options->width,
		.color = options->color,
	};
	struct pipeline *pipeline = calloc(1, sizeof(*pipeline));

	if (!pipeline)
		return NULL;
	pipeline->options = options;
	pipeline->output = output;
	pipeline->ops = options->format ? options->format : &format_table;
	pipeline->decoder =
		decoder_new(pipeline_event, options->no_ledger ? NULL : pipeline_observe, pipeline);
	pipeline->format = pipeline->ops->open(&shape);
	if (!options->no_ledger) {
		pipeline->ledger = ledger_new(PIPELINE_LEASES);
		pipeline->former = former_listeners_new();
	}
	if (!pipeline->decoder || !pipeline->format ||
	    (!options->no_ledger && (!pipeline->ledger || !pipeline->former))) {
		pipeline_free(pipeline);
		return NULL;
	}
	return pipeline;
}

void pipeline_free(struct pipeline *pipeline)
{
	if (!pipeline)
		return;
	if (pipeline->format)
		pipeline->ops->close(pipeline->format);
	decoder_free(pipeline->decoder);
	former_listeners_free(pipeline->former);
	ledger_free(pipeline->ledger);
	free(pipeline);
}

int pipeline_record(struct pipeline *pipeline, const void *record, size_t size, const char **why)
{
	const struct wire_header *header = record;
	int error;

	if (pipeline->done && (size < sizeof(*header) || header->type != WIRE_STREAM_END))
		return PIPELINE_DONE;
	error = decoder_record(pipeline->decoder, record, size, why);
	if (error)
		return error;
	return pipeline->done ? PIPELINE_DONE : 0;
}

int pipeline_flush(struct pipeline *pipeline)
{
	return output_flush(pipeline->output);
}

struct ledger *pipeline_ledger(const struct pipeline *pipeline)
{
	return pipeline->ledger;
}

const struct process *pipeline_process(const struct pipeline *pipeline,
				       const struct process_key *key)
{
	return decoder_process(pipeline->decoder, key);
}

const char *pipeline_user(const struct pipeline *pipeline, uint32_t uid)
{
	return decoder_user(pipeline->decoder, uid);
}

const struct stream *pipeline_stream(const struct pipeline *pipeline)
{
	return pipeline->started ? decoder_stream(pipeline->decoder) : NULL;
}

void pipeline_totals(const struct pipeline *pipeline, struct totals *totals)
{
	struct ledger_totals ledger;

	*totals = pipeline->totals;
	totals->received = decoder_received(pipeline->decoder);
	totals->lost = decoder_lost(pipeline->decoder);
	totals->stopped = pipeline->done;
	if (pipeline->ledger) {
		ledger_totals(pipeline->ledger, &ledger);
		totals->evicted = ledger.evicted;
	}
}
