/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts instead of records (config.tally): see <portsnoop/tally.h>. Each count goes to a
 * row of a map or, where the map has no room for the row, to tally_overflow: so that the
 * sum of both misses nothing. A claim remembers which of them it was counted in, and what
 * becomes of it later is counted in the same.
 *
 * Additions are atomic although the rows are a CPU's own: a release in softirq interrupts
 * the very claim whose row it counts in.
 */
#ifndef PORTSNOOP_TALLY_BPF_H
#define PORTSNOOP_TALLY_BPF_H

#define TALLY_ADD(counts, member, number)                                                          \
	({                                                                                         \
		struct tally_counts *own = counts;                                                 \
		if (own)                                                                           \
			__sync_fetch_and_add(&own->member, number);                                \
	})

/* Hooks are detached one after the other: what some of them count meanwhile would stand
 * without what the others would have. */
static __always_inline bool tally_is_over(void)
{
	return *(volatile u32 *)&tally_stopped;
}

static __always_inline struct tally_counts *tally_rest(u32 which)
{
	return bpf_map_lookup_elem(&tally_overflow, &which);
}

/* For a claim that leaves the choice to the kernel. A bind() to an address that is not of
 * this machine fails with EADDRNOTAVAIL, whatever ports there are. */
static __always_inline bool call_exhausted(const struct call *call)
{
	return call->error == EADDRINUSE || call->error == EAGAIN ||
	       (call->error == EADDRNOTAVAIL && call->trigger != WIRE_BIND);
}

/* What a place has in common with the key; the protocol is the socket's so far. */
static __always_inline void tally_place_begin(struct tally_place *place, struct sock *sk)
{
	struct net *net = BPF_CORE_READ(sk, __sk_common.skc_net.net);
	u32 flags = 0;

	place->netns = BPF_CORE_READ(net, ns.inum);
	place->protocol = BPF_CORE_READ(sk, sk_protocol);
	socket_pool(sk, net, &place->pool_low, &place->pool_high, &flags);
}

/* What a call is counted under. `port`: of the socket, or asked for in vain; 0: none. */
static __always_inline void tally_key_fill(struct tally_key *key, const struct owner *owner,
					   struct sock *sk, const struct tally_place *place,
					   u16 port)
{
	key->start = owner->start;
	key->cgroup = owner->cgroup;
	key->pid = owner->pid;
	key->uid = owner->uid;
	key->netns = place->netns;
	key->protocol = socket_is_subflow(sk) ? IPPROTO_MPTCP : place->protocol;
	if (!port)
		return;
	key->class = port < 1024 ? TALLY_SYSTEM : port < 49152 ? TALLY_USER : TALLY_DYNAMIC;
	if (place->pool_low <= port && port <= place->pool_high)
		key->class |= TALLY_IN_POOL;
	if (port_reserved(BPF_CORE_READ(sk, __sk_common.skc_net.net), port))
		key->class |= TALLY_RESERVED;
}

/* Of a port that the kernel chose, or of its finding none. */
static __always_inline void tally_place_fill(struct tally_place *place, const struct call *call,
					     struct sock *sk, u16 port)
{
	bool connects = call->trigger == WIRE_CONNECT || call->trigger == WIRE_SEND;

	place->family = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 ? 6 : 4;
	if (protocol_is_tcp(place->protocol))
		place->protocol = IPPROTO_TCP;
	if (connects && socket_is_tcp(sk)) {
		if (port) {
			address_local(place->local, place->family, sk);
			address_remote(place->other, place->family, sk);
			place->other_port = socket_other_port(sk);
		} else {
			/* The source stands where tally_source() left it. */
			u64 key = (u64)sk;
			struct tally_socket *noted = bpf_map_lookup_elem(&tally_sockets, &key);

			if (noted && noted->flags & TALLY_SOURCE)
				__builtin_memcpy(place->local, noted->place.local, 16);
			if (call_address_copy(place->other, place->family, call))
				place->other_port = call->other_port;
		}
	} else if (call->trigger == WIRE_BIND && !port) {
		call_address_copy(place->local, place->family, call);
	} else if (call->trigger == WIRE_BIND || socket_address_locked(sk)) {
		/* Else the connect came behind the choice, and has filled it in since. */
		address_local(place->local, place->family, sk);
	}
}

/* First sight of a cgroup. Filled in where it is, because it is too large for the stack;
 * who reads it meanwhile sees TALLY_PATH_UNFINISHED. */
static __always_inline void tally_path_note(u64 id, struct task_struct *task)
{
	struct tally_path *path;
	int error = bpf_map_update_elem(&tally_cgroups, &id, &tally_blank.path, BPF_NOEXIST);

	if (error) {
		if (error != -EEXIST)
			TALLY_ADD(tally_rest(TALLY_REST_NAMES), claims, 1);
		return;
	}
	path = bpf_map_lookup_elem(&tally_cgroups, &id);
	if (!path)
		return;
	cgroup_path(BPF_CORE_READ(task, cgroups, dfl_cgrp, kn), path->path, &path->length,
		    &path->flags);
	path->flags &= ~TALLY_PATH_UNFINISHED;
}

/* The one that a new row is about. Without a task its cgroup's path is not to be had here. */
static __noinline int tally_introduce(const struct owner *owner, struct task_struct *task)
{
	struct tally_process process = {.start = owner->start, .pid = owner->pid};
	u64 id = owner->cgroup;
	int error = bpf_map_update_elem(&tally_names, &process, owner->comm, BPF_NOEXIST);

	if (error && error != -EEXIST)
		TALLY_ADD(tally_rest(TALLY_REST_NAMES), claims, 1);
	if (task && !bpf_map_lookup_elem(&tally_cgroups, &id))
		tally_path_note(id, task);
	return 0;
}

/* NULL: there is no room for another one. */
static __noinline struct tally_counts *
tally_row(const struct tally_key *key, const struct owner *owner, struct task_struct *task)
{
	struct tally_counts *counts = bpf_map_lookup_elem(&tally_claims, key);

	if (counts)
		return counts;
	if (!bpf_map_update_elem(&tally_claims, key, &tally_blank.counts, BPF_NOEXIST))
		tally_introduce(owner, task);
	/* Also when another CPU was first. */
	return bpf_map_lookup_elem(&tally_claims, key);
}

static __noinline struct tally_counts *tally_place_row(const struct tally_place *place)
{
	struct tally_counts *counts = bpf_map_lookup_elem(&tally_places, place);

	if (counts)
		return counts;
	bpf_map_update_elem(&tally_places, place, &tally_blank.counts, BPF_NOEXIST);
	return bpf_map_lookup_elem(&tally_places, place);
}

/* True: nobody has met this error before. */
static __noinline bool tally_error_add(const struct tally_key *key, u32 number, bool outcome)
{
	struct tally_error error = {.error = number, .outcome = outcome};
	u64 *count, none = 0;
	bool new = false;

	__builtin_memcpy(&error.key, key, sizeof(error.key));
	count = bpf_map_lookup_elem(&tally_errors, &error);
	if (!count) {
		new = !bpf_map_update_elem(&tally_errors, &error, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&tally_errors, &error);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
	else if (outcome)
		TALLY_ADD(tally_rest(TALLY_REST_ERRORS), connect_failures, 1);
	else if (key->origin != WIRE_ORIGIN_NONE)
		TALLY_ADD(tally_rest(TALLY_REST_ERRORS), failures, 1);
	else
		TALLY_ADD(tally_rest(TALLY_REST_ERRORS), claims, 1);
	return new;
}

/* What a socket's claim was counted in. */
static __always_inline struct tally_counts *tally_row_of(const struct tally_socket *socket)
{
	struct tally_counts *counts = NULL;

	if (!(socket->flags & TALLY_ROW_REST))
		counts = bpf_map_lookup_elem(&tally_claims, &socket->key);
	return counts ? counts : tally_rest(TALLY_REST_CLAIMS);
}

/* NULL: the port was not the kernel's choice. */
static __always_inline struct tally_counts *tally_place_of(const struct tally_socket *socket)
{
	struct tally_counts *counts = NULL;

	if (!(socket->flags & TALLY_HAS_PLACE))
		return NULL;
	if (!(socket->flags & TALLY_PLACE_REST))
		counts = bpf_map_lookup_elem(&tally_places, &socket->place);
	return counts ? counts : tally_rest(TALLY_REST_PLACES);
}

/* `closed` last: who reads a row that has been closed for good finds the rest of it
 * counted, too. */
static __always_inline void tally_close_count(struct tally_counts *counts, u64 held, bool lingers)
{
	if (!counts)
		return;
	if (lingers)
		__sync_fetch_and_add(&counts->time_waits, 1);
	__sync_fetch_and_add(&counts->held, held);
	__sync_fetch_and_add(&counts->closed, 1);
}

/* The socket's port is given back. What is noted stays until the socket goes: the failure
 * of its connect may be told of later. */
static __noinline int tally_release(struct sock *sk, bool lingers)
{
	u64 key = (u64)sk;
	struct tally_socket *socket = bpf_map_lookup_elem(&tally_sockets, &key);
	u64 held;

	if (!socket || !socket->claimed || tally_is_over())
		return 0;
	held = bpf_ktime_get_ns() - socket->claimed;
	socket->claimed = 0;
	tally_close_count(tally_row_of(socket), held, lingers);
	tally_close_count(tally_place_of(socket), held, lingers);
	return 0;
}

/* The socket itself goes. */
static __always_inline void tally_forget(struct sock *sk, bool lingers)
{
	u64 key = (u64)sk;

	tally_release(sk, lingers);
	bpf_map_delete_elem(&tally_sockets, &key);
}

/* The bucket takes over what is noted of the socket. False: there is nothing to be said
 * when it goes. */
static __always_inline bool tally_linger(void *bucket, struct sock *sk)
{
	u64 key = (u64)sk, bucket_key = (u64)bucket;
	struct tally_socket *socket = bpf_map_lookup_elem(&tally_sockets, &key);

	if (!socket || !socket->claimed)
		return false;
	if (!bpf_map_update_elem(&tally_sockets, &bucket_key, socket, BPF_ANY))
		return true;
	COUNT(untracked);
	return false;
}

static __always_inline void tally_linger_end(void *bucket)
{
	u64 key = (u64)bucket;
	struct tally_socket *socket = bpf_map_lookup_elem(&tally_sockets, &key);

	/* A bucket without a bind bucket has given the port back before. */
	if (!socket || tally_is_over() ||
	    !BPF_CORE_READ((struct inet_timewait_sock *)bucket, tw_tb))
		return;
	TALLY_ADD(tally_row_of(socket), time_waits_over, 1);
	TALLY_ADD(tally_place_of(socket), time_waits_over, 1);
	bpf_map_delete_elem(&tally_sockets, &key);
}

/* A connect that found no port takes back the source address that it had chosen, before
 * anybody sees it return. */
static __noinline int tally_source(struct sock *sk, const struct call *call, int from, int to)
{
	u64 key = (u64)sk;
	struct tally_socket *known, socket = {.flags = TALLY_SOURCE};

	if (from != STATE_SYN_SENT || to != STATE_CLOSE || call->sk != key || !call->picking ||
	    call->emitted)
		return 0;
	known = bpf_map_lookup_elem(&tally_sockets, &key);
	if (known && known->claimed)
		return 0;
	address_local(socket.place.local,
		      BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 ? 6 : 4, sk);
	bpf_map_update_elem(&tally_sockets, &key, &socket, BPF_ANY);
	return 0;
}

/* A claim that succeeded is noted by its socket: what becomes of it is counted where the
 * claim itself is. */
static __noinline int tally_note(struct sock *sk, struct tally_socket *socket)
{
	u64 key = (u64)sk;
	int error;

	socket->claimed = bpf_ktime_get_ns();
	error = bpf_map_update_elem(&tally_sockets, &key, socket, BPF_NOEXIST);
	if (error == -EEXIST) {
		/* An earlier claim of it, given back, or of a socket that lived at this
		 * address before, and whose end has passed no hook. */
		tally_release(sk, false);
		error = bpf_map_update_elem(&tally_sockets, &key, socket, BPF_ANY);
	}
	if (error)
		COUNT(untracked);
	return 0;
}

/* `owner` is not the current process when `task` is NULL. */
static __noinline int tally_call(const struct call *call, const struct owner *owner,
				 struct task_struct *task, u8 origin)
{
	struct sock *sk = (void *)call->sk;
	u16 port = socket_port(sk), asked = port;
	struct tally_socket socket = {};
	struct tally_counts *row, *place = NULL;
	bool claimed = call->flags & WIRE_CLAIMED;

	if ((!claimed && !call->error) || tally_is_over())
		return 0;
	if (!port && call->trigger == WIRE_BIND)
		asked = call->other_port;
	socket.key.trigger = task ? call->trigger : WIRE_SUBFLOW;
	socket.key.origin = origin;
	tally_place_begin(&socket.place, sk);
	tally_key_fill(&socket.key, owner, sk, &socket.place, asked);
	if (claimed) {
		row = tally_row(&socket.key, owner, task);
		if (!row) {
			socket.flags |= TALLY_ROW_REST;
			row = tally_rest(TALLY_REST_CLAIMS);
		}
		if (origin == WIRE_ORIGIN_KERNEL && (port || call_exhausted(call))) {
			socket.flags |= TALLY_HAS_PLACE;
			socket.place.trigger = socket.key.trigger;
			tally_place_fill(&socket.place, call, sk, port);
			place = tally_place_row(&socket.place);
			if (!place) {
				socket.flags |= TALLY_PLACE_REST;
				place = tally_rest(TALLY_REST_PLACES);
			}
		}
		if (port) {
			TALLY_ADD(row, claims, 1);
			TALLY_ADD(place, claims, 1);
			tally_note(sk, &socket);
		} else if (call->error) {
			TALLY_ADD(row, failures, 1);
			TALLY_ADD(place, failures, 1);
		}
		/* Datagrams: the port was had, and the connect failed all the same. */
		if (port && call->error) {
			TALLY_ADD(row, connect_failures, 1);
			TALLY_ADD(place, connect_failures, 1);
		}
	}
	if (call->error && tally_error_add(&socket.key, call->error, claimed && port))
		tally_introduce(owner, task);
	return 0;
}

/* A connection that did not come about. */
static __noinline int tally_outcome(const struct lease *lease, struct sock *sk, u32 error)
{
	u64 sk_key = (u64)sk;
	struct tally_socket *socket = bpf_map_lookup_elem(&tally_sockets, &sk_key);
	struct tally_place place = {};
	struct tally_key key = {};
	struct tally_counts *row;

	if (tally_is_over())
		return 0;
	/* The connect that made the claim. */
	if (socket && !(socket->flags & TALLY_SOURCE) && lease->time &&
	    lease->trigger == lease->connect_trigger) {
		__builtin_memcpy(&key, &socket->key, sizeof(key));
		row = tally_row_of(socket);
		TALLY_ADD(tally_place_of(socket), connect_failures, 1);
	} else {
		key.trigger = lease->connect_trigger;
		key.origin = WIRE_ORIGIN_NONE;
		tally_place_begin(&place, sk);
		tally_key_fill(&key, &lease->connector, sk, &place, lease->port);
		row = tally_row(&key, &lease->connector, NULL);
		if (!row)
			row = tally_rest(TALLY_REST_CLAIMS);
	}
	TALLY_ADD(row, connect_failures, 1);
	tally_error_add(&key, error, true); /* its row has introduced it */
	return 0;
}

#endif
