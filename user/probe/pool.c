/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "probe/netns.h"

/* The whole file as text, without the line end. */
static int file_read(const char *proc, const char *name, struct buffer *text)
{
	char path[PATH_MAX];
	int file, error = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", proc, name) >= sizeof(path))
		return -ENAMETOOLONG;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	for (;;) {
		ssize_t got;

		/* A list of every other port has 200 KB; the kernel writes no more. */
		if (text->length > 1 << 20) {
			error = -EFBIG;
			break;
		}
		if (!buffer_room(text, 65536)) {
			error = -ENOMEM;
			break;
		}
		got = read(file, text->data + text->length, 65536 - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			error = -errno;
		if (got <= 0)
			break;
		text->length += (size_t)got;
	}
	close(file);
	if (error)
		return error;
	while (text->length && text->data[text->length - 1] == '\n')
		text->length--;
	text->data[text->length] = '\0';
	return strlen(text->data) == text->length ? 0 : -EBADMSG;
}

static int range_parse(char *text, struct pool *pool)
{
	size_t space = strcspn(text, "\t ");
	char *second = text + space + strspn(text + space, "\t ");
	uint64_t low, high;

	if (!text[space])
		return -EBADMSG;
	text[space] = '\0';
	if (parse_unsigned(text, 0, 65535, &low) || parse_unsigned(second, low, 65535, &high))
		return -EBADMSG;
	pool->low = (uint16_t)low;
	pool->high = (uint16_t)high;
	return 0;
}

static int unprivileged_parse(char *text, struct pool *pool)
{
	uint64_t number;

	if (parse_unsigned(text, 0, 65535, &number))
		return -EBADMSG;
	pool->unprivileged = (uint16_t)number;
	return 0;
}

static int reserved_parse(char *text, struct pool *pool)
{
	const char *expected;

	if (!*text)
		return 0;
	return parse_ports(text, &pool->reserved, &expected) ? -EBADMSG : 0;
}

static int reuse_parse(char *text, struct pool *pool)
{
	uint64_t number;

	if (parse_unsigned(text, 0, 2, &number))
		return -EBADMSG;
	pool->reuse = (uint8_t)number;
	return 0;
}

static int reuse_delay_parse(char *text, struct pool *pool)
{
	uint64_t number;

	if (parse_unsigned(text, 0, UINT32_MAX, &number))
		return -EBADMSG;
	pool->reuse_delay = (uint32_t)number;
	return 0;
}

static int setting_read(struct pool *pool, const char *proc, const char *name,
			int (*parse)(char *text, struct pool *pool))
{
	struct buffer text = BUFFER_EMPTY;
	int error = file_read(proc, name, &text);

	if (!error)
		error = parse(text.data, pool);
	buffer_free(&text);
	return error;
}

void pool_read(struct pool *pool, const char *proc)
{
	memset(pool, 0, sizeof(*pool));
	pool->range_error = setting_read(pool, proc, POOL_RANGE, range_parse);
	pool->unprivileged_error = setting_read(pool, proc, POOL_UNPRIVILEGED, unprivileged_parse);
	pool->reserved_error = setting_read(pool, proc, POOL_RESERVED, reserved_parse);
	pool->reuse_error = setting_read(pool, proc, POOL_REUSE, reuse_parse);
	pool->reuse_delay = 1000;
	(void)setting_read(pool, proc, POOL_REUSE_DELAY, reuse_delay_parse);
}

static int pool_visit(void *context)
{
	pool_read(context, "/proc");
	return 0;
}

int pool_read_netns(struct pool *pool, const struct netns *netns)
{
	return netns_visit(netns, pool_visit, pool);
}
