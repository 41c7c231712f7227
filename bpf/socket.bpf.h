/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* struct sock -> what an event says about it. */
#ifndef PORTSNOOP_SOCKET_BPF_H
#define PORTSNOOP_SOCKET_BPF_H

/* include/net/tcp_states.h */
#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_FIN_WAIT2 5
#define STATE_CLOSE 7
#define STATE_LISTEN 10
#define STATE_CLOSING 11

/* include/net/sock.h */
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

static __always_inline bool port_reserved(struct net *net, u16 port)
{
	unsigned long *bitmap = BPF_CORE_READ(net, ipv4.sysctl_local_reserved_ports);
	u8 byte = 0;

	/* Little-endian, as are both architectures: bit n is in byte n / 8. */
	bpf_probe_read_kernel(&byte, 1, (u8 *)bitmap + (port >> 3));
	return byte >> (port & 7) & 1;
}

static __always_inline void event_pool(struct wire_event *event, struct sock *sk, struct net *net)
{
	u16 low, high;

	event->unprivileged = BPF_CORE_READ(net, ipv4.sysctl_ip_prot_sock);
	compat_port_range(net, &event->pool_low, &event->pool_high);
	compat_own_port_range(sk, &low, &high);
	/* As in inet_sk_get_local_port_range(): a bound outside the namespace's range
	 * does not count. */
	if (event->pool_low <= low && low <= event->pool_high) {
		event->pool_low = low;
		event->flags |= WIRE_OWN_RANGE;
	}
	if (event->pool_low <= high && high <= event->pool_high) {
		event->pool_high = high;
		event->flags |= WIRE_OWN_RANGE;
	}
}

static __always_inline void event_remote(struct wire_event *event, struct sock *sk)
{
	event->other_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!event->other_port)
		return;
	event->flags |= WIRE_HAS_OTHER;
	if (event->family == 6) {
		BPF_CORE_READ_INTO(&event->other, sk, __sk_common.skc_v6_daddr);
	} else {
		__be32 v4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(event->other, &v4, 4);
	}
}

static __always_inline void event_local(struct wire_event *event, struct sock *sk)
{
	event->local_port = socket_port(sk);
	if (event->family == 6) {
		BPF_CORE_READ_INTO(&event->local, sk, __sk_common.skc_v6_rcv_saddr);
	} else {
		__be32 v4 = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);

		__builtin_memcpy(event->local, &v4, 4);
	}
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
	event_pool(event, sk, net);
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
