/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A call that claims or uses a port: from what it asked for (struct call) and what
 * became of the socket to a record and a lease. Knows nothing of tiers.
 */
#ifndef PORTSNOOP_CLAIM_BPF_H
#define PORTSNOOP_CLAIM_BPF_H

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
	if (!call_address_copy(event->other, event->family, call))
		return;
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

/* What a lease takes over from the call that opens it. */
struct opening {
	u64 time;
	u32 flags;
	u32 netns;
	u16 port;
	u8 trigger;
	u8 origin;
	u8 passes; /* what filter_claimant() says of the owner */
	u8 zero[3];
};

/* The lease of a socket that just got a port, or connects. Not inlined: a lease
 * takes a quarter of the stack. */
static __noinline u64 lease_open(struct sock *sk, const struct opening *opening,
				 const struct owner *owner)
{
	u64 key = (u64)sk;
	struct lease *known = bpf_map_lookup_elem(&sockets, &key);
	struct lease lease = {};
	bool connecting = opening->flags & WIRE_IN_PROGRESS;
	int error;

	if (known && !(opening->flags & WIRE_CLAIMED)) {
		known->connecting = connecting;
		known->connect_trigger = opening->trigger;
		known->called = opening->time;
		known->connector = *owner;
		known->connector_passes = opening->passes;
		return known->socket;
	}
	/* A port that is still held belongs to an older socket at this address
	 * whose end was not seen: not the same one. */
	if (known && (!known->held || lease_seeded(known, opening->port, opening->netns)))
		lease.socket = known->socket;
	else
		lease.socket = generation_next();
	lease.called = opening->time;
	lease.port = opening->port;
	lease.netns = opening->netns;
	lease.held = 1;
	lease.connecting = connecting;
	lease.connect_trigger = opening->trigger;
	lease.connector = *owner;
	lease.connector_passes = opening->passes;
	if (opening->flags & WIRE_CLAIMED) {
		lease.time = opening->time;
		lease.claimant = lease.connector;
		lease.claimant_passes = opening->passes;
		lease.trigger = opening->trigger;
		lease.origin = opening->origin;
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

/* What the filter makes of a call. */
#define CALL_HELD 0
#define CALL_ANNOUNCED 1 /* held, but its outcome may pass, and will need the process' record */
#define CALL_SENT 2

static __always_inline u32 call_judge(const struct call *call, struct subject *subject,
				      struct sock *sk)
{
	subject_socket(subject, sk);
	/* As event_other() has it. */
	if (call->trigger == WIRE_BIND && subject->failed &&
	    (call->other_family == AF_INET ||
	     (call->other_family == AF_INET6 && subject->family == 6))) {
		subject->asked = call->other_port;
		subject->has_asked = 1;
	}
	if (filter_passes(subject))
		return CALL_SENT;
	if (!(call->flags & WIRE_IN_PROGRESS && config.filter & (CONFIG_FAILED | CONFIG_EPHEMERAL)))
		return CALL_HELD;
	subject->failed = 1;
	subject->origin = WIRE_ORIGIN_KERNEL;
	return filter_judge(subject) ? CALL_ANNOUNCED : CALL_HELD;
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
static __always_inline u64 call_keep(struct sock *sk, const struct opening *opening,
				     const struct owner *owner)
{
	if (opening->port && opening->flags & (WIRE_CLAIMED | WIRE_IN_PROGRESS))
		return lease_open(sk, opening, owner);
	return lease_number(sk);
}

/* A call whose record is not sent: the socket is watched all the same. */
static __always_inline u32 call_filter(const struct call *call, struct sock *sk, bool joins,
				       const struct owner *owner, bool passes)
{
	struct subject subject = {
		.trigger = joins ? WIRE_SUBFLOW : call->trigger,
		.origin = call_origin(call),
		.failed = call->error != 0,
		.claimant_passes = passes,
	};
	struct opening opening = {
		.flags = call->flags,
		.trigger = subject.trigger,
		.origin = subject.origin,
		.passes = passes,
	};
	u32 verdict = call_judge(call, &subject, sk);

	if (verdict == CALL_SENT)
		return verdict;
	opening.time = bpf_ktime_get_ns();
	opening.port = subject.port;
	opening.netns = subject.netns;
	call_keep(sk, &opening, owner);
	return verdict;
}

/*
 * Sends the call, in the claimant's own context. The verifier walks through all of
 * it once for each different state that it is entered with, so there is to be one
 * only: not inlined, and everything it goes by comes from memory that the verifier
 * knows nothing about, a map's value or what call_emit_own() makes.
 */
static __noinline int call_send(const struct call *call)
{
	struct sock *sk = (void *)call->sk, *first = socket_joins(sk);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	u32 error = call->error, flags = call->flags, verdict = CALL_SENT;
	struct wire_event *event;
	struct opening opening = {};
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
	if (config.filter)
		verdict = call_filter(call, sk, first, &owner, passes);
	if (verdict == CALL_HELD)
		return 0;
	if (!first)
		process_announce(leader, &owner);
	if (verdict != CALL_SENT)
		return 0;
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
	opening.time = event->header.time;
	opening.flags = flags;
	opening.netns = event->netns;
	opening.port = event->local_port;
	opening.trigger = event->trigger;
	opening.origin = event->origin;
	opening.passes = passes;
	event->socket = call_keep(sk, &opening, &owner);
	record_submit(event);
	return 0;
}

/* The same for the tally: besides what is counted, the socket is watched as ever. */
static __noinline int call_count(const struct call *call)
{
	struct sock *sk = (void *)call->sk, *first = socket_joins(sk);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct opening opening = {
		.time = bpf_ktime_get_ns(),
		.flags = call->flags,
		.netns = socket_netns(sk),
		.port = socket_port(sk),
		.trigger = first ? WIRE_SUBFLOW : call->trigger,
		.origin = call_origin(call),
	};
	struct owner owner = {};
	bool passes;

	if (!first)
		owner_current(&owner, BPF_CORE_READ(task, group_leader));
	else if (call->trigger == WIRE_BIND || !owner_joined(&owner, first, &passes))
		return 0;
	call_keep(sk, &opening, &owner);
	return tally_call(call, &owner, first ? NULL : task, opening.origin);
}

static __always_inline void call_emit(const struct call *call)
{
	if (config.tally)
		call_count(call);
	else
		call_send(call);
}

/* For a call that stands on the stack: read over itself, so that the verifier forgets
 * what it knows of it, without room for a second one. */
static __always_inline void call_emit_own(struct call *call)
{
	bpf_probe_read_kernel(call, sizeof(*call), call);
	call_emit(call);
}

#endif
