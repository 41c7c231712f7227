/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tracepoints of TCP's states: the same in every tier, and stable since 4.16. */
#ifndef PORTSNOOP_STATE_BPF_H
#define PORTSNOOP_STATE_BPF_H

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int from, int to)
{
	u64 key = (u64)sk;
	struct lease *lease;
	struct call *noted;
	u32 error;

	if (to == STATE_SYN_SENT) { /* before the choice of a port */
		noted = call_current();
		if (noted)
			noted->picking = 1;
		return 0;
	}
	if (to != STATE_ESTABLISHED && to != STATE_CLOSE)
		return 0;
	if (config.tally) {
		noted = call_current();
		if (noted)
			tally_source(sk, noted, from, to);
	}
	lease = bpf_map_lookup_elem(&sockets, &key);
	if (!lease)
		return 0;
	if (to == STATE_ESTABLISHED) {
		if (lease->connecting)
			outcome_emit(lease, sk, 0, 0);
		return 0;
	}

	error = BPF_CORE_READ(sk, sk_err);
	if (lease->connecting) {
		noted = error ? NULL : call_current();
		if (noted && noted->sk == key && noted->emitted)
			noted->closed = 1; /* inside its own connect: the exit knows why */
		else
			outcome_emit(lease, sk, error, error ? 0 : WIRE_ABORTED);
	}
	if (!config.time_wait && !error && (from == STATE_FIN_WAIT2 || from == STATE_CLOSING))
		lease->lingers = (WIRE_TIME_WAIT | WIRE_ESTIMATED) >> LINGERS_SHIFT;
	/* What bind fixed stays with the socket until it goes. */
	if (!socket_port(sk))
		release_emit(lease, sk, 0);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(destroy_sock, struct sock *sk)
{
	release_final(sk, 0);
	return 0;
}

#endif
