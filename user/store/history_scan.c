/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What answers a query: the gaps, the failures, the leases that are held, those of the
 * segment that is not complete, and segment by segment those of the others, the newest
 * first. A segment whose bounds say that it has no answer is not read; of the others, if
 * ports are asked for, only the keys of these ports and of leases that were held long
 * enough to last until the first end in their segment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_inside.h"
#include "store/schema.h"

#define PORTS_EACH 16	  /* more ports than these are one range of keys */
#define NEWEST_MOST 65536 /* of whose times we keep account */
#define SEGMENT_LAST ((INT64_C(1) << (63 - SCHEMA_KEY_SEGMENT)) - 1)
#define DIGITS_RARE 12 /* held 100 s and longer: few leases are */

#define COLUMNS                                                                                    \
	"SELECT lease.id, claimed, held, lingered, answered, port, remote_port, local, remote,"    \
	" kind, process FROM "

enum stage {
	STAGE_EDGES,
	STAGE_GAPS,
	STAGE_FAILURES,
	STAGE_OPEN,
	STAGE_TAIL, /* of the segment that is not complete; all that are new */
	STAGE_SEGMENTS,
	STAGE_END,
};

struct segment {
	int64_t id, claimed, released, ended;
};

struct history_scan {
	enum stage stage;
	const struct history_position *after;
	int64_t since, until;
	sqlite3_stmt *gaps, *failures, *open, *tail, *segments;
	sqlite3_stmt *keys, *whole; /* leases of a segment, by their keys or all */
	sqlite3_stmt *current;
	struct history_record edges[2];
	unsigned int edge_count;
	uint16_t ports[PORTS_EACH]; /* that are asked for, if so few */
	unsigned int port_count, port_at;
	uint16_t port_low, port_high;
	struct segment segment;
	int64_t last_segment; /* the greatest id; -1: none */
	int64_t *newest;      /* a heap: the times of the newest ones so far, the least first */
	size_t newest_count;
};

static unsigned int digits_count(uint64_t number)
{
	unsigned int digits = 1;

	while (number /= 10)
		digits++;
	return digits;
}

/* ---- the newest ones ---- */

/* False: so many newer ones have been found that nobody wants this one. */
static bool newest_take(struct history_scan *scan, uint64_t most, int64_t time)
{
	int64_t *heap = scan->newest;
	size_t at, child;

	if (!heap)
		return true;
	if (scan->newest_count < most) {
		for (at = scan->newest_count++; at && heap[(at - 1) / 2] > time; at = (at - 1) / 2)
			heap[at] = heap[(at - 1) / 2];
		heap[at] = time;
		return true;
	}
	if (time <= heap[0])
		return time == heap[0];
	for (at = 0; (child = 2 * at + 1) < most; at = child) {
		if (child + 1 < most && heap[child + 1] < heap[child])
			child++;
		if (heap[child] >= time)
			break;
		heap[at] = heap[child];
	}
	heap[at] = time;
	return true;
}

static bool newest_wants(const struct history_scan *scan, uint64_t most, int64_t latest)
{
	return !scan->newest || scan->newest_count < most || latest >= scan->newest[0];
}

/* ---- rows ---- */

static uint32_t id_read(sqlite3_stmt *statement, int column)
{
	int64_t id = 0;

	history_column(statement, column, 1, UINT32_MAX, &id);
	return (uint32_t)id;
}

/* NULL is `missing`; what makes no sense, too. */
static int64_t number_read(sqlite3_stmt *statement, int column, int64_t least, int64_t most,
			   int64_t missing)
{
	history_column(statement, column, least, most, &missing);
	return missing;
}

/* The columns from remote_port to process. */
static void socket_take(sqlite3_stmt *row, int column, struct history_record *record)
{
	record->remote_port = (uint16_t)number_read(row, column, 0, UINT16_MAX, 0);
	record->local = id_read(row, column + 1);
	record->remote = id_read(row, column + 2);
	record->kind = id_read(row, column + 3);
	record->process = id_read(row, column + 4);
}

/* Held until now, or as long as its run was alive. False: it makes no sense. */
static bool lease_last(struct history *history, struct history_record *record)
{
	const struct history_common *common = history_common(history, record->kind);
	const struct history_run *run = common ? history_run(history, common->run) : NULL;

	if (!run)
		return false;
	record->until = run->end;
	record->held = -1;
	if (run->end == INT64_MAX)
		return true;
	if (record->until < record->time)
		record->until = record->time;
	record->unseen = 1;
	return !__builtin_sub_overflow(record->until, record->time, &record->held);
}

/* 1: `record` is an answer. */
static int lease_take(struct history *history, sqlite3_stmt *row, bool open,
		      struct history_record *record)
{
	struct history_scan *scan = history->scan;
	int64_t port;

	record->what = HISTORY_LEASE;
	if (!history_column(row, 0, 1, INT64_MAX, &record->id) ||
	    !history_column(row, 1, INT64_MIN, INT64_MAX, &record->time) ||
	    !history_column(row, 5, 0, UINT16_MAX, &port))
		return -1;
	record->port = (uint16_t)port;
	socket_take(row, 6, record);
	record->lingered = number_read(row, 3, -1, INT64_MAX, 0);
	record->answered = number_read(row, 4, 0, INT64_MAX, -1);
	if (open) {
		if (!lease_last(history, record))
			return -1;
	} else if (!history_column(row, 2, 0, INT64_MAX, &record->held) ||
		   __builtin_add_overflow(record->time, record->held, &record->until)) {
		return -1;
	}
	return record->time <= scan->until && record->until >= scan->since &&
	       (!history->query->ports || port_set_has(history->query->ports, record->port));
}

static int failure_take(struct history *history, sqlite3_stmt *row, struct history_record *record)
{
	struct history_scan *scan = history->scan;
	int64_t port;

	record->what = HISTORY_FAILURE;
	if (!history_column(row, 0, 1, INT64_MAX, &record->id) ||
	    !history_column(row, 1, INT64_MIN, INT64_MAX, &record->time) ||
	    !history_column(row, 2, 0, UINT16_MAX, &port))
		return -1;
	record->port = (uint16_t)port;
	record->until = record->time;
	socket_take(row, 3, record);
	record->lingered = number_read(row, 8, 0, UINT32_MAX, 0);
	return record->time >= scan->since && record->time <= scan->until;
}

static int gap_take(struct history *history, sqlite3_stmt *row, struct history_record *record)
{
	struct history_scan *scan = history->scan;
	struct history_text text = history_column_text(row, 1);
	int64_t first, last;
	char reason[32];
	int gap;

	record->what = HISTORY_GAP;
	if (!text.data || text.length >= sizeof(reason))
		return -1;
	memcpy(reason, text.data, text.length);
	reason[text.length] = 0;
	gap = store_gap_find(reason);
	if (gap < 0 || !history_column(row, 0, 1, INT64_MAX, &record->id) ||
	    !history_column(row, 2, INT64_MIN, INT64_MAX, &record->time) ||
	    !history_column(row, 3, INT64_MIN, INT64_MAX, &record->until))
		return -1;
	record->gap = (int16_t)gap;
	record->held = number_read(row, 4, 0, INT64_MAX, 0);
	/* The clock may have stepped back. */
	first = record->time < record->until ? record->time : record->until;
	last = record->time < record->until ? record->until : record->time;
	return first <= scan->until && last >= scan->since;
}

/* ---- statements ---- */

static int conditions_prepare(struct history *history, const char *text, bool ports, bool failed,
			      sqlite3_stmt **statement)
{
	const struct history_query *query = history->query;
	struct buffer sql = BUFFER_EMPTY;
	int error;

	buffer_text(&sql, text);
	if (ports && query->ports)
		buffer_text(&sql, " AND wanted_port(port)");
	if (query->pid || query->comm || query->exe || query->unit || query->container)
		buffer_text(&sql, " AND wanted_process(process)");
	if (query->remote && (query->remote->family || query->remote->port))
		buffer_text(&sql, " AND wanted_remote(remote, remote_port)");
	if (failed && query->failed)
		buffer_text(&sql, " AND wanted_failed(kind)");
	else if (query->protocol)
		buffer_text(&sql, " AND wanted_kind(kind)");
	buffer_byte(&sql, 0);
	error = sql.failed ? history_fail_with(history, -ENOMEM, "out of memory")
			   : history_prepare(history, sql.data, statement);
	buffer_free(&sql);
	return error;
}

static void ports_note(struct history_scan *scan, const struct port_set *ports)
{
	unsigned int count = 0;

	for (uint32_t port = 0; port <= UINT16_MAX; port++) {
		if (!(port & 7) && !ports->bits[port >> 3]) {
			port += 7;
			continue;
		}
		if (!port_set_has(ports, (uint16_t)port))
			continue;
		if (!count)
			scan->port_low = (uint16_t)port;
		scan->port_high = (uint16_t)port;
		if (count < PORTS_EACH)
			scan->ports[count] = (uint16_t)port;
		count++;
	}
	scan->port_count = count;
}

static bool ports_each(const struct history_scan *scan)
{
	return scan->port_count && scan->port_count <= PORTS_EACH;
}

static int statements_prepare(struct history *history)
{
	/* ?1 and ?2: keys; ?3: how many digits `held` has at least; ?4: claimed at most. */
	static const char keys[] = COLUMNS
		"lease_port CROSS JOIN lease ON lease.id = (key >> 33 << 13) | (key & 8191)"
		" WHERE key BETWEEN ?1 AND ?2 AND ((key >> 13) & 15) >= ?3 AND claimed <= ?4";
	static const char keys_ports[] = COLUMNS
		"lease_port CROSS JOIN lease ON lease.id = (key >> 33 << 13) | (key & 8191)"
		" WHERE key BETWEEN ?1 AND ?2 AND ((key >> 13) & 15) >= ?3 AND"
		" wanted_port((key >> 17) & 65535) AND claimed <= ?4";
	static const char whole[] = COLUMNS
		"lease NOT INDEXED WHERE id BETWEEN ?1 AND ?2 AND claimed <= ?4";
	static const char open[] = COLUMNS
		"open_lease AS lease NOT INDEXED WHERE id > ?1 AND claimed <= ?4";
	static const char failures[] =
		"SELECT id, time, port, remote_port, local, remote, kind, process, blocked_total"
		" FROM failure NOT INDEXED WHERE id > ?1 AND time BETWEEN ?5 AND ?4";
	static const char failures_port[] =
		"SELECT id, time, port, remote_port, local, remote, kind, process, blocked_total"
		" FROM failure INDEXED BY failure_port"
		" WHERE id > ?1 AND port = ?6 AND time BETWEEN ?5 AND ?4";
	struct history_scan *scan = history->scan;
	bool few = ports_each(scan);
	int error = 0;

	if (history->query->gaps)
		error = history_prepare(
			history,
			"SELECT id, reason, since, until, count FROM gap NOT INDEXED "
			"WHERE id > ?1",
			&scan->gaps);
	if (!error)
		error = conditions_prepare(history, few ? failures_port : failures, !few, false,
					   &scan->failures);
	if (!error)
		error = conditions_prepare(history, open, true, true, &scan->open);
	if (!error)
		error = conditions_prepare(history, whole, true, true, &scan->tail);
	if (!error && !scan->after)
		error = history_prepare(history,
					"SELECT id, claimed, released, ended FROM segment "
					"NOT INDEXED WHERE leases > 0 ORDER BY id DESC",
					&scan->segments);
	if (!error && !scan->after)
		error = conditions_prepare(history,
					   few || !history->query->ports ? keys : keys_ports, false,
					   true, &scan->keys);
	if (!error && !scan->after)
		error = conditions_prepare(history, whole, false, true, &scan->whole);
	return error;
}

static void statement_begin(struct history_scan *scan, sqlite3_stmt *statement, int64_t first,
			    int64_t last)
{
	sqlite3_bind_int64(statement, 1, first);
	sqlite3_bind_int64(statement, 2, last);
	sqlite3_bind_int64(statement, 4, scan->until);
	scan->current = statement;
}

/* ---- what is derived ---- */

static void edge_add(struct history *history, int gap, int64_t time, int64_t until)
{
	struct history_scan *scan = history->scan;

	if (history->query->gaps && time <= scan->until && until >= scan->since)
		scan->edges[scan->edge_count++] = (struct history_record){
			.what = HISTORY_GAP, .gap = (int16_t)gap, .time = time, .until = until};
}

/* Of complete segments and runs. */
static int edges_find(struct history *history)
{
	struct history_scan *scan = history->scan;
	int64_t first = INT64_MAX, oldest[2] = {0, INT64_MIN};
	int result =
		history_numbers(history, "SELECT max(id) FROM segment", &scan->last_segment, 1);

	if (scan->last_segment < -1 || scan->last_segment > SEGMENT_LAST)
		scan->last_segment = SEGMENT_LAST;
	if (result < 0 || scan->after)
		return result < 0 ? result : 0;
	result = history_numbers(history, "SELECT started FROM run ORDER BY id LIMIT 1", &first, 1);
	if (result < 0)
		return result;
	/* The first segment is 0, until it is trimmed. */
	result = history_numbers(
		history, "SELECT id, released FROM segment WHERE leases > 0 ORDER BY id LIMIT 1",
		oldest, 2);
	if (result < 0)
		return result;
	if (result && oldest[0] > 0 && oldest[1] > first)
		first = oldest[1];
	if (first != INT64_MAX) /* else nobody has recorded at all */
		edge_add(history, -2, INT64_MIN, first);
	if (history->last_run && history->last_end != INT64_MAX)
		edge_add(history, -1, history->last_end, INT64_MAX);
	return 0;
}

/* ---- the order of reading ---- */

/* True: there is one that may have an answer. */
static bool segment_next(struct history *history)
{
	struct history_scan *scan = history->scan;
	struct segment *segment = &scan->segment;
	int result;

	while ((result = sqlite3_step(scan->segments)) == SQLITE_ROW) {
		if (!history_column(scan->segments, 0, 0, SEGMENT_LAST, &segment->id) ||
		    !history_column(scan->segments, 1, INT64_MIN, INT64_MAX, &segment->claimed) ||
		    !history_column(scan->segments, 2, INT64_MIN, INT64_MAX, &segment->released) ||
		    !history_column(scan->segments, 3, INT64_MIN, INT64_MAX, &segment->ended)) {
			history->skipped++;
			continue;
		}
		if (segment->claimed <= scan->until && segment->ended >= scan->since &&
		    newest_wants(scan, history->query->newest, segment->ended))
			return true;
	}
	if (result != SQLITE_DONE)
		history_fail(history, result);
	sqlite3_reset(scan->segments);
	return false;
}

/* How many digits the `held` of an answer in this segment has at least: it was claimed
 * before scan->until, and ended after the first end. */
static unsigned int segment_digits(const struct history_scan *scan)
{
	int64_t least;

	if (scan->segment.released <= scan->until ||
	    __builtin_sub_overflow(scan->segment.released, scan->until, &least))
		return 0;
	least = digits_count((uint64_t)least);
	return least < 15 ? (unsigned int)least : 15;
}

static void segment_begin(struct history *history)
{
	struct history_scan *scan = history->scan;
	unsigned int digits = segment_digits(scan);
	int64_t id = scan->segment.id;
	uint16_t low = scan->port_low, high = scan->port_high;

	if (!history->query->ports) {
		if (digits < DIGITS_RARE) {
			scan->port_at = scan->port_count;
			statement_begin(scan, scan->whole, id << SCHEMA_SEGMENT_BITS,
					(id << SCHEMA_SEGMENT_BITS) + SCHEMA_SEGMENT - 1);
			return;
		}
		high = UINT16_MAX;
	}
	if (ports_each(scan))
		low = high = scan->ports[scan->port_at++];
	else
		scan->port_at = scan->port_count;
	statement_begin(scan, scan->keys, schema_key(id, low, ports_each(scan) ? digits : 0, 0),
			schema_key(id, high, 15, SCHEMA_SEGMENT - 1));
	sqlite3_bind_int64(scan->keys, 3, digits);
}

static void failures_begin(struct history_scan *scan)
{
	statement_begin(scan, scan->failures, scan->after ? scan->after->failure : 0, 0);
	sqlite3_bind_int64(scan->failures, 5, scan->since);
	if (ports_each(scan))
		sqlite3_bind_int64(scan->failures, 6, scan->ports[scan->port_at++]);
}

static void tail_begin(struct history_scan *scan)
{
	int64_t first = (scan->last_segment + 1) << SCHEMA_SEGMENT_BITS;

	if (scan->after)
		first = scan->after->lease + 1;
	statement_begin(scan, scan->tail, first, INT64_MAX);
}

/* The next statement to read from is scan->current; false: that was all. */
static bool stage_next(struct history *history)
{
	struct history_scan *scan = history->scan;

	switch (scan->stage) {
	case STAGE_EDGES:
		scan->stage = STAGE_GAPS;
		if (scan->gaps) {
			statement_begin(scan, scan->gaps, scan->after ? scan->after->gap : 0, 0);
			return true;
		}
		/* fall through */
	case STAGE_GAPS:
		scan->stage = STAGE_FAILURES;
		scan->port_at = 0;
		failures_begin(scan);
		return true;
	case STAGE_FAILURES:
		if (ports_each(scan) && scan->port_at < scan->port_count) {
			failures_begin(scan);
			return true;
		}
		scan->stage = STAGE_OPEN;
		statement_begin(scan, scan->open, scan->after ? scan->after->open : 0, 0);
		return true;
	case STAGE_OPEN:
		scan->stage = STAGE_TAIL;
		tail_begin(scan);
		return true;
	case STAGE_TAIL:
		scan->stage = STAGE_SEGMENTS;
		scan->port_at = scan->port_count;
		/* fall through */
	case STAGE_SEGMENTS:
		if (scan->port_at >= scan->port_count) {
			if (scan->after || !segment_next(history))
				break;
			scan->port_at = 0;
		}
		segment_begin(history);
		return true;
	case STAGE_END:
		break;
	}
	scan->stage = STAGE_END;
	return false;
}

static int row_take(struct history *history, struct history_record *record)
{
	struct history_scan *scan = history->scan;

	memset(record, 0, sizeof(*record));
	switch (scan->stage) {
	case STAGE_GAPS:
		return gap_take(history, scan->current, record);
	case STAGE_FAILURES:
		return failure_take(history, scan->current, record);
	default:
		return lease_take(history, scan->current, scan->stage == STAGE_OPEN, record);
	}
}

int history_scan_next(struct history *history, struct history_record *record)
{
	struct history_scan *scan = history->scan;
	uint64_t newest = history->query->newest;

	while (scan->stage == STAGE_EDGES && scan->edge_count) {
		*record = scan->edges[--scan->edge_count];
		if (newest_take(scan, newest, record->time))
			return 1;
	}
	while (!history->error) {
		int result;

		if (!scan->current && !stage_next(history)) {
			/* From here on the rows are looked up one by one. */
			history_scan_end(history);
			return history->error;
		}
		result = sqlite3_step(scan->current);
		if (result != SQLITE_ROW) {
			sqlite3_reset(scan->current);
			scan->current = NULL;
			if (result != SQLITE_DONE)
				return history_fail(history, result);
			continue;
		}
		result = row_take(history, record);
		if (result < 0)
			history->skipped++;
		else if (result && newest_take(scan, newest, record->time))
			return history->error ? history->error : 1;
	}
	return history->error;
}

int history_scan_start(struct history *history, const struct history_position *after)
{
	const struct history_query *query = history->query;
	struct history_scan *scan = calloc(1, sizeof(*scan));
	int error;

	if (!scan)
		return history_fail_with(history, -ENOMEM, "out of memory");
	history->scan = scan;
	scan->after = after;
	scan->since = query->since;
	scan->until = query->until;
	scan->last_segment = -1;
	if (query->ports)
		ports_note(scan, query->ports);
	if (query->newest && query->newest <= NEWEST_MOST && !after)
		scan->newest = calloc(query->newest, sizeof(*scan->newest));
	error = edges_find(history);
	return error ? error : statements_prepare(history);
}

void history_scan_end(struct history *history)
{
	struct history_scan *scan = history->scan;

	if (!scan)
		return;
	sqlite3_finalize(scan->gaps);
	sqlite3_finalize(scan->failures);
	sqlite3_finalize(scan->open);
	sqlite3_finalize(scan->tail);
	sqlite3_finalize(scan->segments);
	sqlite3_finalize(scan->keys);
	sqlite3_finalize(scan->whole);
	free(scan->newest);
	free(scan);
	history->scan = NULL;
	sqlite3_exec(history->file, "COMMIT", NULL, NULL, NULL);
}
