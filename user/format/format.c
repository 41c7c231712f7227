/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "format/format.h"

#include <string.h>

bool format_shows(const struct format_options *options, const struct field *field)
{
	if (options->no_args && field->secret)
		return false;
	if (!options->fields)
		return !field->people;
	for (unsigned int i = 0; i < options->field_count; i++)
		if (options->fields[i] == field)
			return true;
	return false;
}

const struct format_ops *format_find(const char *name)
{
	static const struct format_ops *const formats[] = {&format_table, &format_json, &format_csv,
							   &format_otlp, &format_ocsf};

	/* what it was called as long as it was the only one */
	if (!strcmp(name, "json"))
		name = format_json.name;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}
