/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `-- COMMAND`: only the claims of one command and of what descends from it. */
#ifndef PORTSNOOP_FILTER_BPF_H
#define PORTSNOOP_FILTER_BPF_H

static __always_inline bool tree_has(struct task_struct *leader)
{
	u32 pid = BPF_CORE_READ(leader, tgid);
	u64 *start = bpf_map_lookup_elem(&tree, &pid);

	/* 0: put in by user space, for the command itself. */
	return start && (!*start || *start == BPF_CORE_READ(leader, start_boottime));
}

/* False, and counted: the event is not for this stream. */
static __always_inline bool filter_passes(struct task_struct *leader)
{
	if (!config.tree || tree_has(leader))
		return true;
	COUNT(seen);
	COUNT(filtered);
	return false;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(tree_fork, struct task_struct *parent, struct task_struct *child)
{
	u32 pid = BPF_CORE_READ(child, tgid);
	u64 start = BPF_CORE_READ(child, start_boottime);

	if ((u32)BPF_CORE_READ(child, pid) != pid || !tree_has(BPF_CORE_READ(parent, group_leader)))
		return 0;
	if (bpf_map_update_elem(&tree, &pid, &start, BPF_ANY))
		COUNT(untracked);
	return 0;
}

#endif
