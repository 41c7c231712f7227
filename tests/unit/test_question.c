/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/question.h"

static char text[1u << 20];

static const char *taken(struct buffer *out)
{
	assert_false(out->failed);
	assert_true(out->length < sizeof(text));
	memcpy(text, out->data ? out->data : "", out->length);
	text[out->length] = 0;
	buffer_free(out);
	return text;
}

/* ---- a literal, as ClickHouse reads it ---- */

static int hex(char digit)
{
	const char *digits = "0123456789ABCDEF", *found = strchr(digits, digit);

	assert_true(digit && found);
	return (int)(found - digits);
}

/* The bytes of a literal; fails if it ends before its end. */
static size_t literal_read(const char *sql, char *bytes)
{
	size_t length = 0;

	assert_int_equal(*sql++, '\'');
	while (*sql != '\'') {
		assert_true(*sql);
		if (*sql != '\\') {
			bytes[length++] = *sql++;
			continue;
		}
		assert_int_equal(sql[1], 'x');
		bytes[length++] = (char)(hex(sql[2]) << 4 | hex(sql[3]));
		sql += 4;
	}
	assert_int_equal(sql[1], 0);
	return length;
}

static void a_literal_holds_any_bytes(void **state)
{
	char bytes[256], back[256];
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	question_text(&out, bytes, sizeof(bytes));
	assert_int_equal(literal_read(taken(&out), back), sizeof(bytes));
	assert_memory_equal(bytes, back, sizeof(bytes));
	question_text(&out, "", 0);
	assert_string_equal(taken(&out), "''");
}

static void a_literal_cannot_be_left(void **state)
{
	static const char *const hostile[] = {
		"'",	 "\\", "\\'", "' OR 1 -- ", "'); DROP TABLE events; --", "\n", "`", "\"",
		"\xff'", "/*", "x\\", "\\x27",
	};
	struct buffer out = BUFFER_EMPTY;
	char back[64];

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		size_t length = strlen(hostile[i]);

		question_text(&out, hostile[i], length);
		assert_int_equal(literal_read(taken(&out), back), length);
		assert_memory_equal(back, hostile[i], length);
	}
}

/* ---- questions ---- */

static struct history_query any(void)
{
	return (struct history_query){.since = INT64_MIN, .until = INT64_MAX, .gaps = true};
}

static const char *sockets(const struct history_query *query, const struct text_list *hosts)
{
	const struct question question = {"portsnoop.events", query, hosts};
	struct buffer out = BUFFER_EMPTY;

	question_sockets(&out, &question);
	return taken(&out);
}

static const char *failures(const struct history_query *query)
{
	const struct question question = {"portsnoop.events", query, NULL};
	struct buffer out = BUFFER_EMPTY;

	question_failures(&out, &question);
	return taken(&out);
}

static void has(const char *sql, const char *words)
{
	if (!strstr(sql, words))
		fail_msg("%s\nlacks: %s", sql, words);
}

static void lacks(const char *sql, const char *words)
{
	if (strstr(sql, words))
		fail_msg("%s\nhas: %s", sql, words);
}

static void ports_come_first(void **state)
{
	struct history_query query = any();
	struct port_set ports = {0};

	(void)state;
	query.ports = &ports;
	ports.bits[60002 >> 3] |= 1 << (60002 & 7);
	has(sockets(&query, NULL), "FROM `portsnoop`.`events` WHERE (local_port = 60002)");
	lacks(text, "GLOBAL IN");
	has(text, "ORDER BY host, substring(id, 1, 16), toUInt64OrZero(substring(id, 18))");
	has(failures(&query), "WHERE (local_port = 0 OR (local_port = 60002)) AND if(trigger = "
			      "'bind' AND requested_ip != '', (requested_port = 60002), "
			      "(local_port = 60002))");
	memset(ports.bits + 1000, 0xff, 2);
	ports.bits[65535 >> 3] |= 0x80;
	has(sockets(&query, NULL),
	    "(local_port BETWEEN 8000 AND 8015 OR local_port = 60002 OR local_port = 65535)");
}

/* Every other port: the question stays one that a server takes, and misses none. */
static void many_ports_are_few_ranges(void **state)
{
	struct history_query query = any();
	struct port_set ports;

	(void)state;
	memset(ports.bits, 0x55, sizeof(ports.bits));
	query.ports = &ports;
	assert_true(strlen(sockets(&query, NULL)) < 65536);
	has(text, "local_port BETWEEN 512 AND 65534)");
}

static void no_conditions_are_no_conditions(void **state)
{
	struct history_query query = any();

	(void)state;
	has(sockets(&query, NULL), "WHERE local_port > 0 AND socket > 0 ORDER BY");
	has(failures(&query), "WHERE 1 AND outcome = 'failure' AND action IN (");
	lacks(text, "time >");
}

static void a_window_finds_what_overlaps_it(void **state)
{
	struct history_query query = any();

	(void)state;
	query.since = INT64_C(1795271527000000000);
	query.until = INT64_C(1795271528000000000);
	has(sockets(&query, NULL), "(host, substring(id, 1, 16), socket) GLOBAL IN (SELECT host, "
				   "substring(id, 1, 16) AS stream, socket FROM");
	has(text,
	    "min(if(action = 'released-port' AND duration < time, toUInt64(time - duration), time)) "
	    "<= 1795271528000000000");
	/* TIME_WAIT lasts on when its end was not seen */
	has(text, "(max(time) >= 1795271227000000000 OR argMax(action, time) != 'released-port')");
	has(failures(&query), "AND time >= 1795271527000000000 AND time <= 1795271528000000000");
	query.since = -5;
	query.until = -1;
	has(sockets(&query, NULL), "<= 0 AND (max(time) >= 0 OR");
}

static void what_people_typed_is_literals(void **state)
{
	struct history_query query = any();
	const char *sql;

	(void)state;
	query.comm = "it's";
	query.exe = "a\\b";
	query.unit = "x' OR '1";
	query.container = "c0ff\n";
	query.pid = 42;
	sql = sockets(&query, NULL);
	has(sql, "(pid = 42 OR holder_pid = 42)");
	has(sql, "(comm = 'it\\x27s' OR holder_comm = 'it\\x27s')");
	has(sql, "(exe = 'a\\x5Cb' OR endsWith(exe, '/a\\x5Cb'))");
	has(sql, "(unit = 'x\\x27 OR \\x271' OR unit = 'x\\x27 OR \\x271.service')");
	has(sql, "startsWith(container, 'c0ff\\x0A')");
	query.exe = "/bin/x'";
	has(failures(&query), "AND exe = '/bin/x\\x27'");
}

static void hosts_are_names_and_patterns(void **state)
{
	struct history_query query = any();
	struct text_list *hosts = NULL;
	static const char *const names[] = {"web1", "db_%\\*", "w?b'"};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(text_list_add(&hosts, names[i], strlen(names[i])), 0);
	has(sockets(&query, hosts), "AND (host = 'web1' OR host LIKE 'db\\x5C_\\x5C%\\x5C\\x5C%' "
				    "OR host LIKE 'w_b\\x27')");
	text_list_free(hosts);
}

static void remotes(void **state)
{
	struct history_remote remote = {.family = 4, .bits = 32, .address = {192, 0, 2, 1}};
	struct history_query query = any();

	(void)state;
	query.remote = &remote;
	has(sockets(&query, NULL), "remote_ip IN ('192.0.2.1', '::ffff:192.0.2.1')");
	remote.bits = 27;
	remote.port = 443;
	has(sockets(&query, NULL), "remote_port = 443 AND (startsWith(remote_ip, '192.0.2.') OR "
				   "startsWith(remote_ip, '::ffff:192.0.2.'))");
	remote.bits = 7;
	lacks(sockets(&query, NULL), "startsWith");
	query.protocol = IPPROTO_UDP;
	has(sockets(&query, NULL), "AND transport = 'udp'");
}

static void streams_and_beats(void **state)
{
	const struct history_query query = any();
	const struct question question = {"a.b", &query, NULL};
	const struct question_window window = {-5, 7, 9};
	const struct stream_name names[] = {{"h'", 2, "0123456789abcdef"},
					    {"i", 1, "0000000000000001"}};
	struct buffer out = BUFFER_EMPTY;

	(void)state;
	question_lost(&out, &question);
	has(taken(&out), "WHERE local_port = 0 AND action = 'lost-events' ORDER BY host, "
			 "substring(id, 1, 16), time LIMIT 1 BY host, id FORMAT");
	question_streams(&out, &question);
	has(taken(&out), ", any(tier), 0 FROM `a`.`b` WHERE local_port = 0 AND action IN "
			 "('stream-start', 'stream-end') GROUP BY host, stream FORMAT");
	question_pulse(&out, &question, &window);
	has(taken(&out), "any(tier), toUInt64(maxIf(intDiv(time, 75000000000), time <= 7) - "
			 "minIf(intDiv(time, 75000000000), time <= 7) + 1 - "
			 "uniqExactIf(intDiv(time, 75000000000), time <= 7)) FROM");
	has(text, "'heartbeat', 'lost-events') AND (time BETWEEN 0 AND 7 OR time >= 9) GROUP BY");
	question_life(&out, &question, names, 1);
	has(taken(&out), "AND (host, substring(id, 1, 16)) IN (('h\\x27', '0123456789abcdef')) "
			 "GROUP BY host, stream FORMAT");
	question_beats(&out, &question, names, 2);
	has(taken(&out), "IN (('h\\x27', '0123456789abcdef'), ('i', '0000000000000001')) ORDER BY");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_literal_holds_any_bytes),
		cmocka_unit_test(a_literal_cannot_be_left),
		cmocka_unit_test(ports_come_first),
		cmocka_unit_test(many_ports_are_few_ranges),
		cmocka_unit_test(no_conditions_are_no_conditions),
		cmocka_unit_test(a_window_finds_what_overlaps_it),
		cmocka_unit_test(what_people_typed_is_literals),
		cmocka_unit_test(hosts_are_names_and_patterns),
		cmocka_unit_test(remotes),
		cmocka_unit_test(streams_and_beats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
