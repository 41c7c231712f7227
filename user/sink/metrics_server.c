/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "sink/metrics_server.h"

#include <errno.h>

#ifdef PORTSNOOP_STATIC

/* Debian's libmicrohttpd brings GnuTLS along, which it has no static library of. */

#include <stdio.h>

bool metrics_server_built(void)
{
	return false;
}

int metrics_server_open(const struct endpoint *endpoint, const struct metrics_source *source,
			struct metrics_server **server, char *why, size_t size)
{
	(void)endpoint;
	(void)source;
	(void)server;
	snprintf(why, size, "this program was built without an HTTP server");
	return -EOPNOTSUPP;
}

void metrics_server_close(struct metrics_server *server)
{
	(void)server;
}

const char *metrics_server_url(const struct metrics_server *server)
{
	(void)server;
	return NULL;
}

int metrics_server_fd(const struct metrics_server *server)
{
	(void)server;
	return -1;
}

int metrics_server_timeout(const struct metrics_server *server)
{
	(void)server;
	return -1;
}

int metrics_server_handle(struct metrics_server *server)
{
	(void)server;
	return -EOPNOTSUPP;
}

unsigned int metrics_server_connections(const struct metrics_server *server)
{
	(void)server;
	return 0;
}

#else

#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#include "format/openmetrics.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "model/text.h"

#define NS_PER_MS UINT64_C(1000000)
#define BACKLOG 64
#define CROWDED (METRICS_CONNECTIONS * 3 / 4) /* from there on the oldest goes */
/* Pages may take so much of the time: one part in all. */
#define PAGE_PART 20

struct client {
	struct client *prev, *next;
	int fd;
	bool leaving;
	uint64_t due; /* CLOCK_MONOTONIC, ns */
};

struct page {
	struct MHD_Response *response; /* NULL: none was made */
	uint64_t until;		       /* it is good for so long */
};

struct metrics_server {
	struct MHD_Daemon *daemon;
	struct metrics_source source;
	struct client *clients; /* the oldest first */
	unsigned int count;
	struct page pages[2]; /* OpenMetrics, classic */
	char url[sizeof("http:///metrics") + TEXT_ENDPOINT];
};

static const char index_page[] =
	"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>portsnoop</title>"
	"<h1>portsnoop " PORTSNOOP_VERSION "</h1><p><a href=\"/metrics\">Metrics</a></p></html>\n";

bool metrics_server_built(void)
{
	return true;
}

/* ---- connections ---- */

/* libmicrohttpd sees its end, and does the rest. */
static void client_leave(struct client *client)
{
	client->leaving = true;
	shutdown(client->fd, SHUT_RDWR);
}

static void crowd_check(const struct metrics_server *server)
{
	struct client *client;

	if (server->count <= CROWDED)
		return;
	DL_FOREACH (server->clients, client) {
		if (client->leaving)
			continue;
		client_leave(client);
		return;
	}
}

static void client_come(struct metrics_server *server, struct MHD_Connection *connection,
			void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *client = info ? calloc(1, sizeof(*client)) : NULL;

	*socket_context = client;
	if (!client) {
		/* Nobody would end it. */
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	client->fd = info->connect_fd;
	client->due = clock_monotonic() + server->source.patience_ms * NS_PER_MS;
	DL_APPEND(server->clients, client);
	server->count++;
	crowd_check(server);
}

static void connection_notify(void *context, struct MHD_Connection *connection,
			      void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct metrics_server *server = context;
	struct client *client = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		client_come(server, connection, socket_context);
	} else if (client) {
		DL_DELETE(server->clients, client);
		server->count--;
		free(client);
		*socket_context = NULL;
	}
}

/* ---- answers ---- */

static struct MHD_Response *response_make(const char *text, size_t length, const char *type,
					  enum MHD_ResponseMemoryMode mode)
{
	/* Not const in libmicrohttpd, which does not write to it. */
	struct MHD_Response *response =
		MHD_create_response_from_buffer(length, (void *)(uintptr_t)text, mode);

	if (!response)
		return NULL;
	if (MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
	    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
	    MHD_add_response_header(response, "Connection", "close") == MHD_YES)
		return response;
	MHD_destroy_response(response);
	return NULL;
}

static enum MHD_Result answer_send(struct MHD_Connection *connection, unsigned int status,
				   struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO; /* closes the connection */
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
				   const char *text)
{
	return answer_send(connection, status,
			   response_make(text, strlen(text), "text/plain; charset=utf-8",
					 MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result answer_method(struct MHD_Connection *connection)
{
	static const char text[] = "GET and HEAD only\n";
	struct MHD_Response *response = response_make(
		text, sizeof(text) - 1, "text/plain; charset=utf-8", MHD_RESPMEM_PERSISTENT);

	if (response && MHD_add_response_header(response, "Allow", "GET, HEAD") != MHD_YES) {
		MHD_destroy_response(response);
		response = NULL;
	}
	return answer_send(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
}

static void page_forget(struct page *page)
{
	if (page->response)
		MHD_destroy_response(page->response);
	page->response = NULL;
}

/* How long it took to make decides how long it is good for: many who ask at once, or all
 * the time, do not keep us from recording. */
static void page_make(const struct metrics_server *server, struct page *page, bool classic)
{
	CLEANUP(buffer_free) struct buffer text = BUFFER_EMPTY;
	uint64_t began = clock_monotonic(), now;

	page_forget(page);
	server->source.page(server->source.context, classic, &text);
	if (!text.failed)
		page->response =
			response_make(text.data, text.length,
				      classic ? OPENMETRICS_TYPE_CLASSIC : OPENMETRICS_TYPE,
				      MHD_RESPMEM_MUST_COPY);
	if (page->response && MHD_add_response_header(page->response, "Vary", "Accept") != MHD_YES)
		page_forget(page);
	now = clock_monotonic();
	page->until = now + (now - began) * PAGE_PART;
}

static enum MHD_Result answer_metrics(struct metrics_server *server,
				      struct MHD_Connection *connection)
{
	bool classic = !openmetrics_accepted(
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"));
	struct page *page = &server->pages[classic];

	if (!page->response || page->until <= clock_monotonic())
		page_make(server, page, classic);
	if (!page->response)
		return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
	return MHD_queue_response(connection, MHD_HTTP_OK, page->response);
}

/* Called when the head of a request is there. What comes behind it nobody reads. */
static enum MHD_Result request_answer(void *context, struct MHD_Connection *connection,
				      const char *url, const char *method, const char *version,
				      const char *upload, size_t *upload_size, void **request)
{
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)request;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return answer_method(connection);
	if (!strcmp(url, "/metrics"))
		return answer_metrics(context, connection);
	if (!strcmp(url, "/"))
		return answer_send(connection, MHD_HTTP_OK,
				   response_make(index_page, sizeof(index_page) - 1,
						 "text/html; charset=utf-8",
						 MHD_RESPMEM_PERSISTENT));
	return answer_text(connection, MHD_HTTP_NOT_FOUND, "not here: see /metrics\n");
}

/* ---- opening ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static socklen_t address_make(union address *address, const struct endpoint *endpoint)
{
	*address = (union address){0};
	if (endpoint->family == 4) {
		address->in.sin_family = AF_INET;
		address->in.sin_port = htons(endpoint->port);
		memcpy(&address->in.sin_addr, endpoint->bytes, sizeof(address->in.sin_addr));
		return sizeof(address->in);
	}
	address->in6.sin6_family = AF_INET6;
	address->in6.sin6_port = htons(endpoint->port);
	memcpy(&address->in6.sin6_addr, endpoint->bytes, sizeof(address->in6.sin6_addr));
	return sizeof(address->in6);
}

static bool address_own(const struct endpoint *endpoint)
{
	static const uint8_t loopback6[16] = {[15] = 1};

	return endpoint->family == 4 ? endpoint->bytes[0] == 127
				     : !memcmp(endpoint->bytes, loopback6, sizeof(loopback6));
}

/* Its connections inherit TCP_NODELAY: they could not set it any more (guard.h). */
static int socket_listen(const struct endpoint *endpoint)
{
	union address address;
	socklen_t length = address_make(&address, endpoint);
	CLEANUP_FD int fd =
		socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ||
	    bind(fd, &address.any, length) || listen(fd, BACKLOG))
		return -errno;
	return TAKE_FD(fd);
}

static uint16_t socket_port(int fd)
{
	union address address = {0};
	socklen_t length = sizeof(address);

	if (getsockname(fd, &address.any, &length))
		return 0;
	return ntohs(address.any.sa_family == AF_INET ? address.in.sin_port
						      : address.in6.sin6_port);
}

static void listen_explain(const struct endpoint *endpoint, int error, char *why, size_t size)
{
	char place[TEXT_ENDPOINT + 1];
	int length;

	*text_endpoint(place, endpoint->bytes, endpoint->family, endpoint->port) = '\0';
	length = snprintf(why, size, "--metrics: cannot listen on %s: %s", place, strerror(-error));
	if (length < 0 || (size_t)length >= size)
		return;
	why += length;
	size -= (size_t)length;
	if (error == -EADDRINUSE)
		snprintf(why, size, "; 'portsnoop who %u/tcp' tells who has it", endpoint->port);
	else if (error == -EADDRNOTAVAIL)
		snprintf(why, size, ": no device of this machine has the address");
	else if (error == -EAFNOSUPPORT)
		snprintf(why, size,
			 ": the kernel, or a sandbox, has no sockets of this kind; a "
			 "unit of systemd needs RestrictAddressFamilies=AF_INET AF_INET6 "
			 "and IPAddressAllow=localhost (systemctl edit portsnoop)");
	else if (error == -EACCES)
		snprintf(why, size, ": take a port from 1024 on");
}

static int daemon_start(struct metrics_server *server, const struct endpoint *endpoint, int fd)
{
	const union MHD_DaemonInfo *info;

	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, request_answer, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)METRICS_CONNECTIONS,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		address_own(endpoint) ? 0u : (unsigned int)METRICS_CONNECTIONS_OF_ADDRESS,
		MHD_OPTION_CONNECTION_TIMEOUT, METRICS_PATIENCE_MS / 1000u,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)METRICS_REQUEST,
		MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server, MHD_OPTION_END);
	if (!server->daemon)
		return -EIO;
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	return info && info->epoll_fd >= 0 ? 0 : -EOPNOTSUPP;
}

int metrics_server_open(const struct endpoint *endpoint, const struct metrics_source *source,
			struct metrics_server **opened, char *why, size_t size)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	int error, fd = -1;

	if (!server) {
		snprintf(why, size, "--metrics: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	server->source = *source;
	if (!server->source.patience_ms)
		server->source.patience_ms = METRICS_PATIENCE_MS;
	fd = socket_listen(endpoint);
	if (fd < 0) {
		listen_explain(endpoint, fd, why, size);
		free(server);
		return fd;
	}
	memcpy(server->url, "http://", 7);
	strcpy(text_endpoint(server->url + 7, endpoint->bytes, endpoint->family, socket_port(fd)),
	       "/metrics");
	error = daemon_start(server, endpoint, fd);
	if (error) {
		snprintf(why, size, "--metrics: libmicrohttpd does not start");
		if (!server->daemon)
			close(fd);
		metrics_server_close(server);
		return error;
	}
	*opened = server;
	return 0;
}

void metrics_server_close(struct metrics_server *server)
{
	if (!server)
		return;
	if (server->daemon)
		MHD_stop_daemon(server->daemon); /* and its sockets */
	page_forget(&server->pages[0]);
	page_forget(&server->pages[1]);
	free(server);
}

/* ---- */

const char *metrics_server_url(const struct metrics_server *server)
{
	return server->url;
}

int metrics_server_fd(const struct metrics_server *server)
{
	return MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int metrics_server_timeout(const struct metrics_server *server)
{
	MHD_UNSIGNED_LONG_LONG own;
	uint64_t now = clock_monotonic(), most = UINT64_MAX, rest;
	const struct client *client = server->clients;

	if (MHD_get_timeout(server->daemon, &own) == MHD_YES)
		most = own;
	while (client && client->leaving)
		client = client->next;
	if (client) {
		rest = client->due > now ? (client->due - now) / NS_PER_MS + 1 : 0;
		if (rest < most)
			most = rest;
	}
	if (most == UINT64_MAX)
		return -1;
	return most < INT_MAX ? (int)most : INT_MAX;
}

int metrics_server_handle(struct metrics_server *server)
{
	uint64_t now = clock_monotonic();
	struct client *client;

	DL_FOREACH (server->clients, client) {
		if (client->due > now)
			break;
		if (!client->leaving)
			client_leave(client);
	}
	return MHD_run(server->daemon) == MHD_YES ? 0 : -EIO;
}

unsigned int metrics_server_connections(const struct metrics_server *server)
{
	return server->count;
}

#endif
