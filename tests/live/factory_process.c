/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations about who claims: threads, children, receivers, names. */
#include "factory.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t child_start(void (*run)(void *), void *context)
{
	pid_t pid = must(fork(), "fork");

	if (pid == 0) {
		run(context);
		_exit(0);
	}
	return pid;
}

void child_wait(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0), "waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status)); /* it has said why */
	if (!WIFEXITED(status))
		situation_fail("the child ended with status 0x%x", status);
}

static void claim_and_close(struct sock *sock)
{
	sock_bind(sock, address_loopback(sock->stage->family, 0), 0);
	sock_close(sock);
}

static void *thread_run(void *context)
{
	struct address where;
	const struct stage *stage = context;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	sock_connect(&sock, where, stage->type == SOCK_STREAM ? "established" : NULL, 0);
	sock_close(&sock);
	sock_close(&listener);
	return NULL;
}

static void run_thread(const struct stage *stage)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_run, (void *)stage))
		situation_fail("no thread");
	pthread_join(thread, NULL);
}

/* Claims by a thread while the leader is gone already. */
static void *thread_outlive(void *context)
{
	char path[64], state[512];
	FILE *file;
	int length;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), getpid());
	do { /* the event to wait for is the leader's death: it turns zombie */
		file = fopen(path, "r");
		length = file ? fread(state, 1, sizeof(state) - 1, file) : 0;
		state[length] = 0;
		if (file)
			fclose(file);
	} while (length > 0 && !strstr(state, ") Z "));
	thread_run(context);
	_exit(0);
}

static void leader_leave(void *context)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_outlive, context))
		situation_fail("no thread");
	syscall(SYS_exit, 0); /* this thread alone */
}

static void run_without_leader(const struct stage *stage)
{
	child_wait(child_start(leader_leave, (void *)stage));
}

static void run_fork(const struct stage *stage)
{
	struct sock sock = sock_open(stage);

	child_wait(child_start((void (*)(void *))claim_and_close, &sock));
	close(sock.fd);
}

/* Claims and is gone: nothing of it is left in /proc when its event arrives. */
static void claim_and_exit(void *context)
{
	struct sock sock = sock_open(context);

	sock_bind(&sock, address_loopback(sock.stage->family, 0), 0);
	report_release(sock.stage, &sock);
	_exit(0);
}

static void run_short_lived(const struct stage *stage)
{
	for (int i = 0; i < 20; i++)
		child_wait(child_start(claim_and_exit, (void *)stage));
}

static void run_vfork(const struct stage *stage)
{
	struct address any = address_loopback(stage->family, 0);
	volatile int result = -1;
	volatile pid_t child = 0;
	struct address name = {.length = sizeof(name.room)};
	int fd = must(socket(stage->family, stage->type, stage->protocol), "socket");
	struct call call = {
		.call = "bind",
		.claimed = true,
		.origin = "kernel",
		.requested = &any,
		.local = &name,
	};
	pid_t pid;

	/* The child may do little more than this in the parent's memory. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	pid = vfork();
#pragma GCC diagnostic pop
	if (pid == 0) {
		child = syscall(SYS_getpid);
		result = bind(fd, &any.any, any.length);
		_exit(0);
	}
	must(pid, "vfork");
	child_wait(pid);
	if (result != 0)
		situation_fail("bind in the child failed");
	must(getsockname(fd, &name.any, &name.length), "getsockname");
	call.pid = child;
	call.tid = child;
	report_call(stage, &call);
	call = (struct call){.call = "release", .pid = child, .local_port = address_port(&name)};
	close(fd);
	report_call(stage, &call);
}

/* Bound by a child, closed by the parent: the claimant stays the child. */
static void run_inherit(const struct stage *stage)
{
	struct address name = {.length = sizeof(name.room)};
	struct sock sock = sock_open(stage);
	pid_t pid = must(fork(), "fork");

	if (pid == 0) {
		sock_bind(&sock, address_loopback(stage->family, 0), 0);
		_exit(0);
	}
	child_wait(pid);
	name = sock_name(&sock);
	sock.port = address_port(&name);
	sock.leased = true;
	sock.claimant = pid;
	sock_close(&sock);
}

static void receive_and_claim(void *context)
{
	struct sock *channel = context;
	char data, room[CMSG_SPACE(sizeof(int))];
	struct iovec piece = {&data, 1};
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct sock sock;
	int fd;

	must(recvmsg(channel->fd, &message, 0), "recvmsg");
	if (!CMSG_FIRSTHDR(&message))
		situation_fail("no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	sock = sock_adopt(channel->stage, fd);
	claim_and_close(&sock);
}

static void run_rights(const struct stage *stage)
{
	struct sock sock, channel = {.stage = stage};
	char room[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec piece = {"x", 1};
	struct msghdr message = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int pair[2];
	pid_t pid;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	channel.fd = pair[1];
	pid = child_start(receive_and_claim, &channel);
	sock = sock_open(stage); /* after the fork: the child has it from the message alone */
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &sock.fd, sizeof(int));
	must(sendmsg(pair[0], &message, 0), "sendmsg");
	close(sock.fd); /* the message in flight keeps it */
	child_wait(pid);
}

/* ---- across exec: `factory resume SITUATION FD` goes on here ---- */

static void exec_self(const char *name, const char *situation, int fd, const char *argument)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", name, "resume", situation, number, argument, NULL);
	must(-1, "execl");
}

static void run_exec(const struct stage *stage)
{
	struct sock sock;

	if (getenv("FACTORY_FD")) {
		sock = sock_adopt(stage, atoi(getenv("FACTORY_FD")));
		claim_and_close(&sock);
		return;
	}
	sock = sock_open(stage);
	exec_self("factory", stage->situation, sock.fd, NULL);
}

static void run_hostile_args(const struct stage *stage)
{
	struct sock sock;

	if (getenv("FACTORY_FD")) {
		sock = sock_adopt(stage, atoi(getenv("FACTORY_FD")));
		claim_and_close(&sock);
		return;
	}
	sock = sock_open(stage);
	exec_self(
		"fac\ntory\"", stage->situation, sock.fd,
		"\n{\"forged\":true}\n\033]0;title\007\033[31m\xff\xfe\xc0\xaf\xed\xa0\x80\t\\\"\x7f\xe2\x80\xae");
}

/* ---- names ---- */

static void claim_as(const struct stage *stage, const char *name, bool tell)
{
	struct sock sock = sock_open(stage);
	struct address any = address_loopback(stage->family, 0), local;
	struct call call = {
		.call = "bind",
		.claimed = true,
		.origin = "kernel",
		.requested = &any,
		.local = &local,
		.name = tell ? name : NULL,
	};

	must(prctl(PR_SET_NAME, name), "PR_SET_NAME");
	must(bind(sock.fd, &any.any, any.length), "bind");
	local = sock_name(&sock);
	sock.port = address_port(&local);
	sock.leased = true;
	report_call(stage, &call);
	sock_close(&sock);
}

static void run_rename(const struct stage *stage)
{
	claim_as(stage, "first name", true);
	claim_as(stage, "second) R 1 (x", true);
}

static void run_hostile_name(const struct stage *stage)
{
	claim_as(stage, "a\n{\"b\":1}\n", false);
	claim_as(stage, "\"\\\t\r\033[31mx\007", false);
	claim_as(stage, "\xff\xfe\xc0\xaf\xed\xa0\x80", false);
	claim_as(stage, "cut-in-umlaut\xc3\xa4", false); /* 15 bytes: the second byte is the last */
	claim_as(stage, "cut-in-umlauts\xc3\xa4", false); /* and here it is cut off */
	claim_as(stage, "", false);
}

const struct situation process_situations[] = {
	ON_BOTH("thread", run_thread, 0),
	ON_BOTH("leader-gone", run_without_leader, 0),
	ON_BOTH("fork", run_fork, 0),
	ON_BOTH("short-lived", run_short_lived, 0),
	ON_BOTH("vfork", run_vfork, 0),
	ON_BOTH("inherited", run_inherit, 0),
	ON_BOTH("handed-on", run_rights, 0),
	ON_BOTH("exec", run_exec, 0),
	ON_BOTH("hostile-args", run_hostile_args, 0),
	ON_BOTH("renamed", run_rename, 0),
	ON_BOTH("hostile-name", run_hostile_name, 0),
	{.name = NULL},
};
