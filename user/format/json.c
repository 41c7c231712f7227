/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* NDJSON, shaped by the Elastic Common Schema: the paths of the fields as they are. */
#include "format/tree.h"

static struct format *json_open(const struct format_options *options)
{
	struct tree_member members[TREE_MEMBERS];
	unsigned int count = 0;

	/* In the order of the table, whatever the order asked for: an object comes once. */
	for (unsigned int i = 0; i < field_count && count < TREE_MEMBERS; i++)
		if (format_shows(options, &field_table[i]))
			members[count++] =
				(struct tree_member){field_table[i].path, &field_table[i]};
	return tree_open(members, count, options->line_most);
}

const struct format_ops format_json = {
	.name = "ecs",
	.help = "one JSON object a line, shaped by the Elastic Common Schema",
	.open = json_open,
	.begin = tree_begin,
	.event = tree_event,
	.close = tree_close,
};
