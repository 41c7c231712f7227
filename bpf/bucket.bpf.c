// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether the kernel may hand out a port that somebody has: that is in the bind bucket
 * of TCP, which no listing of the kernel's tells. An object of its own: only `pool` asks.
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <portsnoop/bucket.h>
#include "compat.bpf.h"
#include "address.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define FMODE_PATH 0x4000 /* include/linux/fs.h: opened as a name, without its functions */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

/* Contexts of programs are an interface (since 5.8): no kernel type to look up. */
struct bucket_meta {
	struct seq_file *seq;
};

struct bucket_tcp_context {
	struct bucket_meta *meta;
	struct sock_common *socket;
};

struct bucket_file_context {
	struct bucket_meta *meta;
	struct task_struct *task;
	__u64 fd;
	struct file *file;
};

static __always_inline void record_common(struct bucket_record *record, struct sock *sk)
{
	record->socket = (u64)sk;
	record->netns = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	record->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	record->other_port = socket_other_port(sk);
	record->state = BPF_CORE_READ(sk, __sk_common.skc_state);
	address_local(record->local, record->family, sk);
	if (record->other_port)
		address_remote(record->other, record->family, sk);
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, __sk_common.skc_ipv6only))
		record->flags |= BUCKET_V6ONLY;
}

static __always_inline void record_bucket(struct bucket_record *record,
					  struct inet_bind_bucket *bucket)
{
	if (!bucket)
		return;
	record->flags |= BUCKET_KNOWN;
	if (BPF_CORE_READ(bucket, fastreuse) >= 0 || BPF_CORE_READ(bucket, fastreuseport) >= 0)
		record->flags |= BUCKET_BIND;
}

static __always_inline void record_time_wait(struct bucket_record *record, struct sock *sk)
{
	struct inet_timewait_sock *tw = (void *)sk;
	struct inet_timewait_sock___entry *entry = (void *)sk;
	u64 now = bpf_ktime_get_ns();
	u32 stamp;

	record_bucket(record, BPF_CORE_READ(tw, tw_tb));
	stamp = BPF_CORE_READ((struct tcp_timewait_sock *)sk, tw_ts_recent_stamp);
	if (stamp)
		record->flags |= BUCKET_STAMPED;
	/* tcp_twsk_unique(): the second has to be another one than the last packet's;
	 * since 6.14 tcp_tw_reuse_delay has to be over. */
	if (bpf_core_field_exists(entry->tw_entry_stamp)) {
		record->flags |= BUCKET_DELAY;
		record->age = (u32)(now / 1000000) - BPF_CORE_READ(entry, tw_entry_stamp);
	} else {
		record->age = ((u32)(now / 1000000000) - stamp) * 1000;
	}
}

SEC("iter/tcp")
int bucket_sockets(struct bucket_tcp_context *ctx)
{
	struct bucket_record record = {.protocol = IPPROTO_TCP};
	struct sock *sk = (void *)ctx->socket;
	u16 family;

	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	record.family = family == AF_INET6 ? 6 : 4;
	record_common(&record, sk);
	/* A request: its port is its listener's. */
	if (record.state == TCP_NEW_SYN_RECV || !record.local_port)
		return 0;
	if (record.state == TCP_TIME_WAIT) {
		record_time_wait(&record, sk);
	} else {
		record_bucket(&record,
			      BPF_CORE_READ((struct inet_connection_sock *)sk, icsk_bind_hash));
		compat_own_port_range(sk, &record.own_low, &record.own_high);
	}
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

/* What iter/tcp does not list: sockets that are no more than bound, and UDP, of which
 * only those with a range of their own are of interest. */
SEC("iter/task_file")
int bucket_files(struct bucket_file_context *ctx)
{
	struct bucket_record record = {};
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;
	u16 family;

	if (!file || !ctx->task)
		return 0;
	if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK || file->f_mode & FMODE_PATH)
		return 0;
	socket = file->private_data;
	sk = BPF_CORE_READ(socket, sk);
	if (!sk)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) || BPF_CORE_READ(sk, sk_type) == SOCK_RAW)
		return 0;
	record.protocol = BPF_CORE_READ(sk, sk_protocol);
	if (record.protocol != IPPROTO_TCP && record.protocol != IPPROTO_UDP &&
	    record.protocol != IPPROTO_UDPLITE)
		return 0;
	compat_own_port_range(sk, &record.own_low, &record.own_high);
	if (!record.own_low && !record.own_high)
		return 0;
	record.family = family == AF_INET6 ? 6 : 4;
	record_common(&record, sk);
	if (record.local_port)
		bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}
