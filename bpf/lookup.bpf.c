// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which descriptor of which process leads to a socket that has one of the wanted
 * ports. An object of its own: a question asked once has no time to load the hooks.
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <portsnoop/listing.h>
#include "address.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define FMODE_PATH 0x4000 /* include/linux/fs.h: opened as a name, without its functions */

struct listing_query query;

/*
 * Each kernel type that is looked up in its BTF costs the loader a walk over all of its
 * names, 1 ms here. What never changed does without: contexts of programs are an
 * interface (since 5.8), and struct upid is as old as pid namespaces.
 */
struct listing_meta {
	struct seq_file *seq;
};

struct listing_context {
	struct listing_meta *meta;
	struct task_struct *task;
	__u64 fd;
	struct file *file;
};

struct listing_task_context {
	struct listing_meta *meta;
	struct task_struct *task;
};

struct listing_upid {
	int nr;
	void *namespace;
};

static __always_inline bool protocol_wanted(u16 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return !query.protocol || query.protocol == protocol;
	case IPPROTO_MPTCP:
		return !query.protocol || query.protocol == protocol ||
		       query.protocol == IPPROTO_TCP;
	default:
		return false; /* the number of a ping socket is no port */
	}
}

static __always_inline void record_socket(struct listing_record *record, struct sock *sk)
{
	record->socket = (u64)sk;
	record->owner = BPF_CORE_READ(sk, sk_uid.val);
	record->device = BPF_CORE_READ(sk, __sk_common.skc_bound_dev_if);
	record->other_port = socket_other_port(sk);
	record->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	address_local(record->local, record->family, sk);
	if (record->other_port)
		address_remote(record->other, record->family, sk);
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuse))
		record->flags |= WIRE_REUSEADDR;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_reuseport))
		record->flags |= WIRE_REUSEPORT;
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only))
		record->flags |= WIRE_V6ONLY;
	if (record->protocol == IPPROTO_MPTCP)
		record->flags |= WIRE_MPTCP;
}

/* As the reader's /proc names it: a task that is listed lives in the reader's pid
 * namespace or below it. */
static __always_inline u32 task_number(struct task_struct *task)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	u32 level = BPF_CORE_READ(reader, thread_pid, level) & 31; /* MAX_PID_NS_LEVEL is 32 */
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 number = 0;

	bpf_core_read(&number, sizeof(number),
		      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			      level * sizeof(struct listing_upid));
	return number;
}

static __always_inline void record_process(struct listing_record *record, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	record->start = BPF_CORE_READ(leader, start_boottime);
	record->pid = task_number(leader);
	record->uid = BPF_CORE_READ(leader, cred, uid.val);
	BPF_CORE_READ_INTO(&record->comm, leader, comm);
}

/* Of a socket that is wanted. */
static __always_inline void record_write(struct listing_context *ctx, struct task_struct *task,
					 struct file *file, struct sock *sk, u16 port)
{
	struct listing_record record = {.local_port = port};
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	record.protocol = BPF_CORE_READ(sk, sk_protocol);
	record.netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(sk, sk_type) == SOCK_RAW ||
	    !protocol_wanted(record.protocol) || (query.netns && query.netns != record.netns))
		return;
	record.family = family == AF_INET6 ? 6 : 4;
	record.inode = file->f_inode->i_ino;
	record.fd = ctx->fd;
	record_socket(&record, sk);
	record_process(&record, task);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
}

SEC("iter/task_file")
int lookup_files(struct listing_context *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	u16 port;

	if (!file || !task)
		return 0;
	/* Before all else, and by plain loads: most files are no sockets. 5.10 has no
	 * bpf_sock_from_file(). */
	if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK || file->f_mode & FMODE_PATH)
		return 0;
	socket = file->private_data;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return 0;
	port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (port && query.ports[port >> 3] >> (port & 7) & 1)
		record_write(ctx, task, file, sk, port);
	return 0;
}

SEC("iter/task")
int lookup_namespaces(struct listing_task_context *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct listing_namespace record = {};

	if (!task)
		return 0;
	record.netns = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	leader = BPF_CORE_READ(task, group_leader);
	if (!record.netns || /* a zombie is nowhere */
	    (leader != task && BPF_CORE_READ(leader, nsproxy, net_ns, ns.inum) == record.netns))
		return 0;
	record.pid = task_number(task);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
