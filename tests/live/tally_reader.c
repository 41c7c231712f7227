/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: tally_reader [TIER]
 *
 * Opens the tally of user/probe/tally.h and says {"tier":NAME,"not_covered":[NAME...]}; then,
 * for each line on stdin, a reading, whole and as it is, in one line of JSON. "stop" on
 * stdin stops the counting first.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buffer.h"
#include "lib/json.h"
#include "model/coverage.h"
#include "probe/tally.h"

static void number(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	json_unsigned(json, value);
}

static void text(struct json *json, const char *key, const char *value)
{
	json_key(json, key);
	json_string(json, value);
}

static void counts_write(struct json *json, const struct tally_counts *counts)
{
	number(json, "claims", counts->claims);
	number(json, "failures", counts->failures);
	number(json, "connect_failures", counts->connect_failures);
	number(json, "closed", counts->closed);
	number(json, "held", counts->held);
	number(json, "time_waits", counts->time_waits);
	number(json, "time_waits_over", counts->time_waits_over);
}

static void key_write(struct json *json, const struct tally_reading *reading,
		      const struct tally_key *key)
{
	number(json, "pid", key->pid);
	text(json, "comm", tally_comm(reading, key->start, key->pid));
	text(json, "cgroup", tally_cgroup(reading, key->cgroup));
	number(json, "uid", key->uid);
	number(json, "netns", key->netns);
	number(json, "protocol", key->protocol);
	number(json, "trigger", key->trigger);
	number(json, "origin", key->origin);
	number(json, "class", key->class);
}

static void address_write(struct json *json, const char *key, const uint8_t *address, int family)
{
	char room[INET6_ADDRSTRLEN];

	inet_ntop(family == 6 ? AF_INET6 : AF_INET, address, room, sizeof(room));
	text(json, key, room);
}

static void place_write(struct json *json, const struct tally_place *place)
{
	number(json, "netns", place->netns);
	number(json, "protocol", place->protocol);
	number(json, "trigger", place->trigger);
	number(json, "family", place->family);
	number(json, "low", place->pool_low);
	number(json, "high", place->pool_high);
	address_write(json, "local", place->local, place->family);
	address_write(json, "other", place->other, place->family);
	number(json, "other_port", place->other_port);
}

static void last_write(struct json *json, bool last)
{
	json_key(json, "last");
	json_bool(json, last);
	json_close(json, '}');
}

static void reading_write(struct json *json, const struct tally_reading *reading)
{
	json_open(json, '{');
	json_key(json, "rows");
	json_open(json, '[');
	for (size_t i = 0; i < reading->row_count; i++) {
		json_open(json, '{');
		key_write(json, reading, &reading->rows[i].key);
		counts_write(json, &reading->rows[i].counts);
		last_write(json, reading->rows[i].last);
	}
	json_close(json, ']');
	json_key(json, "places");
	json_open(json, '[');
	for (size_t i = 0; i < reading->place_count; i++) {
		json_open(json, '{');
		place_write(json, &reading->places[i].place);
		counts_write(json, &reading->places[i].counts);
		last_write(json, reading->places[i].last);
	}
	json_close(json, ']');
	json_key(json, "errors");
	json_open(json, '[');
	for (size_t i = 0; i < reading->error_count; i++) {
		json_open(json, '{');
		key_write(json, reading, &reading->errors[i].error.key);
		text(json, "error",
		     reading->errors[i].error.error
			     ? strerrorname_np((int)reading->errors[i].error.error)
			     : NULL);
		number(json, "outcome", reading->errors[i].error.outcome);
		number(json, "count", reading->errors[i].count);
		last_write(json, reading->errors[i].last);
	}
	json_close(json, ']');
	json_key(json, "rest");
	json_open(json, '[');
	for (size_t i = 0; i < TALLY_RESTS; i++) {
		json_open(json, '{');
		counts_write(json, &reading->rest[i]);
		json_close(json, '}');
	}
	json_close(json, ']');
	number(json, "processes", reading->process_count);
	number(json, "cgroups", reading->cgroup_count);
	number(json, "untracked", reading->untracked);
	number(json, "skipped", reading->skipped);
	json_key(json, "estimated");
	json_bool(json, reading->estimated);
	json_close(json, '}');
}

static void begin_write(struct json *json, const struct tally *tally)
{
	json_open(json, '{');
	text(json, "tier", tier_name(tally_tier(tally)));
	json_key(json, "not_covered");
	json_open(json, '[');
	for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++)
		if (!(tally_coverage(tally) & COVERAGE_BIT(kind)))
			json_string(json, coverage_name(kind));
	json_close(json, ']');
	json_close(json, '}');
}

static bool line_send(struct buffer *out)
{
	buffer_byte(out, '\n');
	if (out->failed || fwrite(out->data, 1, out->length, stdout) != out->length ||
	    fflush(stdout)) {
		fputs("tally_reader: cannot write\n", stderr);
		return false;
	}
	buffer_reset(out);
	return true;
}

int main(int argc, char **argv)
{
	struct buffer out = BUFFER_EMPTY;
	struct json json = {.out = &out};
	struct probe_failure failure;
	enum wire_tier tier = 0;
	struct tally *tally;
	char line[64];

	for (size_t i = 0; i < TIER_COUNT && argc > 1; i++)
		if (strcmp(argv[1], tier_name(tier_list[i])) == 0)
			tier = tier_list[i];
	if (argc > 2 || (argc > 1 && !tier)) {
		fputs("usage: tally_reader [fentry | kprobe | tracepoint]\n", stderr);
		return 2;
	}
	tally = tally_open(tier, &failure);
	if (!tally) {
		fprintf(stderr, "tally_reader: %s\n", failure.text);
		return 1;
	}
	begin_write(&json, tally);
	while (line_send(&out) && fgets(line, sizeof(line), stdin)) {
		struct tally_reading reading;
		int error;

		if (strcmp(line, "stop\n") == 0)
			tally_stop(tally);
		error = tally_read(tally, &reading);
		if (error) {
			fprintf(stderr, "tally_reader: %s\n", strerror(-error));
			return 1;
		}
		json.comma = false;
		reading_write(&json, &reading);
		tally_reading_free(&reading);
	}
	buffer_free(&out);
	tally_close(tally);
	return 0;
}
