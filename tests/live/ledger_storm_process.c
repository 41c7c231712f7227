/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ledger_storm.h"

#define LOW 20000 /* the ports that all of them want */
#define PORTS 400

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint32_t pick(struct process *process, uint32_t below)
{
	/* xorshift32 */
	process->random ^= process->random << 13;
	process->random ^= process->random >> 17;
	process->random ^= process->random << 5;
	return process->random % below;
}

/* ---- sockets ---- */

static int socket_open(int family, int type)
{
	int fd = socket(family, type, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

/* A reset instead of TIME_WAIT. */
static void socket_reset_at_close(int fd)
{
	struct linger linger = {.l_onoff = 1};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
}

/* The loopback address of the family, or the wildcard. */
static union address where(int family, bool wildcard, uint16_t port)
{
	union address address = {0};

	if (family == AF_INET)
		address.v4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htons(port),
			.sin_addr.s_addr = htonl(wildcard ? INADDR_ANY : INADDR_LOOPBACK),
		};
	else
		address.v6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_port = htons(port),
			.sin6_addr = wildcard ? in6addr_any : in6addr_loopback,
		};
	return address;
}

static union address name_of(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
	union address address = {0};
	socklen_t length = sizeof(address);

	if (get(fd, &address.any, &length))
		memset(&address, 0, sizeof(address));
	return address;
}

static uint16_t port_of(const union address *address)
{
	return ntohs(address->any.sa_family == AF_INET6 ? address->v6.sin6_port
							: address->v4.sin_port);
}

/* ---- claims ---- */

/* Does it, and notes who did it and when. False: the port was taken. */
static bool claim(struct process *process, struct held *held,
		  int (*call)(int, const struct sockaddr *, socklen_t),
		  const union address *address)
{
	held->before = now();
	if (call(held->fd, &address->any, sizeof(*address))) {
		if (errno != EADDRINUSE)
			die(call == bind ? "bind" : "connect");
		return false;
	}
	held->after = now();
	held->claimant = getpid();
	process->claims++;
	return true;
}

static void hold(struct process *process, struct held held)
{
	if (process->count == PROCESS_SOCKETS) {
		close(held.fd);
		return;
	}
	process->held[process->count++] = held;
}

/* One of those that may go; false: there is none. */
static bool forget(struct process *process, struct held *held)
{
	unsigned int index;

	if (process->count <= PROCESS_KEPT)
		return false;
	index = PROCESS_KEPT + pick(process, process->count - PROCESS_KEPT);
	*held = process->held[index];
	process->held[index] = process->held[--process->count];
	return true;
}

static void do_close(struct process *process)
{
	struct held held;

	if (forget(process, &held))
		close(held.fd);
}

/* Bound to 0, to a port that others want as well, or shared with them. */
static bool bound(struct process *process, int type, struct held *held)
{
	int family = pick(process, 3) ? AF_INET : AF_INET6, yes = 1;
	bool wildcard = !pick(process, 4);
	uint32_t chance = pick(process, 4);
	uint16_t port = chance > 1 ? LOW + pick(process, PORTS) : 0;
	union address address = where(family, wildcard, port);

	*held = (struct held){.fd = socket_open(family, type)};
	if (type == SOCK_STREAM)
		socket_reset_at_close(held->fd);
	if (chance == 3 && setsockopt(held->fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)))
		die("SO_REUSEPORT");
	if (claim(process, held, bind, &address))
		return true;
	close(held->fd);
	return false;
}

static void do_bind(struct process *process)
{
	struct held held;

	if (bound(process, pick(process, 2) ? SOCK_STREAM : SOCK_DGRAM, &held))
		hold(process, held);
}

static void do_listen(struct process *process)
{
	struct held held;

	if (pick(process, 4)) {
		if (!bound(process, SOCK_STREAM, &held))
			return;
	} else {
		held = (struct held){.fd = socket_open(AF_INET, SOCK_STREAM), .before = now()};
		socket_reset_at_close(held.fd);
		held.claimant = getpid();
		process->claims++;
	}
	if (listen(held.fd, 4)) {
		if (errno != EADDRINUSE)
			die("listen");
		close(held.fd);
		return;
	}
	held.after = now();
	hold(process, held);
}

/* Two ends of a connection to a listener of its own, which is closed. */
static void pair_open(struct process *process, struct held *client, struct held *server)
{
	union address address = where(AF_INET, false, 0);
	struct held listener = {.fd = socket_open(AF_INET, SOCK_STREAM)};

	if (!claim(process, &listener, bind, &address) || listen(listener.fd, 1))
		die("a listener");
	address = name_of(listener.fd, getsockname);
	*client = (struct held){.fd = socket_open(AF_INET, SOCK_STREAM)};
	if (!claim(process, client, connect, &address))
		die("connect");
	*server = (struct held){.fd = accept(listener.fd, NULL, NULL), .accepted = true};
	if (server->fd < 0)
		die("accept");
	if (pick(process, 2))
		close(listener.fd); /* what it accepted keeps the port */
	else
		hold(process, listener);
}

static void do_connect(struct process *process)
{
	struct held client, server;

	if (process->count + 3 > PROCESS_SOCKETS)
		return;
	pair_open(process, &client, &server);
	socket_reset_at_close(client.fd);
	socket_reset_at_close(server.fd);
	client.connected = server.connected = true;
	hold(process, client);
	hold(process, server);
}

/* A connect that is refused: the port that bind was asked for stays, others are given back
 * (and getsockname() goes on telling the number of one that the kernel chose). */
static void do_refused(struct process *process)
{
	union address address = where(AF_INET, false, LOW + pick(process, PORTS)),
		      nobody = where(AF_INET, false, 1);
	struct held held = {.fd = socket_open(AF_INET, SOCK_STREAM)};
	bool fixed = pick(process, 2) && claim(process, &held, bind, &address);

	process->claims += !fixed;
	if (!connect(held.fd, &nobody.any, sizeof(nobody)) || errno != ECONNREFUSED)
		die("a refused connect");
	if (fixed)
		hold(process, held);
	else
		close(held.fd);
}

static void do_datagram(struct process *process)
{
	union address peer = where(AF_INET, false, LOW + pick(process, PORTS)),
		      none = {.any.sa_family = AF_UNSPEC}, zero = where(AF_INET, false, 0);
	struct held held = {.fd = socket_open(AF_INET, SOCK_DGRAM)};

	if (!pick(process, 3)) {
		held.before = now();
		/* The answer of a closed port comes with the next call. */
		if (sendto(held.fd, "", 0, 0, &peer.any, sizeof(peer)))
			die("sendto");
		held.after = now();
		held.claimant = getpid();
		process->claims++;
	} else if (!claim(process, &held, connect, &peer)) {
		die("connect");
	} else if (pick(process, 2)) {
		if (connect(held.fd, &none.any, sizeof(none)))
			die("a disconnect");
		if (pick(process, 2) && !claim(process, &held, bind, &zero))
			die("bind");
	}
	hold(process, held);
}

/* ---- hand-overs ---- */

static bool mail_send(int to, const struct held *held)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec data = {(void *)held, sizeof(*held)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &held->fd, sizeof(int));
	/* A full mailbox, or one whose owner has ended. */
	return sendmsg(to, &message, MSG_DONTWAIT) == sizeof(*held);
}

static bool mail_take(int from, int flags, struct held *held)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = {held, sizeof(*held)};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};

	if (recvmsg(from, &message, flags) != sizeof(*held))
		return false;
	if (!CMSG_FIRSTHDR(&message))
		die("a hand-over without a socket");
	memcpy(&held->fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	return true;
}

static void do_pass(struct process *process)
{
	struct held held;

	if (!forget(process, &held))
		return;
	if (mail_send(process->neighbour, &held))
		close(held.fd);
	else
		hold(process, held);
}

static void do_receive(struct process *process)
{
	struct held held;

	while (process->count < PROCESS_SOCKETS && mail_take(process->mailbox, MSG_DONTWAIT, &held))
		hold(process, held);
}

/* A child claims, hands it to its parent and ends. */
static void do_child(struct process *process)
{
	struct held held;
	int line[2], status;
	pid_t pid;

	if (process->count == PROCESS_SOCKETS)
		return;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, line))
		die("socketpair");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		union address address = where(AF_INET, false, 0);

		held = (struct held){.fd = socket_open(AF_INET, SOCK_STREAM)};
		if (!claim(process, &held, bind, &address) || listen(held.fd, 1))
			die("a child's listener");
		socket_reset_at_close(held.fd);
		if (!mail_send(line[1], &held))
			die("a child's hand-over");
		_exit(0);
	}
	close(line[1]);
	if (waitpid(pid, &status, 0) != pid || status)
		die("a child");
	if (!mail_take(line[0], MSG_DONTWAIT, &held))
		die("a child's socket");
	close(line[0]);
	process->claims++;
	hold(process, held);
}

/* ---- what the storm asks for ---- */

void process_act(struct process *process, bool hand_over)
{
	switch (pick(process, hand_over ? 32 : 27)) {
	case 0 ... 5:
		do_bind(process);
		break;
	case 6 ... 8:
		do_listen(process);
		break;
	case 9 ... 11:
		do_connect(process);
		break;
	case 12 ... 13:
		do_refused(process);
		break;
	case 14 ... 17:
		do_datagram(process);
		break;
	case 27 ... 28:
		do_pass(process);
		break;
	case 29 ... 30:
		do_receive(process);
		break;
	case 31:
		do_child(process);
		break;
	default:
		do_close(process);
	}
}

void process_linger(struct process *process)
{
	struct held client, server;
	char nothing;

	while (process->count + 3 > PROCESS_SOCKETS)
		do_close(process);
	pair_open(process, &client, &server);
	close(client.fd);
	if (read(server.fd, &nothing, 1))
		die("the end of a connection");
	close(server.fd);
}

static void endpoint_put(char *text, size_t size, const char *key, const union address *address)
{
	char ip[INET6_ADDRSTRLEN] = "";
	bool v6 = address->any.sa_family == AF_INET6;

	inet_ntop(v6 ? AF_INET6 : AF_INET,
		  v6 ? (const void *)&address->v6.sin6_addr : (const void *)&address->v4.sin_addr,
		  ip, sizeof(ip));
	snprintf(text, size, "\"%s\":[\"%s\",%d]", key, ip, port_of(address));
}

static void held_report(const struct held *held)
{
	union address local = name_of(held->fd, getsockname),
		      remote = name_of(held->fd, getpeername);
	char here[80], there[80], line[600];
	struct tcp_info info = {0};
	socklen_t length = sizeof(int);
	struct stat status;
	int protocol, size;

	if (getsockopt(held->fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) ||
	    fstat(held->fd, &status))
		die("a socket of its own");
	length = sizeof(info);
	if (protocol == IPPROTO_TCP && getsockopt(held->fd, IPPROTO_TCP, TCP_INFO, &info, &length))
		die("TCP_INFO");
	/* Reset by its peer: the port is gone, though it goes on telling the number. */
	if (!port_of(&local) || (held->connected && info.tcpi_state == TCP_CLOSE))
		return;
	endpoint_put(here, sizeof(here), "local", &local);
	endpoint_put(there, sizeof(there), "remote", &remote);
	size = snprintf(line, sizeof(line),
			"{\"pid\":%d,\"inode\":%lu,\"protocol\":%d,\"state\":%d,%s,%s,"
			"\"claimant\":%d,\"before\":%llu,\"after\":%llu,\"accepted\":%s}\n",
			(int)getpid(), (unsigned long)status.st_ino, protocol,
			protocol == IPPROTO_TCP ? info.tcpi_state
						: (port_of(&remote) ? TCP_ESTABLISHED : TCP_CLOSE),
			here, there, (int)held->claimant, (unsigned long long)held->before,
			(unsigned long long)held->after, held->accepted ? "true" : "false");
	if (write(STDOUT_FILENO, line, (size_t)size) != size)
		die("stdout");
}

void process_report(struct process *process)
{
	struct held held;

	for (unsigned int i = 0; i < process->count; i++)
		held_report(&process->held[i]);
	/* More than it has room for: these it holds as well, to its end. */
	while (mail_take(process->mailbox, MSG_DONTWAIT, &held))
		held_report(&held);
}
