/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tier of BPF trampolines: at the functions that every caller passes, syscall,
 * io_uring, 32-bit or the kernel itself. Wrappers only.
 */
#ifndef PORTSNOOP_TIER_FENTRY_BPF_H
#define PORTSNOOP_TIER_FENTRY_BPF_H

/* bind: from 6.8 on inet_bind_sk() and inet6_bind_sk() are what MPTCP calls, too;
 * before there is only inet_bind() and inet6_bind(). */

#define FENTRY_BIND_SK(name, function)                                                             \
	SEC("fentry/" #function)                                                                   \
	int BPF_PROG(fentry_##name, struct sock *sk, void *address, int length)                    \
	{                                                                                          \
		if (socket_has_ports(sk))                                                          \
			bind_enter(sk, (u64)address, length, ADDRESS_KERNEL);                      \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fexit/" #function)                                                                    \
	int BPF_PROG(fexit_##name, struct sock *sk, void *address, int length, int ret)            \
	{                                                                                          \
		bind_leave(ret);                                                                   \
		return 0;                                                                          \
	}

#define FENTRY_BIND(name, function)                                                                \
	SEC("fentry/" #function)                                                                   \
	int BPF_PROG(fentry_##name, struct socket *socket, void *address, int length)              \
	{                                                                                          \
		struct sock *sk = BPF_CORE_READ(socket, sk);                                       \
                                                                                                   \
		if (socket_has_ports(sk))                                                          \
			bind_enter(sk, (u64)address, length, ADDRESS_KERNEL);                      \
		return 0;                                                                          \
	}                                                                                          \
	SEC("fexit/" #function)                                                                    \
	int BPF_PROG(fexit_##name, struct socket *socket, void *address, int length, int ret)      \
	{                                                                                          \
		bind_leave(ret);                                                                   \
		return 0;                                                                          \
	}

FENTRY_BIND_SK(bind4_sk, inet_bind_sk)
FENTRY_BIND_SK(bind6_sk, inet6_bind_sk)
FENTRY_BIND(bind4, inet_bind)
FENTRY_BIND(bind6, inet6_bind)

/* connect */

SEC("fentry/__inet_stream_connect")
int BPF_PROG(fentry_connect, struct socket *socket, void *address, int length, int flags,
	     int is_sendmsg)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);

	if (socket_has_ports(sk))
		stream_connect_enter(socket, sk, (u64)address, length, is_sendmsg);
	return 0;
}

SEC("fexit/__inet_stream_connect")
int BPF_PROG(fexit_connect, struct socket *socket, void *address, int length, int flags,
	     int is_sendmsg, int ret)
{
	connect_leave(ret);
	return 0;
}

SEC("fexit/inet_hash_connect")
int BPF_PROG(fexit_port4, void *death_row, struct sock *sk, int ret)
{
	if (!ret)
		connect_begin(sk);
	return 0;
}

SEC("fexit/inet6_hash_connect")
int BPF_PROG(fexit_port6, void *death_row, struct sock *sk, int ret)
{
	if (!ret)
		connect_begin(sk);
	return 0;
}

SEC("fentry/inet_dgram_connect")
int BPF_PROG(fentry_dgram, struct socket *socket, void *address, int length, int flags)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);

	if (socket_has_ports(sk))
		connect_enter(socket, sk, (u64)address, length, ADDRESS_KERNEL);
	return 0;
}

SEC("fexit/inet_dgram_connect")
int BPF_PROG(fexit_dgram, struct socket *socket, void *address, int length, int flags, int ret)
{
	connect_leave(ret);
	return 0;
}

/* listen: __inet_listen_sk() from 6.8 on */

SEC("fentry/__inet_listen_sk")
int BPF_PROG(fentry_listen_sk, struct sock *sk, int backlog)
{
	listen_enter(sk);
	return 0;
}

SEC("fexit/__inet_listen_sk")
int BPF_PROG(fexit_listen_sk, struct sock *sk, int backlog, int ret)
{
	listen_leave(ret);
	return 0;
}

SEC("fentry/inet_listen")
int BPF_PROG(fentry_listen, struct socket *socket, int backlog)
{
	listen_enter(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("fexit/inet_listen")
int BPF_PROG(fexit_listen, struct socket *socket, int backlog, int ret)
{
	listen_leave(ret);
	return 0;
}

/* send */

SEC("fentry/inet_autobind")
int BPF_PROG(fentry_autobind, struct sock *sk)
{
	autobind_enter(sk);
	return 0;
}

SEC("fexit/inet_autobind")
int BPF_PROG(fexit_autobind, struct sock *sk, int ret)
{
	autobind_leave(ret);
	return 0;
}

/* release of what has no states */

SEC("fentry/udp_lib_unhash")
int BPF_PROG(fentry_udp_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

SEC("fentry/ping_unhash")
int BPF_PROG(fentry_ping_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

SEC("fentry/sctp_put_port")
int BPF_PROG(fentry_sctp_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

/* TIME_WAIT: the function was renamed in 6.11 */

SEC("fentry/inet_twsk_hashdance_schedule")
int BPF_PROG(fentry_linger_schedule, void *bucket, struct sock *sk)
{
	linger_begin(bucket, sk);
	return 0;
}

SEC("fentry/inet_twsk_hashdance")
int BPF_PROG(fentry_linger, void *bucket, struct sock *sk)
{
	linger_begin(bucket, sk);
	return 0;
}

SEC("fentry/inet_twsk_bind_unhash")
int BPF_PROG(fentry_linger_end, void *bucket)
{
	linger_end(bucket);
	return 0;
}

/* SCTP, a module */

SEC("fentry/sctp_inet_connect")
int BPF_PROG(fentry_sctp_connect, struct socket *socket, void *address, int length, int flags)
{
	connect_enter(socket, BPF_CORE_READ(socket, sk), (u64)address, length, ADDRESS_KERNEL);
	return 0;
}

SEC("fexit/sctp_inet_connect")
int BPF_PROG(fexit_sctp_connect, struct socket *socket, void *address, int length, int flags,
	     int ret)
{
	connect_leave(ret);
	return 0;
}

SEC("fentry/sctp_inet_listen")
int BPF_PROG(fentry_sctp_listen, struct socket *socket, int backlog)
{
	listen_enter(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("fexit/sctp_inet_listen")
int BPF_PROG(fexit_sctp_listen, struct socket *socket, int backlog, int ret)
{
	listen_leave(ret);
	return 0;
}

SEC("fentry/sctp_sendmsg")
int BPF_PROG(fentry_sctp_send, struct sock *sk)
{
	autobind_enter(sk);
	return 0;
}

SEC("fexit/sctp_sendmsg")
int BPF_PROG(fexit_sctp_send, struct sock *sk, void *message, u64 length, int ret)
{
	autobind_leave(ret);
	return 0;
}

/* refusals by a security module: the call never reaches its protocol */

SEC("fexit/security_socket_bind")
int BPF_PROG(fexit_security_bind, struct socket *socket, void *address, int length, int ret)
{
	if (ret)
		refusal_emit(socket, WIRE_BIND, (u64)address, length, ret);
	return 0;
}

SEC("fexit/security_socket_connect")
int BPF_PROG(fexit_security_connect, struct socket *socket, void *address, int length, int ret)
{
	if (ret)
		refusal_emit(socket, WIRE_CONNECT, (u64)address, length, ret);
	return 0;
}

SEC("fexit/security_socket_listen")
int BPF_PROG(fexit_security_listen, struct socket *socket, int backlog, int ret)
{
	if (ret)
		refusal_emit(socket, WIRE_LISTEN, 0, 0, ret);
	return 0;
}

#endif
