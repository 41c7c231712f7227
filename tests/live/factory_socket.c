/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "factory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct address address_make(int family, const char *ip, uint16_t port)
{
	struct address address = {.length = 0};
	int ok;

	if (family == AF_INET6) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(port);
		address.length = sizeof(address.v6);
		ok = inet_pton(AF_INET6, ip, &address.v6.sin6_addr);
	} else {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(port);
		address.length = sizeof(address.v4);
		ok = inet_pton(AF_INET, ip, &address.v4.sin_addr);
	}
	if (ok != 1)
		situation_fail("not an address: %s", ip);
	return address;
}

struct address address_any(int family, uint16_t port)
{
	return address_make(family, family == AF_INET6 ? "::" : "0.0.0.0", port);
}

struct address address_loopback(int family, uint16_t port)
{
	return address_make(family, family == AF_INET6 ? "::1" : "127.0.0.1", port);
}

struct address address_outside(int family, uint16_t port)
{
	return address_make(family, family == AF_INET6 ? "2001:db8::1" : "192.0.2.1", port);
}

struct address address_mapped(const char *ip, uint16_t port)
{
	char mapped[64] = "::ffff:";

	strncat(mapped, ip, sizeof(mapped) - strlen(mapped) - 1);
	return address_make(AF_INET6, mapped, port);
}

struct address address_none(void)
{
	struct address address = {.length = sizeof(struct sockaddr_in)};

	address.any.sa_family = AF_UNSPEC;
	return address;
}

uint16_t address_port(const struct address *address)
{
	/* sin_port and sin6_port stand at the same place. */
	return ntohs(address->v4.sin_port);
}

struct sock sock_adopt(const struct stage *stage, int fd)
{
	struct sock sock = {.stage = stage, .fd = fd, .claimant = getpid()};

	sock.family = sock_name(&sock).any.sa_family;
	return sock;
}

struct sock sock_open_as(const struct stage *stage, int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);

	if (fd < 0 && (errno_is_missing(errno) || errno == EPERM || errno == EACCES))
		situation_skip("socket(%d, %d, %d): %s", family, type, protocol, strerror(errno));
	return sock_adopt(stage, must(fd, "socket"));
}

struct sock sock_open(const struct stage *stage)
{
	return sock_open_as(stage, stage->family, stage->type, stage->protocol);
}

void sock_set(const struct sock *sock, int level, int option, int value)
{
	if (setsockopt(sock->fd, level, option, &value, sizeof(value)) == 0)
		return;
	if (errno_is_missing(errno) || errno == EPERM)
		situation_skip("setsockopt(%d, %d): %s", level, option, strerror(errno));
	must(-1, "setsockopt");
}

void sock_nonblock(const struct sock *sock)
{
	must(fcntl(sock->fd, F_SETFL, O_NONBLOCK), "fcntl");
}

struct address sock_name(const struct sock *sock)
{
	struct address name = {.length = sizeof(name.room)};

	must(getsockname(sock->fd, &name.any, &name.length), "getsockname");
	return name;
}

static bool is_mapped(const struct address *address)
{
	return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);
}

static void expect(const char *call, int result, int failure, int error)
{
	if (result == 0 && error == 0)
		return;
	if (result < 0 && failure == error)
		return;
	if (result == 0)
		situation_fail("%s succeeded, expected %s", call, strerror(error));
	situation_fail("%s: %s, expected %s", call, strerror(failure),
		       error ? strerror(error) : "success");
}

static void sock_lease(struct sock *sock, const struct address *name)
{
	sock->port = address_port(name);
	sock->leased = sock->port != 0;
	sock->claimant = getpid();
}

void sock_bind(struct sock *sock, struct address address, int error)
{
	int result = bind(sock->fd, &address.any, address.length);
	int failure = errno;
	struct address name = sock_name(sock);
	struct call call = {
		.call = "bind",
		.family = name.any.sa_family,
		.claimed = !sock->leased,
		.requested = &address,
		.error = error,
	};

	sock->mapped = is_mapped(&address);
	expect("bind", result, failure, error);
	if (!sock->leased) {
		call.origin = address_port(&address) ? "requested" : "kernel";
		if (error == 0) {
			call.local = &name;
			sock_lease(sock, &name);
		}
	}
	if (error == 0 && !sock->leased) {
		/* IP_BIND_ADDRESS_NO_PORT: the claim comes with the connect. */
		call.claimed = false;
		call.origin = NULL;
		call.local = NULL;
	}
	report_call(sock->stage, &call);
}

void sock_listen(struct sock *sock, int error)
{
	int result = listen(sock->fd, 8);
	int failure = errno;
	struct address name = sock_name(sock);
	struct call call = {
		.call = "listen",
		.family = name.any.sa_family,
		.claimed = !sock->leased,
		.error = error,
	};

	expect("listen", result, failure, error);
	if (error == 0)
		call.local = &name;
	if (!sock->leased) {
		call.origin = "kernel";
		if (error == 0)
			sock_lease(sock, &name);
	}
	/* Again on a listening socket it changes the queue's length: no use of a port. */
	if (!sock->listening || error)
		report_call(sock->stage, &call);
	sock->listening |= !error;
}

/* Did a connect that ended so get as far as asking for a port? */
static bool connect_claims(const struct sock *sock, const char *outcome, int error)
{
	if (sock->leased)
		return false;
	if (outcome || error == 0 || error == EADDRNOTAVAIL)
		return true;
	/* UDP takes its port before it looks for a route, and keeps it. */
	return sock->stage->type == SOCK_DGRAM;
}

void sock_connect(struct sock *sock, struct address remote, const char *outcome, int error)
{
	bool was_leased = sock->leased;
	int result = connect(sock->fd, &remote.any, remote.length);
	int failure = errno;
	struct address name = sock_name(sock);
	bool over = outcome && error && error != EINPROGRESS;
	struct call call = {
		.call = "connect",
		.family = name.any.sa_family,
		.claimed = connect_claims(sock, outcome, error),
		.remote = &remote,
		.outcome = outcome,
		.error = outcome ? 0 : error,
	};

	sock->mapped = is_mapped(&remote);
	expect("connect", result, failure, error);
	if (call.claimed)
		call.origin = "kernel";
	if (call.claimed && error != EADDRNOTAVAIL && error != EAGAIN)
		sock_lease(sock, &name);
	/* A connect that is over has lost its source address again, and a
	 * datagram socket without a route never had one. */
	if (!sock->leased)
		;
	else if (over || error == ENETUNREACH || error == EHOSTUNREACH)
		call.local_port = sock->port;
	else
		call.local = &name;
	report_call(sock->stage, &call);
	if (over && !was_leased) {
		report_release(sock->stage, sock);
		sock->leased = false;
	}
}

void sock_close(struct sock *sock)
{
	struct linger linger = {.l_onoff = 1};

	/* With a reset a connection's port comes back at once. */
	if (sock->stage->type == SOCK_STREAM)
		setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(sock->fd);
	if (sock->leased)
		report_release(sock->stage, sock);
	sock->leased = false;
	sock->fd = -1;
}

void sock_close_quietly(struct sock *sock)
{
	close(sock->fd);
	if (sock->leased)
		report_release_sometime(sock->stage, sock);
	sock->leased = false;
	sock->fd = -1;
}

struct sock listener_open(const struct stage *stage, struct address *where)
{
	struct sock listener = sock_open(stage);

	sock_bind(&listener, address_loopback(listener.family, 0), 0);
	if (stage->type == SOCK_STREAM)
		sock_listen(&listener, 0);
	*where = sock_name(&listener);
	return listener;
}

struct address refusing_address(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address where;

	sock_bind(&sock, address_loopback(sock.family, 0), 0);
	where = sock_name(&sock);
	sock_close(&sock);
	return where;
}

int sock_accept(const struct sock *listener)
{
	return must(accept(listener->fd, NULL, NULL), "accept");
}
