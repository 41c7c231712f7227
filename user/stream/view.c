/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "stream/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/list.h"
#include "lib/parse.h"

#define WIDTH_FALLBACK 80
#define WIDTH_MOST 65535

struct view {
	const struct view_options *options;
	const struct format_ops *ops;
	struct format *format;
	struct pipeline *pipeline;
	struct output *output;
	bool done;
	struct totals totals;
};

int view_set_format(const char *argument, void *target, const char **expected)
{
	const struct format_ops *format = format_find(argument);

	if (!format) {
		*expected = "table, ecs (or json), otlp, ocsf or csv";
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

int view_set_fields(const char *argument, void *target, const char **expected)
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

void view_options_settle(struct view_options *options, int fd)
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

void view_options_free(struct view_options *options)
{
	free(options->fields.fields);
	free(options->fields.expected);
	options->fields = (struct field_choice){0};
	filter_free(&options->filter);
}

static int view_event(void *context, const struct event *event)
{
	struct view *view = context;
	struct sinks *sinks = view->options->sinks;

	if (event->action == EVENT_START && !sinks)
		view->ops->begin(view->format, &view->output->pending);
	if (event->action == EVENT_END) {
		view->totals.ended = true;
		view->totals.end = *event->end;
	}
	if (!filter_passes(&view->options->filter, event)) {
		view->totals.filtered++;
		return 0;
	}
	if (sinks)
		sinks_event(sinks, event);
	else
		view->ops->event(view->format, event, &view->output->pending);
	/* Events of the stream about itself are neither claims nor counted by --count. */
	if (event->socket && ++view->totals.delivered == view->options->count)
		view->done = true;
	if (view->output->pending.length >= OUTPUT_FULL || view->output->pending.failed)
		return view_flush(view);
	return 0;
}

struct view *view_new(const struct view_options *options, struct output *output)
{
	struct format_options shape = {
		.fields = options->fields.fields,
		.field_count = options->fields.count,
		.width = options->width,
		.color = options->color,
		.line_most = FORMAT_LINE,
	};
	struct view *view = calloc(1, sizeof(*view));
	struct pipeline_options chain = {
		.no_ledger = options->no_ledger,
		.event = view_event,
		.context = view,
	};

	if (!view)
		return NULL;
	view->options = options;
	view->output = output;
	view->ops = options->format ? options->format : &format_table;
	view->format = view->ops->open(&shape);
	view->pipeline = pipeline_new(&chain);
	if (!view->format || !view->pipeline) {
		view_free(view);
		return NULL;
	}
	return view;
}

void view_free(struct view *view)
{
	if (!view)
		return;
	if (view->format)
		view->ops->close(view->format);
	pipeline_free(view->pipeline);
	free(view);
}

int view_record(struct view *view, const void *record, size_t size, const char **why)
{
	const struct wire_header *header = record;
	int error;

	if (view->done && (size < sizeof(*header) || header->type != WIRE_STREAM_END))
		return VIEW_DONE;
	error = pipeline_record(view->pipeline, record, size, why);
	if (error)
		return error;
	return view->done ? VIEW_DONE : 0;
}

int view_flush(struct view *view)
{
	if (view->options->sinks)
		sinks_flush(view->options->sinks);
	return output_flush(view->output);
}

struct pipeline *view_pipeline(const struct view *view)
{
	return view->pipeline;
}

void view_totals(const struct view *view, struct totals *totals)
{
	struct ledger *ledger = pipeline_ledger(view->pipeline);
	struct decoder_totals received;
	struct ledger_totals leases;

	pipeline_totals(view->pipeline, &received);
	*totals = view->totals;
	totals->received = received.received;
	totals->lost = received.lost;
	totals->stopped = view->done;
	if (ledger) {
		ledger_totals(ledger, &leases);
		totals->evicted = leases.evicted;
	}
}
