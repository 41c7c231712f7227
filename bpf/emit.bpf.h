/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The only place that reserves and submits, and so the only one that counts. */
#ifndef PORTSNOOP_EMIT_BPF_H
#define PORTSNOOP_EMIT_BPF_H

static __always_inline struct cpu_counters *counters_own(void)
{
	u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&counters, &cpu);
}

#define COUNT(member)                                                                              \
	({                                                                                         \
		struct cpu_counters *own = counters_own();                                         \
		if (own)                                                                           \
			__sync_fetch_and_add(&own->member, 1);                                     \
	})

/* Adds one and returns the new value. Without fetch (the loader has then taken it
 * out of the instruction, which leaves a plain atomic addition) the value may
 * already hold somebody else's addition: good enough for a number that is then
 * not sent as a sequence. */
#define COUNTER_NEXT(counter)                                                                      \
	({                                                                                         \
		u64 before = __sync_fetch_and_add(&(counter), 1);                                  \
		config.fetch ? before + 1 : *(volatile u64 *)&(counter);                           \
	})

/*
 * The number is taken behind the reservation: it is a full barrier between the
 * ring's producer position and reader_asleep, without which a reader could fall
 * asleep over a record. With fetch, numbers of one CPU are unique and without
 * holes; an interrupt between the two steps can only swap neighbours.
 */
static __always_inline void *record_reserve(u16 type, u64 size)
{
	struct cpu_counters *own = counters_own();
	struct wire_header *header;
	u64 number;

	if (!own)
		return NULL;
	header = bpf_ringbuf_reserve(&ring, size, 0);
	number = COUNTER_NEXT(own->seen);
	if (!header) {
		__sync_fetch_and_add(&own->lost, 1);
		return NULL;
	}
	header->type = type;
	header->size = size;
	header->lost = own->lost;
	header->cpu_sequence = (u64)bpf_get_smp_processor_id() << WIRE_SEQUENCE_BITS |
			       (config.fetch ? number : 0);
	header->time = bpf_ktime_get_ns();
	return header;
}

static __always_inline void record_submit(void *record)
{
	u64 wake = BPF_RB_NO_WAKEUP;

	if (*(volatile u32 *)&reader_asleep) {
		*(volatile u32 *)&reader_asleep = 0;
		wake = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, wake);
}

/* A number for a socket, from 1: CPUs take turns, so no two are alike. */
static __always_inline u64 generation_next(void)
{
	struct cpu_counters *own = counters_own();

	if (!own)
		return 0;
	return (COUNTER_NEXT(own->generation) << 12) + bpf_get_smp_processor_id();
}

#endif
