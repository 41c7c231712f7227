/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "bringing.h"

void bringing_make(struct bringing *bringing, const struct sink_ops *ops)
{
	*bringing = (struct bringing){.most = SINK_BATCH};
	bringing->sink.ops = ops;
	bringing->sink.spec = &bringing->spec;
}

void bringing_prepare(struct bringing *bringing)
{
	if (bringing->sink.ops->prepare && bringing->sink.ops->prepare(&bringing->sink))
		fail_msg("%s", bringing->sink.why);
}

void bringing_free(struct bringing *bringing)
{
	bringing_close(bringing);
	if (bringing->sink.ops->free)
		bringing->sink.ops->free(&bringing->sink);
	for (size_t i = 0; i < bringing->count; i++)
		free((char *)(uintptr_t)bringing->frames[i].bytes);
	free(bringing->frames);
}

void bringing_frame_add(struct bringing *bringing, const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);

	/* Doubled: the sanitizer copies each time. */
	if (!(bringing->count & (bringing->count - 1)))
		bringing->frames = realloc(bringing->frames,
					   2 * (bringing->count + 1) * sizeof(*bringing->frames));
	assert_non_null(copy);
	assert_non_null(bringing->frames);
	memcpy(copy, bytes, size);
	bringing->frames[bringing->count++] = (struct frame){
		.stream = 7, .sequence = bringing->count, .size = (uint32_t)size, .bytes = copy};
}

void bringing_frames_add(struct bringing *bringing, size_t count)
{
	char text[1024];

	while (count--) {
		int length = snprintf(text, sizeof(text), "%zu ", bringing->count);
		size_t more = bringing->count * 7919 % 600;

		memset(text + length, 'a' + (int)(bringing->count % 26), more);
		length += (int)more;
		text[length++] = '\n';
		bringing_frame_add(bringing, text, (size_t)length);
	}
}

void bringing_close(struct bringing *bringing)
{
	if (bringing->open)
		bringing->sink.ops->close(&bringing->sink);
	bringing->open = false;
	bringing->next = bringing->settled;
}

static void bringing_settle(struct bringing *bringing)
{
	const struct sink_ops *ops = bringing->sink.ops;
	size_t settled = bringing->next;

	if (ops->settled)
		settled = bringing->first + ops->settled(&bringing->sink);
	assert_true(settled >= bringing->settled);
	assert_true(settled <= bringing->next);
	bringing->settled = settled;
}

static void bringing_fail(struct bringing *bringing, int error)
{
	bringing->error = error;
	bringing->failures++;
	if (bringing->open)
		bringing_settle(bringing);
	bringing_close(bringing);
}

static void bringing_send(struct bringing *bringing)
{
	size_t count = bringing->count - bringing->next;
	ssize_t taken;

	if (count > bringing->most)
		count = bringing->most;
	if (!count)
		return;
	taken = bringing->sink.ops->send(&bringing->sink, bringing->frames + bringing->next,
					 &count);
	if (taken > 0) {
		assert_true((size_t)taken <= count);
		bringing->next += (size_t)taken;
	} else if (taken == -EBADMSG) {
		/* So that settled() counts as it does here. */
		bringing_settle(bringing);
		assert_true(bringing->settled == bringing->next);
		bringing->refused += count;
		bringing->next += count;
		bringing->settled = bringing->next;
		bringing->first += count;
	} else if (taken == -EAGAIN) {
		bringing->waits++;
		poll(NULL, 0, 10);
	} else {
		assert_true(taken < 0);
		bringing_fail(bringing, (int)taken);
	}
}

static void bringing_look(struct bringing *bringing)
{
	const struct sink_ops *ops = bringing->sink.ops;
	struct pollfd look = {.fd = ops->fd ? ops->fd(&bringing->sink) : -1, .events = POLLIN};
	int error;

	if (look.fd < 0 || poll(&look, 1, 0) <= 0)
		return;
	error = ops->lost(&bringing->sink, look.revents);
	if (error)
		bringing_fail(bringing, error);
}

void bringing_step(struct bringing *bringing)
{
	int error;

	if (!bringing->open) {
		error = bringing->sink.ops->open(&bringing->sink);
		if (error) {
			bringing_fail(bringing, error);
			return;
		}
		bringing->open = true;
		bringing->first = bringing->next = bringing->settled;
	}
	bringing_look(bringing);
	if (bringing->open)
		bringing_send(bringing);
	if (bringing->open)
		bringing_settle(bringing);
}

void bringing_send_all(struct bringing *bringing)
{
	while (bringing->next < bringing->count)
		bringing_step(bringing);
}

void bringing_settle_all(struct bringing *bringing)
{
	const struct sink_ops *ops = bringing->sink.ops;

	while (bringing->settled < bringing->count) {
		bringing_step(bringing);
		if (bringing->open && bringing->next == bringing->count &&
		    bringing->settled < bringing->count)
			sink_wait(&bringing->sink, ops->fd ? ops->fd(&bringing->sink) : -1, POLLIN,
				  ops->settles_in_ms ? (int)ops->settles_in_ms(&bringing->sink)
						     : 100);
	}
}

/* ---- what came ---- */

struct buffer *received_part(struct bringing_received *received)
{
	received->parts =
		realloc(received->parts, (received->count + 1) * sizeof(*received->parts));
	assert_non_null(received->parts);
	received->parts[received->count] = BUFFER_EMPTY;
	return &received->parts[received->count++];
}

void received_free(struct bringing_received *received)
{
	for (size_t i = 0; i < received->count; i++)
		buffer_free(&received->parts[i]);
	free(received->parts);
}

/* Returns how many frames are known from the start on. */
static size_t part_check(const struct buffer *part, const struct bringing *bringing,
			 const char *head, size_t known)
{
	size_t at = head ? strlen(head) : 0, number;

	if (head && part->length < at)
		at = part->length;
	if (head && at)
		assert_memory_equal(part->data, head, at);
	if (at == part->length)
		return known;
	number = strtoull(part->data + at, NULL, 10);
	assert_true(number <= known);
	for (; at < part->length; number++) {
		size_t left = part->length - at;

		assert_true(number < bringing->count);
		if (left < bringing->frames[number].size) {
			assert_memory_equal(part->data + at, bringing->frames[number].bytes, left);
			return known;
		}
		assert_memory_equal(part->data + at, bringing->frames[number].bytes,
				    bringing->frames[number].size);
		at += bringing->frames[number].size;
		if (number == known)
			known++;
	}
	return known;
}

void received_check(const struct bringing_received *received, const struct bringing *bringing,
		    const char *head)
{
	size_t known = 0;

	for (size_t i = 0; i < received->count; i++) {
		/* For strtoull(). */
		buffer_byte(&received->parts[i], '\0');
		received->parts[i].length--;
		known = part_check(&received->parts[i], bringing, head, known);
	}
	assert_int_equal(known, bringing->count);
}
