/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/iterate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

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
