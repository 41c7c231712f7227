/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/heading.h"

void heading_make(const struct sink *sink, struct buffer *out)
{
	const struct format_options options = {.named = true};
	const struct format_ops *ops = sink->spec->format;
	struct format *format;

	if (!ops || !ops->begin)
		return;
	format = ops->open(&options);
	if (!format) {
		out->failed = true;
		return;
	}
	ops->begin(format, out);
	ops->close(format);
}
