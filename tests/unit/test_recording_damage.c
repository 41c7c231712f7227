/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "sample.h"

static bool is_prefix(const struct buffer *part, const struct buffer *whole)
{
	return part->length <= whole->length &&
	       (!part->length || !memcmp(part->data, whole->data, part->length));
}

static void test_cut_everywhere(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	unsigned int killed = 0;
	char why[256], expected[128];

	(void)state;
	sample_make(&sample);
	for (size_t length = 0; length < sample.file.length; length++) {
		int result = bytes_drain(sample.file.data, length, &records, why);

		assert_true(is_prefix(&records, &sample.records));
		if (result == -ENODATA) {
			killed++;
			assert_string_equal(why, "file: ends without its last record (the recorder "
						 "was killed?)");
			continue;
		}
		assert_int_equal(result, -EBADMSG);
		if (!length) {
			assert_string_equal(why, "file: is empty");
			continue;
		}
		snprintf(expected, sizeof(expected),
			 "file: damaged at byte %zu: the file ends within", length);
		assert_memory_equal(why, expected, strlen(expected));
	}
	assert_int_equal(killed, 3); /* behind the header, and behind two frames */
}

/* Each bit of each byte: an error, or (never, as it is) the same records. */
static void test_flip_everywhere(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	char why[256];

	(void)state;
	sample_make(&sample);
	for (size_t at = 0; at < sample.file.length; at++) {
		for (unsigned int bit = 0; bit < 9; bit++) {
			char before = sample.file.data[at];
			int result;

			sample.file.data[at] ^= (char)(bit < 8 ? 1 << bit : 0xff);
			result = bytes_drain(sample.file.data, sample.file.length, &records, why);
			assert_int_equal(result, -EBADMSG);
			assert_memory_equal(why, "file: ", 6);
			assert_true(is_prefix(&records, &sample.records));
			sample.file.data[at] = before;
		}
	}
}

/* Makes the checksums fit again, so that what stands behind them is looked at. */
static void checksums_mend(struct buffer *file)
{
	struct recording_header *header = (void *)file->data;

	header->crc = (uint32_t)crc32(0, (void *)header, offsetof(struct recording_header, crc));
	for (size_t at = sizeof(*header); at + sizeof(struct recording_frame) <= file->length;) {
		struct recording_frame *frame = (void *)(file->data + at);

		at += sizeof(*frame);
		if (frame->length > file->length - at || frame->length % 8)
			break;
		frame->crc = (uint32_t)crc32(0, (void *)(file->data + at), frame->length);
		at += frame->length;
	}
}

static void patched_gives(size_t at, uint32_t value, size_t bytes, int error, const char *expected)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	char why[256];

	sample_make(&sample);
	memcpy(sample.file.data + at, &value, bytes);
	checksums_mend(&sample.file);
	assert_int_equal(bytes_drain(sample.file.data, sample.file.length, &records, why), error);
	assert_string_equal(why, expected);
}

/* Where things stand in the sample. */
#define AT_FRAME 32u
#define AT_START (AT_FRAME + 16u)
#define AT_PROCESS (AT_START + (uint32_t)sizeof(struct wire_stream_start))

static void test_impossible(void **state)
{
	(void)state;
	patched_gives(12, 0x04030201, 4, -EBADMSG,
		      "file: was recorded on a machine of the other byte order");
	patched_gives(12, 5, 4, -EBADMSG, "file: damaged at byte 12: the byte order is impossible");
	patched_gives(16, 2, 4, -EBADMSG,
		      "file: has format 2 with records of version 1; this portsnoop reads format 1 "
		      "with records up to version 1");
	patched_gives(20, 2, 4, -EBADMSG,
		      "file: has format 1 with records of version 2; this portsnoop reads format 1 "
		      "with records up to version 1");
	patched_gives(0, 0, 4, -EBADMSG, "file: is not a recording of portsnoop");
	patched_gives(AT_FRAME, 0, 4, -EBADMSG,
		      "file: damaged at byte 32: no frame begins here, expected frame 0");
	patched_gives(AT_FRAME + 4, 0, 4, -EBADMSG,
		      "file: damaged at byte 36: a frame of 0 bytes is impossible");
	patched_gives(AT_FRAME + 4, 12, 4, -EBADMSG,
		      "file: damaged at byte 36: a frame of 12 bytes is impossible");
	patched_gives(AT_FRAME + 4, (1 << 20) + 8, 4, -EBADMSG,
		      "file: damaged at byte 36: a frame of 1048584 bytes is impossible");
	patched_gives(AT_FRAME + 12, 1, 4, -EBADMSG,
		      "file: damaged at byte 44: frame 1 where frame 0 is expected");
	/* header.size of the first record */
	patched_gives(AT_START + 2, 0, 2, -EBADMSG,
		      "file: damaged at byte 48: a record's size is impossible");
	patched_gives(AT_START + 2, 16, 2, -EBADMSG,
		      "file: damaged at byte 48: a record's size is impossible");
	patched_gives(AT_START + 2, 260, 2, -EBADMSG,
		      "file: damaged at byte 48: a record's size is impossible");
	patched_gives(AT_START + 2, 65528, 2, -EBADMSG,
		      "file: damaged at byte 48: a record's size is impossible");
	patched_gives(AT_START, WIRE_STREAM_END, 2, -EBADMSG,
		      "file: damaged at byte 312: a record follows the stream's last one");
	/* a process' size and lengths */
	patched_gives(AT_PROCESS + 2, 24, 2, -EBADMSG,
		      "file: damaged at byte 312: the parts of a process do not fit its record");
	patched_gives(AT_PROCESS + offsetof(struct wire_process, exe_length), 0xffff, 2, -EBADMSG,
		      "file: damaged at byte 312: the parts of a process do not fit its record");
	patched_gives(AT_PROCESS + offsetof(struct wire_process, args_length), 2049, 2, -EBADMSG,
		      "file: damaged at byte 312: the parts of a process do not fit its record");
	patched_gives(AT_PROCESS + offsetof(struct wire_process, path_length), 0, 2, -EBADMSG,
		      "file: damaged at byte 312: the parts of a process do not fit its record");
}

/* Lengths that fit the record, but not the arrays that they are for. */
static void test_process_too_long(void **state)
{
	static const uint16_t lengths[][3] = {
		{WIRE_EXE + 1, 0, 0},
		{0, WIRE_ARGS + 1, 0},
		{0, 0, WIRE_CGROUP + 1},
		{WIRE_EXE, WIRE_ARGS, UINT16_MAX - 4000},
	};
	CLEANUP(buffer_free) struct buffer file = BUFFER_EMPTY, records = BUFFER_EMPTY;
	const size_t fixed = offsetof(struct wire_process, exe);
	struct recording_header header = {
		.magic = RECORDING_MAGIC,
		.byte_order = RECORDING_BYTE_ORDER,
		.version = RECORDING_VERSION,
		.wire_version = WIRE_VERSION,
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct recording_frame frame = {.magic = RECORDING_FRAME_MAGIC};
		struct wire_process process = sample_process();
		size_t used = (size_t)lengths[i][0] + lengths[i][1] + lengths[i][2];

		process.exe_length = lengths[i][0];
		process.args_length = lengths[i][1];
		process.path_length = lengths[i][2];
		frame.length = (uint32_t)(fixed + used + (-used & 7));
		process.header.size = (uint16_t)frame.length;
		buffer_reset(&file);
		buffer_append(&file, &header, sizeof(header));
		buffer_append(&file, &frame, sizeof(frame));
		buffer_append(&file, &process, fixed);
		for (size_t at = fixed; at < frame.length; at++)
			buffer_byte(&file, 'x');
		checksums_mend(&file);
		assert_int_equal(bytes_drain(file.data, file.length, &records, why), -EBADMSG);
		assert_string_equal(why, "file: damaged at byte 48: the parts of a process do not "
					 "fit its record");
	}
}

/* Every byte changed, under checksums that fit: only the sanitizers judge. */
static void test_patched_everywhere(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	char why[256];

	(void)state;
	sample_make(&sample);
	for (size_t at = 0; at < sample.file.length; at++) {
		char before = sample.file.data[at];

		sample.file.data[at] = (char)~before;
		checksums_mend(&sample.file);
		bytes_drain(sample.file.data, sample.file.length, &records, why);
		sample.file.data[at] = before;
		checksums_mend(&sample.file);
	}
	assert_int_equal(bytes_drain(sample.file.data, sample.file.length, &records, why), 0);
}

static void test_more_behind_the_end(void **state)
{
	CLEANUP(sample_free) struct sample sample;
	CLEANUP(buffer_free) struct buffer records = BUFFER_EMPTY;
	char why[256];

	(void)state;
	sample_make(&sample);
	buffer_append(&sample.file, "12345678", 8);
	assert_int_equal(bytes_drain(sample.file.data, sample.file.length, &records, why),
			 -EBADMSG);
	buffers_equal(&records, &sample.records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_everywhere),
		cmocka_unit_test(test_flip_everywhere),
		cmocka_unit_test(test_impossible),
		cmocka_unit_test(test_process_too_long),
		cmocka_unit_test(test_patched_everywhere),
		cmocka_unit_test(test_more_behind_the_end),
	};

	return cmocka_run_group_tests(tests, sample_folder_make, sample_folder_remove);
}
