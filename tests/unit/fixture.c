/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "lib/cleanup.h"

void fixture_compare(const char *path, const struct buffer *text)
{
	CLEANUP(buffer_free) struct buffer expected = BUFFER_EMPTY;
	CLEANUP_FILE FILE *file = fopen(path, getenv("UPDATE") ? "w" : "r");
	size_t count = 1;

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	if (getenv("UPDATE")) {
		assert_int_equal(fwrite(text->data, 1, text->length, file), text->length);
		return;
	}
	while (count) {
		assert_true(buffer_room(&expected, 4096));
		count = fread(expected.data + expected.length, 1, 4096, file);
		expected.length += count;
	}
	if (expected.length == text->length && !memcmp(expected.data, text->data, text->length))
		return;
	for (size_t i = 0, line = 1; i < text->length; i++) {
		if (i >= expected.length || text->data[i] != expected.data[i])
			fail_msg("%s differs at byte %zu, in line %zu: %.*s", path, i, line,
				 (int)(text->length - i > 80 ? 80 : text->length - i),
				 text->data + i);
		line += text->data[i] == '\n';
	}
	fail_msg("%s goes on", path);
}
