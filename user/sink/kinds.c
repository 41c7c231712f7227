/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/kinds.h"

static const struct {
	const struct sink_ops *ops;
	const struct format_ops *format; /* the only one it can be; NULL: any */
} kinds[SINK_KINDS] = {
	[SINK_STDOUT] = {&sink_stdout, NULL},
	[SINK_FILE] = {&sink_file, NULL},
	[SINK_UNIX] = {&sink_unix, NULL},
	[SINK_TCP] = {&sink_tcp, NULL},
	[SINK_SYSLOG] = {&sink_syslog, NULL},
	[SINK_JOURNALD] = {&sink_journald, &format_journal},
	[SINK_OTLP] = {&sink_otlp, &format_otlp_record},
	[SINK_CLICKHOUSE] = {&sink_clickhouse, &format_row},
};

const struct sink_ops *sink_kind_ops(enum sink_kind kind)
{
	return kinds[kind].ops;
}

const struct format_ops *sink_format(const struct sink_spec *spec, const struct format_ops *usual)
{
	if (kinds[spec->kind].format)
		return kinds[spec->kind].format;
	if (spec->format)
		return spec->format;
	return usual ? usual : &format_json;
}
