/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/coverage.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *help;
} kinds[COVERAGE_COUNT] = {
	[COVERAGE_BIND] = {"bind", "bind to a port or to 0"},
	[COVERAGE_LISTEN] = {"listen", "listen, also without bind"},
	[COVERAGE_TCP_CONNECT] = {"tcp-connect", "TCP connect"},
	[COVERAGE_TCP_OUTCOME] = {"tcp-outcome", "how a TCP connect ended, and how fast"},
	[COVERAGE_FAST_OPEN] = {"tcp-fast-open", "TCP Fast Open by send or connect"},
	[COVERAGE_UDP_CONNECT] = {"udp-connect", "UDP connect"},
	[COVERAGE_UDP_SEND] = {"udp-send", "UDP send, sendmsg, sendmmsg without bind"},
	[COVERAGE_UDP_WRITE] = {"udp-write", "write() on a UDP socket without a port"},
	[COVERAGE_UDPLITE] = {"udplite", "UDP-Lite"},
	[COVERAGE_PING] = {"ping", "ping sockets"},
	[COVERAGE_SCTP] = {"sctp", "SCTP"},
	[COVERAGE_MPTCP] = {"mptcp", "MPTCP bind, listen, connect"},
	[COVERAGE_MPTCP_JOIN] = {"mptcp-join", "further subflows of an MPTCP connection"},
	[COVERAGE_IO_URING_BIND] = {"io_uring-bind", "bind by io_uring"},
	[COVERAGE_IO_URING_LISTEN] = {"io_uring-listen", "listen by io_uring"},
	[COVERAGE_IO_URING_TCP_CONNECT] = {"io_uring-tcp-connect", "TCP connect by io_uring"},
	[COVERAGE_IO_URING_UDP_CONNECT] = {"io_uring-udp-connect", "UDP connect by io_uring"},
	[COVERAGE_IO_URING_UDP_SEND] = {"io_uring-udp-send", "UDP send by io_uring"},
	[COVERAGE_IO_URING_FAILURE] = {"io_uring-failure",
				       "calls by io_uring that fail or take no port"},
	[COVERAGE_COMPAT_BIND] = {"32bit-bind", "bind by a 32-bit program"},
	[COVERAGE_COMPAT_LISTEN] = {"32bit-listen", "listen by a 32-bit program"},
	[COVERAGE_COMPAT_TCP_CONNECT] = {"32bit-tcp-connect", "TCP connect by a 32-bit program"},
	[COVERAGE_COMPAT_UDP_CONNECT] = {"32bit-udp-connect", "UDP connect by a 32-bit program"},
	[COVERAGE_COMPAT_UDP_SEND] = {"32bit-udp-send", "UDP send by a 32-bit program"},
	[COVERAGE_COMPAT_FAILURE] = {"32bit-failure",
				     "calls by a 32-bit program that fail or take no port"},
	[COVERAGE_KERNEL_BIND] = {"kernel-bind", "bind by the kernel itself"},
	[COVERAGE_KERNEL_CONNECT] = {"kernel-connect", "TCP connect by the kernel itself"},
	[COVERAGE_FAILURE] = {"failure", "calls that fail, with errno and requested address"},
	[COVERAGE_RELEASE] = {"release", "when a port is given back"},
	[COVERAGE_IO_URING_PING] = {"io_uring-ping", "ping sockets by io_uring"},
	[COVERAGE_COMPAT_PING] = {"32bit-ping", "ping sockets of a 32-bit program"},
	[COVERAGE_POLICY] = {"policy", "calls that a security module refuses"},
	[COVERAGE_TIME_WAIT] = {"time-wait", "the end of TIME_WAIT as it happens, not estimated"},
};

const char *coverage_name(unsigned int kind)
{
	return kind < COVERAGE_COUNT ? kinds[kind].name : NULL;
}

const char *coverage_help(unsigned int kind)
{
	return kind < COVERAGE_COUNT ? kinds[kind].help : NULL;
}
