/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First sight of a process, in its own context: whoever exits a microsecond later
 * is still named in full.
 */
#ifndef PORTSNOOP_PROCESS_BPF_H
#define PORTSNOOP_PROCESS_BPF_H

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h, unchanged since 2.6.25 */
#define MNT_INTERNAL 0x4000   /* include/linux/mount.h: a mount without a place */
#define COMPONENT 256	      /* NAME_MAX and its NUL */
#define EXE_STEPS 48	      /* components and crossed mounts */
#define CGROUP_STEPS 16

/*
 * The walks below keep their lengths and flags in the record and read them back at
 * each step: to the verifier a value from memory has no history, so all the ways to
 * the n-th step look alike and are checked once.
 */

/* Appends one component and counts it in *length. False when it did not fit
 * (`cut` is set) or could not be read (`unreadable`). */
static __always_inline bool component_append(char *out, u32 room, volatile u16 *length,
					     const void *name, volatile u32 *flags, u32 cut,
					     u32 unreadable)
{
	u32 used = *length;
	long n;

	if (used > room - COMPONENT) {
		*flags |= cut;
		return false;
	}
	n = bpf_probe_read_kernel_str(out + used, COMPONENT, name);
	if (n <= 0) {
		*flags |= unreadable;
		return false;
	}
	*length = used + n;
	return true;
}

/* From the leaf up to the root of the process, across mounts. bpf_d_path() would
 * do this but is not allowed in these hooks. */
static __always_inline void process_exe(struct wire_process *record, struct file *file,
					struct task_struct *leader)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *root = BPF_CORE_READ(leader, fs, root.dentry);
	struct vfsmount *root_mnt = BPF_CORE_READ(leader, fs, root.mnt);

	/* A dentry that left the hash has no name any more. */
	if (!BPF_CORE_READ(dentry, d_hash.pprev))
		record->flags |= WIRE_EXE_DELETED;
	if (BPF_CORE_READ(mnt, mnt_flags) & MNT_INTERNAL)
		record->flags |= WIRE_EXE_MEMORY;

	/* A memfd has a name, but no place: it is its own parent. */
	if (record->flags & WIRE_EXE_MEMORY) {
		component_append(record->exe, WIRE_EXE, &record->exe_length,
				 BPF_CORE_READ(dentry, d_name.name), &record->flags, WIRE_EXE_CUT,
				 WIRE_EXE_UNREADABLE);
		return;
	}
	for (int i = 0; i < EXE_STEPS; i++) {
		struct dentry *parent;

		if (dentry == root && mnt == root_mnt)
			return;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(mnt, mnt_root) || dentry == parent) {
			struct mount *mount =
				(void *)mnt - bpf_core_field_offset(struct mount, mnt);
			struct mount *above = BPF_CORE_READ(mount, mnt_parent);

			if (above == mount || !above)
				return;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mnt = (void *)above + bpf_core_field_offset(struct mount, mnt);
			continue;
		}
		if (!component_append(record->exe, WIRE_EXE, &record->exe_length,
				      BPF_CORE_READ(dentry, d_name.name), &record->flags,
				      WIRE_EXE_CUT, WIRE_EXE_UNREADABLE))
			return;
		dentry = parent;
	}
	record->flags |= WIRE_EXE_CUT;
}

/* `path` has room for WIRE_CGROUP bytes. */
static __always_inline void cgroup_path(struct kernfs_node *node, char *path, volatile u16 *length,
					volatile u32 *flags)
{
	if (!node) {
		*flags |= WIRE_CGROUP_UNREADABLE;
		return;
	}
	for (int i = 0; i < CGROUP_STEPS; i++) {
		struct kernfs_node *parent = compat_kernfs_parent(node);

		if (!parent) /* the root has no name */
			return;
		if (!component_append(path, WIRE_CGROUP, length, BPF_CORE_READ(node, name), flags,
				      WIRE_CGROUP_CUT, WIRE_CGROUP_UNREADABLE))
			return;
		node = parent;
	}
	*flags |= WIRE_CGROUP_CUT;
}

static __always_inline void process_cgroup(struct wire_process *record, struct task_struct *leader)
{
	struct kernfs_node *node = BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn);

	record->cgroup = BPF_CORE_READ(node, id);
	cgroup_path(node, record->path, &record->path_length, &record->flags);
}

static __always_inline void process_args(struct wire_process *record, struct mm_struct *mm)
{
	unsigned long start = BPF_CORE_READ(mm, arg_start);
	u64 size = BPF_CORE_READ(mm, arg_end) - start;

	if (size >= WIRE_ARGS) {
		size = WIRE_ARGS - 1;
		record->flags |= WIRE_ARGS_CUT;
	}
	size &= WIRE_ARGS - 1;
	if (bpf_probe_read_user(record->args, size, (void *)start)) {
		record->flags |= WIRE_ARGS_UNREADABLE;
		return;
	}
	/* Cut, or written over by a program that sets its title there. */
	if (size && record->args[(size - 1) & (WIRE_ARGS - 1)]) {
		record->args[size & (WIRE_ARGS - 1)] = 0;
		size++;
	}
	record->args_length = size;
}

/* A function of its own, so that the verifier sees one copy in each program. */
static __noinline int process_fill(struct wire_process *record, struct task_struct *leader)
{
	struct task_struct *parent = BPF_CORE_READ(leader, real_parent, group_leader);
	struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	struct mm_struct *mm = BPF_CORE_READ(leader, mm);
	u32 level = BPF_CORE_READ(pid, level) & 31; /* MAX_PID_NS_LEVEL is 32 */

	if (!record)
		return 0;
	record->start = BPF_CORE_READ(leader, start_boottime);
	record->pid = BPF_CORE_READ(leader, tgid);
	record->exec = BPF_CORE_READ(leader, self_exec_id);
	record->parent_pid = BPF_CORE_READ(parent, tgid);
	record->parent_start = BPF_CORE_READ(parent, start_boottime);
	record->uid = BPF_CORE_READ(leader, cred, uid.val);
	record->gid = BPF_CORE_READ(leader, cred, gid.val);
	record->namespace_pid = 0;
	bpf_core_read(&record->namespace_pid, sizeof(record->namespace_pid),
		      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			      level * bpf_core_type_size(struct upid) +
			      bpf_core_field_offset(struct upid, nr));
	record->flags = 0;
	record->exe_length = 0;
	record->args_length = 0;
	record->path_length = 0;
	record->zero = 0;
	BPF_CORE_READ_INTO(&record->comm, leader, comm);
	BPF_CORE_READ_INTO(&record->parent_comm, parent, comm);
	process_cgroup(record, leader);
	if (!mm || BPF_CORE_READ(leader, flags) & PF_KTHREAD) {
		record->flags |= WIRE_KERNEL_THREAD;
		return 0;
	}
	process_args(record, mm);
	process_exe(record, BPF_CORE_READ(mm, exe_file), leader);
	return 0;
}

/* What was marked at an earlier call of a process, or NULL. */
static __always_inline struct process_mark *process_known(const struct owner *owner)
{
	u32 pid = owner->pid;
	struct process_mark *known = bpf_map_lookup_elem(&processes, &pid);

	return known && known->start == owner->start && known->exec == owner->exec ? known : NULL;
}

/* Before the first event of a process. It is marked only after its record was
 * submitted: a lost one is sent again with the next event. */
static __always_inline void process_announce(struct task_struct *leader, const struct owner *owner)
{
	u32 pid = owner->pid;
	struct process_mark *known = process_known(owner);
	struct process_mark mark = {.start = owner->start, .exec = owner->exec, .submitted = 1};
	struct wire_process *record;

	if (config.follow)
		mark.root = followed_root(leader);
	if (known && known->submitted && known->root == mark.root)
		return;
	record = record_reserve(WIRE_PROCESS, sizeof(*record));
	if (!record)
		return;
	process_fill(record, leader);
	record->root = mark.root;
	if (config.filter & CONFIG_COMMS) {
		/* Looked up again: kept until here it would make the verifier walk through
		 * the record once more for each way that it was found by. */
		known = process_known(owner);
		if (known) {
			__builtin_memcpy(record->comm, known->comm, WIRE_COMM);
			__builtin_memcpy(mark.comm, known->comm, WIRE_COMM);
		}
	}
	record_submit(record);
	bpf_map_update_elem(&processes, &pid, &mark, BPF_ANY);
}

#endif
