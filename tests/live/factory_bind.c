/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of bind(): what is asked for, what stands in the way, what is shared. */
#include "factory.h"

#include <errno.h>
#include <netinet/ip.h>
#include <string.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

static uint16_t port_pick(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	uint16_t port;

	sock_bind(&sock, address_any(stage->family, 0), 0);
	port = sock.port;
	sock_close(&sock);
	return port;
}

static void run_port(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_any(stage->family, port_pick(stage)), 0);
	sock_close(&sock);
}

static void run_zero(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_any(stage->family, 0), 0);
	sock_close(&sock);
}

static void run_loopback(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, port_pick(stage)), 0);
	sock_close(&sock);
}

static void run_in_use(const struct stage *stage)
{
	struct sock first = sock_open(stage), second = sock_open(stage);

	sock_bind(&first, address_loopback(stage->family, 0), 0);
	sock_bind(&second, sock_name(&first), EADDRINUSE);
	/* It had no port after the failure: the next bind is a claim again. */
	sock_bind(&second, address_loopback(stage->family, 0), 0);
	sock_close(&second);
	sock_close(&first);
}

static void run_nonlocal(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_outside(stage->family, port_pick(stage)), EADDRNOTAVAIL);
	sock_close(&sock);
}

static void run_privileged(const struct stage *stage)
{
	struct sock sock;

	netns_enter();
	netns_sysctl("ipv4/ip_unprivileged_port_start", "1024");
	sock = sock_open(stage);
	must(setresuid(65534, 65534, 65534), "setresuid");
	sock_bind(&sock, address_any(stage->family, 81), EACCES);
	sock_bind(&sock, address_any(stage->family, 1024), 0);
	sock_close(&sock);
}

static void run_twice(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_any(stage->family, 0), 0);
	sock_bind(&sock, address_any(stage->family, 0), EINVAL);
	sock_close(&sock);
}

static void run_wrong_family(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address address = address_any(stage->family, port_pick(stage));
	struct call call = {
		.call = "bind",
		.claimed = true,
		.error = EAFNOSUPPORT,
	};

	address.any.sa_family = AF_UNIX;
	if (bind(sock.fd, &address.any, address.length) == 0 || errno != EAFNOSUPPORT)
		situation_fail("bind: %s, expected EAFNOSUPPORT", strerror(errno));
	report_call(stage, &call);
	sock_close(&sock);
}

static void run_short(const struct stage *stage)
{
	struct sock sock = sock_open(stage);
	struct address address = address_any(stage->family, port_pick(stage));
	struct call call = {
		.call = "bind",
		.claimed = true, /* of what, only the program knows */
		.error = EINVAL,
	};

	if (bind(sock.fd, &address.any, 4) == 0 || errno != EINVAL)
		situation_fail("bind: %s, expected EINVAL", strerror(errno));
	report_call(stage, &call);
	sock_close(&sock);
}

static void run_shared(const struct stage *stage)
{
	struct sock first = sock_open(stage), second = sock_open(stage), third = sock_open(stage);

	sock_set(&first, SOL_SOCKET, SO_REUSEPORT, 1);
	sock_set(&second, SOL_SOCKET, SO_REUSEPORT, 1);
	sock_bind(&first, address_loopback(stage->family, 0), 0);
	sock_bind(&second, sock_name(&first), 0);
	sock_bind(&third, sock_name(&first), EADDRINUSE);
	sock_close(&first);
	sock_close(&second);
	sock_close(&third);
}

static void run_reuseaddr(const struct stage *stage)
{
	struct sock first = sock_open(stage), second = sock_open(stage);

	sock_set(&first, SOL_SOCKET, SO_REUSEADDR, 1);
	sock_set(&second, SOL_SOCKET, SO_REUSEADDR, 1);
	sock_bind(&first, address_loopback(stage->family, 0), 0);
	sock_bind(&second, sock_name(&first), 0);
	if (stage->type == SOCK_STREAM) {
		sock_listen(&first, 0);
		sock_listen(&second, EADDRINUSE);
	}
	sock_close(&second);
	sock_close(&first);
}

static void run_own_range(const struct stage *stage)
{
	uint32_t range = 23000 | 23099U << 16;
	struct sock sock = sock_open(stage);
	struct address name;

	if (setsockopt(sock.fd, SOL_IP, IP_LOCAL_PORT_RANGE, &range, sizeof(range)) < 0)
		situation_skip("IP_LOCAL_PORT_RANGE: %s", strerror(errno));
	/* The range must hold a part of the system's. */
	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	name = sock_name(&sock);
	if (address_port(&name) < 23000 || address_port(&name) > 23099)
		situation_fail("port %u is outside of the range", address_port(&name));
	sock_close(&sock);
}

static void run_own_range_in_netns(const struct stage *stage)
{
	netns_enter();
	netns_range(20000, 30000);
	run_own_range(stage);
}

static void run_device(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	if (setsockopt(sock.fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		situation_skip("SO_BINDTODEVICE: %s", strerror(errno));
	sock_bind(&sock, address_any(stage->family, 0), 0);
	sock_close(&sock);
}

static void run_mapped(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_mapped("127.0.0.1", port_pick(stage)), 0);
	sock_close(&sock);
}

/* One socket in both families: it must stand in the way of IPv4 too. */
static void run_dual(const struct stage *stage)
{
	struct sock dual = sock_open(stage);
	struct sock other = sock_open_as(stage, AF_INET, stage->type, stage->protocol);
	struct address name;

	sock_set(&dual, SOL_IPV6, IPV6_V6ONLY, 0);
	sock_bind(&dual, address_any(AF_INET6, 0), 0);
	name = sock_name(&dual);
	sock_bind(&other, address_any(AF_INET, address_port(&name)), EADDRINUSE);
	sock_close(&other);
	sock_close(&dual);
}

static void run_v6only(const struct stage *stage)
{
	struct sock sock, other;
	struct address name;

	netns_enter(); /* where nobody can have the other family's port */
	sock = sock_open(stage);
	other = sock_open_as(stage, AF_INET, stage->type, stage->protocol);
	sock_set(&sock, SOL_IPV6, IPV6_V6ONLY, 1);
	sock_bind(&sock, address_any(AF_INET6, 0), 0);
	name = sock_name(&sock);
	sock_bind(&other, address_any(AF_INET, address_port(&name)), 0);
	sock_close(&other);
	sock_close(&sock);
}

static void run_reserved(const struct stage *stage)
{
	struct sock sock;

	netns_enter();
	netns_sysctl("ipv4/ip_local_reserved_ports", "40000");
	netns_range(40000, 40001);
	sock = sock_open(stage);
	sock_bind(&sock, address_loopback(stage->family, 0), 0); /* must be 40001 */
	sock_close(&sock);
	sock = sock_open(stage);
	sock_bind(&sock, address_loopback(stage->family, 40000), 0);
	sock_close(&sock);
}

/* Closed by the end of the process, not by close(). */
static void run_exit(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	report_release(stage, &sock);
}

#define ON_V6(name, run, needs)                                                                    \
	SITUATION(name "/tcp6", run, AF_INET6, SOCK_STREAM, IPPROTO_TCP, needs),                   \
		SITUATION(name "/udp6", run, AF_INET6, SOCK_DGRAM, IPPROTO_UDP, needs)

const struct situation bind_situations[] = {
	ON_BOTH("bind-port", run_port, 0),
	ON_BOTH("bind-zero", run_zero, 0),
	ON_BOTH("bind-loopback", run_loopback, 0),
	ON_BOTH("bind-in-use", run_in_use, 0),
	ON_BOTH("bind-nonlocal", run_nonlocal, 0),
	ON_BOTH("bind-privileged", run_privileged, NEED_ROOT),
	ON_BOTH("bind-twice", run_twice, 0),
	ON_BOTH("bind-wrong-family", run_wrong_family, 0),
	ON_BOTH("bind-short", run_short, 0),
	ON_BOTH("bind-reuseport", run_shared, 0),
	ON_BOTH("bind-reuseaddr", run_reuseaddr, 0),
	ON_BOTH("bind-own-range", run_own_range_in_netns, NEED_ROOT),
	ON_BOTH("bind-device", run_device, NEED_ROOT),
	ON_BOTH("bind-reserved", run_reserved, NEED_ROOT),
	ON_BOTH("bind-exit", run_exit, 0),
	ON_V6("bind-mapped", run_mapped, 0),
	ON_V6("bind-dual", run_dual, 0),
	ON_V6("bind-v6only", run_v6only, NEED_ROOT),
	{.name = NULL},
};
