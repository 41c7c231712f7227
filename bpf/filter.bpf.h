/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which records are worth sending, for a stream that nobody keeps account of the
 * ports with: user/model/filter.c once more, condition by condition. A condition that
 * is not set (config.filter) costs nothing: the verifier takes it out.
 *
 * Only the sending is decided here. A socket whose claim was held back is watched like
 * any other, because a later record of it may pass: the failure of its connect does
 * where only failures are wanted.
 */
#ifndef PORTSNOOP_FILTER_BPF_H
#define PORTSNOOP_FILTER_BPF_H

/* What conditions go by, of a record that is not made yet. */
struct subject {
	u32 netns;
	u16 port; /* local; 0: none */
	u16 asked;
	u16 protocol;
	u8 family;
	u8 trigger;
	u8 origin;
	u8 mptcp;
	u8 failed;
	u8 has_asked;	    /* `asked` is what a bind that failed wanted */
	u8 claimant_passes; /* what filter_claimant() said when it made the call */
	u8 zero[3];
};

static __always_inline void subject_socket(struct subject *subject, struct sock *sk)
{
	subject->port = socket_port(sk);
	subject->netns = socket_netns(sk);
	subject->protocol = BPF_CORE_READ(sk, sk_protocol);
	subject->family = BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6 ? 6 : 4;
	subject->mptcp = subject->protocol == IPPROTO_MPTCP || socket_is_subflow(sk);
}

static __always_inline bool number_allowed(u32 condition, u32 number)
{
	u64 key = CONFIG_NUMBER(condition, number);

	return bpf_map_lookup_elem(&filter_numbers, &key);
}

static __always_inline bool port_allowed(u16 port)
{
	u32 key = 0, byte = port >> 3;
	struct filter_ports *ports = bpf_map_lookup_elem(&filter_ports, &key);

	barrier_var(byte);
	if (!ports || byte >= sizeof(ports->bits))
		return false;
	return ports->bits[byte] >> (port & 7) & 1;
}

/* Behind its NUL the kernel may have left an older name. */
static __always_inline bool name_allowed(const char *comm)
{
	struct filter_name key = {};

	bpf_probe_read_kernel_str(key.text, sizeof(key.text), comm);
	return bpf_map_lookup_elem(&filter_names, &key);
}

/*
 * From the leaf up to the root, with all paths at once: bit n of `matched` is set while
 * the components so far are those of a path from its last one to its n-th. A path
 * matches whose first component the walk has just met when it comes to the root.
 */
static __always_inline bool cgroup_allowed(struct task_struct *leader)
{
	struct kernfs_node *node = BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn);
	u64 matched = 0, result = 1; /* a path that is deeper than a record tells */

	for (int i = 0; i < CGROUP_STEPS; i++) {
		struct kernfs_node *parent = compat_kernfs_parent(node);
		struct filter_component key = {};
		u64 *places;

		if (!parent) {
			result = matched & config.cgroup_firsts;
			break;
		}
		if (bpf_probe_read_kernel_str(key.text, sizeof(key.text),
					      BPF_CORE_READ(node, name)) <= 0)
			break;
		matched = matched << 1 | config.cgroup_lasts;
		places = bpf_map_lookup_elem(&filter_components, &key);
		if (places)
			matched &= *places;
		else
			matched = 0;
		node = parent;
	}
	return result;
}

/* The name that its record has, or will have: the one at its first call, as in a stream
 * that nothing is held back from. */
static __always_inline bool leader_name_allowed(struct process_mark *known,
						const struct owner *owner,
						struct task_struct *leader)
{
	struct process_mark mark = {.start = owner->start, .exec = owner->exec};
	u32 pid = owner->pid;

	if (known)
		return owner->tid != owner->pid && name_allowed(known->comm);
	BPF_CORE_READ_INTO(&mark.comm, leader, comm);
	bpf_map_update_elem(&processes, &pid, &mark, BPF_ANY);
	return owner->tid != owner->pid && name_allowed(mark.comm);
}

/*
 * The conditions about processes, for the one that makes a call. Of a process that has
 * a record, the record counts, because that is what user space goes by. One that has
 * none gets it with the first event that passes.
 */
static __noinline bool filter_claimant(const struct owner *owner, struct task_struct *leader)
{
	struct process_mark *known = NULL;

	if (!owner->pid)
		return false;
	if (config.filter & (CONFIG_COMMS | CONFIG_CGROUPS))
		known = process_known(owner);
	if (config.filter & CONFIG_COMMS) {
		bool named = leader_name_allowed(known, owner, leader);

		if (!named && !name_allowed(owner->comm))
			return false;
	}
	if (config.filter & CONFIG_PIDS && !number_allowed(CONFIG_PIDS, owner->pid) &&
	    !followed_root(leader))
		return false;
	if (config.filter & CONFIG_UIDS && !number_allowed(CONFIG_UIDS, owner->uid))
		return false;
	/* It would not have a record if it were elsewhere. */
	return !(config.filter & CONFIG_CGROUPS) || (known && known->submitted) ||
	       cgroup_allowed(leader);
}

static __noinline bool filter_judge(const struct subject *subject)
{
	if (config.filter & CONFIG_CLAIMANT && !subject->claimant_passes)
		return false;
	if (config.filter & CONFIG_FAILED && !subject->failed)
		return false;
	if (config.filter & CONFIG_EPHEMERAL && subject->origin != WIRE_ORIGIN_KERNEL)
		return false;
	if (config.filter & CONFIG_FAMILY && subject->family != config.family)
		return false;
	if (config.filter & CONFIG_TRIGGERS && !(config.triggers >> (subject->trigger & 31) & 1))
		return false;
	/* A socket that was bound before still has its port when a bind fails. */
	if (config.filter & CONFIG_PORTS &&
	    !(subject->has_asked ? port_allowed(subject->asked) ||
					   (subject->port && port_allowed(subject->port))
				 : port_allowed(subject->port)))
		return false;
	if (config.filter & CONFIG_NETNS && !number_allowed(CONFIG_NETNS, subject->netns))
		return false;
	return !(config.filter & CONFIG_PROTOCOLS) ||
	       number_allowed(CONFIG_PROTOCOLS, subject->protocol) ||
	       (subject->mptcp && number_allowed(CONFIG_PROTOCOLS, IPPROTO_MPTCP));
}

static __always_inline void filter_count(void)
{
	COUNT(seen);
	COUNT(filtered);
}

/* False, and counted: the record is not for this stream. */
static __always_inline bool filter_passes(const struct subject *subject)
{
	if (filter_judge(subject))
		return true;
	filter_count();
	return false;
}

#endif
