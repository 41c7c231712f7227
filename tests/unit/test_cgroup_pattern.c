/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/cgroup_pattern.h"

static struct cgroup_patterns patterns;

static uint64_t places_find(const char *text, size_t length)
{
	char key[CONFIG_COMPONENT] = {0};

	memcpy(key, text, length < sizeof(key) - 1 ? length : sizeof(key) - 1);
	for (size_t i = 0; i < patterns.count; i++)
		if (!memcmp(patterns.components[i].text, key, sizeof(key)))
			return patterns.components[i].places;
	return 0;
}

/* As cgroup_allowed() of bpf/filter.bpf.h walks from the leaf to the root. */
static bool walk(const char *path)
{
	size_t length = strlen(path);
	uint64_t matched = 0;

	while (length) {
		size_t end = length;

		while (path[length - 1] != '/')
			length--;
		matched = (matched << 1 | patterns.lasts) &
			  places_find(path + length, end - length);
		length--;
	}
	return matched & patterns.firsts;
}

/* Paths with commas between. */
static int part_take(const char *part, void *context)
{
	return text_list_add(context, part, strlen(part));
}

static bool make(const char *paths)
{
	struct text_list *list = NULL;
	bool made;

	assert_int_equal(list_split(paths, part_take, &list), 0);
	made = cgroup_patterns_make(&patterns, list);
	text_list_free(list);
	return made;
}

static void one_path_matches_itself_and_what_is_below(void **state)
{
	(void)state;
	assert_true(make("/a/b"));
	assert_true(walk("/a/b"));
	assert_true(walk("/a/b/c"));
	assert_true(walk("/a/b/a/b"));
	assert_true(walk("/a/b/b"));
	assert_false(walk("")); /* the root */
	assert_false(walk("/a"));
	assert_false(walk("/b"));
	assert_false(walk("/a/c"));
	assert_false(walk("/a/bb"));
	assert_false(walk("/b/a"));
	assert_false(walk("/x/a/b"));
	assert_false(walk("/x/a/b/c"));
}

static void components_may_repeat(void **state)
{
	(void)state;
	assert_true(make("/a/a/b/a"));
	assert_int_equal(patterns.count, 2);
	assert_true(walk("/a/a/b/a"));
	assert_true(walk("/a/a/b/a/a/b/a"));
	assert_true(walk("/a/a/b/a/b"));
	assert_false(walk("/a/b/a"));
	assert_false(walk("/a/a/a/b/a"));
}

static void paths_do_not_mix(void **state)
{
	(void)state;
	assert_true(make("/a/b,/c/d/e,/f"));
	assert_true(walk("/a/b"));
	assert_true(walk("/c/d/e/f"));
	assert_true(walk("/f/c"));
	assert_false(walk("/c/b"));
	assert_false(walk("/c/d"));
	assert_false(walk("/a/e"));
	assert_false(walk("/a/f"));
	/* The bits of one path end where those of the next begin. */
	assert_false(walk("/b/c"));
	assert_false(walk("/e/a"));
}

/* More than was asked for, never less. */
static void long_components_match_by_their_beginning(void **state)
{
	char path[2 * CONFIG_COMPONENT], other[sizeof(path)];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	memcpy(other, path, sizeof(path));
	assert_true(make(path));
	assert_true(walk(path));
	other[sizeof(other) - 2] = 'y';
	assert_true(walk(other));
	other[CONFIG_COMPONENT - 1] = 'y';
	assert_false(walk(other));
}

static void what_matches_nothing_here_is_no_match(void **state)
{
	(void)state;
	assert_true(make("/a//b,//c"));
	assert_false(walk("/a/b"));
	assert_false(walk("/c"));
}

static void the_root_and_too_many_are_refused(void **state)
{
	char paths[CGROUP_COMPONENTS * 4 + 8] = "";
	size_t used = 0;

	(void)state;
	assert_false(make(""));
	assert_false(make("/a,"));
	for (int i = 0; i < CGROUP_COMPONENTS; i++)
		used += snprintf(paths + used, sizeof(paths) - used, "/%02d", i);
	assert_true(make(paths));
	assert_true(walk(paths));
	assert_false(walk(paths + 3));
	snprintf(paths + used, sizeof(paths) - used, "/x");
	assert_false(make(paths));
	snprintf(paths + used, sizeof(paths) - used, ",/x");
	assert_false(make(paths));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_path_matches_itself_and_what_is_below),
		cmocka_unit_test(components_may_repeat),
		cmocka_unit_test(paths_do_not_mix),
		cmocka_unit_test(long_components_match_by_their_beginning),
		cmocka_unit_test(what_matches_nothing_here_is_no_match),
		cmocka_unit_test(the_root_and_too_many_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
