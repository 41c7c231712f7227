/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

/* A peer that is gone without a word is given up after a minute. */
#define KEEPALIVE_IDLE_S 30
#define KEEPALIVE_EVERY_S 10
#define KEEPALIVE_TRIES 3
#define UNANSWERED_MS 60000u

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

/* ---- names ---- */

static bool host_is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

#ifdef PORTSNOOP_STATIC

/* libc's getaddrinfo() would load modules of another libc: see lib/static_passwd.c. */
#define ADDRESSES_MOST 1

int dial_prepare(struct sink *sink, const char *host)
{
	return host_is_address(host)
		       ? 0
		       : sink_fail(sink, -EOPNOTSUPP,
				   "this program, which is linked statically, takes an address "
				   "in place of the name '%s'",
				   host);
}

static int addresses_find(struct sink *sink, const char *host, const char *port, int type,
			  union address addresses[ADDRESSES_MOST])
{
	union address *address = &addresses[0];
	uint64_t number;

	(void)type;
	if (parse_unsigned(port, 1, UINT16_MAX, &number))
		return sink_fail(sink, -EINVAL, "port '%s' is none", port);
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &address->in.sin_addr) == 1) {
		address->in.sin_family = AF_INET;
		address->in.sin_port = htons((uint16_t)number);
	} else if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1) {
		address->in6.sin6_family = AF_INET6;
		address->in6.sin6_port = htons((uint16_t)number);
	} else {
		return sink_fail(sink, -EINVAL, "'%s' is no address", host);
	}
	return 1;
}

#else

#define ADDRESSES_MOST 16

int dial_prepare(struct sink *sink, const char *host)
{
	struct addrinfo *found = NULL;

	(void)sink;
	if (!host_is_address(host) && !getaddrinfo(host, NULL, NULL, &found))
		freeaddrinfo(found);
	return 0;
}

/* How many, or negative errno. */
static int addresses_find(struct sink *sink, const char *host, const char *port, int type,
			  union address addresses[ADDRESSES_MOST])
{
	const struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	int error = getaddrinfo(host, port, &hints, &found), count = 0;

	if (error)
		return sink_fail(sink, error == EAI_SYSTEM ? -errno : -EHOSTUNREACH,
				 "no address of '%s' is found: %s", host,
				 error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
	for (const struct addrinfo *one = found; one && count < ADDRESSES_MOST; one = one->ai_next)
		if (one->ai_addrlen <= sizeof(addresses[count]))
			memcpy(&addresses[count++], one->ai_addr, one->ai_addrlen);
	freeaddrinfo(found);
	return count ? count : sink_fail(sink, -EHOSTUNREACH, "'%s' has no address", host);
}

#endif

/* ---- by address ---- */

static socklen_t address_size(const union address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->in) : sizeof(address->in6);
}

/* One end is the other: TCP allows that, and a port that nobody listens on is met so by
 * those who try often enough. */
static bool met_itself(int fd)
{
	union address own = {0}, peer = {0};
	socklen_t own_size = sizeof(own), peer_size = sizeof(peer);

	return !getsockname(fd, &own.any, &own_size) && !getpeername(fd, &peer.any, &peer_size) &&
	       own_size == peer_size && !memcmp(&own, &peer, own_size);
}

static int connect_await(struct sink *sink, int fd)
{
	socklen_t size = sizeof(int);
	int error = 0, woken = sink_wait(sink, fd, POLLOUT, SINK_PATIENCE_MS);

	if (woken <= 0)
		return woken ? woken : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

static void tcp_tune(int fd)
{
	const int on = 1, idle = KEEPALIVE_IDLE_S, every = KEEPALIVE_EVERY_S,
		  tries = KEEPALIVE_TRIES;
	const unsigned int unanswered = UNANSWERED_MS;

	/* It works without as well. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof(tries));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof(unanswered));
}

/* The socket, or negative errno. */
static int address_connect(struct sink *sink, const union address *address, int type)
{
	CLEANUP_FD int fd = socket(address->any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		tcp_tune(fd);
	if (connect(fd, &address->any, address_size(address)))
		error = errno == EINPROGRESS ? connect_await(sink, fd) : -errno;
	if (!error && type == SOCK_STREAM && met_itself(fd))
		error = -ECONNREFUSED;
	return error ? error : TAKE_FD(fd);
}

int dial_host(struct sink *sink, struct connection *connection, const char *host, const char *port,
	      enum connection_kind kind)
{
	const int type = kind == CONNECTION_TCP ? SOCK_STREAM : SOCK_DGRAM;
	union address addresses[ADDRESSES_MOST];
	int count = addresses_find(sink, host, port, type, addresses), fd = -ECONNREFUSED;

	if (count < 0)
		return count;
	for (int i = 0; i < count; i++) {
		fd = address_connect(sink, &addresses[i], type);
		if (fd >= 0 || fd == -EINTR)
			break;
	}
	if (fd >= 0)
		fd = connection_begin(connection, fd, kind, kind == CONNECTION_UDP);
	return fd ? sink_fail(sink, fd, "%s", strerror(-fd)) : 0;
}

/* ---- by path ---- */

static int path_connect(const struct sockaddr_un *address, int type)
{
	CLEANUP_FD int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	return TAKE_FD(fd);
}

int dial_path(struct sink *sink, struct connection *connection, const char *path, int first)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int second = first == SOCK_STREAM ? SOCK_DGRAM : SOCK_STREAM;
	struct stat status = {0};
	int fd, type = first;

	if (strlen(path) >= sizeof(address.sun_path))
		return sink_fail(sink, -ENAMETOOLONG, "the path of a socket has %zu bytes at most",
				 sizeof(address.sun_path) - 1);
	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	/* Before it connects: one that comes later is another one. */
	if (stat(path, &status))
		return sink_fail(sink, -errno, "%s", strerror(errno));
	fd = path_connect(&address, type);
	if (fd == -EPROTOTYPE) {
		type = second;
		fd = path_connect(&address, type);
	}
	if (fd >= 0)
		fd = connection_begin(connection, fd, CONNECTION_UNIX, type == SOCK_DGRAM);
	if (fd)
		return sink_fail(sink, fd, "%s",
				 fd == -EPROTOTYPE ? "neither a stream nor a datagram socket"
				 : fd == -EAGAIN   ? "its queue of connections is full"
						   : strerror(-fd));
	if (connection->datagrams) {
		connection->path = path;
		connection->receiver = status;
	}
	return 0;
}
