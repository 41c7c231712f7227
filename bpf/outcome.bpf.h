/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a TCP handshake ended. Runs in whatever context the answer came in; the
 * event belongs to the process that connected.
 */
#ifndef PORTSNOOP_OUTCOME_BPF_H
#define PORTSNOOP_OUTCOME_BPF_H

/* Fills in what there is to say about a lease and the process in `owner`, one of its
 * two; not the header. */
static __always_inline void lease_describe(struct wire_event *event, const struct lease *lease,
					   const struct owner *owner, struct sock *sk, u32 flags)
{
	__builtin_memset((void *)event + sizeof(event->header), 0,
			 sizeof(*event) - sizeof(event->header));
	event->socket = lease->socket;
	event->flags = flags;
	event_owner(event, owner);
	event_socket(event, sk);
	event_remote(event, sk);
	if (!event->local_port)
		event->local_port = lease->port; /* already given back */
	if (socket_port_locked(sk))
		event->flags |= WIRE_LOCKED;
	event_reserved(event, sk, event->local_port);
}

static __always_inline struct wire_event *lease_event(u16 type, const struct lease *lease,
						      const struct owner *owner, struct sock *sk,
						      u32 flags)
{
	struct wire_event *event = record_reserve(type, sizeof(*event));

	if (event)
		lease_describe(event, lease, owner, sk, flags);
	return event;
}

/* As in the record of an outcome. */
static __always_inline u8 lease_connect_origin(const struct lease *lease)
{
	return lease->trigger == lease->connect_trigger ? lease->origin : WIRE_ORIGIN_NONE;
}

/* What the filter says of a record about a lease. `failed` is for WIRE_OUTCOME. */
static __noinline bool lease_passes(const struct lease *lease, struct sock *sk, u16 type,
				    bool failed)
{
	struct subject subject = {
		.trigger = lease->trigger,
		.origin = lease->origin,
		.claimant_passes = lease->claimant_passes,
	};

	if (type == WIRE_OUTCOME) {
		subject.trigger = lease->connect_trigger;
		subject.origin = lease_connect_origin(lease);
		subject.claimant_passes = lease->connector_passes;
		subject.failed = failed;
	}
	subject_socket(&subject, sk);
	if (!subject.port)
		subject.port = lease->port;
	return filter_passes(&subject);
}

/* `error` 0 with WIRE_ABORTED: the process closed it before an answer came. */
static __always_inline void outcome_emit(struct lease *lease, struct sock *sk, u32 error, u32 flags)
{
	struct wire_event *event;

	lease->connecting = 0;
	if (config.tally) {
		if (error || flags & WIRE_ABORTED)
			tally_outcome(lease, sk, error);
		return;
	}
	if (config.filter && !lease_passes(lease, sk, WIRE_OUTCOME, error || flags & WIRE_ABORTED))
		return;
	event = lease_event(WIRE_OUTCOME, lease, &lease->connector, sk, flags);
	if (!event)
		return;
	event->error = error;
	event->trigger = lease->connect_trigger;
	event->origin = lease_connect_origin(lease);
	event->duration = event->header.time - lease->called;
	record_submit(event);
}

#endif
