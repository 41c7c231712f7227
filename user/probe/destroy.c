/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/destroy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "probe/netns.h"

struct watched {
	uint32_t netns;
	int fd;
};

struct destroy_watch {
	int epoll;
	size_t count;
	struct watched *list;
};

struct destroy_watch *destroy_watch_new(void)
{
	struct destroy_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll < 0) {
		free(watch);
		return NULL;
	}
	return watch;
}

void destroy_watch_free(struct destroy_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++)
		close(watch->list[i].fd);
	free(watch->list);
	close(watch->epoll);
	free(watch);
}

static int destroy_open(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = 1u << (SKNLGRP_INET_TCP_DESTROY - 1) |
			     1u << (SKNLGRP_INET_UDP_DESTROY - 1) |
			     1u << (SKNLGRP_INET6_TCP_DESTROY - 1) |
			     1u << (SKNLGRP_INET6_UDP_DESTROY - 1),
	};
	CLEANUP_FD int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return TAKE_FD(fd);
}

int destroy_watch_add(struct destroy_watch *watch, const struct netns *netns)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct watched *list;
	int fd;

	for (size_t i = 0; i < watch->count; i++)
		if (watch->list[i].netns == netns->inode)
			return 0;
	list = realloc(watch->list, (watch->count + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	watch->list = list;
	fd = netns->inode == netns_own() ? destroy_open() : netns_call(netns, destroy_open);
	if (fd < 0)
		return fd;
	event.data.fd = fd;
	if (epoll_ctl(watch->epoll, EPOLL_CTL_ADD, fd, &event)) {
		int error = -errno;

		close(fd);
		return error;
	}
	list[watch->count++] = (struct watched){.netns = netns->inode, .fd = fd};
	return 1;
}

int destroy_watch_fd(const struct destroy_watch *watch)
{
	return watch->epoll;
}

static bool message_wanted(const char *bytes, size_t length, const struct port_set *ports)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)bytes;

	for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
		const struct inet_diag_msg *message = NLMSG_DATA(header);

		if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		    header->nlmsg_len >= NLMSG_LENGTH(sizeof(*message)) &&
		    port_set_has(ports, ntohs(message->id.idiag_sport)))
			return true;
	}
	return false;
}

bool destroy_watch_read(struct destroy_watch *watch, const struct port_set *ports)
{
	char bytes[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool wanted = false;

	for (size_t i = 0; i < watch->count; i++) {
		for (;;) {
			ssize_t got = recv(watch->list[i].fd, bytes, sizeof(bytes), 0);

			if (got < 0 && errno == ENOBUFS)
				wanted = true;
			else if (got <= 0)
				break;
			else
				wanted |= message_wanted(bytes, (size_t)got, ports);
		}
	}
	return wanted;
}
