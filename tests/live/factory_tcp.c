/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of TCP: connects and how they end, listening, Fast Open. */
#include "factory.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

/* Everything on loopback takes milliseconds; who waits longer waits for nothing. */
#define PATIENCE_MS 5000

static void wait_for(int fd, short events)
{
	struct pollfd wanted = {.fd = fd, .events = events};

	if (must(poll(&wanted, 1, PATIENCE_MS), "poll") == 0)
		situation_fail("nothing happened on a socket for %d ms", PATIENCE_MS);
}

static int sock_error(const struct sock *sock)
{
	int error = 0;
	socklen_t length = sizeof(error);

	must(getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &length), "SO_ERROR");
	return error;
}

/* Where a SYN gets no answer: a listener whose queue is full. */
struct silence {
	struct sock listener, filler;
	struct address where;
};

static struct silence silence_open(const struct stage *stage)
{
	struct silence silence = {.listener = listener_open(stage, &silence.where)};

	/* A queue of no length has room for one. */
	must(listen(silence.listener.fd, 0), "listen");
	silence.filler = sock_open(stage);
	sock_connect(&silence.filler, silence.where, "established", 0);
	/* The filler is told before its acknowledgement has filled the queue. */
	wait_for(silence.listener.fd, POLLIN);
	return silence;
}

static void silence_close(struct silence *silence)
{
	sock_close(&silence->filler);
	sock_close(&silence->listener);
}

static void run_connect(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, "established", 0);
	sock_close(&sock);
	sock_close(&listener);
}

static void run_accept(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);
	int share;

	sock_connect(&sock, where, "established", 0);
	share = sock_accept(&listener);
	sock_close(&sock);
	close(share);
	sock_close(&listener);
}

static void run_nonblocking(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_nonblock(&sock);
	sock_connect(&sock, where, "established", EINPROGRESS);
	wait_for(sock.fd, POLLOUT);
	sock_close(&sock);
	sock_close(&listener);
}

static void run_nonblocking_refused(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_nonblock(&sock);
	sock_connect(&sock, refusing_address(stage), "refused", EINPROGRESS);
	wait_for(sock.fd, POLLOUT);
	if (sock_error(&sock) != ECONNREFUSED)
		situation_fail("not refused");
	/* The reset took the port back when it came. */
	sock_close(&sock);
}

static void run_refused(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_connect(&sock, refusing_address(stage), "refused", ECONNREFUSED);
	sock_close(&sock);
}

/* The second lease of one socket. */
static void run_refused_again(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address where = refusing_address(stage);

	sock_connect(&sock, where, "refused", ECONNREFUSED);
	sock_connect(&sock, where, "refused", ECONNREFUSED);
	sock_close(&sock);
}

static void run_bound(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, "established", 0);
	sock_close(&sock);
	sock_close(&listener);
}

static void run_bound_refused(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, refusing_address(stage), "refused", ECONNREFUSED);
	sock_close(&sock); /* the bound port is given back now, not before */
}

static void run_no_port(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_set(&sock, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, "established", 0);
	sock_close(&sock);
	sock_close(&listener);
}

static void run_timeout(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	struct sock sock = sock_open(stage);

	sock_set(&sock, SOL_TCP, TCP_SYNCNT, 1);
	sock_set(&sock, SOL_TCP, TCP_USER_TIMEOUT, 1000);
	sock_connect(&sock, silence.where, "timeout", ETIMEDOUT);
	sock_close(&sock);
	silence_close(&silence);
}

/* Four ways to give up before an answer came. */
static struct sock hanging_open(const struct stage *stage, const struct silence *silence)
{
	struct sock sock = sock_open(stage);

	sock_nonblock(&sock);
	sock_connect(&sock, silence->where, "closed", EINPROGRESS);
	return sock;
}

static void run_close_early(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	struct sock sock = hanging_open(stage, &silence);

	close(sock.fd);
	report_release(stage, &sock);
	silence_close(&silence);
}

static void run_reset_early(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	struct sock sock = hanging_open(stage, &silence);

	sock_close(&sock);
	silence_close(&silence);
}

static void run_disconnect_early(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	struct sock sock = hanging_open(stage, &silence);
	struct address none = address_none();

	must(connect(sock.fd, &none.any, none.length), "connect(AF_UNSPEC)");
	report_release(stage, &sock);
	sock.leased = false;
	sock_close(&sock);
	silence_close(&silence);
}

static void exit_early(void *context)
{
	const struct silence *silence = context;
	struct sock sock = hanging_open(silence->listener.stage, silence);

	report_release(sock.stage, &sock);
	raise(SIGKILL);
}

static void run_killed_early(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	int status;

	must(waitpid(child_start(exit_early, &silence), &status, 0), "waitpid");
	if (!WIFSIGNALED(status))
		situation_fail("the child was not killed");
	silence_close(&silence);
}

/* A connect asked again: once while it is under way, once when it is done. */
static void report_again(struct sock *sock, struct address where, int error)
{
	struct call call = {
		.call = "connect",
		.remote = &where,
		.error = error,
	};

	if ((connect(sock->fd, &where.any, where.length) ? errno : 0) != error)
		situation_fail("connect: %s, expected %s", strerror(errno), strerror(error));
	if (error) /* success is the same connect's, whose outcome has been told */
		report_call(sock->stage, &call);
}

static void run_poll(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_nonblock(&sock);
	sock_connect(&sock, where, "established", EINPROGRESS);
	wait_for(sock.fd, POLLOUT);
	report_again(&sock, where, 0);
	report_again(&sock, where, EISCONN);
	sock_close(&sock);
	sock_close(&listener);
}

static void run_already(const struct stage *stage)
{
	struct silence silence = silence_open(stage);
	struct sock sock = hanging_open(stage, &silence);

	report_again(&sock, silence.where, EALREADY);
	sock_close(&sock);
	silence_close(&silence);
}

static void run_is_connected(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, "established", 0);
	report_again(&sock, where, EISCONN);
	sock_close(&sock);
	sock_close(&listener);
}

/* connect(AF_UNSPEC) gives back what connect took, and the socket starts over. */
static void run_disconnect(const struct stage *stage)
{
	struct address where, none = address_none();
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	for (int i = 0; i < 2; i++) {
		sock_connect(&sock, where, "established", 0);
		must(connect(sock.fd, &none.any, none.length), "connect(AF_UNSPEC)");
		report_release(stage, &sock);
		sock.leased = false;
	}
	sock_close(&sock);
	sock_close(&listener);
}

/* Disconnect keeps the port that bind() fixed. */
static void run_disconnect_bound(const struct stage *stage)
{
	struct address where, none = address_none();
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, where, "established", 0);
	must(connect(sock.fd, &none.any, none.length), "connect(AF_UNSPEC)");
	sock_close(&sock);
	sock_close(&listener);
}

static void run_self(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_connect(&sock, sock_name(&sock), "established", 0);
	sock_close(&sock);
}

static void run_time_wait(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);
	char rest;
	int share;

	sock_connect(&sock, where, "established", 0);
	share = sock_accept(&listener);
	shutdown(sock.fd, SHUT_WR);
	must(read(share, &rest, 1), "read");
	close(share);
	must(read(sock.fd, &rest, 1), "read");
	/* Up to a minute in TIME_WAIT: longer than anybody here waits. */
	sock_close_quietly(&sock);
	sock_close(&listener);
}

static void run_listen_unbound(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_listen(&sock, 0);
	sock_close(&sock);
}

static void run_listen_bound(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_listen(&sock, 0);
	sock_listen(&sock, 0); /* changes the backlog only */
	sock_close(&sock);
}

static void run_listen_exhausted(const struct stage *stage)
{
	struct sock first, second;

	netns_enter();
	netns_range(40000, 40000);
	first = sock_open(stage);
	second = sock_open(stage);
	sock_listen(&first, 0);
	sock_listen(&second, EADDRINUSE);
	sock_close(&second);
	sock_close(&first);
}

/* ---- Fast Open ---- */

static struct sock fastopen_listener(const struct stage *stage, struct address *where)
{
	struct sock listener;

	netns_enter();
	netns_sysctl("ipv4/tcp_fastopen", "3");
	listener = sock_open(stage);
	sock_bind(&listener, address_loopback(stage->family, 0), 0);
	sock_set(&listener, SOL_TCP, TCP_FASTOPEN, 8);
	sock_listen(&listener, 0);
	*where = sock_name(&listener);
	return listener;
}

static void fastopen_send(const struct stage *stage, struct address where)
{
	struct sock sock = sock_open(stage);
	struct address name;
	struct call call = {
		.call = "send",
		.claimed = true,
		.origin = "kernel",
		.outcome = "established",
		.remote = &where,
		.local = &name,
	};

	must(sendto(sock.fd, "x", 1, MSG_FASTOPEN, &where.any, where.length),
	     "sendto(MSG_FASTOPEN)");
	name = sock_name(&sock);
	sock.port = address_port(&name);
	sock.leased = true;
	report_call(stage, &call);
	sock_close(&sock);
}

static void run_fastopen_send(const struct stage *stage)
{
	struct address where;
	struct sock listener = fastopen_listener(stage, &where);

	fastopen_send(stage, where); /* asks for the cookie */
	fastopen_send(stage, where); /* has it */
	sock_close(&listener);
}

static void run_fastopen_connect(const struct stage *stage)
{
	struct address where;
	struct sock listener = fastopen_listener(stage, &where);

	/* The second time the SYN waits for the data, yet connect() takes the port. */
	for (int i = 0; i < 2; i++) {
		struct sock sock = sock_open(stage);

		sock_set(&sock, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
		sock_connect(&sock, where, "established", 0);
		must(send(sock.fd, "x", 1, 0), "send");
		wait_for(sock.fd, POLLOUT);
		sock_close(&sock);
	}
	sock_close(&listener);
}

/* ---- IPv6 sockets that speak IPv4 ---- */

static void run_mapped(const struct stage *stage)
{
	struct stage v4 = {stage->situation, AF_INET, SOCK_STREAM, IPPROTO_TCP};
	struct address where;
	struct sock listener = listener_open(&v4, &where), sock = sock_open(stage);

	sock_connect(&sock, address_mapped("127.0.0.1", address_port(&where)), "established", 0);
	sock_close(&sock);
	sock_close(&listener);
}

/* Nobody is at the wildcard address: the kernel takes it for loopback. */
static void run_wildcard(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);
	struct call call = {
		.call = "connect",
		.claimed = true,
		.origin = "kernel",
		.outcome = "established",
		.remote = &where,
	};
	struct address wildcard = address_any(stage->family, address_port(&where)), name;

	must(connect(sock.fd, &wildcard.any, wildcard.length), "connect");
	name = sock_name(&sock);
	call.local = &name;
	sock.port = address_port(&name);
	sock.leased = true;
	report_call(stage, &call);
	sock_close(&sock);
	sock_close(&listener);
}

const struct situation tcp_situations[] = {
	ON_TCP("connect", run_connect, 0),
	ON_TCP("connect-accepted", run_accept, 0),
	ON_TCP("connect-nonblocking", run_nonblocking, 0),
	ON_TCP("connect-nonblocking-refused", run_nonblocking_refused, 0),
	ON_TCP("connect-refused", run_refused, 0),
	ON_TCP("connect-refused-again", run_refused_again, 0),
	ON_TCP("connect-bound", run_bound, 0),
	ON_TCP("connect-bound-refused", run_bound_refused, 0),
	ON_TCP("connect-no-port", run_no_port, 0),
	ON_TCP("connect-timeout", run_timeout, 0),
	ON_TCP("connect-closed-early", run_close_early, 0),
	ON_TCP("connect-reset-early", run_reset_early, 0),
	ON_TCP("connect-disconnected-early", run_disconnect_early, 0),
	ON_TCP("connect-killed-early", run_killed_early, 0),
	ON_TCP("connect-polled", run_poll, 0),
	ON_TCP("connect-already", run_already, 0),
	ON_TCP("connect-connected", run_is_connected, 0),
	ON_TCP("connect-wildcard", run_wildcard, 0),
	ON_TCP("connect-self", run_self, 0),
	ON_TCP("disconnect", run_disconnect, 0),
	ON_TCP("disconnect-bound", run_disconnect_bound, 0),
	ON_TCP("time-wait", run_time_wait, 0),
	ON_TCP("listen-unbound", run_listen_unbound, 0),
	ON_TCP("listen-bound", run_listen_bound, 0),
	ON_TCP("listen-exhausted", run_listen_exhausted, NEED_ROOT),
	ON_TCP("fastopen-send", run_fastopen_send, NEED_ROOT),
	ON_TCP("fastopen-connect", run_fastopen_connect, NEED_ROOT),
	SITUATION("connect-mapped/tcp6", run_mapped, AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0),
	{.name = NULL},
};
