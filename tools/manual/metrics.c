/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "roff.h"

#include "format/metrics_text.h"
#include "lib/cleanup.h"

const char metrics_section[] =
	"With --metrics portsnoop serves what it records as numbers, in the OpenMetrics format or "
	"the older one of Prometheus, as the client asks, at /metrics. Who can connect can read "
	"them: names of units, containers and programs, and addresses. There is neither encryption "
	"nor a password; on another address than 127.0.0.1 or [::1] that is for a firewall or a "
	"proxy. Port 0 takes a free one, which standard error tells.\n"
	"\n"
	"  # portsnoop record --metrics 9845\n"
	"  $ curl http://127.0.0.1:9845/metrics\n"
	"\n"
	"Labels are bounded. Of units 100 have a name of their own, first come, of containers and "
	"of programs outside of both 50; the rest is kind=other. Of network namespaces 64 have a "
	"pool of their own, of destinations the busiest 20 are listed. Everything is counted from "
	"the start of the process.\n"
	"\n"
	"The source has a dashboard for Grafana and alerts for Prometheus in tools/dashboards.\n";

void metrics_list(struct buffer *out)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;

	for (const struct openmetrics_family *family = metrics_families; family->name; family++) {
		buffer_printf(&text, "%s%s", family->name, openmetrics_suffix(family->type));
		if (family->labels)
			buffer_printf(&text, "{%s}", family->labels);
		buffer_printf(&text, "\t%s: %s\n", openmetrics_type_name(family->type),
			      family->help);
	}
	buffer_byte(&text, '\0');
	if (!text.failed)
		roff_text(out, text.data);
	else
		out->failed = true;
}
