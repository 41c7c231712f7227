/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A call that claims or uses a port: from what it asked for (struct call) and what
 * became of the socket to a record and a lease. Knows nothing of tiers.
 */
#ifndef PORTSNOOP_CLAIM_BPF_H
#define PORTSNOOP_CLAIM_BPF_H

/* Errors that decide what happened: asm-generic/errno*.h. */
#define EAGAIN 11
#define EEXIST 17
#define EADDRINUSE 98
#define EADDRNOTAVAIL 99
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115

#define SOCKADDR_IN 16
#define SOCKADDR_IN6 24 /* SIN6_LEN_RFC2133: the scope may be missing */

/* Takes in the address of a call. In the program's memory it may still change
 * behind our back. */
static __always_inline void call_take_address(struct call *call)
{
	struct sockaddr_any address = {};
	u64 length = call->length;
	long error;

	/* clang 18 would compare one copy and pass on another, which the verifier then
	 * finds unbounded. */
	barrier_var(length);
	if (length > sizeof(address))
		length = sizeof(address);
	if (length < 2 || !call->address) {
		call->other_family = OTHER_UNREADABLE;
		return;
	}
	error = call->copied ? bpf_probe_read_kernel(&address, length, (void *)call->address)
			     : bpf_probe_read_user(&address, length, (void *)call->address);
	if (error)
		return; /* not in memory yet; tried again on the way out */
	call->other_port = bpf_ntohs(address.port);
	if (address.family == AF_UNSPEC) {
		call->other_family = OTHER_UNSPEC;
	} else if (address.family == AF_INET && length >= SOCKADDR_IN) {
		call->other_family = AF_INET;
		__builtin_memcpy(call->other, &address.v4, 4);
	} else if (address.family == AF_INET6 && length >= SOCKADDR_IN6) {
		call->other_family = AF_INET6;
		__builtin_memcpy(call->other, address.v6, 16);
	} else {
		call->other_family = OTHER_UNREADABLE;
		call->other_port = 0;
	}
}

static __always_inline void event_other(struct wire_event *event, const struct call *call)
{
	if (call->other_family == AF_INET) {
		if (event->family == 6)
			address_map_v4(event->other, *(__be32 *)call->other);
		else
			__builtin_memcpy(event->other, call->other, 4);
	} else if (call->other_family == AF_INET6 && event->family == 6) {
		__builtin_memcpy(event->other, call->other, 16);
	} else {
		return;
	}
	event->other_port = call->other_port;
	event->flags |= WIRE_HAS_OTHER;
}

static __always_inline bool address_equal(const u8 *a, const u8 *b)
{
	const u64 *left = (const void *)a, *right = (const void *)b;

	return left[0] == right[0] && left[1] == right[1];
}

/* The snapshot can find a socket between the moment that a call gives it a port and the
 * hook that tells of the call. */
static __always_inline bool lease_seeded(const struct lease *lease, u16 port, u32 netns)
{
	return lease->held && !lease->time && lease->port == port && lease->netns == netns;
}

/* The lease of a socket that just got a port, or connects. `passes`: what
 * filter_claimant() says of the owner. */
static __always_inline u64 lease_open(struct sock *sk, const struct wire_event *event,
				      const struct owner *owner, bool passes)
{
	u64 key = (u64)sk;
	struct lease *known = bpf_map_lookup_elem(&sockets, &key);
	struct lease lease = {};
	bool connecting = event->flags & WIRE_IN_PROGRESS;
	long error;

	if (known && !(event->flags & WIRE_CLAIMED)) {
		known->connecting = connecting;
		known->connect_trigger = event->trigger;
		known->called = event->header.time;
		known->connector = *owner;
		known->connector_passes = passes;
		return known->socket;
	}
	/* A port that is still held belongs to an older socket at this address
	 * whose end was not seen: not the same one. */
	if (known && (!known->held || lease_seeded(known, event->local_port, event->netns)))
		lease.socket = known->socket;
	else
		lease.socket = generation_next();
	lease.called = event->header.time;
	lease.port = event->local_port;
	lease.netns = event->netns;
	lease.held = 1;
	lease.connecting = connecting;
	lease.connect_trigger = event->trigger;
	lease.connector = *owner;
	lease.connector_passes = passes;
	if (event->flags & WIRE_CLAIMED) {
		lease.time = event->header.time;
		lease.claimant = lease.connector;
		lease.claimant_passes = passes;
		lease.trigger = event->trigger;
		lease.origin = event->origin;
	}
	error = bpf_map_update_elem(&sockets, &key, &lease, known ? BPF_ANY : BPF_NOEXIST);
	if (error == -EEXIST) { /* seeded right now */
		known = bpf_map_lookup_elem(&sockets, &key);
		if (known)
			lease.socket = known->socket;
		error = bpf_map_update_elem(&sockets, &key, &lease, BPF_ANY);
	}
	if (error)
		COUNT(untracked);
	return lease.socket;
}

static __always_inline u64 lease_number(struct sock *sk)
{
	u64 key = (u64)sk;
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);

	return lease ? lease->socket : 0;
}

static __always_inline void event_owner(struct wire_event *event, const struct owner *owner)
{
	event->start = owner->start;
	event->cgroup = owner->cgroup;
	event->pid = owner->pid;
	event->tid = owner->tid;
	event->uid = owner->uid;
	event->exec = owner->exec;
	__builtin_memcpy(event->comm, owner->comm, WIRE_COMM);
	if (!owner->pid)
		event->flags |= WIRE_NO_CLAIMANT;
}

/* The current process, whose leader it is. */
static __always_inline void owner_current(struct owner *owner, struct task_struct *leader)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	owner->pid = BPF_CORE_READ(leader, tgid);
	owner->exec = BPF_CORE_READ(leader, self_exec_id);
	owner->start = BPF_CORE_READ(leader, start_boottime);
	owner->tid = BPF_CORE_READ(task, pid);
	owner->uid = BPF_CORE_READ(task, cred, uid.val);
	owner->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_INTO(&owner->comm, task, comm);
}

/* A worker of the kernel joins a subflow to a connection: on behalf of the process
 * whose connection it is. */
static __always_inline bool owner_joined(struct owner *owner, struct sock *first, bool *passes)
{
	u64 key = (u64)first;
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);

	if (lease) {
		*owner = lease->claimant;
		if (config.filter)
			*passes = lease->claimant_passes;
	} else if (config.tree) {
		return false; /* the connection itself was not for this stream */
	}
	return true;
}

/* What the filter says of a call's record; what has to do with the process said it
 * before. */
static __always_inline bool call_passes(const struct call *call, const struct wire_event *event,
					struct sock *sk, bool claimant_passes)
{
	struct subject subject = {
		.trigger = event->trigger,
		.origin = event->origin,
		.failed = event->error != 0,
		.claimant_passes = claimant_passes,
	};

	subject_socket(&subject, sk);
	/* As event_other() has it. */
	if (call->trigger == WIRE_BIND && event->error &&
	    (call->other_family == AF_INET ||
	     (call->other_family == AF_INET6 && subject.family == 6))) {
		subject.asked = call->other_port;
		subject.has_asked = 1;
	}
	return filter_passes(&subject);
}

static __always_inline u8 call_origin(const struct call *call)
{
	if (!(call->flags & WIRE_CLAIMED))
		return WIRE_ORIGIN_NONE;
	return call->trigger == WIRE_BIND && call->other_port ? WIRE_ORIGIN_REQUESTED
							      : WIRE_ORIGIN_KERNEL;
}

/* The socket's number, and its lease if the call is about one. A datagram connect may
 * fail and leave the port taken. */
static __always_inline u64 call_keep(struct sock *sk, const struct wire_event *event,
				     const struct owner *owner, bool passes)
{
	if (event->local_port && event->flags & (WIRE_CLAIMED | WIRE_IN_PROGRESS))
		return lease_open(sk, event, owner, passes);
	return lease_number(sk);
}

/* False: the record is not sent, but the socket is watched. */
static __always_inline bool call_filter(const struct call *call, struct sock *sk, bool joins,
					const struct owner *owner, bool passes)
{
	struct wire_event event = {
		.error = call->error,
		.flags = call->flags,
		.trigger = joins ? WIRE_SUBFLOW : call->trigger,
		.origin = call_origin(call),
	};

	if (call_passes(call, &event, sk, passes))
		return true;
	event.header.time = bpf_ktime_get_ns();
	event.local_port = socket_port(sk);
	event.netns = socket_netns(sk);
	call_keep(sk, &event, owner, passes);
	return false;
}

/*
 * Sends the call, in the claimant's own context. The verifier walks through all of
 * it once for each different state that it is entered with, so there is to be one
 * only: not inlined, and everything it goes by comes from memory that the verifier
 * knows nothing about, a map's value or what call_emit_own() makes.
 */
static __noinline int call_emit(const struct call *call)
{
	struct sock *sk = (void *)call->sk, *first = socket_joins(sk);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u32 error = call->error, flags = call->flags;
	struct wire_event *event;
	struct owner owner = {};
	bool passes = false;

	if (first) {
		/* Its bind only prepares the connect that follows at once. */
		if (call->trigger == WIRE_BIND || !owner_joined(&owner, first, &passes))
			return 0;
	} else {
		if (config.tree && !tree_has(leader)) {
			filter_count();
			return 0;
		}
		owner_current(&owner, leader);
		if (config.filter & CONFIG_CLAIMANT)
			passes = filter_claimant(&owner, leader);
	}
	if (config.filter && !call_filter(call, sk, first, &owner, passes))
		return 0;
	if (!first)
		process_announce(leader, &owner);
	event = record_reserve(WIRE_CALL, sizeof(*event));
	if (!event)
		return 0;
	__builtin_memset((void *)event + sizeof(event->header), 0,
			 sizeof(*event) - sizeof(event->header));
	event->error = error;
	event->flags = flags;
	event->trigger = first ? WIRE_SUBFLOW : call->trigger;
	event->origin = call_origin(call);
	event_owner(event, &owner);
	event_socket(event, sk);

	if (socket_port_locked(sk))
		event->flags |= WIRE_LOCKED;
	if (call->trigger == WIRE_BIND && !error && !event->local_port && compat_bind_no_port(sk))
		event->flags |= WIRE_BIND_NO_PORT;
	/* Of a connect that succeeded the kernel knows better than what the program
	 * passed. */
	if (!error && (call->trigger == WIRE_CONNECT || call->trigger == WIRE_SEND))
		event_remote(event, sk);
	if (!(event->flags & WIRE_HAS_OTHER))
		event_other(event, call);
	if (call->trigger != WIRE_BIND && event->local_port &&
	    event->local_port == event->other_port && address_equal(event->local, event->other))
		event->flags |= WIRE_SELF_CONNECT;

	event_reserved(event, sk,
		       event->local_port || call->trigger != WIRE_BIND ? event->local_port
								       : event->other_port);
	event->socket = call_keep(sk, event, &owner, passes);
	record_submit(event);
	return 0;
}

/* For a call that stands on the stack: read over itself, so that the verifier forgets
 * what it knows of it, without room for a second one. */
static __always_inline void call_emit_own(struct call *call)
{
	bpf_probe_read_kernel(call, sizeof(*call), call);
	call_emit(call);
}

#endif
