/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: sockets [SOCKETS [PROCESSES]]    (50000 200)
 *
 * Opens that many sockets in that many processes, as a busy machine has them: of
 * eight, two TCP sockets listen, two are only bound, two are UDP, and two are the ends
 * of a connection. When all are there it prints one line of JSON that says what it
 * holds, and holds it until its stdin ends. It leaves nothing behind: no process, no
 * TIME_WAIT.
 *
 * "claims" leaves out the accepted ends, which take no port of their own. "port" is
 * a port on which one of the processes, "pid", listens; no other socket has it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum kind { LISTEN, BOUND, UDP, CONNECTED, KINDS };

#define PERIOD 8	    /* sockets, in which every kind has its share */
#define LOW 10001	    /* below the kernel's own choices, above the well-known */
#define PORTS 20000	    /* of one address */
#define TARGET (LOW - 1)    /* "port" */
#define DESCRIPTORS 64	    /* that a process has besides its sockets */
#define LOOPBACK 0x7f010001 /* 127.1.0.1: the first address */

struct child {
	pid_t pid;
	unsigned long counts[KINDS];
};

static unsigned long own_number; /* of this process, for messages */

static void die(const char *what) __attribute__((noreturn));

static void die(const char *what)
{
	fprintf(stderr, "sockets: process %lu: %s: %s\n", own_number, what, strerror(errno));
	exit(1);
}

/* The n-th place of a process: its addresses are its own, so that no two processes
 * want the same port of one. */
static struct sockaddr_in place(unsigned long n)
{
	unsigned long address = own_number * 16 + n / PORTS;

	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(LOW + n % PORTS),
		/* without .0 and .255 at the end */
		.sin_addr.s_addr = htonl(LOOPBACK + (address / 250 << 8) + address % 250),
	};
}

static int bound(int type, const struct sockaddr_in *where)
{
	/* A reset at the end, instead of TIME_WAIT. */
	struct linger linger = {.l_onoff = 1};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
	if (where && bind(fd, (const struct sockaddr *)where, sizeof(*where)))
		die("bind");
	return fd;
}

static int listener(const struct sockaddr_in *where)
{
	int fd = bound(SOCK_STREAM, where);

	if (listen(fd, 16))
		die("listen");
	return fd;
}

static void connected(int to, const struct sockaddr_in *where)
{
	int fd = bound(SOCK_STREAM, NULL);

	if (connect(fd, (const struct sockaddr *)where, sizeof(*where)))
		die("connect");
	fd = accept(to, NULL, NULL);
	if (fd < 0)
		die("accept");
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
		       sizeof(struct linger)))
		die("SO_LINGER");
}

static void open_all(unsigned long sockets, bool target, unsigned long *counts)
{
	struct sockaddr_in where = place(0), first = where;
	int door = -1;

	if (target)
		first.sin_port = htons(TARGET);
	for (unsigned long i = 0; i < sockets; i++) {
		enum kind kind = i % PERIOD / 2;

		where = place(i);
		/* Two ends, one after the other; a last odd one is only bound. */
		if (kind == CONNECTED && (i % 2 || i + 1 == sockets))
			kind = i % 2 ? KINDS : BOUND;
		if (kind == LISTEN) {
			int fd = listener(i ? &where : &first);

			door = door < 0 ? fd : door;
		} else if (kind == BOUND) {
			bound(SOCK_STREAM, &where);
		} else if (kind == UDP) {
			bound(SOCK_DGRAM, &where);
		} else if (kind == CONNECTED) {
			connected(door, &first);
		}
		counts[kind == KINDS ? CONNECTED : kind]++;
	}
}

/* One process: opens, tells what it has, and holds it as long as its parent lives. */
static void hold(unsigned long sockets, bool target, int hold_fd, int told)
{
	struct child self = {.pid = getpid()};
	char nothing;

	open_all(sockets, target, self.counts);
	if (write(told, &self, sizeof(self)) != sizeof(self))
		die("pipe");
	close(told);
	while (read(hold_fd, &nothing, 1) < 0 && errno == EINTR)
		;
}

static void limit_raise(unsigned long wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	if (limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = wanted;
	if (limit.rlim_max < wanted)
		limit.rlim_max = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit)) {
		fprintf(stderr,
			"sockets: a process needs %lu open files, and may not have them: %s\n",
			wanted, strerror(errno));
		exit(1);
	}
}

static unsigned long number(const char *text, unsigned long most)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || *text < '1' || *text > '9' || value > most) {
		fprintf(stderr, "sockets: not a number from 1 to %lu: %s\n", most, text);
		exit(2);
	}
	return value;
}

static void tell(unsigned long processes, const struct child *sum, pid_t pid)
{
	const unsigned long *counts = sum->counts;
	unsigned long sockets = counts[LISTEN] + counts[BOUND] + counts[UDP] + counts[CONNECTED];

	printf("{\"processes\":%lu,\"sockets\":%lu,\"listen\":%lu,\"bound\":%lu,\"udp\":%lu,"
	       "\"connected\":%lu,\"claims\":%lu,\"port\":%d,\"pid\":%d}\n",
	       processes, sockets, counts[LISTEN], counts[BOUND], counts[UDP], counts[CONNECTED],
	       sockets - counts[CONNECTED] / 2, TARGET, (int)pid);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	unsigned long sockets = argc > 1 ? number(argv[1], 10000000) : 50000;
	unsigned long processes = argc > 2 ? number(argv[2], 4000) : 200;
	int holding[2], telling[2], status, failed = 0;
	unsigned long told = 0;
	struct child child, sum = {0};
	pid_t target = 0;
	char nothing;

	if (argc > 3 || sockets / processes >= 16 * PORTS) {
		fputs("usage: sockets [SOCKETS [PROCESSES]]\n", stderr);
		return 2;
	}
	limit_raise(sockets / processes + 1 + DESCRIPTORS);
	if (pipe(holding) || pipe(telling))
		die("pipe");
	for (unsigned long i = 0; i < processes && !failed; i++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("sockets: fork");
			failed = 1;
		} else if (pid == 0) {
			/* Whatever happens to the parent: the pipe ends with it. */
			close(holding[1]);
			close(telling[0]);
			close(STDIN_FILENO);
			own_number = i;
			hold(sockets / processes + (i < sockets % processes), i == processes / 2,
			     holding[0], telling[1]);
			return 0;
		} else if (i == processes / 2) {
			target = pid;
		}
	}
	close(holding[0]);
	close(telling[1]);
	/* A process that failed tells nothing, and the pipe ends all the same. */
	while (!failed && read(telling[0], &child, sizeof(child)) == sizeof(child)) {
		for (int kind = 0; kind < KINDS; kind++)
			sum.counts[kind] += child.counts[kind];
		told++;
	}
	if (told == processes) {
		tell(processes, &sum, target);
		while ((status = read(STDIN_FILENO, &nothing, 1)) > 0 ||
		       (status < 0 && errno == EINTR))
			;
	} else {
		failed = 1;
	}
	close(holding[1]);
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
