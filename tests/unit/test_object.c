/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The BPF object that the program carries, and the table of hooks that it serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/coverage.h"
#include "probe/attach.h"
#include "probe/hook.h"
#include "probe/object.h"

/* The whole object file, in memory of its own. */
static void *file_read(size_t *size)
{
	FILE *file = fopen(PORTSNOOP_BPF_OBJECT, "re");
	void *bytes;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*size = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(*size);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *size, file), *size);
	fclose(file);
	return bytes;
}

static void fetch_is_removed_once(void **state)
{
	size_t size;
	unsigned char *before = file_read(&size), *after = file_read(&size);
	int changed = object_remove_fetch(after, size);
	size_t different = 0;

	(void)state;
	assert_true(changed > 0);
	/* One byte an instruction: its immediate goes from fetch-and-add to add. */
	for (size_t i = 0; i < size; i++) {
		if (before[i] == after[i])
			continue;
		assert_int_equal(before[i], 1);
		assert_int_equal(after[i], 0);
		different++;
	}
	assert_int_equal(different, changed);
	assert_int_equal(object_remove_fetch(after, size), 0);
	free(before);
	free(after);
}

static void other_files_are_refused(void **state)
{
	char text[] = "no ELF file, but long enough to hold the header of one: 64 bytes.....";

	(void)state;
	assert_int_equal(object_remove_fetch(text, sizeof(text)), -EINVAL);
}

static bool table_has(const char *program)
{
	for (unsigned int i = 0; i < hook_count; i++)
		if (!strcmp(hook_table[i].program, program))
			return true;
	return false;
}

/* A hook without its program, or a program that nobody attaches, is a mistake. */
static void table_and_object_agree(void **state)
{
	struct bpf_object *object = object_open(true);
	struct bpf_program *program;

	(void)state;
	assert_non_null(object);
	for (unsigned int i = 0; i < hook_count; i++)
		assert_non_null(bpf_object__find_program_by_name(object, hook_table[i].program));
	bpf_object__for_each_program (program, object) {
		const char *name = bpf_program__name(program);

		assert_true(table_has(name) || !strcmp(name, "snapshot_sockets") ||
			    !strcmp(name, "snapshot_followed"));
	}
	bpf_object__close(object);
}

/* What a tier promises, some hook of it stands for. */
static void promises_have_hooks(void **state)
{
	(void)state;
	for (size_t t = 0; t < TIER_COUNT; t++) {
		/* The same calls on other protocols: they have no hook of their own. */
		uint64_t hooks = COVERAGE_BIT(COVERAGE_UDPLITE) | COVERAGE_BIT(COVERAGE_PING);
		uint64_t promised = tier_coverage(tier_list[t]);

		for (unsigned int i = 0; i < hook_count; i++)
			if (hook_table[i].tiers >> tier_list[t] & 1)
				hooks |= hook_table[i].coverage;
		for (unsigned int kind = 0; kind < COVERAGE_COUNT; kind++)
			if (promised & COVERAGE_BIT(kind) & ~hooks)
				fail_msg("tier %d: no hook stands for %s", tier_list[t],
					 coverage_name(kind));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fetch_is_removed_once),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(table_and_object_agree),
		cmocka_unit_test(promises_have_hooks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
