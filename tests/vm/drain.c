/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: drain PORTSNOOP
 *
 * Makes situations in network namespaces with few ports, asks `portsnoop pool` how many are
 * left, and takes ports until there is none: the numbers must be the same. For guests, which
 * have no Python; tests/live/pool.py has more situations.
 *
 * Prints `ok NAME`, `not ok NAME: REASON` or `skip NAME: REASON` for each.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOW 40000
#define HIGH 40019
#define SERVER 30000
#define OWN_LOW 40005
#define OWN_HIGH 40014
#define OWN_RANGE 51 /* IP_LOCAL_PORT_RANGE, 6.3 */
#define ADDRESS "127.0.0.1"

static const char *portsnoop, *situation;

static void end_with(const char *verdict, const char *reason)
{
	printf("%s %s%s%s\n", verdict, situation, reason ? ": " : "", reason ? reason : "");
	fflush(stdout);
	_exit(0);
}

static void fail(const char *what)
{
	char reason[256];

	snprintf(reason, sizeof(reason), "%s: %s", what, strerror(errno));
	end_with("not ok", reason);
}

static void setting(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail(name);
	close(fd);
}

static struct sockaddr_in address(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};

	inet_pton(AF_INET, ADDRESS, &to.sin_addr);
	return to;
}

/* Each returns a socket, or -1 with errno. They stay open. */

static int take_bind(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -1 : fd;
}

static int take_connect(int port)
{
	struct sockaddr_in to = address(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

static int take_own(int port)
{
	struct sockaddr_in to = address(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned int range = OWN_LOW | OWN_HIGH << 16;

	if (setsockopt(fd, IPPROTO_IP, OWN_RANGE, &range, sizeof(range)))
		return -1;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -1 : fd;
}

static int take_send(int port)
{
	struct sockaddr_in to = address(port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : fd;
}

static int listen_at(int port)
{
	struct sockaddr_in at = address(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64))
		fail("listen");
	return fd;
}

static void time_waits(int server, int count)
{
	while (count--) {
		int fd = take_connect(SERVER), accepted = fd < 0 ? -1 : accept(server, NULL, NULL);
		char byte;

		if (accepted < 0 || shutdown(fd, SHUT_WR) || read(accepted, &byte, 1) ||
		    close(accepted) || read(fd, &byte, 1))
			fail("TIME_WAIT");
		close(fd);
	}
}

/* The number behind "NAME": in the record of the pool whose head is `head`. */
static long ask(const char *head, const char *name)
{
	static char line[65536];
	char command[256], *place;
	long number = -1;
	FILE *answer;

	snprintf(command, sizeof(command), "%s pool -o json --duration 0", portsnoop);
	answer = popen(command, "r");
	if (!answer)
		fail("popen");
	/* The own namespace comes first. */
	while (number < 0 && fgets(line, sizeof(line), answer)) {
		place = strstr(line, head);
		place = place ? strstr(place, name) : NULL;
		if (place)
			number = strtol(place + strlen(name), NULL, 10);
	}
	while (fgets(line, sizeof(line), answer))
		;
	if (pclose(answer))
		end_with("not ok", "portsnoop failed");
	return number;
}

static int drain(int (*take)(int), int port)
{
	int count = 0;

	while (take(port) >= 0)
		count++;
	return count;
}

static void judge(const char *head, int (*take)(int), int port, int wanted_errno)
{
	long before = ask(head, "\"left\":"), after;
	int count = drain(take, port), error = errno;
	char reason[256];

	after = ask(head, "\"left\":");
	if (before == count && !after && error == wanted_errno)
		end_with("ok", NULL);
	snprintf(reason, sizeof(reason),
		 "it said %ld, the kernel gave %d and then %s; behind it, it said %ld", before,
		 count, strerror(error), after);
	end_with("not ok", reason);
}

#define RANGE "\"low\":40000,\"high\":40019,"
#define CONNECT                                                                                    \
	"\"way\":\"connect\",\"source\":\"127.0.0.1\",\"destination\":"                            \
	"{\"ip\":\"127.0.0.1\",\"port\":30000},"

static void connects(void)
{
	int inside;

	listen_at(SERVER);
	inside = listen_at(LOW + 4);
	if (take_bind(LOW + 7) < 0 || take_connect(LOW + 4) < 0 || accept(inside, NULL, NULL) < 0 ||
	    take_connect(SERVER) < 0)
		fail("begin");
	close(inside); /* what it accepted keeps the port */
	judge(CONNECT RANGE, take_connect, SERVER, EADDRNOTAVAIL);
}

static void lingering(void)
{
	time_waits(listen_at(SERVER), 4);
	judge(CONNECT RANGE, take_connect, SERVER, EADDRNOTAVAIL);
}

static void reusable(void)
{
	setting("tcp_tw_reuse", "1");
	time_waits(listen_at(SERVER), 4);
	for (int turns = 0; ask(CONNECT RANGE, "\"reusable\":") != 4; turns++)
		if (turns == 200)
			end_with("not ok", "what is in TIME_WAIT does not become reusable");
	judge(CONNECT RANGE, take_connect, SERVER, EADDRNOTAVAIL);
}

static void own_range(void)
{
	listen_at(SERVER);
	if (take_bind(LOW + 8) < 0 || take_connect(SERVER) < 0)
		fail("begin");
	if (take_own(SERVER) < 0)
		end_with("skip", "this kernel has no IP_LOCAL_PORT_RANGE");
	judge(CONNECT "\"low\":40005,\"high\":40014,", take_own, SERVER, EADDRNOTAVAIL);
}

static void binds(void)
{
	time_waits(listen_at(SERVER), 2);
	if (take_connect(SERVER) < 0 || take_bind(0) < 0)
		fail("begin");
	judge("\"transport\":\"tcp\",\"type\":\"ipv4\"},", take_bind, 0, EADDRINUSE);
}

static void sends(void)
{
	if (take_send(SERVER) < 0)
		fail("begin");
	judge("\"transport\":\"udp\",\"type\":\"ipv4\"},", take_send, SERVER, EAGAIN);
}

static void run(const char *name, void (*function)(void))
{
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	pid_t child = fork();

	situation = name;
	if (child) {
		waitpid(child, NULL, 0);
		return;
	}
	if (unshare(CLONE_NEWNET) || ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &loopback))
		fail("namespace");
	setting("ip_local_port_range", "40000 40019");
	setting("ip_local_reserved_ports", "40003,40008-40009");
	setting("tcp_tw_reuse", "0");
	function();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	portsnoop = argv[1];
	setvbuf(stdout, NULL, _IONBF, 0);
	run("connect", connects);
	run("TIME_WAIT", lingering);
	run("TIME_WAIT, reused", reusable);
	run("own range", own_range);
	run("bind to 0", binds);
	run("UDP send", sends);
	return 0;
}
