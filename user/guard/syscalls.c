/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "guard/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"

/*
 * By name: what an architecture, or this libseccomp, does not know is left out. Where
 * two calls do the same, libraries take one here and the other there.
 */
static const char *const allowed[] = {
	/* files; SQLite does most of it */
	"read",
	"readv",
	"pread64",
	"preadv",
	"write",
	"writev",
	"pwrite64",
	"pwritev",
	"lseek",
	"open",
	"openat",
	"close",
	"close_range",
	"dup",
	"dup2",
	"dup3",
	"stat",
	"lstat",
	"fstat",
	"newfstatat",
	"statx",
	"statfs",
	"fstatfs",
	"access",
	"faccessat",
	"faccessat2",
	"readlink",
	"readlinkat",
	"getcwd",
	"getdents64",
	"mkdir",
	"mkdirat",
	"unlink",
	"unlinkat",
	"rename",
	"renameat",
	"renameat2",
	"fchmod",
	"fchmodat",
	"fchown",
	"ftruncate",
	"fallocate",
	"fsync",
	"fdatasync",
	"fadvise64",
	"flock",
	"umask",
	"utimensat",
	/* memory; mmap and mprotect are below */
	"brk",
	"munmap",
	"mremap",
	"madvise",
	"msync",
	/* threads that are there: none is made any more */
	"exit",
	"exit_group",
	"futex",
	"futex_time64",
	"futex_wait",
	"futex_wake",
	"futex_waitv",
	"set_robust_list",
	"rseq",
	"membarrier",
	"sched_yield",
	"sched_getaffinity",
	"getcpu",
	"restart_syscall",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"rt_sigsuspend",
	"rt_sigpending",
	"sigaltstack",
	/* who, where and when */
	"getpid",
	"gettid",
	"getppid",
	"getuid",
	"geteuid",
	"getgid",
	"getegid",
	"getresuid",
	"getresgid",
	"getgroups",
	"getrlimit",
	"getrusage",
	"getpriority",
	"sysinfo",
	"uname",
	"getrandom",
	"times",
	"time",
	"gettimeofday",
	"clock_gettime",
	"clock_getres",
	"clock_nanosleep",
	"nanosleep",
	/* to wait for something */
	"poll",
	"ppoll",
	"select",
	"pselect6",
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"epoll_pwait2",
	"eventfd2",
	"signalfd4",
	"alarm", /* or, where there is none, the next one: patience at the end */
	"setitimer",
	"timerfd_create",
	"timerfd_settime",
	"timerfd_gettime",
	"pipe",
	"pipe2",
	"inotify_init1",
	"inotify_add_watch",
	"inotify_rm_watch",
	/* sockets; of which families is below */
	"connect",
	"recvfrom",
	"recvmsg",
	"shutdown",
	"getsockname",
	"getpeername",
	"getsockopt",
};

/* Of a service: it answers. Sockets of other families than AF_UNIX were opened before, as
 * the one of --metrics that listens. */
static const char *const allowed_service[] = {
	"bind",
	"listen",
	"accept",
	"accept4",
	"wait4", /* what became of a courier */
};

/* Of a courier that stays on this machine: journald takes what is long as a file. */
static const char *const allowed_local[] = {
	"memfd_create",
};

/* Of a courier that talks to a network: what resolvers take. */
static const char *const allowed_remote[] = {
	"recvmmsg",
};

/* Of one call that is allowed with certain arguments only: one of them. `mask`: the bits
 * of the argument that are compared. */
struct exception {
	const char *name;
	unsigned int argument;
	uint64_t mask, value;
};

#define WHOLE UINT32_MAX /* an int: what a caller leaves in the upper half is undefined */

static const struct exception exceptions_all[] = {
	/* No new code. NSS has its modules by then: session_settle(). */
	{"mmap", 2, PROT_EXEC, 0},
	{"mprotect", 2, PROT_EXEC, 0},

	{"socket", 0, WHOLE, AF_UNIX},

	/* Connects without connect(), and Landlock does not look. */
	{"sendto", 3, MSG_FASTOPEN, 0},
	{"sendmsg", 2, MSG_FASTOPEN, 0},

	/* No filters, no BPF programs on a socket. The new numbers are those of 32-bit
	 * machines, whose libraries use them everywhere. */
	{"setsockopt", 2, WHOLE, SO_SNDBUF},
	{"setsockopt", 2, WHOLE, SO_RCVBUF},
	{"setsockopt", 2, WHOLE, SO_SNDTIMEO},
	{"setsockopt", 2, WHOLE, SO_RCVTIMEO},
	{"setsockopt", 2, WHOLE, SO_PASSCRED},

	/* No signals by files, no leases. */
	{"fcntl", 1, WHOLE, F_DUPFD},
	{"fcntl", 1, WHOLE, F_DUPFD_CLOEXEC},
	{"fcntl", 1, WHOLE, F_GETFD},
	{"fcntl", 1, WHOLE, F_SETFD},
	{"fcntl", 1, WHOLE, F_GETFL},
	{"fcntl", 1, WHOLE, F_SETFL},
	{"fcntl", 1, WHOLE, F_GETLK},
	{"fcntl", 1, WHOLE, F_SETLK},
	{"fcntl", 1, WHOLE, F_SETLKW},
	{"fcntl", 1, WHOLE, F_OFD_GETLK},
	{"fcntl", 1, WHOLE, F_OFD_SETLK},
	{"fcntl", 1, WHOLE, F_OFD_SETLKW},

	/* stdio asks whether it writes to a terminal. */
	{"ioctl", 1, WHOLE, TCGETS},
	{"ioctl", 1, WHOLE, TIOCGWINSZ},
	{"ioctl", 1, WHOLE, FIONREAD},
	{"ioctl", 1, WHOLE, FIONBIO},
	{"ioctl", 1, WHOLE, TIOCOUTQ}, /* SIOCOUTQ: what a socket's receiver has not read */

	/* Names of threads and of memory. */
	{"prctl", 0, WHOLE, PR_SET_NAME},
	{"prctl", 0, WHOLE, PR_GET_NAME},
	{"prctl", 0, WHOLE, 0x53564d41 /* PR_SET_VMA, 5.17 */},

	/* To ask, not to set. */
	{"prlimit64", 2, UINT64_MAX, 0},
};

static const struct exception exceptions_service[] = {
	/* Without CAP_BPF, from 5.19 on: to read an iterator that was attached before, and
	 * how often a program of ours was skipped. Neither makes anything new. */
	{"bpf", 0, WHOLE, BPF_ITER_CREATE},
	{"bpf", 0, WHOLE, BPF_OBJ_GET_INFO_BY_FD},

	/* libbpf disables a perf event before it closes it. */
	{"ioctl", 1, WHOLE, PERF_EVENT_IOC_DISABLE},
};

static const struct exception exceptions_local[] = {
	/* What of it was not read yet. */
	{"ioctl", 1, WHOLE, SIOCOUTQ},
	{"fcntl", 1, WHOLE, F_ADD_SEALS},
};

static const struct exception exceptions_remote[] = {
	{"ioctl", 1, WHOLE, SIOCOUTQ},
	{"socket", 0, WHOLE, AF_INET},
	{"socket", 0, WHOLE, AF_INET6},
	{"sendmmsg", 3, MSG_FASTOPEN, 0},

	/* By their numbers; they mean nothing else that is of use on another level. */
	{"setsockopt", 2, WHOLE, TCP_NODELAY},
	{"setsockopt", 2, WHOLE, SO_KEEPALIVE},
	{"setsockopt", 2, WHOLE, TCP_KEEPIDLE},
	{"setsockopt", 2, WHOLE, TCP_KEEPINTVL},
	{"setsockopt", 2, WHOLE, TCP_KEEPCNT},
	{"setsockopt", 2, WHOLE, TCP_USER_TIMEOUT},
	{"setsockopt", 2, WHOLE, IP_RECVERR},
	{"setsockopt", 2, WHOLE, IPV6_RECVERR},
};

/* What one kind of process has; the common list comes first. */
struct allowance {
	const char *const *names;
	size_t name_count;
	const struct exception *exceptions;
	size_t exception_count;
};

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define ALLOWANCE(names_, exceptions_)                                                             \
	{                                                                                          \
		names_, COUNT(names_), exceptions_, COUNT(exceptions_)                             \
	}

static const struct allowance common = ALLOWANCE(allowed, exceptions_all);
static const struct allowance allowances[] = {
	[SYSCALLS_SERVICE] = ALLOWANCE(allowed_service, exceptions_service),
	[SYSCALLS_COURIER] = ALLOWANCE(allowed_local, exceptions_local),
	[SYSCALLS_REMOTE_COURIER] = ALLOWANCE(allowed_remote, exceptions_remote),
};

static void filter_end(scmp_filter_ctx *filter)
{
	seccomp_release(*filter);
}

static int allow(scmp_filter_ctx filter, const char *name, const struct scmp_arg_cmp *condition)
{
	int number = seccomp_syscall_resolve_name(name);

	if (number < 0)
		return 0;
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, condition ? 1 : 0, condition);
}

static int allow_if(scmp_filter_ctx filter, const struct exception *exception)
{
	const struct scmp_arg_cmp condition = SCMP_CMP64(exception->argument, SCMP_CMP_MASKED_EQ,
							 exception->mask,
							 exception->value & exception->mask);

	return allow(filter, exception->name, &condition);
}

static int allowance_add(scmp_filter_ctx filter, const struct allowance *allowance)
{
	int error = 0;

	for (size_t i = 0; i < allowance->name_count && !error; i++)
		error = allow(filter, allowance->names[i], NULL);
	for (size_t i = 0; i < allowance->exception_count && !error; i++)
		error = allow_if(filter, &allowance->exceptions[i]);
	return error;
}

static int filter_fill(scmp_filter_ctx filter, enum syscalls_kind kind)
{
	/* abort() and raise() */
	const struct exception own[] = {{"tgkill", 0, WHOLE, (uint64_t)getpid()},
					{"kill", 0, WHOLE, (uint64_t)getpid()}};
	int error = allowance_add(filter, &common);

	for (size_t i = 0; i < COUNT(own) && !error; i++)
		error = allow_if(filter, &own[i]);
	if (!error)
		error = allowance_add(filter, &allowances[kind]);
	return error;
}

int syscalls_restrict(enum syscalls_kind kind)
{
	CLEANUP(filter_end) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (!filter)
		return -ENOMEM;
	/* Calls by the door of another architecture end the process: nobody here makes any. */
	error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1);
	/* Else what the kernel says is turned into ECANCELED. */
	if (!error)
		error = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (!error)
		error = filter_fill(filter, kind);
	return error ? error : seccomp_load(filter);
}
