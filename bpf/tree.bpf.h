/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes and what descends from them: of `-- COMMAND`, which alone is traced then,
 * and of --pid. A descendant is one by the fork that made it, whoever its parent is
 * now.
 */
#ifndef PORTSNOOP_TREE_BPF_H
#define PORTSNOOP_TREE_BPF_H

static __always_inline bool tree_has(struct task_struct *leader)
{
	u32 pid = BPF_CORE_READ(leader, tgid);
	u64 *start = bpf_map_lookup_elem(&tree, &pid);

	/* 0: put in by user space, for the command itself. */
	return start && (!*start || *start == BPF_CORE_READ(leader, start_boottime));
}

/* The process of --pid that it is or descends from; 0: none. */
static __always_inline u32 followed_root(struct task_struct *leader)
{
	u32 pid = BPF_CORE_READ(leader, tgid);
	struct config_followed *known = bpf_map_lookup_elem(&followed, &pid);

	if (!known || (known->start && known->start != BPF_CORE_READ(leader, start_boottime)))
		return 0;
	return known->root;
}

/* True: it is a descendant, and was not noted yet. */
static __always_inline bool followed_note(struct task_struct *child, struct task_struct *parent)
{
	u32 pid = BPF_CORE_READ(child, tgid);
	struct config_followed note = {.start = BPF_CORE_READ(child, start_boottime),
				       .root = followed_root(parent)};

	if (!note.root || followed_root(child))
		return false;
	if (!bpf_map_update_elem(&followed, &pid, &note, BPF_ANY))
		return true;
	COUNT(untracked);
	return false;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(tree_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_struct *leader = BPF_CORE_READ(parent, group_leader);
	u32 pid = BPF_CORE_READ(child, tgid);
	u64 start = BPF_CORE_READ(child, start_boottime);

	if ((u32)BPF_CORE_READ(child, pid) != pid)
		return 0;
	if (config.follow)
		followed_note(child, leader);
	if (config.tree && tree_has(leader) && bpf_map_update_elem(&tree, &pid, &start, BPF_ANY))
		COUNT(untracked);
	return 0;
}

/* Descendants that were there before the hooks; says a byte for each new one. Read
 * again until there is none: one may have been forked behind the reader's back. */
SEC("iter/task")
int snapshot_followed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u8 one = 1;

	if (!task || BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid))
		return 0;
	if (followed_note(task, BPF_CORE_READ(task, real_parent, group_leader)))
		bpf_seq_write(ctx->meta->seq, &one, sizeof(one));
	return 0;
}

#endif
