/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* portsnoop-fields(5), from the table of fields. */
#include "format/journal.h"
#include "lib/cleanup.h"
#include "roff.h"

static const char formats[] =
	"Every event is made of the same fields, whatever it is written as; this page says what "
	"they are called there. A field that is not known, or does not apply to an event, is "
	"absent: a row or a table has nothing in its place.\n"
	"\n"
	"ecs\tone JSON object a line, also called json: the names stand for nested objects, shaped "
	"by version 9.4 of the Elastic Common Schema, with one object of its own, portsnoop\n"
	"csv\trows of chosen fields, and a heading with their names\n"
	"otlp\tlog records of OpenTelemetry in the JSON encoding of OTLP: each line is a whole "
	"request, as the collector's file exporter writes it and its OTLP/HTTP receiver takes it. "
	"The names of the attributes are those of version 1.45 of the semantic conventions, where "
	"there is one\n"
	"ocsf\tone JSON object a line, of version 1.3 of the Open Cybersecurity Schema Framework\n"
	"journald\tfields of the journal, with the sink of that name\n"
	"ClickHouse\tcolumns of the table portsnoop.events, with the sink clickhouse\n"
	"\n"
	"Names, arguments, paths and what else others can choose is escaped in each of them. "
	"Bytes that are not UTF-8 become U+FFFD in JSON and \\xNN in CSV; the journal has them as "
	"they are.\n";

static const char lines[] =
	"A line is at most 16384 bytes long, its newline included. If an event has more, its "
	"longest texts are cut to one length, each with an ellipsis (U+2026) where something is "
	"missing, and portsnoop.truncated names them. What tells one event from others is never "
	"cut; that can only happen to";

static const char arguments[] =
	"What a remote sink gets is without process.args, as these can hold passwords; args=yes "
	"in its SPEC sends them.\n";

static const char otlp[] =
	"eventName is portsnoop.bind, portsnoop.connect, portsnoop.listen, portsnoop.autobind, "
	"portsnoop.established, portsnoop.failed, portsnoop.release, portsnoop.lost, "
	"portsnoop.start, portsnoop.end or portsnoop.heartbeat. severityNumber is 13 (WARN) of "
	"lost-events, 10 (NOTICE) of a failure, and else 9 (INFO). The resource has service.name (portsnoop), "
	"service.version, service.instance.id (the stream), host.name and "
	"portsnoop.stream.boot_id.\n"
	"\n"
	"Two records with the same log.record.uid are the same one, delivered twice.\n";

static const char ocsf[] =
	"What sockets do is Network Activity (class_uid 4001):\n"
	"\n"
	"Open (1)\tconnected-to, connection-established\n"
	"Close (2)\treleased-port\n"
	"Fail (4)\tconnected-to, connection-failed, listen-for-connections when they failed\n"
	"Refuse (5)\tthe same with ECONNREFUSED\n"
	"Listen (7)\tlisten-for-connections\n"
	"Other (99)\tbound-socket, autobound-socket, for which it has no activity; activity_name "
	"says which\n"
	"\n"
	"The destination of a socket with a peer is the peer, and its source is the own end. Of any "
	"other socket the own end is the destination, which that class requires: it is where "
	"packets would arrive.\n"
	"\n"
	"What the stream says of itself is Application Lifecycle (class_uid 6002) of the "
	"application portsnoop: Start (3), Stop (4), and Other (99) for lost-events and "
	"heartbeat.\n"
	"\n"
	"time, start_time, end_time and duration are milliseconds; unmapped.timestamp and "
	"unmapped.duration have the nanoseconds. A duration or a sequence that has no room in 32 "
	"bits is left out there. cmd_line is quoted as for a shell. Two events with the same "
	"metadata.uid are the same one, delivered twice.\n";

static void name_line(struct buffer *text, const char *label, const char *name)
{
	if (name)
		buffer_printf(text, "%s%s: %s.", text->data[text->length - 1] == '.' ? " " : "",
			      label, name);
}

/* "/body" is no attribute, "/resource/host.name" is not one of the record. */
static void otel_line(struct buffer *text, const char *name)
{
	static const char resource[] = "/resource/";

	if (name && !strncmp(name, resource, strlen(resource)))
		name_line(text, "OTLP resource", name + strlen(resource));
	else if (name && *name == '/')
		name_line(text, "OTLP", name + 1);
	else
		name_line(text, "OTLP attribute", name);
}

static void field_entry(struct buffer *text, const struct field *field)
{
	char journal[JOURNAL_NAME_MAX + 1];

	buffer_printf(text, "%s\t%s", field->path, field->help);
	buffer_text(text, ".");
	otel_line(text, field->otel);
	name_line(text, "OCSF", field->ocsf);
	name_line(text, "Journal", journal_name(field, journal) ? journal : NULL);
	name_line(text, "ClickHouse", field->sql);
	buffer_byte(text, '\n');
}

static void lines_text(struct buffer *text)
{
	const char *comma = " ";

	buffer_text(text, lines);
	for (unsigned int i = 0; i < field_count; i++) {
		if (!field_table[i].cut)
			continue;
		buffer_printf(text, "%s%s", comma, field_table[i].path);
		comma = ", ";
	}
	buffer_printf(text, ".\n\n%s", arguments);
	buffer_byte(text, '\0');
}

static void section(struct buffer *out, const char *heading, const char *text)
{
	buffer_printf(out, ".SH %s\n", heading);
	roff_text(out, text);
}

void roff_fields(struct buffer *out, const struct roff_origin *origin)
{
	CLEANUP(buffer_free) struct buffer list = BUFFER_EMPTY, cut = BUFFER_EMPTY;

	roff_title(out, "portsnoop-fields", 5, origin);
	roff_name(out, "portsnoop-fields",
		  "what portsnoop tells of an event, and what it is called");
	for (unsigned int i = 0; i < field_count; i++)
		if (!field_table[i].people)
			field_entry(&list, &field_table[i]);
	buffer_byte(&list, '\0');
	lines_text(&cut);
	if (list.failed || cut.failed) {
		out->failed = true;
		return;
	}
	section(out, "DESCRIPTION", formats);
	section(out, "LONG LINES AND ARGUMENTS", cut.data);
	section(out, "FIELDS", list.data);
	section(out, "OPENTELEMETRY", otlp);
	section(out, "OCSF", ocsf);
	roff_see_also(out, "portsnoop(8), portsnoop-record(8), portsnoop-trace(8)",
		      "journalctl(1), systemd.journal-fields(7)");
}
