/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A call on its way through the kernel: noted where it comes in, judged where it
 * goes out. Knows nothing of tiers: `socket` and `sk` are what a tier's wrapper has
 * found behind its own arguments.
 */
#ifndef PORTSNOOP_CALL_BPF_H
#define PORTSNOOP_CALL_BPF_H

static __always_inline struct call *call_current(void)
{
	u64 key = bpf_get_current_task();

	return bpf_map_lookup_elem(&calls, &key);
}

static __always_inline void call_note(struct call *call)
{
	u64 key = bpf_get_current_task();

	if (call->address)
		call_take_address(call);
	if (bpf_map_update_elem(&calls, &key, call, BPF_ANY))
		COUNT(untracked);
}

/* On the way out: the noted call, or NULL. It stays in the map, and its owner is
 * this thread alone, until call_forget(). */
static __always_inline struct call *call_finish(void)
{
	struct call *call = call_current();

	if (call && call->address && !call->other_family)
		call_take_address(call);
	return call;
}

static __always_inline void call_forget(void)
{
	u64 key = bpf_get_current_task();

	bpf_map_delete_elem(&calls, &key);
}

/* Where the address of a call is: in the program's memory or in the kernel's copy. */
#define ADDRESS_USER 0
#define ADDRESS_KERNEL 1

static __always_inline void call_address(struct call *call, u64 address, u32 length, u8 copied)
{
	call->address = address;
	call->length = length;
	call->copied = copied;
}

/* bind */

static __always_inline void bind_enter(struct sock *sk, u64 address, u32 length, u8 copied)
{
	struct call call = {.trigger = WIRE_BIND, .sk = (u64)sk};

	call.had_port = socket_port(sk) != 0;
	call_address(&call, address, length, copied);
	call_note(&call);
}

static __always_inline void bind_leave(long ret)
{
	struct call *call = call_finish();

	if (!call)
		return;
	if (ret < 0)
		call->error = -ret;
	if (!call->had_port && (ret < 0 || socket_port((void *)call->sk)))
		call->flags |= WIRE_CLAIMED;
	call_emit(call);
	call_forget();
}

/* connect */

static __always_inline void connect_enter(struct socket *socket, struct sock *sk, u64 address,
					  u32 length, u8 copied)
{
	struct call call = {.trigger = WIRE_CONNECT, .sk = (u64)sk};

	call.had_port = socket_port(sk) != 0;
	call.state = socket_tcp_state(sk);
	call.collecting = socket_is_tcp(sk) && BPF_CORE_READ(socket, state) == SS_CONNECTING;
	call_address(&call, address, length, copied);
	call_note(&call);
}

/* A TCP connect that connect_begin() did not send: it failed before it had a port, or
 * fast open put the SYN off. False: it is not to be sent at all. */
static __always_inline bool connect_judge(struct call *call, long ret)
{
	struct sock *sk = (void *)call->sk;

	if (call->collecting && ret != -EALREADY && ret != -EISCONN)
		return false;
	if (ret >= 0 || ret == -EINPROGRESS) {
		if (!call->had_port && socket_port(sk))
			call->flags |= WIRE_CLAIMED;
		if (ret == -EINPROGRESS || socket_tcp_state(sk) == STATE_SYN_SENT)
			call->flags |= WIRE_IN_PROGRESS;
		return true;
	}
	call->error = -ret;
	if (ret == -EADDRNOTAVAIL && call->picking && !call->had_port)
		call->flags |= WIRE_CLAIMED;
	return true;
}

/* The hooks inside the kernel have sent the call; what is left is a connect that
 * fell back before any answer came, whose error only its return tells. */
static __always_inline void connect_fell_back(const struct call *call, long ret)
{
	u64 key = call->sk;
	struct lease *lease;

	if (!call->closed)
		return;
	lease = bpf_map_lookup_elem(&sockets, &key);
	if (lease && lease->connecting)
		outcome_emit(lease, (void *)call->sk, ret < 0 ? -ret : 0, 0);
}

/* A connect of datagrams: the port comes first and stays, whatever becomes of the
 * connect. */
static __always_inline bool datagram_connect_judge(struct call *call, long ret)
{
	struct sock *sk = (void *)call->sk;
	u16 port = socket_port(sk);

	if (call->other_family == OTHER_UNSPEC && ret >= 0) {
		if (call->had_port && !port)
			release_keep(sk, WIRE_DISCONNECT);
		return false;
	}
	if (ret == -EINPROGRESS) /* SCTP: its outcome is no state of TCP's */
		ret = 0;
	if (ret < 0)
		call->error = -ret;
	if (!call->had_port && (port || ret == -EAGAIN))
		call->flags |= WIRE_CLAIMED;
	return true;
}

/* Where connect and a send that opens a connection meet. */
static __always_inline void stream_connect_enter(struct socket *socket, struct sock *sk,
						 u64 address, u32 length, bool is_sendmsg)
{
	struct call call = {.trigger = WIRE_CONNECT, .sk = (u64)sk};

	/* A send that an earlier connect() left the SYN to is that connect. */
	if (is_sendmsg) {
		if (compat_defers_connect(sk))
			return;
		call.trigger = WIRE_SEND;
		call.flags = WIRE_FASTOPEN;
	}
	call.had_port = socket_port(sk) != 0;
	call.state = socket_tcp_state(sk);
	call.collecting = BPF_CORE_READ(socket, state) == SS_CONNECTING;
	call_address(&call, address, length, ADDRESS_KERNEL);
	call_note(&call);
}

/* Also for a send that opens a connection. */
static __always_inline void connect_leave(long ret)
{
	struct call *call = call_finish();
	bool send;

	if (!call)
		return;
	if (call->emitted) {
		connect_fell_back(call, ret);
		send = false;
	} else if (!socket_is_tcp((void *)call->sk)) {
		send = datagram_connect_judge(call, ret);
	} else {
		/* Of a disconnect the change of state has told. */
		send = (call->other_family != OTHER_UNSPEC || ret < 0) && connect_judge(call, ret);
	}
	if (send)
		call_emit(call);
	call_forget();
}

/* A TCP connect has its port; the SYN comes next. In the context of whoever
 * connects. */
static __always_inline void connect_begin(struct sock *sk)
{
	u64 key = (u64)sk;
	struct call *noted = call_current();
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);
	bool held = lease && lease->held;
	struct call call = {.trigger = WIRE_CONNECT, .sk = key};

	if (held && lease->connecting)
		return; /* fast open, put off until now: the connect was sent */
	if (noted && noted->emitted)
		return; /* a further subflow of MPTCP inside the same call */
	if (noted && (noted->trigger == WIRE_CONNECT || noted->trigger == WIRE_SEND)) {
		noted->emitted = 1;
		noted->sk = key;
		call = *noted;
		if (held && !call.had_port &&
		    lease_seeded(lease, socket_port(sk), socket_netns(sk)))
			held = false;
	} else if (compat_defers_connect(sk)) {
		call.flags = WIRE_FASTOPEN;
	} else if (socket_fast_opens(sk)) {
		call.trigger = WIRE_SEND;
		call.flags = WIRE_FASTOPEN;
	}
	call.flags |= WIRE_IN_PROGRESS;
	if (!held && !socket_port_locked(sk) && (!call.had_port || socket_joins(sk)))
		call.flags |= WIRE_CLAIMED;
	call_emit_own(&call);
}

/* For tiers that see a function's arguments only where it begins. */
static __always_inline void port_enter(struct sock *sk)
{
	struct call *call = call_current();

	if (call)
		call->picked = (u64)sk;
}

static __always_inline void port_leave(long ret)
{
	struct call *call = call_current();

	if (call && !ret)
		connect_begin((void *)call->picked);
}

/* send */

/* A datagram takes its port before anything else: what becomes of it is not about
 * the port. */
static __always_inline bool autobind_judge(struct call *call, long ret)
{
	bool port = socket_port((void *)call->sk) != 0;

	call->error = port ? 0 : EAGAIN;
	call->flags |= WIRE_CLAIMED;
	return port || ret == -EAGAIN;
}

static __always_inline void autobind_enter(struct sock *sk)
{
	struct call call = {.trigger = WIRE_SEND, .sk = (u64)sk};

	/* Inside of a connect it is the connect's; with a port it does nothing. */
	if (call_current() || socket_port(sk) || !socket_has_ports(sk))
		return;
	call_note(&call);
}

static __always_inline void autobind_leave(long ret)
{
	struct call *call = call_current();

	if (!call || call->trigger != WIRE_SEND || call->flags & WIRE_FASTOPEN)
		return;
	if (autobind_judge(call, ret))
		call_emit(call);
	call_forget();
}

/* listen */

static __always_inline void listen_enter(struct sock *sk)
{
	struct call call = {.trigger = WIRE_LISTEN, .sk = (u64)sk};

	call.had_port = socket_port(sk) != 0;
	call.state = socket_tcp_state(sk);
	call_note(&call);
}

static __always_inline void listen_leave(long ret)
{
	struct call *call = call_finish();

	if (!call)
		return;
	if (ret < 0)
		call->error = -ret;
	if (!call->had_port && (ret >= 0 || ret == -EADDRINUSE))
		call->flags |= WIRE_CLAIMED;
	/* On a socket that listens it only sets a new length of the queue. */
	if (ret < 0 || call->state != STATE_LISTEN)
		call_emit(call);
	call_forget();
}

/* A call that a security module refused: it never came as far as being noted. */
static __always_inline void refusal_emit(struct socket *socket, u8 trigger, u64 address, u32 length,
					 long ret)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct call call = {.trigger = trigger, .sk = (u64)sk, .error = -ret};

	if (!sk || !socket_has_ports(sk))
		return;
	if (trigger == WIRE_BIND && !socket_port(sk))
		call.flags = WIRE_CLAIMED;
	call_address(&call, address, length, ADDRESS_KERNEL);
	if (address)
		call_take_address(&call);
	call_emit_own(&call);
}

/* release */

/* A datagram socket leaves the hash, at its end or when a disconnect takes its port. */
static __always_inline void unhash_enter(struct sock *sk)
{
	u64 key = (u64)sk;

	if (!socket_port(sk))
		return;
	if (!bpf_map_lookup_elem(&sockets, &key)) {
		if (!config.tree && socket_has_ports(sk))
			COUNT(unseen);
		return;
	}
	/* close() has taken the socket off its file before. */
	if (BPF_CORE_READ(sk, sk_socket, sk) == sk)
		release_keep(sk, WIRE_DISCONNECT);
	else
		release_final(sk, 0);
}

#endif
