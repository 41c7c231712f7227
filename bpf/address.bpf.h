/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The two ends of a socket, as every object here tells them. */
#ifndef PORTSNOOP_ADDRESS_BPF_H
#define PORTSNOOP_ADDRESS_BPF_H

/* `out` has room for 16 bytes; family 4 or 6. */
static __always_inline void address_local(u8 *out, u8 family, struct sock *sk)
{
	if (family == 6) {
		BPF_CORE_READ_INTO((struct in6_addr *)out, sk, __sk_common.skc_v6_rcv_saddr);
	} else {
		__be32 v4 = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);

		__builtin_memcpy(out, &v4, 4);
	}
}

static __always_inline void address_remote(u8 *out, u8 family, struct sock *sk)
{
	if (family == 6) {
		BPF_CORE_READ_INTO((struct in6_addr *)out, sk, __sk_common.skc_v6_daddr);
	} else {
		__be32 v4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);

		__builtin_memcpy(out, &v4, 4);
	}
}

/* 0: it has no other side. */
static __always_inline u16 socket_other_port(struct sock *sk)
{
	return bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

#endif
