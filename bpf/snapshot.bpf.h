/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that had a port before the hooks were on: noted, so that a later hook does
 * not take what they do for a claim and knows when they give the port back; and told
 * of, for whoever keeps account of the ports. Read after the hooks are on, until a pass
 * finds nothing new.
 */
#ifndef PORTSNOOP_SNAPSHOT_BPF_H
#define PORTSNOOP_SNAPSHOT_BPF_H

/* What holds the port: an MPTCP socket has it through its first subflow, which is
 * what the hooks see. */
static __always_inline struct sock *socket_holding(struct sock *sk)
{
	if (sk && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP &&
	    bpf_core_field_exists(((struct mptcp_sock *)sk)->first))
		return BPF_CORE_READ((struct mptcp_sock *)sk, first);
	return sk;
}

static __always_inline void owner_leader(struct owner *owner, struct task_struct *leader)
{
	owner->pid = owner->tid = BPF_CORE_READ(leader, tgid);
	owner->exec = BPF_CORE_READ(leader, self_exec_id);
	owner->start = BPF_CORE_READ(leader, start_boottime);
	owner->uid = BPF_CORE_READ(leader, cred, uid.val);
	owner->cgroup = BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_INTO(&owner->comm, leader, comm);
}

/* Notes it; false: somebody has been here before, or it is too late. */
static __always_inline bool seed_note(struct sock *sk, const struct lease *lease)
{
	u64 key = (u64)sk;
	int error = bpf_map_update_elem(&sockets, &key, lease, BPF_NOEXIST);

	if (error) {
		if (error != -EEXIST)
			COUNT(untracked);
		return false;
	}
	if (socket_port(sk))
		return true;
	/* Given back before any hook could find the note. */
	bpf_map_delete_elem(&sockets, &key);
	return false;
}

/* A byte for the reader: this pass has found something. */
static __always_inline void seed_count(struct bpf_iter__task_file *ctx)
{
	u8 one = 1;

	bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
}

SEC("iter/task_file")
int snapshot_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct lease lease = {.held = 1};
	struct wire_event *event = NULL;
	struct owner holder = {};
	struct socket *socket;
	struct sock *sk;
	u64 key;

	if (!task || !file)
		return 0;
	socket = file_socket(file);
	if (!socket)
		return 0;
	sk = socket_holding(BPF_CORE_READ(socket, sk));
	if (!sk || !socket_has_ports(sk) || !socket_port(sk))
		return 0;
	key = (u64)sk;
	if (bpf_map_lookup_elem(&sockets, &key))
		return 0;
	lease.socket = generation_next();
	lease.port = socket_port(sk);
	lease.netns = socket_netns(sk);
	/* Its place in the ring comes before the note: whatever a hook says of the socket
	 * stands behind it. */
	if (config.ledger && !config.tree)
		event = record_reserve(WIRE_SEED, sizeof(*event));
	if (!event) {
		/* The verifier before 5.11 would forget the answer and must not be asked
		 * twice: keeps clang from joining the two ways again. */
		barrier();
		if (seed_note(sk, &lease))
			seed_count(ctx);
		return 0;
	}
	if (!seed_note(sk, &lease))
		lease.socket = 0;
	owner_leader(&holder, BPF_CORE_READ(task, group_leader));
	lease_describe(event, &lease, &holder, sk, 0);
	event->state = socket_tcp_state(sk);
	record_submit(event);
	seed_count(ctx);
	return 0;
}

#endif
