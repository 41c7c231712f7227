/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of SCTP and MPTCP: absent in many kernels. */
#include "factory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void run_bind(const struct stage *stage)
{
	struct sock sock = sock_open(stage), other = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_bind(&other, sock_name(&sock), EADDRINUSE);
	sock_close(&other);
	sock_close(&sock);
}

static void run_listen(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_listen(&sock, 0);
	sock_close(&sock);
}

static void run_listen_unbound(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_listen(&sock, 0);
	sock_close(&sock);
}

/* What ends their connections is more than one handshake: when the port comes
 * back is not said here. */
static void run_connect(const struct stage *stage)
{
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, "unknown", 0);
	sock_close_quietly(&sock);
	sock_close_quietly(&listener);
}

#define ON_SCTP(name, run)                                                                         \
	SITUATION(name "/sctp4", run, AF_INET, SOCK_STREAM, IPPROTO_SCTP, 0),                      \
		SITUATION(name "/sctp6", run, AF_INET6, SOCK_STREAM, IPPROTO_SCTP, 0)
#define ON_MPTCP(name, run)                                                                        \
	SITUATION(name "/mptcp4", run, AF_INET, SOCK_STREAM, IPPROTO_MPTCP, 0),                    \
		SITUATION(name "/mptcp6", run, AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, 0)

const struct situation other_situations[] = {
	ON_SCTP("bind", run_bind),
	ON_SCTP("listen", run_listen),
	ON_SCTP("listen-unbound", run_listen_unbound),
	ON_SCTP("connect", run_connect),
	ON_MPTCP("bind", run_bind),
	ON_MPTCP("listen", run_listen),
	ON_MPTCP("listen-unbound", run_listen_unbound),
	ON_MPTCP("connect", run_connect),
	{.name = NULL},
};
