/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka.h wants these. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zlib.h>

#include "lib/cleanup.h"

struct http_server {
	const struct http_scene *scenes;
	size_t count;
	int listener;
	int stop[2];
	pthread_t thread;
	pthread_mutex_t lock;
	struct http_request requests[HTTP_REQUESTS_MOST];
	unsigned int seen;
	unsigned int connections;
	char url[64];
};

/* False: it is to stop. */
static bool wait_for(struct http_server *server, int fd, short events)
{
	struct pollfd fds[] = {{.fd = fd, .events = events},
			       {.fd = server->stop[0], .events = POLLIN}};

	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	return !fds[1].revents;
}

static bool read_more(struct http_server *server, int fd, struct buffer *into)
{
	ssize_t got;

	if (!wait_for(server, fd, POLLIN) || !buffer_room(into, 65536))
		return false;
	got = recv(fd, into->data + into->length, 65536, 0);
	if (got <= 0)
		return false;
	into->length += (size_t)got;
	return true;
}

static bool write_all(struct http_server *server, int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t sent;

		if (!wait_for(server, fd, POLLOUT))
			return false;
		sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0)
			return false;
		bytes += sent;
		size -= (size_t)sent;
	}
	return true;
}

/* One request from `from`, where what is behind it stays. */
static bool read_request(struct http_server *server, int fd, struct buffer *from,
			 struct http_request *request)
{
	const char *end, *length;
	size_t head, body;

	while (!from->length || !(end = memmem(from->data, from->length, "\r\n\r\n", 4)))
		if (!read_more(server, fd, from))
			return false;
	head = (size_t)(end - from->data) + 4;
	buffer_append(&request->head, from->data, head);
	buffer_byte(&request->head, '\0');
	length = strcasestr(request->head.data, "\r\nContent-Length:");
	body = length ? strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
	while (from->length < head + body)
		if (!read_more(server, fd, from))
			return false;
	buffer_append(&request->body, from->data + head, body);
	from->length -= head + body;
	memmove(from->data, from->data + head + body, from->length);
	return true;
}

/* False: the connection is over. */
static bool play(struct http_server *server, int fd, const struct http_scene *scene)
{
	CLEANUP(buffer_free) struct buffer ignored = BUFFER_EMPTY;

	if (scene->answer && !write_all(server, fd, scene->answer, strlen(scene->answer)))
		return false;
	while (scene->endless && write_all(server, fd, scene->tail, strlen(scene->tail)))
		;
	while (scene->hold && read_more(server, fd, &ignored))
		;
	return !scene->hang_up && !scene->hold && !scene->endless;
}

static void serve(struct http_server *server, int fd)
{
	CLEANUP(buffer_free) struct buffer from = BUFFER_EMPTY;
	bool goes_on = true;

	server->connections++;
	while (goes_on) {
		struct http_request request = {.connection = server->connections};
		const struct http_scene *scene;

		if (!read_request(server, fd, &from, &request) ||
		    server->seen == HTTP_REQUESTS_MOST) {
			buffer_free(&request.head);
			buffer_free(&request.body);
			return;
		}
		pthread_mutex_lock(&server->lock);
		scene = &server->scenes[server->seen < server->count ? server->seen
								     : server->count - 1];
		server->requests[server->seen++] = request;
		pthread_mutex_unlock(&server->lock);
		goes_on = play(server, fd, scene);
	}
}

static void *server_run(void *context)
{
	struct http_server *server = context;

	while (wait_for(server, server->listener, POLLIN)) {
		CLEANUP_FD int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			serve(server, fd);
	}
	return NULL;
}

struct http_server *http_server_start(const struct http_scene *scenes, size_t count)
{
	struct http_server *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	assert_non_null(server);
	server->scenes = scenes;
	server->count = count;
	pthread_mutex_init(&server->lock, NULL);
	assert_int_equal(pipe(server->stop), 0);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
	snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
	return server;
}

const char *http_server_url(struct http_server *server)
{
	return server->url;
}

unsigned int http_server_requests(struct http_server *server, const struct http_request **requests)
{
	unsigned int seen;

	pthread_mutex_lock(&server->lock);
	seen = server->seen;
	pthread_mutex_unlock(&server->lock);
	*requests = server->requests;
	return seen;
}

void http_server_stop(struct http_server *server)
{
	assert_int_equal(write(server->stop[1], "", 1), 1);
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	for (unsigned int i = 0; i < server->seen; i++) {
		buffer_free(&server->requests[i].head);
		buffer_free(&server->requests[i].body);
	}
	close(server->listener);
	close(server->stop[0]);
	close(server->stop[1]);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

void http_request_body(const struct http_request *request, struct buffer *out)
{
	z_stream stream = {.next_in = (Bytef *)request->body.data,
			   .avail_in = (uInt)request->body.length};
	int status = Z_OK;

	if (!strcasestr(request->head.data, "\r\nContent-Encoding: gzip\r\n")) {
		buffer_append(out, request->body.data, request->body.length);
		return;
	}
	assert_int_equal(inflateInit2(&stream, 31), Z_OK);
	while (status == Z_OK) {
		assert_true(buffer_room(out, 65536));
		stream.next_out = (Bytef *)out->data + out->length;
		stream.avail_out = 65536;
		status = inflate(&stream, Z_NO_FLUSH);
		out->length += 65536 - stream.avail_out;
	}
	assert_int_equal(status, Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	inflateEnd(&stream);
}
