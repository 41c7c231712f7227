/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A socket gave its port back. */
#ifndef PORTSNOOP_RELEASE_BPF_H
#define PORTSNOOP_RELEASE_BPF_H

/* Nobody can say whether a socket from before the stream is the traced command's. */
static __always_inline bool release_wanted(const struct lease *lease)
{
	return config.releases && (!config.tree || lease->claimant.pid);
}

static __always_inline bool release_passes(const struct lease *lease, struct sock *sk)
{
	return !config.filter || lease_passes(lease, sk, WIRE_RELEASE, false);
}

static __always_inline void release_emit(struct lease *lease, struct sock *sk, u32 flags)
{
	struct wire_event *event;

	if (!lease->held)
		return;
	lease->held = 0;
	if (config.tally) {
		tally_release(sk, lease->lingers);
		lease->lingers = 0;
		return;
	}
	flags |= (u32)lease->lingers << LINGERS_SHIFT;
	lease->lingers = 0;
	if (!release_wanted(lease) || !release_passes(lease, sk))
		return;
	event = lease_event(WIRE_RELEASE, lease, &lease->claimant, sk, flags);
	if (!event)
		return;
	event->trigger = lease->trigger;
	event->origin = lease->origin;
	if (lease->time)
		event->duration = event->header.time - lease->time;
	record_submit(event);
}

/* The socket stays and may claim again. */
static __always_inline void release_keep(struct sock *sk, u32 flags)
{
	u64 key = (u64)sk;
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);

	if (lease)
		release_emit(lease, sk, flags);
}

/* The socket itself goes. */
static __always_inline void release_final(struct sock *sk, u32 flags)
{
	u64 key = (u64)sk;
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);

	if (config.tally) /* also where no lease found room */
		tally_forget(sk, lease && lease->lingers);
	if (!lease)
		return;
	if (!config.tally)
		release_emit(lease, sk, flags);
	bpf_map_delete_elem(&sockets, &key);
}

/* A connection goes into TIME_WAIT: its bucket keeps the port when the socket gives
 * it back. */
static __always_inline void linger_begin(void *bucket, struct sock *sk)
{
	u64 key = (u64)sk, bucket_key = (u64)bucket;
	struct lease *lease = bpf_map_lookup_elem(&sockets, &key);
	struct wire_event event;

	if (!lease || !lease->held)
		return;
	if (config.tally) {
		if (tally_linger(bucket, sk))
			lease->lingers = WIRE_TIME_WAIT >> LINGERS_SHIFT;
		return;
	}
	lease->lingers = WIRE_TIME_WAIT >> LINGERS_SHIFT;
	if (!release_wanted(lease) || !release_passes(lease, sk))
		return;
	__builtin_memset(&event.header, 0, sizeof(event.header));
	lease_describe(&event, lease, &lease->claimant, sk, WIRE_TIME_WAIT | WIRE_TIME_WAIT_OVER);
	event.trigger = lease->trigger;
	event.origin = lease->origin;
	event.header.time = lease->time;
	if (bpf_map_update_elem(&time_waits, &bucket_key, &event, BPF_ANY))
		COUNT(untracked);
}

static __always_inline void linger_end(void *bucket)
{
	u64 key = (u64)bucket;
	struct wire_event *noted, *event;

	if (config.tally) {
		tally_linger_end(bucket);
		return;
	}
	noted = bpf_map_lookup_elem(&time_waits, &key);
	/* A bucket without a bind bucket has given the port back before. */
	if (!noted || !BPF_CORE_READ((struct inet_timewait_sock *)bucket, tw_tb))
		return;
	event = record_reserve(WIRE_RELEASE, sizeof(*event));
	if (event) {
		u64 claimed = noted->header.time;

		__builtin_memcpy((void *)event + sizeof(event->header),
				 (void *)noted + sizeof(noted->header),
				 sizeof(*event) - sizeof(event->header));
		if (claimed)
			event->duration = event->header.time - claimed;
		record_submit(event);
	}
	bpf_map_delete_elem(&time_waits, &key);
}

#endif
