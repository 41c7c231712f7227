/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "service/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define BACKLOG 16
#define EVENTS_PER_CALL 4
#define ACCEPTS_PER_CALL 4
#define PAUSE_MS 1000 /* no descriptors or memory for a new client: look again then */

/* What an event belongs to. A client's number is never used twice, so an event that
 * waits behind the end of its client finds nobody. */
enum { TAG_LISTENER, TAG_TIMER, TAG_CLIENT };

struct client {
	struct reply *reply; /* NULL: nobody */
	uint64_t tag;
	uint64_t deadline; /* CLOCK_MONOTONIC */
	int fd;
	uid_t uid;
	bool asked, over; /* over: nothing follows what is in `out` */
	bool writing;	  /* it is to be told when there is room, not when the client speaks */
	struct buffer out;
};

struct server {
	struct server_options options;
	int folder, listener, timer, epoll;
	uid_t uid;    /* ours */
	bool visible; /* the socket has its name */
	bool paused;
	uint64_t tags;
	pid_t pid; /* a child of ours is not the server */
	struct client clients[SERVER_CLIENTS];
};

static int watch(const struct server *server, int operation, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event event = {.events = events, .data.u64 = tag};

	return epoll_ctl(server->epoll, operation, fd, &event) ? -errno : 0;
}

static void timer_set(const struct server *server, uint64_t when)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(when / 1000000000),
					     .tv_nsec = (long)(when % 1000000000)}};

	timerfd_settime(server->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* When the first of the clients is to be dropped. A wake-up too many does no harm. */
static void timer_renew(const struct server *server)
{
	uint64_t first = 0;

	for (size_t i = 0; i < SERVER_CLIENTS; i++) {
		const struct client *client = &server->clients[i];

		if (client->reply && (!first || client->deadline < first))
			first = client->deadline;
	}
	if (server->paused)
		first = clock_monotonic() + PAUSE_MS * NS_PER_MS;
	timer_set(server, first);
}

static void client_drop(struct client *client)
{
	close(client->fd);
	reply_free(client->reply);
	buffer_free(&client->out);
	*client = (struct client){0};
}

/* Root could ask the kernel, and we have what we tell from ourselves. */
static bool uid_may_all(const struct server *server, uid_t uid)
{
	return uid == server->options.place.owner || uid == server->uid;
}

/* NULL: no more of them, or no more of this user. */
static struct client *client_place(struct server *server, uid_t uid)
{
	bool may_all = uid_may_all(server, uid);
	unsigned int others = 0, same = 0;
	struct client *empty = NULL;

	for (size_t i = 0; i < SERVER_CLIENTS; i++) {
		struct client *client = &server->clients[i];

		if (!client->reply) {
			empty = client;
			continue;
		}
		others += !uid_may_all(server, client->uid);
		same += client->uid == uid;
	}
	if (!may_all &&
	    (same >= SERVER_CLIENTS_OF_USER || others >= SERVER_CLIENTS - SERVER_RESERVED))
		return NULL;
	return empty;
}

/* Sends what is pending. 0, -EAGAIN, or what ends it. */
static int client_send(struct client *client)
{
	ssize_t sent;

	if (!client->out.length)
		return 0;
	do
		sent = send(client->fd, client->out.data, client->out.length,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	buffer_reset(&client->out);
	return 0;
}

/* Whatever there is to say now, one message at most. */
static void client_serve(const struct server *server, struct client *client)
{
	bool writing;
	int error = 0;

	if (client->asked && !client->over && !client->out.length)
		client->over = !reply_next(client->reply, clock_monotonic(), &client->out);
	if (!client->out.failed)
		error = client_send(client);
	if (client->out.failed || (error && error != -EAGAIN) || (client->over && !error)) {
		client_drop(client);
		return;
	}
	writing = client->asked || client->out.length;
	if (writing == client->writing)
		return;
	client->writing = writing;
	if (watch(server, EPOLL_CTL_MOD, client->fd, writing ? EPOLLOUT : EPOLLIN, client->tag))
		client_drop(client);
}

static void client_hear(const struct server *server, struct client *client)
{
	struct service_ask ask;
	ssize_t size = recv(client->fd, &ask, sizeof(ask), MSG_DONTWAIT | MSG_TRUNC);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		client_drop(client);
		return;
	}
	client->asked = true;
	client->over = !reply_ask(client->reply, &ask, (size_t)size, &client->out);
	client_serve(server, client);
}

static void refuse(int fd)
{
	CLEANUP(buffer_free) struct buffer out = BUFFER_EMPTY;

	reply_refuse(SERVICE_BUSY, &out);
	if (!out.failed && send(fd, out.data, out.length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* it hears nothing then */
}

void server_admit(struct server *server, int fd, uid_t uid)
{
	struct client *client = client_place(server, uid);
	uint64_t now = clock_monotonic();

	if (!client) {
		refuse(fd);
		close(fd);
		return;
	}
	*client = (struct client){
		.reply = reply_new(&server->options.source, uid, uid_may_all(server, uid)),
		.tag = TAG_CLIENT + server->tags++,
		.deadline = now + server->options.patience_ms * NS_PER_MS,
		.fd = fd,
		.uid = uid,
	};
	if (!client->reply || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, client->tag)) {
		client_drop(client);
		return;
	}
	timer_renew(server);
	client->over = !reply_hello(client->reply, now, &client->out);
	client_serve(server, client);
}

static void listener_pause(struct server *server, bool pause)
{
	if (!watch(server, EPOLL_CTL_MOD, server->listener, pause ? 0 : EPOLLIN, TAG_LISTENER))
		server->paused = pause;
	timer_renew(server);
}

static void listener_handle(struct server *server)
{
	for (unsigned int i = 0; i < ACCEPTS_PER_CALL; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ucred peer;
		socklen_t size = sizeof(peer);

		if (fd < 0) {
			/* Else it would stay readable, and the owner's loop would spin. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				listener_pause(server, true);
			return;
		}
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
			close(fd);
		else
			server_admit(server, fd, peer.uid);
	}
}

static void timer_handle(struct server *server)
{
	uint64_t expirations, now = clock_monotonic();

	if (read(server->timer, &expirations, sizeof(expirations)) < 0)
		return;
	for (size_t i = 0; i < SERVER_CLIENTS; i++)
		if (server->clients[i].reply && server->clients[i].deadline <= now)
			client_drop(&server->clients[i]);
	if (server->paused)
		listener_pause(server, false);
	timer_renew(server);
}

static void client_handle(struct server *server, uint64_t tag, uint32_t events)
{
	struct client *client = NULL;

	for (size_t i = 0; i < SERVER_CLIENTS; i++)
		if (server->clients[i].reply && server->clients[i].tag == tag)
			client = &server->clients[i];
	if (!client)
		return;
	if (events & (EPOLLERR | EPOLLHUP))
		client_drop(client);
	else if (client->writing)
		client_serve(server, client);
	else
		client_hear(server, client);
}

int server_handle(struct server *server)
{
	struct epoll_event events[EVENTS_PER_CALL];
	int count = epoll_wait(server->epoll, events, EVENTS_PER_CALL, 0);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		if (events[i].data.u64 == TAG_LISTENER)
			listener_handle(server);
		else if (events[i].data.u64 == TAG_TIMER)
			timer_handle(server);
		else
			client_handle(server, events[i].data.u64, events[i].events);
	}
	return 0;
}

int server_fd(const struct server *server)
{
	return server->epoll;
}

unsigned int server_clients(const struct server *server)
{
	unsigned int count = 0;

	for (size_t i = 0; i < SERVER_CLIENTS; i++)
		count += server->clients[i].reply != NULL;
	return count;
}

/* Somebody who finds our name must be able to connect, or would take us for dead: it
 * gets its name last. */
static int listener_open(struct server *server)
{
	const struct service_place *place = &server->options.place;
	char name[FOLDER_NAME], newborn[FOLDER_NAME];
	struct sockaddr_un address;
	mode_t before;
	int error;

	folder_name(name, (uint32_t)server->pid);
	snprintf(newborn, sizeof(newborn), "%u.new", (uint32_t)server->pid);
	error = folder_address(place, newborn, &address);
	if (error)
		return error;
	server->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return -errno;
	unlinkat(server->folder, newborn, 0); /* of one that died here */
	/* Not by its name afterwards: in a folder of somebody else it could be a link by then. */
	before = umask(0111);
	error = bind(server->listener, (const struct sockaddr *)&address, sizeof(address)) ? -errno
											   : 0;
	umask(before);
	if (error)
		return error;
	if (listen(server->listener, BACKLOG) ||
	    renameat2(server->folder, newborn, server->folder, name, RENAME_NOREPLACE)) {
		error = errno == EEXIST ? -EADDRINUSE : -errno;
		unlinkat(server->folder, newborn, 0);
		return error;
	}
	server->visible = true;
	return 0;
}

static int server_start(struct server *server)
{
	const struct service_place *place = &server->options.place;
	int error;

	server->folder = folder_open(place, true);
	if (server->folder < 0)
		return server->folder;
	if (!folder_trusts(place, server->folder, server->uid))
		return -EPERM;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (server->epoll < 0 || server->timer < 0)
		return -errno;
	folder_sweep(place, server->folder);
	error = listener_open(server);
	if (!error)
		error = watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, TAG_LISTENER);
	return error ? error : watch(server, EPOLL_CTL_ADD, server->timer, EPOLLIN, TAG_TIMER);
}

int server_open(const struct server_options *options, struct server **server)
{
	struct server *made = calloc(1, sizeof(*made));
	int error;

	if (!made)
		return -ENOMEM;
	made->options = *options;
	if (!made->options.patience_ms)
		made->options.patience_ms = SERVER_PATIENCE_MS;
	made->folder = made->listener = made->timer = made->epoll = -1;
	made->pid = getpid();
	made->uid = geteuid();
	error = server_start(made);
	if (error) {
		server_close(made);
		return error;
	}
	*server = made;
	return 0;
}

void server_close(struct server *server)
{
	char name[FOLDER_NAME];

	if (!server)
		return;
	/* Before it stops listening, or it could be another's by then. */
	if (server->visible && server->pid == getpid()) {
		folder_name(name, (uint32_t)server->pid);
		unlinkat(server->folder, name, 0);
	}
	for (size_t i = 0; i < SERVER_CLIENTS; i++)
		if (server->clients[i].reply)
			client_drop(&server->clients[i]);
	cleanup_fd(&server->listener);
	cleanup_fd(&server->timer);
	cleanup_fd(&server->epoll);
	cleanup_fd(&server->folder);
	free(server);
}
