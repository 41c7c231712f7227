/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of datagram sockets. */
#include "factory.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum way { BY_SENDTO, BY_SENDMSG, BY_SENDMMSG };

static long send_by(enum way way, const struct sock *sock, struct address *to, const void *data,
		    size_t size)
{
	struct iovec piece = {(void *)data, size};
	struct mmsghdr message = {
		.msg_hdr = {.msg_name = &to->any,
			    .msg_namelen = to->length,
			    .msg_iov = &piece,
			    .msg_iovlen = 1},
	};

	switch (way) {
	case BY_SENDTO:
		return sendto(sock->fd, data, size, 0, &to->any, to->length);
	case BY_SENDMSG:
		return sendmsg(sock->fd, &message.msg_hdr, 0);
	case BY_SENDMMSG:
		return sendmmsg(sock->fd, &message, 1, 0);
	}
	return -1;
}

/* A send that makes the kernel choose a port. `error` is the send's errno; where
 * the port was there before the send failed, the claim is good all the same. */
static void sock_send(struct sock *sock, enum way way, struct address to, int error)
{
	/* An echo request: what a ping socket takes, and as good as any to the others. */
	uint8_t data[16] = {sock->stage->family == AF_INET6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
	long result = send_by(way, sock, &to, data, sizeof(data));
	int failure = result < 0 ? errno : 0;
	struct address name = sock_name(sock);
	struct call call = {
		.call = "send",
		.claimed = true,
		.origin = "kernel",
		.remote = &to,
	};

	if (failure != error)
		situation_fail("send: %s, expected %s", strerror(failure), strerror(error));
	if (sock->leased)
		return; /* no claim, and a send alone is no event */
	if (error == EAGAIN) {
		call.error = EAGAIN;
	} else {
		call.local = &name;
		sock->port = address_port(&name);
		sock->leased = true;
		sock->claimant = getpid();
		if (!sock->port)
			situation_fail("no port after a send");
	}
	report_call(sock->stage, &call);
}

static void send_once(const struct stage *stage, enum way way)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_send(&sock, way, where, 0);
	sock_send(&sock, way, where, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_sendto(const struct stage *stage)
{
	send_once(stage, BY_SENDTO);
}

static void run_sendmsg(const struct stage *stage)
{
	send_once(stage, BY_SENDMSG);
}

static void run_sendmmsg(const struct stage *stage)
{
	send_once(stage, BY_SENDMMSG);
}

/* Has nowhere to go, but takes its port before it notices. */
static void run_write(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address name;
	struct call call = {
		.call = "send",
		.claimed = true,
		.origin = "kernel",
		.local = &name,
	};

	if (write(sock.fd, "x", 1) == 1 || errno != EDESTADDRREQ)
		situation_fail("write: %s, expected EDESTADDRREQ", strerror(errno));
	name = sock_name(&sock);
	sock.port = address_port(&name);
	sock.leased = sock.port != 0;
	if (!sock.leased)
		situation_fail("no port after a write");
	report_call(stage, &call);
	sock_close(&sock);
}

static void run_send_bound(const struct stage *stage)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_send(&sock, BY_SENDTO, where, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_send_unreachable(const struct stage *stage)
{
	struct sock sock;

	netns_enter();
	sock = sock_open(stage);
	sock_send(&sock, BY_SENDTO, address_outside(stage->family, 7777), ENETUNREACH);
	sock_close(&sock);
}

static void run_send_exhausted(const struct stage *stage)
{
	struct address where;
	struct sock receiver, socks[3];

	netns_enter();
	receiver = listener_open(stage, &where);
	netns_range(40000, 40001);
	for (int i = 0; i < 3; i++) {
		socks[i] = sock_open(stage);
		sock_send(&socks[i], BY_SENDTO, where, i == 2 ? EAGAIN : 0);
	}
	for (int i = 0; i < 3; i++)
		sock_close(&socks[i]);
	sock_close(&receiver);
}

static void run_connect(const struct stage *stage)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, NULL, 0);
	must(send(sock.fd, "x", 1, 0), "send"); /* has a port: no claim, no event */
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_reconnect(const struct stage *stage)
{
	struct address where, other;
	struct sock receiver = listener_open(stage, &where), second = listener_open(stage, &other);
	struct sock sock = sock_open(stage);

	sock_connect(&sock, where, NULL, 0);
	sock_connect(&sock, other, NULL, 0);
	sock_close(&sock);
	sock_close(&second);
	sock_close(&receiver);
}

/* The second lease of one socket. */
static void run_disconnect(const struct stage *stage)
{
	struct address where, none = address_none();
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	for (int i = 0; i < 2; i++) {
		sock_connect(&sock, where, NULL, 0);
		must(connect(sock.fd, &none.any, none.length), "connect(AF_UNSPEC)");
		report_release(stage, &sock);
		sock.leased = false;
	}
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_disconnect_bound(const struct stage *stage)
{
	struct address where, none = address_none();
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, NULL, 0);
	must(connect(sock.fd, &none.any, none.length), "connect(AF_UNSPEC)");
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_connect_bound(const struct stage *stage)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, NULL, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

static void run_no_port(const struct stage *stage)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_set(&sock, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, NULL, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

/* An IPv6 socket takes an address of IPv4 as it is. */
static void run_connect_v4(const struct stage *stage)
{
	struct stage v4 = {stage->situation, AF_INET, SOCK_DGRAM, IPPROTO_UDP};
	struct address where, mapped, name;
	struct sock receiver = listener_open(&v4, &where), sock = sock_open(stage);
	struct call call = {
		.call = "connect",
		.claimed = true,
		.origin = "kernel",
		.remote = &mapped,
		.local = &name,
	};

	must(connect(sock.fd, &where.any, where.length), "connect");
	mapped = address_mapped("127.0.0.1", address_port(&where));
	name = sock_name(&sock);
	sock.port = address_port(&name);
	sock.leased = sock.mapped = true;
	report_call(stage, &call);
	sock_close(&sock);
	sock_close(&receiver);
}

/* No message, no claim: how a program asks whether the kernel has the call. */
static void run_sendmmsg_nothing(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	must(sendmmsg(sock.fd, NULL, 0, 0), "sendmmsg");
	close(sock.fd);
}

/* ---- UDP-Lite: gone in the newest kernels ---- */

static void run_udplite(const struct stage *stage)
{
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, NULL, 0);
	sock_close(&sock);
	sock = sock_open(stage);
	sock_send(&sock, BY_SENDTO, where, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

/* ---- ping sockets: the identifier of an echo request is their port ---- */

static void ping_allow(void)
{
	netns_enter();
	netns_sysctl("ipv4/ping_group_range", "0 65535");
}

static void run_ping_bind(const struct stage *stage)
{
	struct sock sock;

	ping_allow();
	sock = sock_open(stage);
	sock_bind(&sock, address_loopback(stage->family, 4242), 0);
	sock_close(&sock);
	sock = sock_open(stage);
	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_close(&sock);
}

static void run_ping_connect(const struct stage *stage)
{
	struct sock sock;

	ping_allow();
	sock = sock_open(stage);
	sock_connect(&sock, address_loopback(stage->family, 0), NULL, 0);
	sock_close(&sock);
}

static void run_ping_send(const struct stage *stage)
{
	struct sock sock;

	ping_allow();
	sock = sock_open(stage);
	sock_send(&sock, BY_SENDTO, address_loopback(stage->family, 0), 0);
	sock_close(&sock);
}

/* ---- raw sockets have a protocol where others have a port: never a claim ---- */

static void run_raw(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address here = address_loopback(stage->family, 0);

	must(bind(sock.fd, &here.any, here.length), "bind");
	must(connect(sock.fd, &here.any, here.length), "connect");
	must(send(sock.fd, "portsnoop", 9, 0), "send");
	close(sock.fd);
	sock = sock_open(stage);
	must(sendto(sock.fd, "portsnoop", 9, 0, &here.any, here.length), "sendto");
	close(sock.fd);
	sock = sock_open_as(stage, AF_UNIX, SOCK_STREAM, 0);
	here = (struct address){.length = sizeof(sa_family_t)};
	here.any.sa_family = AF_UNIX;
	must(bind(sock.fd, &here.any, here.length), "bind(AF_UNIX)"); /* has no port either */
	must(listen(sock.fd, 1), "listen(AF_UNIX)");
	close(sock.fd);
}

const struct situation udp_situations[] = {
	ON_UDP("connect", run_connect, 0),
	ON_UDP("connect-again", run_reconnect, 0),
	ON_UDP("connect-bound", run_connect_bound, 0),
	ON_UDP("connect-no-port", run_no_port, 0),
	ON_UDP("disconnect", run_disconnect, 0),
	ON_UDP("disconnect-bound", run_disconnect_bound, 0),
	ON_UDP("sendto", run_sendto, 0),
	ON_UDP("sendmsg", run_sendmsg, 0),
	ON_UDP("sendmmsg", run_sendmmsg, 0),
	ON_UDP("sendmmsg-nothing", run_sendmmsg_nothing, 0),
	SITUATION("connect-ipv4/udp6", run_connect_v4, AF_INET6, SOCK_DGRAM, IPPROTO_UDP, 0),
	ON_UDP("write", run_write, 0),
	ON_UDP("send-bound", run_send_bound, 0),
	ON_UDP("send-unreachable", run_send_unreachable, NEED_ROOT),
	ON_UDP("send-exhausted", run_send_exhausted, NEED_ROOT),
	SITUATION("udplite/4", run_udplite, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, 0),
	SITUATION("udplite/6", run_udplite, AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE, 0),
	SITUATION("ping-bind/4", run_ping_bind, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, NEED_ROOT),
	SITUATION("ping-bind/6", run_ping_bind, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, NEED_ROOT),
	SITUATION("ping-connect/4", run_ping_connect, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, NEED_ROOT),
	SITUATION("ping-connect/6", run_ping_connect, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6,
		  NEED_ROOT),
	SITUATION("ping-send/4", run_ping_send, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, NEED_ROOT),
	SITUATION("ping-send/6", run_ping_send, AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, NEED_ROOT),
	SITUATION("raw/4", run_raw, AF_INET, SOCK_RAW, 253, NEED_ROOT),
	SITUATION("raw/6", run_raw, AF_INET6, SOCK_RAW, 253, NEED_ROOT),
	{.name = NULL},
};
