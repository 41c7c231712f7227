/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: claims COUNT
 *
 * Makes COUNT claims of each kind in a network namespace of its own, each from socket() to
 * close(), and tells on stdout, a line a kind: its name, and nanoseconds of CPU a claim in the
 * fastest batch of BATCH claims. The wall clock, and a mean, would tell of what else the
 * machine is doing.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 100

#define PORT 20000   /* requested */
#define SERVER 20001 /* listens, and takes datagrams */
#define NOBODY 20002

static int server;

static void must(int result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int socket_bound(int type, int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = socket(AF_INET, type, 0);

	must(fd, "socket");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	return fd;
}

static void bind_any(void)
{
	close(socket_bound(SOCK_STREAM, 0));
}

static void bind_port(void)
{
	close(socket_bound(SOCK_STREAM, PORT));
}

static void connect_refused(void)
{
	struct sockaddr_in address = loopback(NOBODY);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd, "socket");
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) ? 0 : -1, "refused connect");
	close(fd);
}

/* Ends with a reset: TIME_WAITs would use the range up. */
static void connect_accepted(void)
{
	const struct linger linger = {.l_onoff = 1};
	struct sockaddr_in address = loopback(SERVER);
	int fd = socket(AF_INET, SOCK_STREAM, 0), other;

	must(fd, "socket");
	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), "SO_LINGER");
	must(connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	other = accept(server, NULL, NULL);
	must(other, "accept");
	close(fd);
	close(other);
}

static void send_datagram(void)
{
	struct sockaddr_in address = loopback(SERVER);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	must(fd, "socket");
	must(sendto(fd, "", 1, 0, (struct sockaddr *)&address, sizeof(address)), "sendto");
	close(fd);
}

static const struct kind {
	const char *name;
	void (*claim)(void);
} kinds[] = {
	{"bind to 0", bind_any},
	{"bind to a port", bind_port},
	{"connect, refused", connect_refused},
	{"connect on loopback", connect_accepted},
	{"UDP send", send_datagram},
};

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv)
{
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	long count = argc == 2 ? atol(argv[1]) : 0;

	if (count < 1) {
		fputs("usage: claims COUNT\n", stderr);
		return 2;
	}
	must(unshare(CLONE_NEWNET), "unshare");
	server = socket(AF_INET, SOCK_DGRAM, 0);
	must(ioctl(server, SIOCSIFFLAGS, &up), "lo");
	close(server);
	server = socket_bound(SOCK_STREAM, SERVER);
	must(listen(server, 16), "listen");
	socket_bound(SOCK_DGRAM, SERVER); /* full after a while, which the sender does not see */
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		long long least = 0;

		for (long made = 0; made < count; made += BATCH) {
			long long start = now(), taken;

			for (int j = 0; j < BATCH; j++)
				kinds[i].claim();
			taken = now() - start;
			if (!least || taken < least)
				least = taken;
		}
		printf("%s\t%.1f\n", kinds[i].name, (double)least / BATCH);
	}
	return 0;
}
