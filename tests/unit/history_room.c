/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "history_room.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <portsnoop/wire.h>

#include "store/schema.h"

#define SECOND INT64_C(1000000000)
#define SPAN (100000 * SECOND)
#define BEGIN (ROOM_NOW - SPAN)

uint64_t room_random(struct room *room, uint64_t below)
{
	room->random ^= room->random << 13;
	room->random ^= room->random >> 7;
	room->random ^= room->random << 17;
	return (room->random >> 11) % below;
}

void room_sql(struct room *room, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(room->db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
}

/* printf(), and %Q. */
static void room_tell(struct room *room, const char *format, ...)
{
	va_list arguments;
	char *sql;

	va_start(arguments, format);
	sql = sqlite3_vmprintf(format, arguments);
	va_end(arguments);
	room_sql(room, sql);
	sqlite3_free(sql);
}

void history_room_make(struct room *room, uint64_t seed)
{
	memset(room, 0, sizeof(*room));
	room->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	room->oldest = INT64_MIN;
	snprintf(room->folder, sizeof(room->folder), "/tmp/history.XXXXXX");
	assert_non_null(mkdtemp(room->folder));
	snprintf(room->path, sizeof(room->path), "%s/history.db", room->folder);
	assert_int_equal(sqlite3_open(room->path, &room->db), SQLITE_OK);
	room_sql(room, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
}

void history_room_remove(struct room *room)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[128];

	sqlite3_close(room->db);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", room->path, ends[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(room->folder), 0);
	free(room->leases);
}

static void runs_fill(struct room *room)
{
	for (unsigned int i = 1; i <= ROOM_RUNS; i++) {
		struct room_name *run = &room->runs[i];

		run->started = BEGIN + SPAN / ROOM_RUNS * (i - 1);
		run->alive = BEGIN + SPAN / ROOM_RUNS * i - (i < ROOM_RUNS ? 50 * SECOND : SECOND);
		run->ended = i == 1 ? run->alive + SECOND : 0;
		room_tell(room,
			  "INSERT INTO run (id, stream, host, tier, started, alive, ended)"
			  " VALUES (%u, %u, 'host%u', 'fentry', %lld, %lld, nullif(%lld, 0))",
			  i, i, i, (long long)run->started, (long long)run->alive,
			  (long long)run->ended);
	}
}

static void processes_fill(struct room *room)
{
	static const char *const comms[] = {"nginx", "sshd", "a'b", "\xff\xfe", NULL};
	static const char *const units[] = {"nginx.service", "ssh.service", "session-3.scope",
					    NULL};

	for (unsigned int i = 1; i <= ROOM_PROCESSES; i++) {
		struct room_process *process = &room->processes[i];

		process->pid = 100 + i % 30;
		process->comm = comms[i % 5];
		snprintf(room->exes[i], sizeof(room->exes[i]), "/usr/%s/p%u",
			 i % 2 ? "bin" : "sbin", i % 7);
		process->exe = i % 6 ? room->exes[i] : NULL;
		process->unit = units[i / 5 % 4];
		snprintf(room->ids[i], sizeof(room->ids[i]), "c0ffee%058u", i % 3);
		process->container = i % 4 ? NULL : room->ids[i];
		room_tell(room, "INSERT OR IGNORE INTO executable (id, path) VALUES (%u, %Q)", i,
			  room->exes[i]);
		room_tell(
			room,
			"INSERT INTO cgroup (id, path, unit, container) VALUES (%u, '/c%u', %Q, %Q)",
			i, i, process->unit, process->container);
		room_tell(room,
			  "INSERT INTO program (id, comm, executable, args, uid, user, cgroup)"
			  " VALUES (%u, %s%Q%s, (SELECT id FROM executable WHERE path = %Q),"
			  " '[\"a\"]', 0, 'root', %u)",
			  i, process->comm && process->comm[0] < 0 ? "CAST(" : "", process->comm,
			  process->comm && process->comm[0] < 0 ? " AS BLOB)" : "", process->exe,
			  i);
		room_tell(room,
			  "INSERT INTO process (id, pid, start, exec, program) VALUES"
			  " (%u, %u, %u, 1, %u)",
			  i, process->pid, i * 7, i);
	}
}

static void kinds_fill(struct room *room)
{
	static const struct {
		const char *name;
		uint16_t number;
	} protocols[] = {{"tcp", 6}, {"udp", 17}, {"mptcp", 262}};

	for (unsigned int i = 1; i <= ROOM_KINDS; i++) {
		struct room_kind *kind = &room->kinds[i];

		kind->run = 1 + i % ROOM_RUNS;
		kind->protocol = protocols[i / 3 % 3].name;
		kind->number = protocols[i / 3 % 3].number;
		kind->flags = i % 5 ? 0 : WIRE_MPTCP;
		kind->outcome = (uint8_t)(i * 7 % STORE_OUTCOMES);
		kind->ending = STORE_RELEASED;
		room_tell(room,
			  "INSERT INTO kind (id, run, netns, protocol, family, trigger, origin,"
			  " outcome, ending, flags) VALUES"
			  " (%u, %u, 7, %Q, 4, 'bind', 'requested', %Q, %Q, %u)",
			  i, kind->run, kind->protocol, store_outcome_name(kind->outcome),
			  store_ending_name(kind->ending), kind->flags);
	}
}

static void addresses_fill(struct room *room)
{
	static const char *const texts[ROOM_ADDRESSES] = {
		"0.0.0.0",	"127.0.0.1",   "192.0.2.1", "192.0.2.129", "198.51.100.7",
		"::",		"2001:db8::1", "fe80::1",   "::1",	   "::ffff:192.0.2.1",
		"2001:db8:1::", "10.0.0.1"};

	for (unsigned int i = 1; i <= ROOM_ADDRESSES; i++) {
		room->addresses[i] = texts[i - 1];
		room_tell(room, "INSERT INTO address (id, ip) VALUES (%u, %Q)", i, texts[i - 1]);
	}
}

static void gaps_fill(struct room *room)
{
	for (unsigned int i = 1; i <= ROOM_GAPS; i++) {
		struct room_gap *gap = &room->gaps[room->gap_count++];

		gap->id = i;
		gap->reason = (unsigned int)room_random(room, STORE_GAP_REASONS);
		gap->since = BEGIN + (int64_t)room_random(room, SPAN);
		gap->until = gap->since + (int64_t)room_random(room, 1000 * SECOND);
		if (gap->reason == STORE_GAP_CLOCK)
			gap->until -= 500 * SECOND;
		gap->count = (int64_t)room_random(room, 100);
		room_tell(room, "INSERT INTO gap VALUES (%u, 1, %Q, %lld, %lld, %lld)", i,
			  store_gap_name(gap->reason), (long long)gap->since, (long long)gap->until,
			  (long long)gap->count);
	}
}

static unsigned int digits_count(int64_t number)
{
	return (unsigned int)snprintf(NULL, 0, "%lld", (long long)number);
}

static void socket_fill(struct room *room, struct room_lease *lease)
{
	static const uint16_t ports[] = {22, 80, 443, 8080, 60002};

	lease->port = (uint16_t)(room_random(room, 3) ? 32768 + room_random(room, 60)
						      : ports[room_random(room, 5)]);
	lease->remote_port = (uint16_t)room_random(room, 4) * 100;
	lease->kind = 1 + (unsigned int)room_random(room, ROOM_KINDS);
	lease->process = (unsigned int)room_random(room, ROOM_PROCESSES + 2); /* one is not there */
	lease->local = 1 + (unsigned int)room_random(room, ROOM_ADDRESSES);
	lease->remote = (unsigned int)room_random(room, ROOM_ADDRESSES + 1);
}

static void lease_insert(struct room *room, const struct room_lease *lease)
{
	room_tell(room,
		  "INSERT INTO %s VALUES (%lld, %lld, nullif(%lld, -2), nullif(%lld, 0),"
		  " nullif(%lld, -1), %u, nullif(%u, 0), %u, nullif(%u, 0), %u, nullif(%u, 0))",
		  lease->open ? "open_lease" : "lease", (long long)lease->id,
		  (long long)lease->claimed, (long long)(lease->open ? -2 : lease->held),
		  (long long)lease->lingered, (long long)lease->answered, lease->port,
		  lease->remote_port, lease->local, lease->remote, lease->kind, lease->process);
}

static void failure_insert(struct room *room, struct room_lease *lease)
{
	room_tell(
		room,
		"INSERT INTO failure VALUES (%lld, %lld, %u, nullif(%u, 0), %u, nullif(%u, 0), %u,"
		" nullif(%u, 0), %u, %Q)",
		(long long)lease->id, (long long)lease->claimed, lease->port, lease->remote_port,
		lease->local, lease->remote, lease->kind, lease->process, lease->blocked_total,
		lease->blockers ? NULL : "unknown");
	for (unsigned int i = 0; i < lease->blockers; i++)
		room_tell(
			room,
			"INSERT INTO blocker VALUES (%lld, %u, %u, 'holder', 'listen', %u, 0, %u, 0, "
			"%u, NULL)",
			(long long)lease->id, i, 1 + (lease->process + i) % ROOM_PROCESSES, 77 + i,
			lease->port, lease->local);
}

/* Leases from `first` on, ids from `id` on, are a segment. */
static void segment_fill(struct room *room, size_t first, int64_t failure)
{
	int64_t claimed = INT64_MAX, released = INT64_MAX, ended = INT64_MIN, count = 0;
	int64_t segment = room->leases[first].id >> SCHEMA_SEGMENT_BITS;

	for (size_t i = first; i < room->lease_count; i++) {
		const struct room_lease *lease = &room->leases[i];
		int64_t end = lease->claimed + lease->held;

		if (lease->what != HISTORY_LEASE || lease->open)
			continue;
		claimed = lease->claimed < claimed ? lease->claimed : claimed;
		released = end < released ? end : released;
		ended = end > ended ? end : ended;
		count++;
		room_tell(room, "INSERT INTO lease_port VALUES (%lld)",
			  (long long)schema_key(segment, lease->port, digits_count(lease->held),
						lease->id));
	}
	room_tell(room,
		  "INSERT INTO segment (id, claimed, released, ended, leases, failure)"
		  " VALUES (%lld, %lld, %lld, %lld, %lld, %lld)",
		  (long long)segment, (long long)claimed, (long long)released, (long long)ended,
		  (long long)count, (long long)failure);
}

static struct room_lease *lease_add(struct room *room)
{
	struct room_lease *lease = &room->leases[room->lease_count++];

	memset(lease, 0, sizeof(*lease));
	socket_fill(room, lease);
	return lease;
}

void room_fill(struct room *room, size_t leases)
{
	int64_t id = 1, failure = 0, last = 0, step = SPAN / (int64_t)leases;
	size_t first = 0, length = 1 + room_random(room, 200);

	room_sql(room, "BEGIN");
	room_sql(room, schema_text);
	room_tell(room, "PRAGMA application_id = %d", SCHEMA_APPLICATION);
	room_tell(room, "PRAGMA user_version = %d", SCHEMA_VERSION);
	runs_fill(room);
	addresses_fill(room);
	processes_fill(room);
	kinds_fill(room);
	gaps_fill(room);
	room->leases = calloc(2 * leases + 100, sizeof(*room->leases));
	assert_non_null(room->leases);
	for (size_t i = 0; i < leases; i++) {
		struct room_lease *lease = lease_add(room);
		int64_t end = BEGIN + step * (int64_t)i;

		/* A few end before the others around them. */
		if (!room_random(room, 50))
			end -= (int64_t)room_random(room, SPAN / 10);
		lease->id = last = id++;
		lease->held = (int64_t)room_random(room, 1 << room_random(room, 30));
		lease->held *= (int64_t)room_random(room, 1 << room_random(room, 20)) + 1;
		lease->held %= SPAN;
		lease->claimed = end - lease->held;
		lease->lingered = room_random(room, 3) ? 0 : lease->held / 2;
		lease->answered = room_random(room, 2) ? -1 : lease->held / 3;
		lease_insert(room, lease);
		if (!room_random(room, 5)) {
			lease = lease_add(room);
			lease->what = HISTORY_FAILURE;
			lease->id = ++failure;
			lease->claimed = end;
			lease->blockers = (unsigned int)room_random(room, 9);
			lease->blocked_total = lease->blockers * 2;
			failure_insert(room, lease);
		}
		if (!--length && i + 1 < leases) {
			segment_fill(room, first, failure);
			first = room->lease_count;
			length = 1 + room_random(room, 200);
			id = ((last >> SCHEMA_SEGMENT_BITS) + 1) << SCHEMA_SEGMENT_BITS;
		}
	}
	for (int64_t i = 1; i <= 30; i++) {
		struct room_lease *lease = lease_add(room);

		lease->open = true;
		lease->id = i;
		lease->claimed = BEGIN + (int64_t)room_random(room, SPAN);
		lease->lingered = i % 5 ? 0 : -1;
		lease->answered = -1;
		lease_insert(room, lease);
	}
	room_sql(room, "COMMIT");
}

/* ---- what the arrays answer ---- */

static bool text_is(const char *text, const char *wanted)
{
	return text && !strcmp(text, wanted);
}

static bool process_matches(const struct room *room, unsigned int index,
			    const struct history_query *query)
{
	const struct room_process *process = &room->processes[index];

	if (!query->pid && !query->comm && !query->exe && !query->unit && !query->container)
		return true;
	if (!index || index > ROOM_PROCESSES)
		return false;
	if (query->pid && process->pid != query->pid)
		return false;
	if (query->comm && !text_is(process->comm, query->comm))
		return false;
	if (query->exe && !text_is(process->exe, query->exe) &&
	    !(process->exe && text_is(strrchr(process->exe, '/') + 1, query->exe)))
		return false;
	if (query->unit && !text_is(process->unit, query->unit)) {
		char *whole = NULL;
		bool same;

		assert_true(asprintf(&whole, "%s.service", query->unit) > 0);
		same = text_is(process->unit, whole);
		free(whole);
		if (!same)
			return false;
	}
	return !query->container ||
	       (process->container &&
		!strncmp(process->container, query->container, strlen(query->container)));
}

/* Bit by bit, IPv4 as mapped addresses. */
static bool remote_matches(const struct room *room, const struct room_lease *lease,
			   const struct history_remote *remote)
{
	uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff}, wanted[16] = {[10] = 0xff, [11] = 0xff};
	unsigned int bits = remote->bits;

	if (remote->port && remote->port != lease->remote_port)
		return false;
	if (!remote->family)
		return true;
	if (!lease->remote)
		return false;
	if (inet_pton(AF_INET6, room->addresses[lease->remote], bytes) != 1) {
		if (remote->family == 6 && bits < 96)
			return false;
		assert_int_equal(inet_pton(AF_INET, room->addresses[lease->remote], bytes + 12), 1);
	}
	if (remote->family == 4) {
		memcpy(wanted + 12, remote->address, 4);
		bits += 96;
	} else {
		memcpy(wanted, remote->address, 16);
	}
	for (unsigned int i = 0; i < bits; i++) {
		if ((bytes[i / 8] ^ wanted[i / 8]) >> (7 - i % 8) & 1)
			return false;
	}
	return true;
}

static bool kind_matches(const struct room_kind *kind, const struct history_query *query)
{
	switch (query->protocol) {
	case 0:
		return true;
	case 6:
		return kind->number == 6 || kind->number == 262;
	case 262:
		return kind->number == 262 || kind->flags & WIRE_MPTCP;
	default:
		return kind->number == query->protocol;
	}
}

static void lease_end(const struct room *room, const struct room_lease *lease, int64_t *until,
		      uint64_t *held, unsigned int *ending)
{
	const struct room_kind *kind = &room->kinds[lease->kind];
	const struct room_name *run = &room->runs[kind->run];

	*ending = kind->ending;
	*held = (uint64_t)lease->held;
	*until = lease->claimed + lease->held;
	if (lease->what == HISTORY_FAILURE)
		*held = 0;
	if (!lease->open)
		return;
	*until = INT64_MAX;
	*held = STORE_UNKNOWN;
	if (kind->run == ROOM_RUNS)
		return;
	*until = run->ended ? run->ended : run->alive;
	if (*until < lease->claimed)
		*until = lease->claimed;
	*held = (uint64_t)(*until - lease->claimed);
	*ending = STORE_UNSEEN;
}

struct found {
	int64_t time, id;
	enum history_kind what;
	char *line;
};

static int found_compare(const void *left, const void *right)
{
	const struct found *a = left, *b = right;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	if (a->what != b->what)
		return a->what < b->what ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static char *process_words(const struct room *room, unsigned int index)
{
	static const struct room_process none;
	const struct room_process *process =
		index && index <= ROOM_PROCESSES ? &room->processes[index] : &none;
	char *words = NULL;

	assert_true(asprintf(&words, "%u/%s/%s/%s/%s/%s", process->pid,
			     process->comm ? process->comm : "-", process->exe ? process->exe : "-",
			     process->unit ? process->unit : "-",
			     process->container ? process->container : "-",
			     process->pid ? "[\"a\"]" : "-") > 0);
	return words;
}

static char *lease_line(const struct room *room, const struct room_lease *lease)
{
	const struct room_kind *kind = &room->kinds[lease->kind];
	char *process = process_words(room, lease->process), *line = NULL, *longer;
	unsigned int ending;
	int64_t until;
	uint64_t held;
	bool failure = lease->what == HISTORY_FAILURE;

	lease_end(room, lease, &until, &held, &ending);
	assert_true(asprintf(&line,
			     "%d %lld %lld..%lld held %llu lingered %llu answered %llu %s %s:%u > "
			     "%s:%u outcome %u ending %u host%u %s",
			     lease->what, (long long)lease->id, (long long)lease->claimed,
			     (long long)until, (unsigned long long)held,
			     (unsigned long long)lease->lingered,
			     failure ? 0 : (unsigned long long)lease->answered, kind->protocol,
			     room->addresses[lease->local], lease->port,
			     lease->remote ? room->addresses[lease->remote] : "-",
			     lease->remote_port, kind->outcome, ending, kind->run, process) > 0);
	free(process);
	if (!failure)
		return line;
	longer = NULL;
	assert_true(asprintf(&longer, "%s; %u of %u %s", line, lease->blockers,
			     lease->blocked_total, lease->blockers ? "-" : "unknown") > 0);
	free(line);
	line = longer;
	for (unsigned int i = 0; i < lease->blockers && i < HISTORY_BLOCKERS; i++) {
		process = process_words(room, 1 + (lease->process + i) % ROOM_PROCESSES);
		longer = NULL;
		assert_true(asprintf(&longer, "%s; holder listen %u %s:%u %s", line, 77 + i,
				     room->addresses[lease->local], lease->port, process) > 0);
		free(process);
		free(line);
		line = longer;
	}
	return line;
}

static bool lease_matches(const struct room *room, const struct room_lease *lease,
			  const struct history_query *query)
{
	const struct room_kind *kind = &room->kinds[lease->kind];
	unsigned int ending;
	int64_t until;
	uint64_t held;

	lease_end(room, lease, &until, &held, &ending);
	if (query->failed && lease->what == HISTORY_LEASE && kind->outcome != STORE_FAILED)
		return false;
	return lease->claimed <= query->until && until >= query->since &&
	       (!query->ports || port_set_has(query->ports, lease->port)) &&
	       kind_matches(kind, query) && process_matches(room, lease->process, query) &&
	       (!query->remote || remote_matches(room, lease, query->remote));
}

static size_t gaps_answer(struct room *room, const struct history_query *query, struct found *found)
{
	struct room_gap gaps[ROOM_GAPS + 4];
	size_t count = room->gap_count, number = 0;

	memcpy(gaps, room->gaps, sizeof(gaps));
	gaps[count++] = (struct room_gap){.since = INT64_MIN,
					  .until = room->oldest > room->runs[1].started
							   ? room->oldest
							   : room->runs[1].started,
					  .reason = -2U};
	for (size_t i = 0; i < count && query->gaps; i++) {
		int64_t low = gaps[i].since, high = gaps[i].until;

		if (low > high) {
			low = gaps[i].until;
			high = gaps[i].since;
		}
		if (low > query->until || high < query->since)
			continue;
		found[number] = (struct found){gaps[i].since, gaps[i].id, HISTORY_GAP, NULL};
		assert_true(asprintf(&found[number].line, "gap %lld %d %lld..%lld %llu",
				     (long long)gaps[i].id, (int)gaps[i].reason,
				     (long long)gaps[i].since, (long long)gaps[i].until,
				     (unsigned long long)gaps[i].count) > 0);
		number++;
	}
	return number;
}

void room_answer(struct room *room, const struct history_query *query, struct room_lines *lines)
{
	struct found *found = calloc(room->lease_count + ROOM_GAPS + 4, sizeof(*found));
	size_t count, skip = 0;

	assert_non_null(found);
	count = gaps_answer(room, query, found);
	for (size_t i = 0; i < room->lease_count; i++) {
		const struct room_lease *lease = &room->leases[i];

		if (lease_matches(room, lease, query))
			found[count++] = (struct found){lease->claimed, lease->id, lease->what,
							lease_line(room, lease)};
	}
	qsort(found, count, sizeof(*found), found_compare);
	if (query->newest && query->newest < count)
		skip = count - query->newest;
	*lines = (struct room_lines){calloc(count + 1, sizeof(char *)), 0};
	assert_non_null(lines->lines);
	for (size_t i = 0; i < count; i++) {
		if (i < skip)
			free(found[i].line);
		else
			lines->lines[lines->count++] = found[i].line;
	}
	free(found);
}

/* ---- rows as lines ---- */

#define SHOW(text) (text).data ? (int)(text).length : 1, (text).data ? (text).data : "-"

static void process_print(FILE *out, const struct history_process *process)
{
	fprintf(out, "%u/%.*s/%.*s/%.*s/%.*s/%.*s", process->pid, SHOW(process->comm),
		SHOW(process->exe), SHOW(process->unit), SHOW(process->container),
		SHOW(process->args));
}

int room_line(void *context, const struct history_row *row)
{
	struct room_lines *lines = context;
	char *line = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&line, &size);

	assert_non_null(out);
	if (row->kind == HISTORY_GAP) {
		fprintf(out, "gap %llu %d %lld..%lld %llu", (unsigned long long)row->id, row->gap,
			(long long)row->time, (long long)row->until,
			(unsigned long long)row->count);
	} else {
		fprintf(out,
			"%d %llu %lld..%lld held %llu lingered %llu answered %llu %.*s %.*s:%u > "
			"%.*s:%u outcome %u ending %u %.*s ",
			row->kind, (unsigned long long)row->id, (long long)row->time,
			(long long)row->until, (unsigned long long)row->held,
			(unsigned long long)row->lingered, (unsigned long long)row->answered,
			SHOW(row->protocol), SHOW(row->local), row->port, SHOW(row->remote),
			row->remote_port, row->outcome, row->ending, SHOW(row->host));
		process_print(out, &row->process);
	}
	if (row->kind == HISTORY_FAILURE) {
		fprintf(out, "; %u of %u %.*s", row->blocked_count, row->blocked_total,
			SHOW(row->blocked_reason));
		for (unsigned int i = 0; i < row->blocked_count; i++) {
			const struct history_blocker *blocker = &row->blockers[i];

			fprintf(out, "; %.*s %.*s %lld %.*s:%u ", SHOW(blocker->role),
				SHOW(blocker->state), (long long)blocker->since,
				SHOW(blocker->local), blocker->port);
			process_print(out, &blocker->process);
		}
	}
	fclose(out);
	lines->lines = realloc(lines->lines, (lines->count + 1) * sizeof(char *));
	assert_non_null(lines->lines);
	lines->lines[lines->count++] = line;
	return 0;
}

void room_lines_free(struct room_lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->lines[i]);
	free(lines->lines);
	*lines = (struct room_lines){0};
}
