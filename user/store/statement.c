/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/statement.h"

#include <string.h>

#include "lib/escape.h"

/* clang-format off */

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[INSERT_LEASE] = "INSERT INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_OPEN] = "INSERT OR REPLACE INTO open_lease VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[DELETE_OPEN] = "DELETE FROM open_lease WHERE id = ?",
	[CLEAR_OPEN] = "DELETE FROM open_lease",
	[INSERT_FAILURE] = "INSERT INTO failure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_BLOCKER] = "INSERT INTO blocker VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_KIND] = "INSERT INTO kind VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_PROCESS] = "INSERT OR REPLACE INTO process VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_PROGRAM] = "INSERT INTO program VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[INSERT_ADDRESS] = "INSERT INTO address VALUES (?, ?, ?)",
	[FIND_ADDRESS] = "SELECT id, era FROM address WHERE ip = ?",
	[INSERT_EXECUTABLE] = "INSERT INTO executable VALUES (?, ?, ?)",
	[FIND_EXECUTABLE] = "SELECT id, era FROM executable WHERE path = ?",
	[INSERT_CGROUP] = "INSERT INTO cgroup VALUES (?, ?, ?, ?, ?, ?, ?)",
	[FIND_CGROUP] = "SELECT id, era FROM cgroup WHERE path = ?",
	[TOUCH_KIND] = "UPDATE kind SET era = ?2 WHERE id = ?1",
	[TOUCH_PROCESS] = "UPDATE process SET era = ?2 WHERE id = ?1",
	[TOUCH_PROCESS_PROGRAM] =
		"UPDATE program SET era = ?2"
		" WHERE id = (SELECT program FROM process WHERE id = ?1) AND era < ?2",
	[TOUCH_PROCESS_EXECUTABLE] =
		"UPDATE executable SET era = ?2 WHERE id = (SELECT g.executable FROM process p"
		" JOIN program g ON g.id = p.program WHERE p.id = ?1) AND era < ?2",
	[TOUCH_PROCESS_CGROUP] =
		"UPDATE cgroup SET era = ?2 WHERE id = (SELECT g.cgroup FROM process p"
		" JOIN program g ON g.id = p.program WHERE p.id = ?1) AND era < ?2",
	[TOUCH_ADDRESS] = "UPDATE address SET era = ?2 WHERE id = ?1",
	[TOUCH_EXECUTABLE] = "UPDATE executable SET era = ?2 WHERE id = ?1",
	[TOUCH_CGROUP] = "UPDATE cgroup SET era = ?2 WHERE id = ?1",
	[STORE_SLACK] = "INSERT OR REPLACE INTO slack VALUES (1, ?, ?, ?)",
	[INSERT_GAP] = "INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?)",
	[GROW_GAP] = "UPDATE gap SET until = ?2, count = ?3 WHERE id = ?1",
	[BOUND_GAPS] = "DELETE FROM gap WHERE id <= ?",
	[INSERT_RUN] = "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
	[UPDATE_RUN] = "UPDATE run SET alive = ?2, ended = ?3 WHERE id = ?1",
	[BOUND_RUNS] = "DELETE FROM run WHERE id <= ? AND id NOT IN (SELECT run FROM kind)",
	[LAST_RUN] =
		"SELECT id, coalesce(ended, alive), ended IS NOT NULL FROM run"
		" ORDER BY id DESC LIMIT 1",
	[LIST_OPEN] =
		"SELECT o.claimed, o.lingered, o.answered, o.port, o.remote_port, o.local,"
		" o.remote, o.kind, o.process, coalesce(r.ended, r.alive) FROM open_lease o"
		" JOIN kind k ON k.id = o.kind JOIN run r ON r.id = k.run ORDER BY o.id",
	[COPY_KIND] =
		"INSERT INTO kind SELECT ?2, ?3, run, netns, protocol, family, trigger, origin,"
		" outcome, ?4, error, device, flags, pool_low, pool_high FROM kind WHERE id = ?1",
	/* ?1 segment, ?2 its first lease's id, ?3 its last one's, ?4 newest failure, ?5 a time
	 * for one without leases */
	[COMPLETE_SEGMENT] =
		"INSERT INTO segment SELECT ?1, coalesce(min(claimed), ?5),"
		" coalesce(min(claimed + held), ?5), max(coalesce(max(claimed + held), ?5), ?5),"
		" count(*), ?4 FROM lease WHERE id BETWEEN ?2 AND ?3",
	/* schema_key(); to SQLite these operators are all of the same rank */
	[COMPLETE_PORTS] =
		"INSERT INTO lease_port SELECT (?1 << 33) | (port << 17)"
		" | (min(length(held), 15) << 13) | (id & 8191) FROM lease WHERE id BETWEEN ?2 AND ?3 ORDER BY 1",
	[OLDEST_SEGMENT] = "SELECT id, ended, leases, failure FROM segment ORDER BY id LIMIT 1",
	[TRIM_LEASES] = "DELETE FROM lease WHERE id <= ?",
	[TRIM_PORTS] = "DELETE FROM lease_port WHERE key < ?",
	[TRIM_BLOCKERS] = "DELETE FROM blocker WHERE failure <= ?",
	[TRIM_FAILURES] = "DELETE FROM failure WHERE id <= ?",
	[TRIM_SEGMENT] = "DELETE FROM segment WHERE id = ?",
	[TRIM_GAPS] = "DELETE FROM gap WHERE until < (SELECT min(released) FROM segment)",
	[PAGES] = "PRAGMA page_count",
	[FREE_PAGES] = "PRAGMA freelist_count",
};

/* clang-format on */

_Static_assert(SCHEMA_SEGMENT_BITS == 13 && SCHEMA_KEY_PORT == 17 && SCHEMA_KEY_SEGMENT == 33,
	       "these stand in COMPLETE_PORTS as well");

int statements_prepare(sqlite3 *connection, sqlite3_stmt **statements)
{
	for (int i = 0; i < STATEMENTS; i++) {
		int result = sqlite3_prepare_v3(connection, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
						&statements[i], NULL);

		if (result != SQLITE_OK)
			return result;
	}
	return SQLITE_OK;
}

void statements_finalize(sqlite3_stmt **statements)
{
	for (int i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(statements[i]);
		statements[i] = NULL;
	}
}

static bool is_text(const char *data, size_t length)
{
	uint32_t character;

	while (length) {
		size_t size = utf8_length(data, length, &character);

		if (!size || !character)
			return false;
		data += size;
		length -= size;
	}
	return true;
}

void bind_text(sqlite3_stmt *statement, int index, const char *data, size_t length)
{
	if (!data)
		sqlite3_bind_null(statement, index);
	else if (is_text(data, length))
		sqlite3_bind_text(statement, index, data, (int)length, SQLITE_STATIC);
	else
		sqlite3_bind_blob(statement, index, data, (int)length, SQLITE_STATIC);
}

void bind_string(sqlite3_stmt *statement, int index, const char *text)
{
	bind_text(statement, index, text, text ? strlen(text) : 0);
}
