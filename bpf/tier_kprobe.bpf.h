/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tier of kprobes: the functions of the fentry tier, where trampolines are
 * missing. A return probe does not see the arguments any more; what it needs stands
 * in the noted call. Wrappers only.
 */
#ifndef PORTSNOOP_TIER_KPROBE_BPF_H
#define PORTSNOOP_TIER_KPROBE_BPF_H

#define KPROBE_RETURN(name, function, leave)                                                       \
	SEC("kretprobe/" #function)                                                                \
	int BPF_KRETPROBE(kretprobe_##name, int ret)                                               \
	{                                                                                          \
		leave(ret);                                                                        \
		return 0;                                                                          \
	}

#define KPROBE_BIND_SK(name, function)                                                             \
	SEC("kprobe/" #function)                                                                   \
	int BPF_KPROBE(kprobe_##name, struct sock *sk, void *address, int length)                  \
	{                                                                                          \
		if (socket_has_ports(sk))                                                          \
			bind_enter(sk, (u64)address, length, ADDRESS_KERNEL);                      \
		return 0;                                                                          \
	}                                                                                          \
	KPROBE_RETURN(name, function, bind_leave)

#define KPROBE_BIND(name, function)                                                                \
	SEC("kprobe/" #function)                                                                   \
	int BPF_KPROBE(kprobe_##name, struct socket *socket, void *address, int length)            \
	{                                                                                          \
		struct sock *sk = BPF_CORE_READ(socket, sk);                                       \
                                                                                                   \
		if (socket_has_ports(sk))                                                          \
			bind_enter(sk, (u64)address, length, ADDRESS_KERNEL);                      \
		return 0;                                                                          \
	}                                                                                          \
	KPROBE_RETURN(name, function, bind_leave)

KPROBE_BIND_SK(bind4_sk, inet_bind_sk)
KPROBE_BIND_SK(bind6_sk, inet6_bind_sk)
KPROBE_BIND(bind4, inet_bind)
KPROBE_BIND(bind6, inet6_bind)

/* connect */

SEC("kprobe/__inet_stream_connect")
int BPF_KPROBE(kprobe_connect, struct socket *socket, void *address, int length, int flags,
	       int is_sendmsg)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);

	if (socket_has_ports(sk))
		stream_connect_enter(socket, sk, (u64)address, length, is_sendmsg);
	return 0;
}

KPROBE_RETURN(connect, __inet_stream_connect, connect_leave)

SEC("kprobe/inet_hash_connect")
int BPF_KPROBE(kprobe_port4, void *death_row, struct sock *sk)
{
	port_enter(sk);
	return 0;
}

SEC("kprobe/inet6_hash_connect")
int BPF_KPROBE(kprobe_port6, void *death_row, struct sock *sk)
{
	port_enter(sk);
	return 0;
}

KPROBE_RETURN(port4, inet_hash_connect, port_leave)
KPROBE_RETURN(port6, inet6_hash_connect, port_leave)

SEC("kprobe/inet_dgram_connect")
int BPF_KPROBE(kprobe_dgram, struct socket *socket, void *address, int length)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);

	if (socket_has_ports(sk))
		connect_enter(socket, sk, (u64)address, length, ADDRESS_KERNEL);
	return 0;
}

KPROBE_RETURN(dgram, inet_dgram_connect, connect_leave)

/* listen */

SEC("kprobe/__inet_listen_sk")
int BPF_KPROBE(kprobe_listen_sk, struct sock *sk)
{
	listen_enter(sk);
	return 0;
}

SEC("kprobe/inet_listen")
int BPF_KPROBE(kprobe_listen, struct socket *socket)
{
	listen_enter(BPF_CORE_READ(socket, sk));
	return 0;
}

KPROBE_RETURN(listen_sk, __inet_listen_sk, listen_leave)
KPROBE_RETURN(listen, inet_listen, listen_leave)

/* send */

SEC("kprobe/inet_autobind")
int BPF_KPROBE(kprobe_autobind, struct sock *sk)
{
	autobind_enter(sk);
	return 0;
}

KPROBE_RETURN(autobind, inet_autobind, autobind_leave)

/* release of what has no states */

SEC("kprobe/udp_lib_unhash")
int BPF_KPROBE(kprobe_udp_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

SEC("kprobe/ping_unhash")
int BPF_KPROBE(kprobe_ping_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

SEC("kprobe/sctp_put_port")
int BPF_KPROBE(kprobe_sctp_unhash, struct sock *sk)
{
	unhash_enter(sk);
	return 0;
}

/* TIME_WAIT */

SEC("kprobe/inet_twsk_hashdance_schedule")
int BPF_KPROBE(kprobe_linger_schedule, void *bucket, struct sock *sk)
{
	linger_begin(bucket, sk);
	return 0;
}

SEC("kprobe/inet_twsk_hashdance")
int BPF_KPROBE(kprobe_linger, void *bucket, struct sock *sk)
{
	linger_begin(bucket, sk);
	return 0;
}

SEC("kprobe/inet_twsk_bind_unhash")
int BPF_KPROBE(kprobe_linger_end, void *bucket)
{
	linger_end(bucket);
	return 0;
}

/* SCTP, a module */

SEC("kprobe/sctp_inet_connect")
int BPF_KPROBE(kprobe_sctp_connect, struct socket *socket, void *address, int length)
{
	connect_enter(socket, BPF_CORE_READ(socket, sk), (u64)address, length, ADDRESS_KERNEL);
	return 0;
}

SEC("kprobe/sctp_inet_listen")
int BPF_KPROBE(kprobe_sctp_listen, struct socket *socket)
{
	listen_enter(BPF_CORE_READ(socket, sk));
	return 0;
}

SEC("kprobe/sctp_sendmsg")
int BPF_KPROBE(kprobe_sctp_send, struct sock *sk)
{
	autobind_enter(sk);
	return 0;
}

KPROBE_RETURN(sctp_connect, sctp_inet_connect, connect_leave)
KPROBE_RETURN(sctp_listen, sctp_inet_listen, listen_leave)
KPROBE_RETURN(sctp_send, sctp_sendmsg, autobind_leave)

#endif
