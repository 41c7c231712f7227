/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fleet/streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/order.h"
#include "store/store.h"
#include "store/wanted.h"

struct stream_entry {
	char *host; /* hostile bytes, and behind them the tier's */
	size_t host_length;
	char name[17];
	uint64_t id;
	int64_t first, last, started, ended; /* the last two 0: not known */
	uint64_t holes;
	bool pulse; /* it said something in the window */
};

int streams_take(void *context, const void *row)
{
	struct streams *streams = context;
	const struct answer_stream *stream = row;
	struct stream_entry *entry, *grown;

	if (stream->stream.length != 16 || !stream->id)
		return 0; /* not one of portsnoop's rows */
	if (streams->count == streams->room) {
		size_t room = streams->room ? 2 * streams->room : 256;

		grown = reallocarray(streams->entries, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		streams->entries = grown;
		streams->room = room;
	}
	entry = &streams->entries[streams->count];
	*entry = (struct stream_entry){
		.host_length = stream->host.length,
		.id = stream->id,
		.first = (int64_t)stream->first,
		.last = (int64_t)stream->last,
		.started = (int64_t)stream->started,
		.ended = (int64_t)stream->ended,
		.holes = stream->holes,
		.pulse = streams->pulse,
	};
	memcpy(entry->name, stream->stream.data, 16);
	entry->host = malloc(entry->host_length + 1);
	if (!entry->host)
		return -ENOMEM;
	memcpy(entry->host, stream->host.data, entry->host_length);
	entry->host[entry->host_length] = 0;
	streams->count++;
	return 0;
}

void streams_free(struct streams *streams)
{
	for (size_t i = 0; i < streams->count; i++)
		free(streams->entries[i].host);
	free(streams->entries);
	*streams = (struct streams){.now = streams->now};
}

/* ---- order ---- */

static int host_compare(const struct stream_entry *a, const char *host, size_t length)
{
	size_t shorter = a->host_length < length ? a->host_length : length;
	int order = memcmp(a->host, host, shorter);

	return order ? order : number_compare(a->host_length, length);
}

static int64_t entry_began(const struct stream_entry *entry)
{
	return entry->started ? entry->started : entry->first;
}

/* A host's streams together, in the order of their time. */
static int entry_compare(const void *a, const void *b)
{
	const struct stream_entry *x = a, *y = b;
	int order = host_compare(x, y->host, y->host_length);

	if (!order)
		order = number_compare((uint64_t)entry_began(x), (uint64_t)entry_began(y));
	return order ? order : number_compare(x->id, y->id);
}

static int entry_compare_id(const void *a, const void *b)
{
	const struct stream_entry *x = a, *y = b;
	int order = host_compare(x, y->host, y->host_length);

	return order ? order : number_compare(x->id, y->id);
}

/* 0 is not known. */
static int64_t earlier(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void entry_merge(struct stream_entry *into, const struct stream_entry *from)
{
	into->first = earlier(into->first, from->first);
	into->last = later(into->last, from->last);
	into->started = earlier(into->started, from->started);
	into->ended = later(into->ended, from->ended);
	into->holes |= from->holes;
	into->pulse |= from->pulse;
	free(from->host);
}

void streams_settle(struct streams *streams)
{
	struct stream_entry *entries = streams->entries;
	size_t kept = 0;

	if (!streams->count)
		return;
	qsort(entries, streams->count, sizeof(*entries), entry_compare_id);
	for (size_t i = 1; i < streams->count; i++)
		if (entry_compare_id(&entries[kept], &entries[i]))
			entries[++kept] = entries[i];
		else
			entry_merge(&entries[kept], &entries[i]);
	streams->count = kept + 1;
	qsort(entries, streams->count, sizeof(*entries), entry_compare);
}

int streams_join(struct streams *streams, struct streams *from)
{
	struct stream_entry *grown;

	if (!from->count)
		return 0;
	grown = reallocarray(streams->entries, streams->count + from->count, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memcpy(grown + streams->count, from->entries, from->count * sizeof(*grown));
	streams->entries = grown;
	streams->count += from->count;
	streams->room = streams->count;
	from->count = 0;
	return 0;
}

/* The first stream of the host, or of the one behind it. */
static size_t host_find(const struct streams *streams, const char *host, size_t length)
{
	size_t low = 0, high = streams->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (host_compare(&streams->entries[middle], host, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_of(const struct stream_entry *entry, const char *host, size_t length)
{
	return !host_compare(entry, host, length);
}

static int64_t entry_until(const struct streams *streams, const struct stream_entry *entry)
{
	if (entry->ended)
		return entry->ended;
	return streams->now - entry->last <= STREAM_SILENCE ? INT64_MAX : entry->last;
}

bool streams_find(const struct streams *streams, const struct answer_row *row,
		  struct fold_stream *stream)
{
	const struct history_text *host = &row->host;

	for (size_t i = host_find(streams, host->data, host->length);
	     i < streams->count && is_of(&streams->entries[i], host->data, host->length); i++) {
		const struct stream_entry *entry = &streams->entries[i];

		if (entry->id != row->stream)
			continue;
		*stream = (struct fold_stream){
			.started = entry->started,
			.until = entry_until(streams, entry),
		};
		return true;
	}
	return false;
}

bool streams_have_host(const struct streams *streams, const char *host)
{
	size_t length = strlen(host), at = host_find(streams, host, length);

	return at < streams->count && is_of(&streams->entries[at], host, length);
}

/* ---- gaps ---- */

struct gaps {
	int64_t since, until;
	history_visitor visitor;
	void *context;
	uint64_t number;
};

static int gap_give(struct gaps *gaps, const struct history_text *host, int reason, int64_t time,
		    int64_t until, uint64_t count)
{
	struct history_row row = {
		.kind = HISTORY_GAP,
		.gap = reason,
		.id = ++gaps->number,
		.time = time,
		.until = until,
		.host = *host,
		.brief = true,
		.count = count,
	};

	if (time > gaps->until || until < gaps->since)
		return 0;
	return gaps->visitor(gaps->context, &row);
}

/* Of entries first..last - 1, which are a host's. */
static int host_gaps(const struct streams *streams, size_t first, size_t last, struct gaps *gaps)
{
	const struct stream_entry *entry = &streams->entries[first];
	const struct history_text host = {entry->host, entry->host_length};
	int64_t end = entry_until(streams, entry);
	bool orderly = entry->ended;
	int result = gap_give(gaps, &host, -2, INT64_MIN, entry_began(entry), 0);

	for (size_t i = first + 1; i < last && !result && end != INT64_MAX; i++) {
		int64_t until;

		entry = &streams->entries[i];
		until = entry_until(streams, entry);
		if (end < entry_began(entry))
			result = gap_give(gaps, &host,
					  orderly ? STORE_GAP_STOPPED : STORE_GAP_KILLED, end,
					  entry_began(entry), 0);
		/* Several at a time watch as long as one of them does. */
		if (until > end) {
			end = until;
			orderly = entry->ended;
		}
	}
	if (!result && end != INT64_MAX)
		result = gap_give(gaps, &host, -1, end, INT64_MAX, 0);
	return result;
}

int streams_gaps(const struct streams *streams, int64_t since, int64_t until,
		 history_visitor visitor, void *context)
{
	struct gaps gaps = {since, until, visitor, context, 0};
	size_t last;
	int result = 0;

	for (size_t first = 0; first < streams->count && !result; first = last) {
		const struct stream_entry *entry = &streams->entries[first];

		for (last = first + 1; last < streams->count; last++)
			if (!is_of(&streams->entries[last], entry->host, entry->host_length))
				break;
		result = host_gaps(streams, first, last, &gaps);
	}
	return result;
}

static struct stream_name entry_name(const struct stream_entry *entry)
{
	return (struct stream_name){entry->host, entry->host_length, entry->name};
}

static bool is_silent(const struct streams *streams, const struct stream_entry *entry,
		      const struct question_window *window)
{
	return !entry->pulse && entry_began(entry) < window->since &&
	       entry_until(streams, entry) > window->until;
}

size_t streams_suspicious(const struct streams *streams, const struct question_window *window,
			  size_t *next, struct stream_name *names, size_t most)
{
	size_t count = 0, i;

	for (i = *next; i < streams->count && count < most; i++)
		if (streams->entries[i].holes || is_silent(streams, &streams->entries[i], window))
			names[count++] = entry_name(&streams->entries[i]);
	*next = i < streams->count ? i : 0;
	return count;
}

/* The host's next stream began before the window: nothing of this one is in it. */
static bool is_past(const struct streams *streams, size_t i, int64_t since)
{
	const struct stream_entry *entry = &streams->entries[i];

	return i + 1 < streams->count && is_of(entry + 1, entry->host, entry->host_length) &&
	       entry_began(entry + 1) < since;
}

size_t streams_broken(const struct streams *streams, const struct question_window *window,
		      size_t *next, struct stream_name *names, size_t most)
{
	size_t count = 0, i;

	for (i = *next; i < streams->count && count < most; i++) {
		const struct stream_entry *entry = &streams->entries[i];
		bool seen = entry->last >= window->since &&
			    entry->last < window->until - STREAM_SILENCE;

		if (!entry->ended && entry_until(streams, entry) != INT64_MAX && !seen &&
		    !is_past(streams, i, window->since))
			names[count++] = entry_name(entry);
	}
	*next = i < streams->count ? i : 0;
	return count;
}

int streams_beat(void *context, const void *row)
{
	struct streams_silence *silence = context;
	const struct answer_beat *beat = row;
	struct gaps gaps = {silence->since, silence->until, silence->visitor, silence->context,
			    beat->time};
	int64_t time = (int64_t)beat->time, last = silence->last;
	/* A stream without any says nothing by saying nothing. */
	bool is_beat = wanted_text(&beat->action, "heartbeat"), beats = is_beat || silence->beat;

	if (silence->lost)
		return gap_give(&gaps, &beat->host, STORE_GAP_LOST, time, time, beat->lost);
	silence->last = time;
	silence->beat = is_beat;
	if (silence->id != beat->id || silence->host.length != beat->host.length ||
	    (beat->host.length &&
	     memcmp(silence->host.data, beat->host.data, beat->host.length) != 0)) {
		silence->id = beat->id;
		buffer_reset(&silence->host);
		buffer_append(&silence->host, beat->host.data, beat->host.length);
		return silence->host.failed ? -ENOMEM : 0;
	}
	return beats && time - last > STREAM_SILENCE
		       ? gap_give(&gaps, &beat->host, -3, last, time, 0)
		       : 0;
}
