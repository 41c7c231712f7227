/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that had a port before the hooks were on: noted, so that a later hook
 * does not take what they do for a claim. Read once, after the hooks are on.
 */
#ifndef PORTSNOOP_SNAPSHOT_BPF_H
#define PORTSNOOP_SNAPSHOT_BPF_H

SEC("iter/task_file")
int snapshot_sockets(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	struct lease lease = {.held = 1};
	struct socket *socket;
	struct sock *sk;
	long error;
	u64 key;

	if (!file)
		return 0;
	socket = file_socket(file);
	if (!socket)
		return 0;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !socket_has_ports(sk) || !socket_port(sk))
		return 0;
	/* A connected TCP socket claims nothing any more, and most are shares of a
	 * listener's port. */
	if (socket_is_tcp(sk)) {
		u8 state = socket_tcp_state(sk);

		if (state != STATE_CLOSE && state != STATE_LISTEN && state != STATE_SYN_SENT)
			return 0;
	}
	key = (u64)sk;
	lease.socket = generation_next();
	lease.port = socket_port(sk);
	lease.netns = socket_netns(sk);
	error = bpf_map_update_elem(&sockets, &key, &lease, BPF_NOEXIST);
	if (error && error != -EEXIST)
		COUNT(untracked);
	return 0;
}

#endif
