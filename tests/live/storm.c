/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: storm CLAIMS PROCESSES
 * As many claims as fast as the machine makes them: each process binds to 0 and
 * closes, binds to that port again and closes, and connects to itself, in turn.
 * Tells on stdout, one line of JSON a process, what it did, by kind and errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct counts {
	unsigned long bind_kernel, bind_requested, bind_in_use, connect, listen;
};

static void die(const char *what)
{
	fprintf(stderr, "storm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int tcp_open(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

/* With a reset: no TIME_WAIT, or the ports would be gone after a moment. */
static void tcp_close(int fd)
{
	struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* Errno, or 0; the port that it got is in *address. */
static int tcp_bind(int fd, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);

	if (bind(fd, (struct sockaddr *)address, length))
		return errno;
	if (getsockname(fd, (struct sockaddr *)address, &length))
		die("getsockname");
	return 0;
}

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void connect_one(int listener, const struct sockaddr_in *where, struct counts *counts)
{
	int client = tcp_open(), server;

	if (connect(client, (const struct sockaddr *)where, sizeof(*where)))
		die("connect");
	counts->connect++;
	server = accept(listener, NULL, NULL);
	if (server < 0)
		die("accept");
	tcp_close(client);
	tcp_close(server);
}

static void bind_one(struct sockaddr_in *address, struct counts *counts)
{
	bool requested = address->sin_port != 0;
	int fd = tcp_open();
	int error = tcp_bind(fd, address);

	if (error && !(requested && error == EADDRINUSE))
		errno = error, die("bind");
	if (error)
		counts->bind_in_use++;
	else if (requested)
		counts->bind_requested++;
	else
		counts->bind_kernel++;
	close(fd);
}

static void storm(unsigned long claims)
{
	struct sockaddr_in where = loopback(), address;
	struct counts counts = {.bind_kernel = 1, .listen = 1};
	int listener = tcp_open();
	unsigned long made = 1;

	if (tcp_bind(listener, &where) || listen(listener, 8))
		die("listener");
	while (made < claims) {
		address = loopback();
		bind_one(&address, &counts);
		made++;
		if (made++ < claims)
			bind_one(&address, &counts);
		if (made < claims && made % 8 < 2) {
			connect_one(listener, &where, &counts);
			made++;
		}
	}
	close(listener);
	printf("{\"pid\":%d,\"bind_kernel\":%lu,\"bind_requested\":%lu,\"bind_in_use\":%lu,"
	       "\"connect\":%lu,\"listen\":%lu}\n",
	       (int)getpid(), counts.bind_kernel, counts.bind_requested, counts.bind_in_use,
	       counts.connect, counts.listen);
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || !value || *text < '1' || *text > '9') {
		fprintf(stderr, "storm: not a number above 0: %s\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	unsigned long claims, processes;
	int failed = 0, status;

	if (argc != 3) {
		fputs("usage: storm CLAIMS PROCESSES\n", stderr);
		return 2;
	}
	claims = number(argv[1]);
	processes = number(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned long i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			storm(claims / processes);
			return 0;
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	return failed ? 1 : 0;
}
