/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/iterate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"

/* The kernel gives at most its own buffer, eight pages, at a time. */
#define READ_SIZE 65536

ssize_t program_iterate(const struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	ssize_t length, total = 0;
	char bytes[4096];
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0) {
		total = -errno;
	} else {
		while ((length = read(fd, bytes, sizeof(bytes)))) {
			if (length > 0) {
				total += length;
			} else if (errno != EINTR && errno != EAGAIN) {
				total = -errno;
				break;
			}
		}
		close(fd);
	}
	bpf_link__destroy(link);
	return total;
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

struct bpf_object *object_load_quietly(const void *bytes, size_t size)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "portsnoop");
	libbpf_print_fn_t print = libbpf_set_print(print_nothing);
	struct bpf_object *object = bpf_object__open_mem(bytes, size, &options);

	if (object && bpf_object__load(object)) {
		int saved = errno;

		bpf_object__close(object);
		object = NULL;
		errno = saved;
	}
	libbpf_set_print(print);
	return object;
}

struct bpf_link *iterator_attach(const struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__attach_iter(program, NULL) : NULL;
}

int iterator_read(const struct bpf_link *iterator, void **bytes, size_t *length)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	CLEANUP_FD int fd = bpf_iter_create(bpf_link__fd(iterator));
	ssize_t got;

	if (fd < 0)
		return -errno;
	do {
		if (!buffer_room(&text, READ_SIZE))
			return -ENOMEM;
		got = read(fd, text.data + text.length, READ_SIZE);
		if (got > 0)
			text.length += (size_t)got;
		/* EAGAIN: a million files were none of ours, and the kernel took a breath. */
	} while (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)));
	if (got < 0)
		return -errno;
	*length = text.length;
	*bytes = TAKE_POINTER(text.data);
	return 0;
}
