/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that bpf/ uses, cut down to the members that it reads.
 *
 * Each member is found by name in the running kernel's BTF when the program is
 * loaded (CO-RE), so order, size and what lies between do not matter and one
 * file serves every architecture and kernel. To add a type, take its name and
 * its members' names and kinds from `bpftool btf dump file
 * /sys/kernel/btf/vmlinux format c`. A type that changed between kernels has
 * one flavour each, NAME___FLAVOUR, with the version that brought it; bpf/
 * compat.bpf.h is the only place that chooses between them.
 *
 * What is user API (bpf.h, sockaddr) comes from the system's headers or stands
 * below the pop.
 */
#ifndef PORTSNOOP_VMLINUX_H
#define PORTSNOOP_VMLINUX_H

#define __VMLINUX_H__ /* makes bpf_tracing.h use the kernel's names of registers */

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
enum { false = 0, true = 1 };

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

/* Sockets. */

struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct ip_local_ports_array { /* until 6.7 */
	int range[2];
};

struct netns_ipv4___array {
	struct ip_local_ports_array ip_local_ports;
};

struct ip_local_ports_word { /* 6.8: low in the lower half */
	u32 range;
};

struct netns_ipv4 {
	struct ip_local_ports_word ip_local_ports;
	unsigned long *sysctl_local_reserved_ports;
	int sysctl_ip_prot_sock;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

struct net___array {
	struct netns_ipv4___array ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct socket;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct sock {
	struct sock_common __sk_common;
	unsigned char sk_kern_sock : 1;
	unsigned char sk_userlocks : 4;
	u16 sk_type;
	u16 sk_protocol;
	int sk_err;
	kuid_t sk_uid;
	struct socket *sk_socket;
};

struct inet_sock {
	struct sock sk;
	unsigned long inet_flags;
};

struct inet_sock___bits { /* until 6.5 */
	__u8 bind_address_no_port : 1;
	__u8 defer_connect : 1;
};

struct inet_sock___pair { /* 6.3 to 6.6 */
	struct {
		__u16 lo;
		__u16 hi;
	} local_port_range;
};

struct inet_sock___word { /* 6.7: low in the lower half */
	u32 local_port_range;
};

struct msghdr;

struct tcp_fastopen_request {
	struct msghdr *data; /* NULL while a connect() prepares it */
};

struct tcp_sock {
	struct tcp_fastopen_request *fastopen_req;
	bool is_mptcp; /* 5.6, where MPTCP is built in */
};

struct file;

typedef enum {
	SS_CONNECTING = 2,
} socket_state;

struct socket {
	socket_state state;
	struct file *file;
	struct sock *sk;
};

struct inet_bind_bucket {
	signed char fastreuse; /* -1: connect() made it, and nobody else has a share */
	signed char fastreuseport;
};

struct inet_timewait_sock {
	struct inet_bind_bucket *tw_tb;
};

struct inet_timewait_sock___entry { /* 6.14 */
	u32 tw_entry_stamp;
};

struct tcp_timewait_sock {
	int tw_ts_recent_stamp;
};

struct inet_connection_sock {
	struct inet_bind_bucket *icsk_bind_hash;
	void *icsk_ulp_data;
};

struct mptcp_subflow_context {
	struct sock *conn; /* the MPTCP socket */
};

struct mptcp_sock {
	struct sock *first; /* its first subflow */
};

struct bpf_sock_addr_kern {
	struct sock *sk;
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

/* Files and paths. */

struct qstr {
	u32 len;
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node **pprev;
};

struct inode {
	unsigned short i_mode;
	unsigned long i_ino;
};

struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	unsigned int f_mode;
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
};

/* Processes. */

struct kernfs_node {
	const char *name;
	u64 id;
	struct kernfs_node *__parent; /* 6.15 */
};

struct kernfs_node___old {
	struct kernfs_node *parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
};

struct cred {
	kuid_t uid;
	kgid_t gid;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	u64 start_boottime;
	u64 self_exec_id;
	const struct cred *cred;
	char comm[16];
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
};

/* Contexts of programs. */

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di, si, dx, cx, r8, ax;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};

struct pt_regs;
#endif

struct trace_event_raw_sys_enter {
	long id;
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	long id;
	long ret;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

/* User API whose headers drag in too much: fixed for ever. */

struct sockaddr_any {
	__u16 family;
	__be16 port;
	union {
		__be32 v4;
		struct {
			__be32 flowinfo;
			__u8 v6[16];
			__u32 scope;
		};
	};
};

struct user_message { /* struct msghdr as a 64-bit program passes it */
	__u64 name;
	__s32 name_length;
};

enum {
	AF_UNSPEC = 0,
	AF_INET = 2,
	AF_INET6 = 10,
	SOCK_STREAM = 1,
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_SCTP = 132,
	IPPROTO_UDPLITE = 136,
	IPPROTO_MPTCP = 262,
	MSG_FASTOPEN = 0x20000000,
	S_IFMT = 0170000,
	S_IFSOCK = 0140000,
};

#endif
