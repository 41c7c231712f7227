/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "guard/guard.h"
#include "guard_room.h"

static char folder[] = "/tmp/portsnoop-guard-XXXXXX";

static void enter(void)
{
	char why[256] = "";

	entered("guard_enter", guard_enter(why, sizeof(why)), why);
}

static const char *path(const char *name)
{
	static char text[96];

	snprintf(text, sizeof(text), "%s/%s", folder, name);
	return text;
}

/* ---- what is gone ---- */

static void denied_programs(void)
{
	static char *const arguments[] = {"true", NULL};

	DENIED(execve, "/bin/true", arguments, NULL);
	DENIED(execveat, AT_FDCWD, "/bin/true", arguments, NULL, 0);
	DENIED(clone, SIGCHLD, NULL, NULL, NULL, NULL);
	DENIED(clone, SIGCHLD | CLONE_NEWUSER, NULL, NULL, NULL, NULL);
	DENIED(clone3, NULL, 0);
#ifdef SYS_fork
	DENIED(fork);
	DENIED(vfork);
#endif
	DENIED(ptrace, 16 /* PTRACE_ATTACH */, 1, NULL, NULL);
	DENIED(process_vm_readv, 1, NULL, 0, NULL, 0, 0);
	DENIED(process_vm_writev, 1, NULL, 0, NULL, 0, 0);
	DENIED(kill, 1, 0);
	DENIED(tgkill, 1, 1, 0);
	DENIED(tkill, getpid(), 0);
	DENIED(rt_sigqueueinfo, 1, 0, NULL);
	DENIED(setpriority, PRIO_PROCESS, 0, -20);
	DENIED(sched_setaffinity, 0, 0, NULL);
	DENIED(personality, 0);
	DENIED(seccomp, 0, 0, NULL);
}

static void denied_kernel(void)
{
	union bpf_attr bpf = {0};
	struct perf_event_attr perf = {.size = sizeof(perf)};

	DENIED(bpf, BPF_PROG_LOAD, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_MAP_CREATE, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_MAP_UPDATE_ELEM, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_LINK_CREATE, &bpf, sizeof(bpf));
	DENIED(bpf, BPF_OBJ_GET, &bpf, sizeof(bpf));
	DENIED(perf_event_open, &perf, 0, -1, -1, 0);
	DENIED(init_module, NULL, 0, "");
	DENIED(finit_module, -1, "", 0);
	DENIED(delete_module, "portsnoop", 0);
	DENIED(kexec_load, 0, 0, NULL, 0);
	DENIED(reboot, 0, 0, 0, NULL);
	DENIED(syslog, 2, NULL, 0);
	DENIED(keyctl, 0, 0, 0, 0, 0);
	DENIED(add_key, NULL, NULL, NULL, 0, 0);
	DENIED(request_key, NULL, NULL, NULL, 0);
	DENIED(io_uring_setup, 1, NULL);
	DENIED(userfaultfd, 0);
	DENIED(clock_settime, CLOCK_REALTIME, NULL);
	DENIED(adjtimex, NULL);
	DENIED(sethostname, "", 0);
	DENIED(swapon, "", 0);
	DENIED(acct, NULL);
	DENIED(open_by_handle_at, -1, NULL, 0);
	DENIED(fanotify_init, 0, 0);
#ifdef SYS_iopl
	DENIED(iopl, 3);
	DENIED(ioperm, 0, 1, 1);
#endif
}

static void denied_places(void)
{
	DENIED(mount, "none", "/", "tmpfs", 0, NULL);
	DENIED(umount2, "/nonexistent", 0);
	DENIED(pivot_root, "/", "/");
	DENIED(chroot, "/");
	DENIED(fsopen, "tmpfs", 0);
	DENIED(move_mount, -1, "", -1, "", 0);
	DENIED(open_tree, -1, "", 0);
	DENIED(unshare, CLONE_NEWUSER);
	DENIED(unshare, 0);
	DENIED(setns, -1, 0);
	DENIED(mknodat, AT_FDCWD, path("node"), S_IFCHR | 0600, 0x103);
	DENIED(linkat, AT_FDCWD, "/etc/passwd", AT_FDCWD, path("link"), 0);
	DENIED(symlinkat, "/etc/passwd", AT_FDCWD, path("link"));
	DENIED(fchownat, AT_FDCWD, folder, -1, -1, 0);
	DENIED(setxattr, folder, "user.x", "", 0, 0);
}

static void denied_identity(void)
{
	static const struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};

	DENIED(setuid, 0);
	DENIED(setgid, 0);
	DENIED(setresuid, 0, 0, 0);
	DENIED(setgroups, 0, NULL);
	DENIED(setfsuid, 0);
	DENIED(capset, &header, NULL);
	DENIED(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
	DENIED(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	DENIED(prctl, PR_SET_SECUREBITS, 0, 0, 0, 0);
	DENIED(prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
	DENIED(prctl, PR_SET_SECCOMP, 0, 0, 0, 0);
	DENIED(prlimit64, 0, RLIMIT_NOFILE, &(struct rlimit){1, 1}, NULL);
}

static void denied_arguments(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int one = 1, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	DENIED(socket, AF_INET, SOCK_STREAM, 0);
	DENIED(socket, AF_INET6, SOCK_DGRAM, 0);
	DENIED(socket, AF_NETLINK, SOCK_RAW, 0);
	DENIED(socket, AF_PACKET, SOCK_RAW, 0);
	DENIED(socket, AF_ALG, SOCK_SEQPACKET, 0);
	/* The kernel looks at the lower half only. */
	DENIED(socket, (1L << 32) | AF_INET, SOCK_STREAM, 0);
	DENIED(sendto, 0, "", 0, MSG_FASTOPEN, NULL, 0);
	DENIED(sendto, 0, "", 0, MSG_NOSIGNAL | MSG_FASTOPEN, NULL, 0);
	DENIED(sendmsg, 0, NULL, MSG_FASTOPEN);
	DENIED(setsockopt, 0, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	DENIED(setsockopt, 0, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	DENIED(setsockopt, 0, SOL_SOCKET, SO_ATTACH_FILTER, &one, sizeof(one));
	DENIED(setsockopt, 0, SOL_SOCKET, SO_DEBUG, &one, sizeof(one));
	DENIED(fcntl, null, F_SETOWN, getpid());
	DENIED(fcntl, null, F_SETSIG, SIGUSR1);
	DENIED(ioctl, 0, TIOCSTI, "x");
	DENIED(ioctl, 0, TIOCSCTTY, 0);
	DENIED(mprotect, memory, page, PROT_READ | PROT_EXEC);
	DENIED(mmap, NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(memory, page);
	close(null);
}

static int forbidden_run(void *context)
{
	(void)context;
	enter();
	denied_programs();
	denied_kernel();
	denied_places();
	denied_identity();
	denied_arguments();
	leave();
}

static void test_forbidden(void **state)
{
	(void)state;
	child_expect(forbidden_run, NULL);
}

/* ---- threads ---- */

struct worker {
	int ready, go; /* eventfds */
	bool keeps;    /* its capabilities */
	bool restricted;
	pid_t number;
};

static void turn_give(int fd)
{
	expect(eventfd_write(fd, 1) == 0);
}

static void turn_take(int fd)
{
	eventfd_t value;

	expect(eventfd_read(fd, &value) == 0);
}

static void *worker_run(void *context)
{
	struct worker *worker = context;
	char *memory;

	if (!worker->keeps)
		expect(guard_thread() == 0);
	worker->number = gettid();
	turn_give(worker->ready);
	turn_take(worker->go);
	worker->restricted = syscall(SYS_socket, AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM &&
			     syscall(SYS_setuid, 0) == -1 && errno == EPERM &&
			     prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == -1 && errno == EPERM;
	memory = malloc(1 << 20); /* from an arena of this thread */
	expect(memory);
	memset(memory, 1, 1 << 20);
	free(memory);
	return NULL;
}

static pthread_t worker_start(struct worker *worker)
{
	pthread_t thread;

	worker->ready = eventfd(0, EFD_CLOEXEC);
	worker->go = eventfd(0, EFD_CLOEXEC);
	expect(!pthread_create(&thread, NULL, worker_run, worker));
	turn_take(worker->ready);
	return thread;
}

static void status_expect(const char *file)
{
	FILE *status = fopen(file, "re");
	char line[256], value[64];
	unsigned int seen = 0;

	expect(status);
	while (status && fgets(line, sizeof(line), status)) {
		char name[32];

		if (sscanf(line, "%31[^:]: %63s", name, value) != 2)
			continue;
		if (!strcmp(name, "CapEff") || !strcmp(name, "CapPrm") || !strcmp(name, "CapInh") ||
		    !strcmp(name, "CapAmb") || (!strcmp(name, "CapBnd") && !geteuid())) {
			seen++;
			expect(!strcmp(value, "0000000000000000"));
		} else if (!strcmp(name, "NoNewPrivs")) {
			seen++;
			expect(!strcmp(value, "1"));
		} else if (!strcmp(name, "Seccomp")) {
			seen++;
			expect(!strcmp(value, "2"));
		}
	}
	expect(seen == (geteuid() ? 6 : 7));
	if (status)
		fclose(status);
}

static int threads_run(void *context)
{
	struct worker worker = {0};
	pthread_t thread = worker_start(&worker);
	char file[64];

	(void)context;
	enter();
	status_expect("/proc/self/status");
	snprintf(file, sizeof(file), "/proc/self/task/%d/status", (int)worker.number);
	status_expect(file);
	turn_give(worker.go);
	expect(!pthread_join(thread, NULL));
	expect(worker.restricted);
	leave();
}

static void test_threads(void **state)
{
	(void)state;
	child_expect(threads_run, NULL);
}

/* What one thread can do, all can: a filter alone is not enough. */
static int forgetful_run(void *context)
{
	struct worker worker = {.keeps = true};
	char why[256] = "";
	pthread_t thread = worker_start(&worker);

	(void)context;
	expect(guard_enter(why, sizeof(why)) == -EBUSY);
	expect(strstr(why, "still has capabilities"));
	turn_give(worker.go);
	expect(!pthread_join(thread, NULL));
	expect(!worker.restricted);
	leave();
}

static void test_forgetful_thread(void **state)
{
	(void)state;
	if (geteuid()) {
		print_message("without root no thread has capabilities to begin with\n");
		skip();
	}
	child_expect(forgetful_run, NULL);
}

/* As root, by name; but root's ways past the modes of files are gone. */
static int files_run(void *context)
{
	(void)context;
	int fd = open(path("secret"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	expect(fd >= 0 && !fchown(fd, 65534, 65534) && !fchmod(fd, 0600));
	close(fd);
	enter();
	fd = open(path("secret"), O_RDONLY | O_CLOEXEC);
	expect(fd < 0 && errno == EACCES);
	expect(chown(path("secret"), 0, 0) == -1 && errno == EPERM);
	leave();
}

static void test_files_of_others(void **state)
{
	(void)state;
	if (geteuid()) {
		print_message("without root nobody can make a file of another user\n");
		skip();
	}
	child_expect(files_run, NULL);
	unlink(path("secret"));
}

/* ---- what stays ---- */

static void sql(sqlite3 *db, const char *text)
{
	char *error = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, error ? error : "?");
		complaints++;
	}
	sqlite3_free(error);
}

static int database_run(void *context)
{
	char name[2][96];
	sqlite3 *db;

	(void)context;
	snprintf(name[0], sizeof(name[0]), "%s/before.db", folder);
	snprintf(name[1], sizeof(name[1]), "%s/behind.db", folder);
	expect(sqlite3_open(name[0], &db) == SQLITE_OK);
	sql(db, "PRAGMA journal_mode = WAL; PRAGMA mmap_size = 1000000; CREATE TABLE t(x)");
	enter();
	sql(db, "BEGIN; INSERT INTO t VALUES(randomblob(10000)), (1); COMMIT");
	sql(db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA incremental_vacuum");
	sql(db, "CREATE TABLE u AS SELECT hex(x) AS y FROM t ORDER BY y; VACUUM");
	expect(sqlite3_close(db) == SQLITE_OK);
	/* Opened anew, as when the file was deleted. */
	expect(sqlite3_open(name[1], &db) == SQLITE_OK);
	sql(db, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; CREATE TABLE t(x); "
		"INSERT INTO t VALUES(1); PRAGMA integrity_check");
	expect(sqlite3_close(db) == SQLITE_OK);
	expect(access(name[1], F_OK) == 0);
	expect(rename(name[1], name[0]) == 0);
	expect(unlink(name[0]) == 0);
	leave();
}

static void test_database(void **state)
{
	(void)state;
	child_expect(database_run, NULL);
}

static int users_run(void *context)
{
	(void)context;
	getpwuid((uid_t)-2); /* NSS has its modules then, as by session_settle() */
	enter();
	const struct passwd *entry = getpwuid(0);

	expect(entry && !strcmp(entry->pw_name, "root"));
	expect(!getpwuid((uid_t)-2));
	leave();
}

static void test_users(void **state)
{
	(void)state;
	child_expect(users_run, NULL);
}

static socklen_t address_make(struct sockaddr_un *address, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", folder, name);
	return sizeof(*address);
}

static int service_run(void *context)
{
	struct timeval patience = {.tv_sec = 1};
	struct sockaddr_un address;
	struct ucred peer = {0};
	socklen_t length = address_make(&address, "service"), size = sizeof(peer);
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), client, server;
	char byte = 'x';

	(void)context;
	expect(!bind(listener, (struct sockaddr *)&address, length) && !listen(listener, 1));
	enter();
	client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	expect(client >= 0);
	expect(!setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)));
	expect(!connect(client, (struct sockaddr *)&address, length));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	expect(server >= 0);
	expect(!getsockopt(server, SOL_SOCKET, SO_PEERCRED, &peer, &size));
	expect(peer.pid == getpid() && peer.uid == geteuid());
	expect(send(client, &byte, 1, MSG_NOSIGNAL) == 1 && recv(server, &byte, 1, 0) == 1);
	close(server);
	close(client);
	close(listener);
	expect(!unlink(address.sun_path));
	leave();
}

static void test_service(void **state)
{
	(void)state;
	child_expect(service_run, NULL);
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

/* What listened before goes on to accept and to answer, and makes nothing else of itself. */
static int listener_run(void *context)
{
	bool landlock = syscall(444 /* landlock_create_ruleset */, NULL, 0, 1) >= 4;
	struct sockaddr_in address, other;
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int listener = tcp_listen(&address), target = tcp_listen(&other), server;
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC), connection;
	char byte = 'x';

	(void)context;
	connection = connect(client, (struct sockaddr *)&address, sizeof(address));
	expect(!connection && target >= 0);
	enter();
	expect(!epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
	expect(epoll_wait(epoll, &event, 1, 20000) == 1);
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	expect(server >= 0 && !epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event));
	expect(send(client, &byte, 1, MSG_NOSIGNAL) == 1);
	expect(poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, 20000) == 1);
	expect(recv(server, &byte, 1, 0) == 1 && send(server, &byte, 1, MSG_NOSIGNAL) == 1);
	expect(!shutdown(server, SHUT_RDWR));
	expect(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	expect(!shutdown(listener, SHUT_RDWR));
	if (landlock) {
		expect(connect(listener, (struct sockaddr *)&other, sizeof(other)) < 0 &&
		       errno == EACCES);
		expect(!connect(server, &none, sizeof(none)));
		expect(connect(server, (struct sockaddr *)&other, sizeof(other)) < 0 &&
		       errno == EACCES);
		expect(bind(server, (struct sockaddr *)&other, sizeof(other)) < 0 &&
		       errno == EACCES);
	}
	leave();
}

static void test_listener(void **state)
{
	(void)state;
	child_expect(listener_run, NULL);
}

static int waiting_run(void *context)
{
	struct itimerspec soon = {.it_value.tv_nsec = 1};
	struct epoll_event event = {.events = EPOLLIN};
	char bytes[sizeof(struct signalfd_siginfo)];
	struct timespec moment = {.tv_nsec = 1};
	int epoll, timer, watch, signals;
	sigset_t set;

	(void)context;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	enter();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	watch = inotify_init1(IN_CLOEXEC);
	expect(epoll >= 0 && timer >= 0 && signals >= 0 && watch >= 0);
	expect(!epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event));
	expect(!timerfd_settime(timer, 0, &soon, NULL));
	expect(epoll_wait(epoll, &event, 1, 20000) == 1);
	expect(poll(&(struct pollfd){.fd = timer, .events = POLLIN}, 1, 20000) == 1);
	expect(!kill(getpid(), SIGUSR1));
	expect(read(signals, bytes, sizeof(bytes)) == sizeof(bytes));
	expect(inotify_add_watch(watch, folder, IN_DELETE_SELF) >= 0);
	expect(!nanosleep(&moment, NULL));
	expect(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
	expect(!syscall(SYS_membarrier, 0, 0, 0) || errno != EPERM);
	leave();
}

static void test_waiting(void **state)
{
	(void)state;
	child_expect(waiting_run, NULL);
}

/* All of it to stdio, which asks for a terminal; and what sorting asks for. */
static int words_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int libc_run(void *context)
{
	static int numbers[100000];
	FILE *file;

	(void)context;
	enter();
	for (int i = 0; i < 100000; i++)
		numbers[i] = i * 7919 % 100000;
	qsort(numbers, 100000, sizeof(*numbers), words_compare);
	expect(numbers[99999] == 99999);
	file = fopen(path("text"), "we");
	expect(file && fprintf(file, "line\n") == 5 && !fflush(file) && !fsync(fileno(file)));
	if (file)
		fclose(file);
	expect(!unlink(path("text")));
	expect(sysconf(_SC_NPROCESSORS_ONLN) > 0 && sysconf(_SC_PHYS_PAGES) > 0);
	printf("to a file\n");
	leave();
}

static void test_libc(void **state)
{
	(void)state;
	child_expect(libc_run, NULL);
}

/* abort() must end it as always, with its signal. */
static int abort_run(void *context)
{
	(void)context;
	signal(SIGABRT, SIG_DFL);
	enter();
	abort();
}

static void test_abort(void **state)
{
	static struct child_result result;

	(void)state;
	result = child_run(abort_run, NULL, -1);
	assert_int_equal(result.status, -1);
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

/* A filter stays: without it, or where it is ours, nothing can be told. */
static bool filters_possible(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forbidden),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_forgetful_thread),
		cmocka_unit_test(test_files_of_others),
		cmocka_unit_test(test_database),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_listener),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_libc),
		cmocka_unit_test(test_abort),
	};

	if (!filters_possible()) {
		print_message("this kernel has no seccomp\n");
		return 0;
	}
	return cmocka_run_group_tests_name("guard", tests, folder_make, folder_remove);
}
