/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/feature.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "probe/place.h"
#include "probe/privilege.h"

static int probe_btf(char *remark)
{
	(void)remark;
	return access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
}

static int capabilities_remark(enum wire_tier tier, char *remark)
{
	char missing[FEATURE_REMARK - 9];

	if (!privilege_check(tier, missing, sizeof(missing)))
		return 0;
	snprintf(remark, FEATURE_REMARK, "without %s", missing);
	return -EPERM;
}

static int probe_capabilities(char *remark)
{
	int error = capabilities_remark(0, remark);

	if (!error && !(place_capabilities() >> CAP_SYS_ADMIN & 1))
		snprintf(remark, FEATURE_REMARK,
			 "without CAP_SYS_ADMIN: no SCTP in the fentry tier, `who` sees less");
	return error;
}

static int probe_more_capabilities(char *remark)
{
	return capabilities_remark(WIRE_TIER_TRACEPOINT, remark);
}

static int probe_ring(char *remark)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "feature", 0, 0, sysconf(_SC_PAGESIZE), NULL);

	(void)remark;
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int probe_tracefs(char *remark)
{
	bool private = false;
	CLEANUP_FD int fd = place_tracefs(&private);
	int id;

	if (fd < 0)
		return fd;
	if (private)
		snprintf(remark, FEATURE_REMARK, "not mounted; a private mount serves");
	id = place_tracepoint_id(fd, "syscalls", "sys_enter_bind");
	if (id < 0)
		snprintf(remark, FEATURE_REMARK,
			 "the kernel has no syscall tracepoints "
			 "(CONFIG_FTRACE_SYSCALLS)");
	return id < 0 ? id : 0;
}

static int probe_cgroup(char *remark)
{
	bool root = false;
	CLEANUP_FD int fd = place_cgroup(&root);

	if (fd < 0)
		return fd;
	if (!root)
		snprintf(remark, FEATURE_REMARK,
			 "not the topmost one: claims from outside it are seen by syscalls only");
	return 0;
}

/* A function that all kernels have, with BTF and traceable. */
#define TARGET "inet_autobind"

static const struct bpf_insn nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
	{.code = BPF_JMP | BPF_EXIT},
};

static int nothing_load(enum bpf_prog_type type, const struct bpf_prog_load_opts *options)
{
	return bpf_prog_load(type, "feature", "Dual BSD/GPL", nothing,
			     sizeof(nothing) / sizeof(*nothing), options);
}

int feature_trampolines(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_FENTRY);
	CLEANUP_FD int program = -1;
	CLEANUP_FD int link = -1;
	int id = libbpf_find_vmlinux_btf_id(TARGET, BPF_TRACE_FENTRY);

	if (id < 0)
		return id;
	options.attach_btf_id = id;
	program = nothing_load(BPF_PROG_TYPE_TRACING, &options);
	if (program < 0)
		return program;
	link = bpf_raw_tracepoint_open(NULL, program);
	return link < 0 ? link : 0;
}

int feature_kprobes(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options);
	struct perf_event_attr attributes = {.size = sizeof(attributes)};
	CLEANUP_FILE FILE *type = fopen("/sys/bus/event_source/devices/kprobe/type", "re");
	CLEANUP_FD int program = -1;
	CLEANUP_FD int event = -1;

	if (!type)
		return -errno;
	if (fscanf(type, "%u", &attributes.type) != 1)
		return -EIO;
	attributes.kprobe_func = (uintptr_t)TARGET;
	event = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0)
		return -errno;
	program = nothing_load(BPF_PROG_TYPE_KPROBE, &options);
	if (program < 0)
		return program;
	return ioctl(event, PERF_EVENT_IOC_SET_BPF, program) ? -errno : 0;
}

bool feature_fetch(void)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
		{.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 10, .src_reg = 0, .off = -8},
		{.code = BPF_STX | 0xc0 | BPF_DW,
		 .dst_reg = 10,
		 .src_reg = 0,
		 .off = -8,
		 .imm = BPF_ADD | 0x01},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "fetch", "Dual BSD/GPL", program,
			       sizeof(program) / sizeof(*program), NULL);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int probe_fentry(char *remark)
{
	(void)remark;
	return feature_trampolines();
}

static int probe_kprobe(char *remark)
{
	(void)remark;
	return feature_kprobes();
}

const struct feature feature_table[] = {
	{"BTF", "everything", "a kernel with CONFIG_DEBUG_INFO_BTF=y, and /sys mounted", probe_btf},
	{"capabilities", "everything",
	 "CAP_BPF and CAP_PERFMON: run it as root, with sudo for instance", probe_capabilities},
	{"more capabilities", "tracepoint tier", "CAP_NET_ADMIN as well", probe_more_capabilities},
	{"ring buffer", "everything", "a kernel from 5.8 on", probe_ring},
	{"syscall tracepoints", "tracepoint tier",
	 "mount -t tracefs tracefs /sys/kernel/tracing; CAP_DAC_READ_SEARCH to read it; a kernel "
	 "with CONFIG_FTRACE_SYSCALLS=y",
	 probe_tracefs},
	{"cgroup v2", "tracepoint tier",
	 "mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified",
	 probe_cgroup},
	{"BPF trampolines", "fentry tier",
	 "a kernel that allows them: x86-64 from 5.5, arm64 from 6.12", probe_fentry},
	{"kprobes", "kprobe tier",
	 "a kernel with CONFIG_KPROBES=y; where kernel.perf_event_paranoid is above 2, CAP_SYS_ADMIN",
	 probe_kprobe},
};

const unsigned int feature_count = sizeof(feature_table) / sizeof(*feature_table);
