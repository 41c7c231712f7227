/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What people write of a destination: one a line. What is taken has what its kind needs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "sink/spec.h"

static void spec_check(const struct sink_spec *spec)
{
	const char *host = spec->url ? strstr(spec->url, "//") + 2 : NULL;

	if (!spec->name || !spec->target || spec->kind >= SINK_KINDS)
		abort();
	if (sink_is_remote(spec) && (!spec->host || !spec->port))
		abort();
	if ((spec->kind == SINK_OTLP || spec->kind == SINK_CLICKHOUSE) && !spec->url)
		abort();
	/* Nothing in front of the host is told. */
	if (host && memchr(host, '@', strcspn(host, "/")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(sink_list_free) struct sink_list list = {0};
	CLEANUP_FREE char *text = strndup((const char *)data, size);

	for (char *line = text, *next; line; line = next) {
		const char *expected = NULL;
		size_t count = list.count;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (sink_list_set(line, &list, &expected)) {
			if (!expected || list.count != count)
				abort();
			continue;
		}
		if (list.count != count + 1)
			abort();
		spec_check(&list.specs[count]);
	}
	return 0;
}
