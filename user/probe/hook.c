/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/hook.h"

#include "model/coverage.h"

#define C(kind) COVERAGE_BIT(COVERAGE_##kind)

/*
 * Hooks are attached from the last to the first and detached from the first to the
 * last, so that a call whose entry was noted always meets its exit.
 */

#define TRACEPOINT (1u << WIRE_TIER_TRACEPOINT)
#define FENTRY (1u << WIRE_TIER_FENTRY)
#define KPROBE (1u << WIRE_TIER_KPROBE)

#define HOOK(program_, target_, kind_, tiers_, coverage_)                                          \
	{                                                                                          \
		.program = program_, .target = target_, .kind = HOOK_##kind_, .tiers = tiers_,     \
		.coverage = coverage_                                                              \
	}

/* One function of the kernel, entered and left, in both tiers that hook functions.
 * `name` is that of the programs. */
#define ENTER(name, function, coverage_, ...)                                                      \
	{.program = "fentry_" name,                                                                \
	 .target = function,                                                                       \
	 .kind = HOOK_TRACE,                                                                       \
	 .tiers = FENTRY,                                                                          \
	 .coverage = coverage_,                                                                    \
	 __VA_ARGS__},                                                                             \
	{                                                                                          \
		.program = "kprobe_" name, .target = function, .kind = HOOK_KPROBE,                \
		.tiers = KPROBE, .coverage = coverage_, __VA_ARGS__                                \
	}
#define LEAVE(name, function, coverage_, ...)                                                      \
	{.program = "fexit_" name,                                                                 \
	 .target = function,                                                                       \
	 .kind = HOOK_TRACE,                                                                       \
	 .tiers = FENTRY,                                                                          \
	 .coverage = coverage_,                                                                    \
	 __VA_ARGS__},                                                                             \
	{                                                                                          \
		.program = "kretprobe_" name, .target = function, .kind = HOOK_KRETPROBE,          \
		.tiers = KPROBE, .coverage = coverage_, __VA_ARGS__                                \
	}

/* What a function sees, it sees for every caller. */
#define ALL_FAILURE (C(FAILURE) | C(IO_URING_FAILURE) | C(COMPAT_FAILURE))
#define ALL_BIND                                                                                   \
	(C(BIND) | C(PING) | C(IO_URING_BIND) | C(IO_URING_PING) | C(COMPAT_BIND) |                \
	 C(COMPAT_PING) | C(KERNEL_BIND) | ALL_FAILURE)
#define ALL_CONNECT                                                                                \
	(C(TCP_CONNECT) | C(FAST_OPEN) | C(MPTCP) | C(MPTCP_JOIN) | C(IO_URING_TCP_CONNECT) |      \
	 C(COMPAT_TCP_CONNECT) | C(KERNEL_CONNECT) | ALL_FAILURE)
#define ALL_DATAGRAM (C(UDP_CONNECT) | C(IO_URING_UDP_CONNECT) | C(COMPAT_UDP_CONNECT))
#define ALL_LISTEN (C(LISTEN) | C(IO_URING_LISTEN) | C(COMPAT_LISTEN))
#define ALL_SEND (C(UDP_SEND) | C(UDP_WRITE) | C(IO_URING_UDP_SEND) | C(COMPAT_UDP_SEND))

/* What has to do with io_uring and 32-bit callers hangs on the hooks inside the
 * kernel, because no syscall tracepoint fires for them. */
#define INSIDE_BIND (C(IO_URING_BIND) | C(COMPAT_BIND) | C(KERNEL_BIND))

const struct hook hook_table[] = {
	HOOK("enter_bind", "sys_enter_bind", SYSCALL, TRACEPOINT, C(BIND) | C(FAILURE) | C(POLICY)),
	HOOK("enter_connect", "sys_enter_connect", SYSCALL, TRACEPOINT,
	     C(TCP_CONNECT) | C(UDP_CONNECT) | C(FAILURE) | C(POLICY)),
	HOOK("enter_listen", "sys_enter_listen", SYSCALL, TRACEPOINT,
	     C(LISTEN) | C(FAILURE) | C(POLICY)),
	HOOK("enter_sendto", "sys_enter_sendto", SYSCALL, TRACEPOINT, C(UDP_SEND) | C(FAST_OPEN)),
	HOOK("enter_sendmsg", "sys_enter_sendmsg", SYSCALL, TRACEPOINT, C(UDP_SEND) | C(FAST_OPEN)),
	HOOK("enter_sendmmsg", "sys_enter_sendmmsg", SYSCALL, TRACEPOINT, C(UDP_SEND)),
	HOOK("check_bind4", "cgroup/bind4", CGROUP, TRACEPOINT, INSIDE_BIND),
	HOOK("check_bind6", "cgroup/bind6", CGROUP, TRACEPOINT, INSIDE_BIND),
	HOOK("done_bind4", "cgroup/post_bind4", CGROUP, TRACEPOINT, INSIDE_BIND | C(MPTCP)),
	HOOK("done_bind6", "cgroup/post_bind6", CGROUP, TRACEPOINT, INSIDE_BIND | C(MPTCP)),
	HOOK("sock_ops", "sockops", CGROUP, TRACEPOINT,
	     C(IO_URING_LISTEN) | C(IO_URING_TCP_CONNECT) | C(COMPAT_LISTEN) |
		     C(COMPAT_TCP_CONNECT) | C(KERNEL_CONNECT) | C(MPTCP) | C(MPTCP_JOIN)),
	HOOK("check_send4", "cgroup/sendmsg4", CGROUP, TRACEPOINT,
	     C(IO_URING_UDP_SEND) | C(COMPAT_UDP_SEND)),
	HOOK("check_send6", "cgroup/sendmsg6", CGROUP, TRACEPOINT,
	     C(IO_URING_UDP_SEND) | C(COMPAT_UDP_SEND)),
	HOOK("sock_release", "cgroup/sock_release", CGROUP, TRACEPOINT, C(RELEASE)),

	ENTER("bind4_sk", "inet_bind_sk", ALL_BIND, .before = "inet_bind"),
	ENTER("bind6_sk", "inet6_bind_sk", ALL_BIND, .before = "inet6_bind"),
	ENTER("bind4", "inet_bind", ALL_BIND, .unless = "inet_bind_sk"),
	ENTER("bind6", "inet6_bind", ALL_BIND, .unless = "inet6_bind_sk"),
	ENTER("connect", "__inet_stream_connect", ALL_CONNECT),
	HOOK("kprobe_port4", "inet_hash_connect", KPROBE, KPROBE, ALL_CONNECT),
	HOOK("kprobe_port6", "inet6_hash_connect", KPROBE, KPROBE, ALL_CONNECT),
	ENTER("dgram", "inet_dgram_connect", ALL_DATAGRAM),
	ENTER("listen_sk", "__inet_listen_sk", ALL_LISTEN, .before = "inet_listen"),
	ENTER("listen", "inet_listen", ALL_LISTEN, .unless = "__inet_listen_sk"),
	ENTER("autobind", "inet_autobind", ALL_SEND),
	ENTER("udp_unhash", "udp_lib_unhash", C(RELEASE)),
	ENTER("ping_unhash", "ping_unhash", C(RELEASE)),
	ENTER("linger_schedule", "inet_twsk_hashdance_schedule", C(TIME_WAIT),
	      .before = "inet_twsk_hashdance"),
	ENTER("linger", "inet_twsk_hashdance", C(TIME_WAIT),
	      .unless = "inet_twsk_hashdance_schedule"),
	ENTER("linger_end", "inet_twsk_bind_unhash", C(TIME_WAIT)),
	ENTER("sctp_connect", "sctp_inet_connect", C(SCTP), .module = "sctp"),
	ENTER("sctp_listen", "sctp_inet_listen", C(SCTP), .module = "sctp"),
	ENTER("sctp_send", "sctp_sendmsg", C(SCTP), .module = "sctp"),
	ENTER("sctp_unhash", "sctp_put_port", C(SCTP), .module = "sctp"),
	HOOK("fexit_security_bind", "security_socket_bind", TRACE, FENTRY, C(POLICY)),
	HOOK("fexit_security_connect", "security_socket_connect", TRACE, FENTRY, C(POLICY)),
	HOOK("fexit_security_listen", "security_socket_listen", TRACE, FENTRY, C(POLICY)),

	HOOK("set_state", "inet_sock_set_state", TRACE, TRACEPOINT | FENTRY | KPROBE,
	     C(TCP_OUTCOME) | C(RELEASE)),
	HOOK("destroy_sock", "tcp_destroy_sock", TRACE, TRACEPOINT | FENTRY | KPROBE, C(RELEASE)),

	LEAVE("port4", "inet_hash_connect", ALL_CONNECT),
	LEAVE("port6", "inet6_hash_connect", ALL_CONNECT),
	LEAVE("bind4_sk", "inet_bind_sk", ALL_BIND, .before = "inet_bind"),
	LEAVE("bind6_sk", "inet6_bind_sk", ALL_BIND, .before = "inet6_bind"),
	LEAVE("bind4", "inet_bind", ALL_BIND, .unless = "inet_bind_sk"),
	LEAVE("bind6", "inet6_bind", ALL_BIND, .unless = "inet6_bind_sk"),
	LEAVE("connect", "__inet_stream_connect", ALL_CONNECT),
	LEAVE("dgram", "inet_dgram_connect", ALL_DATAGRAM),
	LEAVE("listen_sk", "__inet_listen_sk", ALL_LISTEN, .before = "inet_listen"),
	LEAVE("listen", "inet_listen", ALL_LISTEN, .unless = "__inet_listen_sk"),
	LEAVE("autobind", "inet_autobind", ALL_SEND),
	LEAVE("sctp_connect", "sctp_inet_connect", C(SCTP), .module = "sctp"),
	LEAVE("sctp_listen", "sctp_inet_listen", C(SCTP), .module = "sctp"),
	LEAVE("sctp_send", "sctp_sendmsg", C(SCTP), .module = "sctp"),

	HOOK("exit_bind", "sys_exit_bind", SYSCALL, TRACEPOINT, C(BIND) | C(FAILURE) | C(POLICY)),
	HOOK("exit_connect", "sys_exit_connect", SYSCALL, TRACEPOINT,
	     C(TCP_CONNECT) | C(UDP_CONNECT) | C(FAILURE) | C(POLICY)),
	HOOK("exit_listen", "sys_exit_listen", SYSCALL, TRACEPOINT,
	     C(LISTEN) | C(FAILURE) | C(POLICY)),
	HOOK("exit_send", "sys_exit_sendto", SYSCALL, TRACEPOINT, C(UDP_SEND) | C(FAST_OPEN)),
	HOOK("exit_send", "sys_exit_sendmsg", SYSCALL, TRACEPOINT, C(UDP_SEND) | C(FAST_OPEN)),
	HOOK("exit_send", "sys_exit_sendmmsg", SYSCALL, TRACEPOINT, C(UDP_SEND)),

	HOOK("tree_fork", "sched_process_fork", TRACE, 0, 0),
};

const unsigned int hook_count = sizeof(hook_table) / sizeof(*hook_table);

uint64_t tier_coverage(enum wire_tier tier)
{
	/* By io_uring and from 32-bit programs a UDP connect passes no hook that
	 * knows its port, and no failure passes one that knows its errno; ping sockets
	 * pass none at all, and neither does SCTP. */
	const uint64_t tracepoint = C(UDP_WRITE) | C(IO_URING_UDP_CONNECT) | C(IO_URING_FAILURE) |
				    C(IO_URING_PING) | C(COMPAT_UDP_CONNECT) | C(COMPAT_FAILURE) |
				    C(COMPAT_PING) | C(TIME_WAIT) | C(SCTP);

	switch (tier) {
	case WIRE_TIER_FENTRY:
		return COVERAGE_ALL;
	case WIRE_TIER_KPROBE:
		return COVERAGE_ALL & ~C(POLICY);
	case WIRE_TIER_TRACEPOINT:
		return COVERAGE_ALL & ~tracepoint;
	}
	return 0;
}
