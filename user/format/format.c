/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/format.h"

#include <string.h>

const struct format_ops *format_find(const char *name)
{
	static const struct format_ops *const formats[] = {&format_table, &format_json,
							   &format_csv};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}
