/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "guard_room.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "guard/guard.h"

#define ELSEWHERE 4318

static char folder[] = "/tmp/portsnoop-courier-XXXXXX";

static void enter(uint16_t port)
{
	char why[256] = "";

	entered("guard_courier", guard_courier(port, why, sizeof(why)), why);
}

static long landlock_version(void)
{
	return syscall(444 /* landlock_create_ruleset */, NULL, 0, 1);
}

/* ---- what is gone ---- */

static void denied_processes(void)
{
	static char *const arguments[] = {"true", NULL};

	DENIED(execve, "/bin/true", arguments, NULL);
	DENIED(execveat, AT_FDCWD, "/bin/true", arguments, NULL, 0);
	DENIED(clone, SIGCHLD, NULL, NULL, NULL, NULL);
	DENIED(clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, NULL);
	DENIED(clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL, NULL, NULL, NULL);
	DENIED(clone3, NULL, 0);
#ifdef SYS_fork
	DENIED(fork);
	DENIED(vfork);
#endif
	DENIED(ptrace, 16 /* PTRACE_ATTACH */, getppid(), NULL, NULL);
	DENIED(process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
	DENIED(process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
	DENIED(kill, getppid(), 0);
	DENIED(tgkill, getppid(), getppid(), 0);
	DENIED(pidfd_open, getppid(), 0);
	DENIED(wait4, -1, NULL, 0, NULL);
}

static void denied_kernel(void)
{
	static const struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct perf_event_attr perf = {.size = sizeof(perf)};
	union bpf_attr bpf = {0};

	DENIED(bpf, BPF_PROG_LOAD, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_ITER_CREATE, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_OBJ_GET_INFO_BY_FD, &bpf, sizeof(bpf));
	DENIED(perf_event_open, &perf, 0, -1, -1, 0);
	DENIED(ioctl, 0, PERF_EVENT_IOC_DISABLE, 0);
	DENIED(init_module, NULL, 0, "");
	DENIED(io_uring_setup, 1, NULL);
	DENIED(mount, "none", "/", "tmpfs", 0, NULL);
	DENIED(umount2, "/nonexistent", 0);
	DENIED(chroot, "/");
	DENIED(unshare, CLONE_NEWUSER);
	DENIED(setns, -1, 0);
	DENIED(setuid, 0);
	DENIED(capset, &header, NULL);
	DENIED(prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
	DENIED(prctl, PR_SET_SECCOMP, 0, 0, 0, 0);
}

static void denied_sockets(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int one = 1;

	DENIED(socket, AF_NETLINK, SOCK_RAW, 0);
	DENIED(socket, AF_PACKET, SOCK_RAW, 0);
	DENIED(socket, AF_ALG, SOCK_SEQPACKET, 0);
	DENIED(bind, 0, NULL, 0);
	DENIED(listen, 0, 0);
	DENIED(accept4, 0, NULL, NULL, 0);
	DENIED(sendto, 0, "", 0, MSG_FASTOPEN, NULL, 0);
	DENIED(sendmsg, 0, NULL, MSG_FASTOPEN);
	DENIED(sendmmsg, 0, NULL, 0, MSG_FASTOPEN);
	DENIED(setsockopt, 0, SOL_SOCKET, SO_ATTACH_FILTER, &one, sizeof(one));
	DENIED(setsockopt, 0, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	DENIED(setsockopt, 0, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
	DENIED(mmap, NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int forbidden_run(void *context)
{
	const uint16_t *port = context;

	enter(*port);
	denied_processes();
	denied_kernel();
	denied_sockets();
	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == -1 && errno == EPERM);
	capng_get_caps_process();
	expect(capng_have_capabilities(CAPNG_SELECT_CAPS) == CAPNG_NONE);
	leave();
}

static void test_forbidden(void **state)
{
	uint16_t port = 0;

	(void)state;
	child_expect(forbidden_run, &port);
	port = ELSEWHERE;
	child_expect(forbidden_run, &port);
}

/* Who stays on this machine needs neither. */
static int local_run(void *context)
{
	(void)context;
	enter(0);
	DENIED(socket, AF_INET, SOCK_STREAM, 0);
	DENIED(socket, AF_INET6, SOCK_DGRAM, 0);
	DENIED(setsockopt, 0, IPPROTO_TCP, TCP_KEEPIDLE, NULL, 0);
	leave();
}

static void test_local(void **state)
{
	(void)state;
	child_expect(local_run, NULL);
}

/* Another process of the same user, with no more rights than we have: nothing but the guard
 * stands between. */
static int memory_run(void *context)
{
	char name[64];
	int gate[2], fd;
	pid_t other;

	(void)context;
	expect(!pipe2(gate, O_CLOEXEC));
	capng_clear(CAPNG_SELECT_BOTH);
	expect(!capng_apply(CAPNG_SELECT_CAPS));
	other = fork();
	if (!other) {
		close(gate[1]);
		_exit(read(gate[0], name, 1) < 0);
	}
	snprintf(name, sizeof(name), "/proc/%d/mem", (int)other);
	fd = open(name, O_RDWR | O_CLOEXEC);
	expect(fd >= 0);
	close(fd);
	enter(0);
	fd = open(name, O_RDWR | O_CLOEXEC);
	expect(fd < 0 && errno == EACCES);
	leave();
}

static void test_memory_of_others(void **state)
{
	(void)state;
	if (landlock_version() < 1) {
		print_message("this kernel has no Landlock\n");
		skip();
	}
	child_expect(memory_run, NULL);
}

/* ---- what stays ---- */

static const char *path(const char *name)
{
	static char text[96];

	snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

static int files_run(void *context)
{
	char name[2][96];
	int fd;

	(void)context;
	snprintf(name[0], sizeof(name[0]), "%s", path("events.json"));
	snprintf(name[1], sizeof(name[1]), "%s", path("events.json.1"));
	enter(0);
	fd = open(name[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	expect(fd >= 0 && write(fd, "x\n", 2) == 2 && !fsync(fd));
	expect(!rename(name[0], name[1]) && !unlink(name[1]));
	close(fd);
	expect(!mkdir(path("spool"), 0700));
	leave();
}

static void test_files(void **state)
{
	(void)state;
	child_expect(files_run, NULL);
	assert_int_equal(rmdir(path("spool")), 0);
}

static int unix_run(void *context)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

	(void)context;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path("socket"));
	expect(!bind(listener, (struct sockaddr *)&address, sizeof(address)) &&
	       !listen(listener, 1));
	enter(0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	expect(client >= 0 && !connect(client, (struct sockaddr *)&address, sizeof(address)));
	expect(send(client, "x", 1, MSG_NOSIGNAL) == 1);
	expect(!unlink(address.sun_path));
	leave();
}

static void test_unix(void **state)
{
	(void)state;
	child_expect(unix_run, NULL);
}

static int tcp_listen(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	expect(fd >= 0 && !bind(fd, (struct sockaddr *)address, length) && !listen(fd, 4) &&
	       !getsockname(fd, (struct sockaddr *)address, &length));
	return fd;
}

static int tcp_connect(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		error = errno;
	else
		expect(send(fd, "x", 1, MSG_NOSIGNAL) == 1);
	close(fd);
	return error;
}

static int remote_run(void *context)
{
	struct sockaddr_in there, elsewhere;
	int listeners[] = {tcp_listen(&there), tcp_listen(&elsewhere)};
	bool ports = landlock_version() >= 4;
	int one = 1, fd;

	(void)context;
	expect(listeners[0] >= 0 && listeners[1] >= 0);
	enter(ntohs(there.sin_port));
	expect(!tcp_connect(&there));
	if (ports) {
		expect(tcp_connect(&elsewhere) == EACCES);
		elsewhere.sin_port = htons(53); /* for resolvers: nobody may be there */
		expect(tcp_connect(&elsewhere) != EACCES);
	}
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	expect(fd >= 0 || errno == EAFNOSUPPORT);
	expect(fd < 0 || !setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	expect(fd < 0 || !setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	expect(fd < 0 || !setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)));
	leave();
}

static void test_remote(void **state)
{
	(void)state;
	child_expect(remote_run, NULL);
}

static bool name_find(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	bool found = !getaddrinfo("localhost", "4318", &hints, &list) && list;

	freeaddrinfo(list);
	return found;
}

static int resolver_run(void *context)
{
	struct sockaddr_in place = {.sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				    .sin_port = htons(53)};
	struct mmsghdr messages[1] = {{.msg_hdr = {.msg_name = &place, .msg_namelen = 16}}};
	int one = 1, fd;

	(void)context;
	enter(ELSEWHERE);
	expect(name_find());
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	expect(!setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)));
	expect(sendmmsg(fd, messages, 1, MSG_NOSIGNAL) == 1);
	leave();
}

static void test_resolver(void **state)
{
	(void)state;
	child_expect(resolver_run, NULL);
}

static int folder_make(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
	(void)state;
	return rmdir(folder); /* and nothing is left in it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_memory_of_others),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_remote),
		cmocka_unit_test(test_resolver),
	};

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0) {
		print_message("this kernel has no seccomp\n");
		return 0;
	}
	return cmocka_run_group_tests_name("guard of couriers", tests, folder_make, folder_remove);
}
