/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tier for kernels that refuse trampolines and kprobes. A syscall's entry
 * resolves the descriptor and notes what is asked, its exit sends what became of
 * it. Hooks of cgroup v2 see the same from inside the kernel: they correct what
 * the syscall noted, and speak for callers that no syscall tracepoint shows:
 * io_uring, 32-bit programs, the kernel itself.
 */
#ifndef PORTSNOOP_TIER_TRACEPOINT_BPF_H
#define PORTSNOOP_TIER_TRACEPOINT_BPF_H

#define FMODE_PATH 0x4000 /* include/linux/fs.h: O_PATH, not usable as a socket */

static __always_inline struct socket *file_socket(struct file *file)
{
	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK ||
	    BPF_CORE_READ(file, f_mode) & FMODE_PATH)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

/* The port-claiming socket behind a descriptor of the current task, or NULL. */
static __always_inline struct sock *descriptor_sock(u32 fd, struct socket **socket)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files;
	struct file *file = NULL;
	struct sock *sk;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &files[fd]);
	*socket = file_socket(file);
	if (!*socket)
		return NULL;
	sk = BPF_CORE_READ(*socket, sk);
	return sk && socket_has_ports(sk) ? sk : NULL;
}

/* bind */

SEC("tracepoint/syscalls/sys_enter_bind")
int enter_bind(struct trace_event_raw_sys_enter *ctx)
{
	struct socket *socket;
	struct sock *sk = descriptor_sock(ctx->args[0], &socket);

	if (sk)
		bind_enter(sk, ctx->args[1], ctx->args[2], ADDRESS_USER);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_bind")
int exit_bind(struct trace_event_raw_sys_exit *ctx)
{
	bind_leave(*(volatile long *)&ctx->ret);
	return 0;
}

/* The address as the kernel has copied it: no program can change it any more. */
static __always_inline int bind_check(struct bpf_sock_addr *ctx, u8 family)
{
	struct sock *sk = BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk);
	u64 key = bpf_get_current_task();
	struct attempt attempt = {.sk = (u64)sk, .family = family};
	struct call *call = bpf_map_lookup_elem(&calls, &key);

	attempt.port = bpf_ntohs(ctx->user_port);
	if (family == AF_INET) {
		__be32 v4 = ctx->user_ip4;

		__builtin_memcpy(attempt.address, &v4, 4);
	} else {
		__be32 v6[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
				ctx->user_ip6[3]};

		__builtin_memcpy(attempt.address, v6, 16);
	}
	if (call && call->trigger == WIRE_BIND) {
		call->other_port = attempt.port;
		call->other_family = family;
		__builtin_memcpy(call->other, attempt.address, 16);
	} else {
		bpf_map_update_elem(&attempts, &key, &attempt, BPF_ANY);
	}
	return 1;
}

SEC("cgroup/bind4")
int check_bind4(struct bpf_sock_addr *ctx)
{
	return bind_check(ctx, AF_INET);
}

SEC("cgroup/bind6")
int check_bind6(struct bpf_sock_addr *ctx)
{
	return bind_check(ctx, AF_INET6);
}

static __always_inline int bind_done(struct sock *sk)
{
	u64 key = bpf_get_current_task();
	struct call *noted = bpf_map_lookup_elem(&calls, &key);
	struct attempt *attempt;
	struct call call = {.trigger = WIRE_BIND, .sk = (u64)sk, .flags = WIRE_CLAIMED};

	if (noted && noted->trigger == WIRE_BIND) {
		noted->sk = (u64)sk; /* an MPTCP socket binds its first subflow */
		return 1;
	}
	if (!socket_has_ports(sk))
		return 1;
	attempt = bpf_map_lookup_elem(&attempts, &key);
	if (attempt && attempt->sk == (u64)sk) {
		call.other_family = attempt->family;
		call.other_port = attempt->port;
		__builtin_memcpy(call.other, attempt->address, 16);
	}
	call_emit_own(&call);
	return 1;
}

SEC("cgroup/post_bind4")
int done_bind4(struct bpf_sock *ctx)
{
	return bind_done(SOCK_OF(ctx));
}

SEC("cgroup/post_bind6")
int done_bind6(struct bpf_sock *ctx)
{
	return bind_done(SOCK_OF(ctx));
}

/* connect */

SEC("tracepoint/syscalls/sys_enter_connect")
int enter_connect(struct trace_event_raw_sys_enter *ctx)
{
	struct socket *socket;
	struct sock *sk = descriptor_sock(ctx->args[0], &socket);

	if (sk)
		connect_enter(socket, sk, ctx->args[1], ctx->args[2], ADDRESS_USER);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_connect")
int exit_connect(struct trace_event_raw_sys_exit *ctx)
{
	connect_leave(*(volatile long *)&ctx->ret);
	return 0;
}

/* listen */

SEC("tracepoint/syscalls/sys_enter_listen")
int enter_listen(struct trace_event_raw_sys_enter *ctx)
{
	struct socket *socket;
	struct sock *sk = descriptor_sock(ctx->args[0], &socket);

	if (sk && BPF_CORE_READ(sk, sk_type) == SOCK_STREAM)
		listen_enter(sk);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_listen")
int exit_listen(struct trace_event_raw_sys_exit *ctx)
{
	listen_leave(*(volatile long *)&ctx->ret);
	return 0;
}

static __always_inline void listen_done(struct sock *sk)
{
	struct call *noted = call_current();
	struct call call = {.trigger = WIRE_LISTEN, .sk = (u64)sk};
	u64 key = (u64)sk;
	struct lease *lease;

	if (noted && noted->trigger == WIRE_LISTEN) {
		noted->sk = (u64)sk;
		return;
	}
	lease = bpf_map_lookup_elem(&sockets, &key);
	if (!(lease && lease->held) && !socket_port_locked(sk))
		call.flags = WIRE_CLAIMED;
	call_emit_own(&call);
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		connect_begin(BPF_CORE_READ((struct bpf_sock_ops_kern *)ctx, sk));
	else if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
		listen_done(BPF_CORE_READ((struct bpf_sock_ops_kern *)ctx, sk));
	return 1;
}

/* send */

static __always_inline void send_enter(u32 fd, u64 address, u32 length, u32 flags)
{
	struct call call = {.trigger = WIRE_SEND};
	struct socket *socket;
	struct sock *sk = descriptor_sock(fd, &socket);

	if (!sk)
		return;
	call.had_port = socket_port(sk) != 0;
	if (socket_is_tcp(sk)) {
		if (!(flags & MSG_FASTOPEN) || socket_tcp_state(sk) != STATE_CLOSE)
			return;
		call.flags = WIRE_FASTOPEN;
	} else if (call.had_port) {
		return;
	}
	call.sk = (u64)sk;
	call_address(&call, address, length, ADDRESS_USER);
	call_note(&call);
}

static __always_inline void send_enter_message(u32 fd, u64 pointer, u32 flags)
{
	struct user_message message = {};

	/* Not in memory: then only the destination stays unknown. */
	bpf_probe_read_user(&message, sizeof(message), (void *)pointer);
	send_enter(fd, message.name, message.name_length, flags);
}

/* For sendto, sendmsg and sendmmsg. */
SEC("tracepoint/syscalls/sys_exit_sendto")
int exit_send(struct trace_event_raw_sys_exit *ctx)
{
	long ret = *(volatile long *)&ctx->ret;
	struct call *call = call_finish();
	bool send;

	if (!call)
		return 0;
	if (call->emitted) {
		connect_fell_back(call, ret);
		send = false;
	} else if (call->flags & WIRE_FASTOPEN) {
		send = connect_judge(call, ret);
	} else {
		send = autobind_judge(call, ret);
	}
	if (send)
		call_emit(call);
	call_forget();
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_sendto")
int enter_sendto(struct trace_event_raw_sys_enter *ctx)
{
	send_enter(ctx->args[0], ctx->args[4], ctx->args[5], ctx->args[3]);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_sendmsg")
int enter_sendmsg(struct trace_event_raw_sys_enter *ctx)
{
	send_enter_message(ctx->args[0], ctx->args[1], ctx->args[2]);
	return 0;
}

/* The first message decides: it binds. */
SEC("tracepoint/syscalls/sys_enter_sendmmsg")
int enter_sendmmsg(struct trace_event_raw_sys_enter *ctx)
{
	send_enter_message(ctx->args[0], ctx->args[1], ctx->args[3]);
	return 0;
}

/* The end of a kernel socket passes no hook of this tier: its entry may still stand
 * when another socket has come to live at the same address. */
static __always_inline bool lease_is_of(const struct lease *lease, struct sock *sk)
{
	return lease->held && lease->port == socket_port(sk) && lease->netns == socket_netns(sk);
}

/* A datagram to a stated address, from a socket whose port nobody saw it take. */
static __always_inline int send_check(struct bpf_sock_addr *ctx, u8 family)
{
	struct sock *sk = BPF_CORE_READ((struct bpf_sock_addr_kern *)ctx, sk);
	u64 key = (u64)sk;
	struct call call = {
		.trigger = WIRE_SEND, .sk = key, .flags = WIRE_CLAIMED, .other_family = family};
	struct lease *lease;

	if (socket_port_locked(sk))
		return 1;
	lease = bpf_map_lookup_elem(&sockets, &key);
	if (lease && lease_is_of(lease, sk))
		return 1;
	if (call_current())
		return 1; /* the syscall's exit sends it */
	call.other_port = bpf_ntohs(ctx->user_port);
	if (family == AF_INET) {
		__be32 v4 = ctx->user_ip4;

		__builtin_memcpy(call.other, &v4, 4);
	} else {
		__be32 v6[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2],
				ctx->user_ip6[3]};

		__builtin_memcpy(call.other, v6, 16);
	}
	call_emit_own(&call);
	return 1;
}

SEC("cgroup/sendmsg4")
int check_send4(struct bpf_sock_addr *ctx)
{
	return send_check(ctx, AF_INET);
}

SEC("cgroup/sendmsg6")
int check_send6(struct bpf_sock_addr *ctx)
{
	return send_check(ctx, AF_INET6);
}

/* release */

/* Close of an inet socket. A TCP socket may live on: tcp_destroy_sock ends it. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *ctx)
{
	struct sock *sk = SOCK_OF(ctx);
	u64 key = (u64)sk;
	struct lease *lease;

	if (socket_is_tcp(sk) || !socket_has_ports(sk))
		return 1;
	lease = bpf_map_lookup_elem(&sockets, &key);
	if (lease && lease_is_of(lease, sk)) {
		release_final(sk, 0);
		return 1;
	}
	if (lease)
		bpf_map_delete_elem(&sockets, &key);
	if (config.tally)
		tally_forget(sk, false);
	if (socket_port(sk) && !config.tree)
		COUNT(unseen);
	return 1;
}

#endif
