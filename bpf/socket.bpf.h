/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* struct sock -> what an event says about it. */
#ifndef PORTSNOOP_SOCKET_BPF_H
#define PORTSNOOP_SOCKET_BPF_H

/* Errors that decide what happened: asm-generic/errno*.h. */
#define EAGAIN 11
#define EEXIST 17
#define EADDRINUSE 98
#define EADDRNOTAVAIL 99
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115

/* include/net/tcp_states.h */
#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_FIN_WAIT2 5
#define STATE_CLOSE 7
#define STATE_LISTEN 10
#define STATE_CLOSING 11

/* include/net/sock.h */
#define SOCK_BINDADDR_LOCK 4
#define SOCK_BINDPORT_LOCK 8

#define SOCK_OF(ctx) ((struct sock *)(ctx))

/* A socket that can claim ports. Raw sockets cannot: their number is a protocol. */
static __always_inline bool socket_has_ports(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (!config.sctp && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_SCTP)
		return false;
	return (family == AF_INET || family == AF_INET6) && BPF_CORE_READ(sk, sk_type) != SOCK_RAW;
}

static __always_inline u16 socket_port(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_num);
}

static __always_inline u32 socket_netns(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

static __always_inline u8 socket_tcp_state(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_state);
}

/* bind() to a number locks it; what the kernel chose is not locked. */
static __always_inline bool socket_port_locked(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK;
}

/* The same of the address, also where bind() left the choice of the port to later. */
static __always_inline bool socket_address_locked(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDADDR_LOCK;
}

/* A SYN that carries data, as sendmsg(MSG_FASTOPEN) sends it. */
static __always_inline bool socket_fast_opens(struct sock *sk)
{
	return BPF_CORE_READ((struct tcp_sock *)sk, fastopen_req, data) != NULL;
}

static __always_inline bool socket_is_subflow(struct sock *sk)
{
	return bpf_core_field_exists(((struct tcp_sock *)sk)->is_mptcp) &&
	       BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP &&
	       BPF_CORE_READ((struct tcp_sock *)sk, is_mptcp);
}

/* The first subflow of the MPTCP connection that `sk` joins; NULL if it joins none. */
static __always_inline struct sock *socket_joins(struct sock *sk)
{
	struct mptcp_subflow_context *subflow;
	struct mptcp_sock *whole;
	struct sock *first;

	if (!socket_is_subflow(sk))
		return NULL;
	subflow = BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_ulp_data);
	whole = (struct mptcp_sock *)BPF_CORE_READ(subflow, conn);
	first = BPF_CORE_READ(whole, first);
	return first == sk ? NULL : first;
}

/* Protocols whose ports are released when the socket is, without any state. */
static __always_inline bool protocol_is_tcp(u16 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

static __always_inline bool socket_is_tcp(struct sock *sk)
{
	return protocol_is_tcp(BPF_CORE_READ(sk, sk_protocol)) &&
	       BPF_CORE_READ(sk, sk_type) == SOCK_STREAM;
}

static __always_inline void address_map_v4(u8 *out, __be32 v4)
{
	out[10] = out[11] = 0xff;
	__builtin_memcpy(out + 12, &v4, 4);
}

/* The address of a call as a socket of this family has it; false: it has none, or none
 * such. */
static __always_inline bool call_address_copy(u8 *out, u8 family, const struct call *call)
{
	if (call->other_family == AF_INET) {
		if (family == 6)
			address_map_v4(out, *(__be32 *)call->other);
		else
			__builtin_memcpy(out, call->other, 4);
	} else if (call->other_family == AF_INET6 && family == 6) {
		__builtin_memcpy(out, call->other, 16);
	} else {
		return false;
	}
	return true;
}

static __always_inline bool port_reserved(struct net *net, u16 port)
{
	unsigned long *bitmap = BPF_CORE_READ(net, ipv4.sysctl_local_reserved_ports);
	u8 byte = 0;

	/* Little-endian, as are both architectures: bit n is in byte n / 8. */
	bpf_probe_read_kernel(&byte, 1, (u8 *)bitmap + (port >> 3));
	return byte >> (port & 7) & 1;
}

/* What the kernel may choose from; adds WIRE_OWN_RANGE where the socket has its own. */
static __always_inline void socket_pool(struct sock *sk, struct net *net, u16 *pool_low,
					u16 *pool_high, u32 *flags)
{
	u16 low, high;

	compat_port_range(net, pool_low, pool_high);
	compat_own_port_range(sk, &low, &high);
	/* As in inet_sk_get_local_port_range(): a bound outside the namespace's range
	 * does not count. */
	if (*pool_low <= low && low <= *pool_high) {
		*pool_low = low;
		*flags |= WIRE_OWN_RANGE;
	}
	if (*pool_low <= high && high <= *pool_high) {
		*pool_high = high;
		*flags |= WIRE_OWN_RANGE;
	}
}

static __always_inline void event_remote(struct wire_event *event, struct sock *sk)
{
	event->other_port = socket_other_port(sk);
	if (!event->other_port)
		return;
	event->flags |= WIRE_HAS_OTHER;
	address_remote(event->other, event->family, sk);
}

static __always_inline void event_local(struct wire_event *event, struct sock *sk)
{
	event->local_port = socket_port(sk);
	address_local(event->local, event->family, sk);
}

static __always_inline void event_socket(struct wire_event *event, struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);

	event->protocol = BPF_CORE_READ(sk, sk_protocol);
	event->family = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 ? 6 : 4;
	event->netns = BPF_CORE_READ(net, ns.inum);
	event->device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse))
		event->flags |= WIRE_REUSEADDR;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport))
		event->flags |= WIRE_REUSEPORT;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only))
		event->flags |= WIRE_V6ONLY;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock))
		event->flags |= WIRE_KERNEL_SOCKET;
	if (event->protocol == IPPROTO_MPTCP || socket_is_subflow(sk))
		event->flags |= WIRE_MPTCP;
	event->unprivileged = BPF_CORE_READ(net, ipv4.sysctl_ip_prot_sock);
	socket_pool(sk, net, &event->pool_low, &event->pool_high, &event->flags);
	event_local(event, sk);
}

/* Once the port that the event is about is known. */
static __always_inline void event_reserved(struct wire_event *event, struct sock *sk, u16 port)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);

	if (port && port_reserved(net, port))
		event->flags |= WIRE_RESERVED;
}

#endif
