/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every difference between kernels, each with the version that brought it. */
#ifndef PORTSNOOP_COMPAT_BPF_H
#define PORTSNOOP_COMPAT_BPF_H

/*
 * Of what a map's helper returns, only an int counts. Before 6.4 the verifier may put the
 * map's own function in its place, which returns one and leaves the upper half of the
 * register as it comes: a long with -EEXIST in it is not equal to -EEXIST then.
 */

/* 6.8 packed the range of ports into one word, so that it is read at once. */
static __always_inline void compat_port_range(struct net *net, u16 *low, u16 *high)
{
	struct net___array *old = (void *)net;

	if (bpf_core_field_exists(net->ipv4.ip_local_ports.range)) {
		u32 range = BPF_CORE_READ(net, ipv4.ip_local_ports.range);

		*low = range;
		*high = range >> 16;
	} else if (bpf_core_field_exists(old->ipv4.ip_local_ports.range)) {
		int range[2] = {};

		bpf_core_read(&range, sizeof(range), &old->ipv4.ip_local_ports.range);
		*low = range[0];
		*high = range[1];
	}
}

/* IP_LOCAL_PORT_RANGE came with 6.3 as a pair and became a word in 6.7. 0: the
 * socket leaves that bound to its network namespace. */
static __always_inline void compat_own_port_range(struct sock *sk, u16 *low, u16 *high)
{
	struct inet_sock___pair *pair = (void *)sk;
	struct inet_sock___word *word = (void *)sk;

	*low = 0;
	*high = 0;
	if (bpf_core_field_exists(pair->local_port_range.lo)) {
		*low = BPF_CORE_READ(pair, local_port_range.lo);
		*high = BPF_CORE_READ(pair, local_port_range.hi);
	} else if (bpf_core_field_exists(word->local_port_range)) {
		u32 range = BPF_CORE_READ(word, local_port_range);

		*low = range;
		*high = range >> 16;
	}
}

/* Bit-fields until 6.5, since 6.6 bits of inet_flags (INET_FLAGS_*,
 * include/net/inet_sock.h). */
#define COMPAT_BIND_ADDRESS_NO_PORT 18
#define COMPAT_DEFER_CONNECT 19

static __always_inline bool compat_bind_no_port(struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;
	struct inet_sock___bits *bits = (void *)sk;

	if (bpf_core_field_exists(bits->bind_address_no_port))
		return BPF_CORE_READ_BITFIELD_PROBED(bits, bind_address_no_port);
	if (bpf_core_field_exists(inet->inet_flags))
		return BPF_CORE_READ(inet, inet_flags) >> COMPAT_BIND_ADDRESS_NO_PORT & 1;
	return false;
}

/* TCP_FASTOPEN_CONNECT: connect() left the SYN to the first send. */
static __always_inline bool compat_defers_connect(struct sock *sk)
{
	struct inet_sock *inet = (void *)sk;
	struct inet_sock___bits *bits = (void *)sk;

	if (bpf_core_field_exists(bits->defer_connect))
		return BPF_CORE_READ_BITFIELD_PROBED(bits, defer_connect);
	if (bpf_core_field_exists(inet->inet_flags))
		return BPF_CORE_READ(inet, inet_flags) >> COMPAT_DEFER_CONNECT & 1;
	return false;
}

/* kernfs_node.parent got two underscores in 6.15. */
static __always_inline struct kernfs_node *compat_kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___old *old = (void *)node;

	if (bpf_core_field_exists(node->__parent))
		return BPF_CORE_READ(node, __parent);
	return BPF_CORE_READ(old, parent);
}

#endif
