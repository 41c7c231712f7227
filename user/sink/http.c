/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PORTSNOOP_STATIC
#include "sink/http.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/gzip.h"
#include "sink/libcurl.h"

#define NS_PER_MS 1000000
#define HEADERS_MOST (64u << 10) /* bytes of an answer's headers */
#define RETRY_AFTER_MOST 86400
#define READY_MOST 8
#define PACKED_KEPT (64u << 10) /* bytes of memory, until the next request */

struct http {
	struct libcurl curl;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers; /* of each request */
	struct buffer packed;
	char error[CURL_ERROR_SIZE];
	http_wait *wait;
	void *context;
	int sockets;	     /* an epoll descriptor: those that libcurl waits for */
	unsigned int opened; /* sockets that are open, the kept connection among them */
	int64_t due;	     /* libcurl's timer: CLOCK_MONOTONIC, ns; -1: none */
	/* The request under way: */
	struct curl_slist *resolved;
	struct http_answer *answer;
	http_take *take;
	void *take_context;
	int taken; /* what `take` or a limit has ended it with */
	size_t header_bytes;
};

static int http_fail(int error, char *why, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int http_fail(int error, char *why, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, size, format, arguments);
	va_end(arguments);
	return error;
}

bool http_built(char *why, size_t size)
{
	struct libcurl curl;

	return !libcurl_load(&curl, why, size);
}

/* ---- what libcurl calls ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *unused)
{
	struct http *http = context;
	struct epoll_event event = {.data.fd = fd};

	(void)easy;
	(void)unused;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(http->sockets, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (!epoll_ctl(http->sockets, EPOLL_CTL_MOD, fd, &event))
		return 0;
	return epoll_ctl(http->sockets, EPOLL_CTL_ADD, fd, &event);
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct http *http = context;

	(void)multi;
	http->due = timeout_ms < 0 ? -1 : clock_ns(CLOCK_MONOTONIC) + timeout_ms * NS_PER_MS;
	return 0;
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *http = context;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	http->opened++;
	return fd;
}

static int on_close(void *context, curl_socket_t fd)
{
	struct http *http = context;

	http->opened--;
	return close(fd);
}

static size_t on_header(char *bytes, size_t one, size_t size, void *context)
{
	struct http *http = context;

	(void)bytes;
	(void)one;
	http->header_bytes += size;
	if (http->header_bytes <= HEADERS_MOST)
		return size;
	http->taken = -EPROTO;
	return 0;
}

static long http_status(struct http *http)
{
	long status = 0;

	http->curl.easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Less than `size` ends the request. */
static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
	struct http *http = context;
	struct http_answer *answer = http->answer;
	size_t room = HTTP_ANSWER_MOST - answer->body.length;

	(void)one;
	if (http->take && http_status(http) == 200) {
		http->taken = http->take(http->take_context, bytes, size);
		return http->taken < 0 ? 0 : size;
	}
	answer->cut = size > room;
	buffer_append(&answer->body, bytes, answer->cut ? room : size);
	if (answer->body.failed)
		http->taken = -ENOMEM;
	return http->taken || answer->cut ? 0 : size;
}

/* ---- a client ---- */

/* "Name: value", both as RFC 9110 has them: nothing that could end the line. */
static bool header_valid(const char *header)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789"
				    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	size_t name = strspn(header, token);
	const char *value;

	if (!name || header[name] != ':')
		return false;
	value = header + name + 1;
	value += strspn(value, " \t");
	for (const char *byte = value; *byte; byte++)
		if (((unsigned char)*byte < ' ' && *byte != '\t') || *byte == 0x7f)
			return false;
	return *value; /* without one, libcurl would leave it out */
}

static bool header_add(struct http *http, struct curl_slist **list, const char *header)
{
	struct curl_slist *longer = http->curl.slist_append(*list, header);

	if (longer)
		*list = longer;
	return longer;
}

static int http_set_headers(struct http *http, const char *const *headers, char *why, size_t size)
{
	for (size_t i = 0; headers && headers[i]; i++) {
		if (!header_valid(headers[i]))
			return http_fail(-EINVAL, why, size,
					 "header %zu is none: expected NAME: VALUE", i + 1);
		if (!header_add(http, &http->headers, headers[i]))
			return http_fail(-ENOMEM, why, size, "no memory");
	}
	/* Not to be asked whether a body is welcome: that costs a round trip. */
	if (!header_add(http, &http->headers, "Expect:"))
		return http_fail(-ENOMEM, why, size, "no memory");
	return 0;
}

#define option_set(http, option, value)                                                            \
	((http)->curl.easy_setopt((http)->easy, option, value) == CURLE_OK)

static bool http_set_options(struct http *http, const struct http_options *options)
{
	long patience = options->patience_ms;

	/* libcurl 7.85 and later; http_post() looks at the scheme, too. */
	(void)option_set(http, CURLOPT_PROTOCOLS_STR, "http,https");
	/* Debian's directory of certificates would be trusted beside the file. */
	if (options->ca)
		(void)option_set(http, CURLOPT_CAPATH, NULL);
	return option_set(http, CURLOPT_POST, 1L) && option_set(http, CURLOPT_NOSIGNAL, 1L) &&
	       option_set(http, CURLOPT_FOLLOWLOCATION, 0L) &&
	       option_set(http, CURLOPT_PROXY, "") && option_set(http, CURLOPT_NOPROXY, "*") &&
	       option_set(http, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
	       option_set(http, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       option_set(http, CURLOPT_HTTP09_ALLOWED, 0L) &&
	       option_set(http, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) &&
	       option_set(http, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) &&
	       option_set(http, CURLOPT_SSL_VERIFYPEER, 1L) &&
	       option_set(http, CURLOPT_SSL_VERIFYHOST, 2L) &&
	       option_set(http, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       option_set(http, CURLOPT_USERAGENT, "portsnoop/" PORTSNOOP_VERSION) &&
	       option_set(http, CURLOPT_TIMEOUT_MS, patience) &&
	       option_set(http, CURLOPT_CONNECTTIMEOUT_MS, patience) &&
	       option_set(http, CURLOPT_ERRORBUFFER, http->error) &&
	       option_set(http, CURLOPT_OPENSOCKETFUNCTION, on_open) &&
	       option_set(http, CURLOPT_OPENSOCKETDATA, http) &&
	       option_set(http, CURLOPT_CLOSESOCKETFUNCTION, on_close) &&
	       option_set(http, CURLOPT_CLOSESOCKETDATA, http) &&
	       option_set(http, CURLOPT_HEADERFUNCTION, on_header) &&
	       option_set(http, CURLOPT_HEADERDATA, http) &&
	       option_set(http, CURLOPT_WRITEFUNCTION, on_body) &&
	       option_set(http, CURLOPT_WRITEDATA, http) &&
	       (!options->ca || option_set(http, CURLOPT_CAINFO, options->ca)) &&
	       (!options->user || option_set(http, CURLOPT_USERNAME, options->user)) &&
	       (!options->password || option_set(http, CURLOPT_PASSWORD, options->password));
}

static bool http_set_multi(struct http *http)
{
	struct libcurl *curl = &http->curl;

	return !curl->multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket) &&
	       !curl->multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) &&
	       !curl->multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer) &&
	       !curl->multi_setopt(http->multi, CURLMOPT_TIMERDATA, http) &&
	       !curl->multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L);
}

static int file_readable(const char *path)
{
	CLEANUP_FILE FILE *file = fopen(path, "re");

	/* A directory can be opened, and not read. */
	if (!file || (fgetc(file) == EOF && ferror(file)))
		return -errno;
	return 0;
}

/* What libcurl knows of names is kept as long as it is right. */
static int http_resolve(struct http *http, const char *url, char *why, size_t size)
{
	struct curl_slist *resolved;
	int error = libcurl_resolve(&http->curl, url, &resolved, why, size);

	if (error || !resolved)
		return error;
	http->curl.slist_free_all(http->resolved);
	http->resolved = resolved;
	if (!option_set(http, CURLOPT_RESOLVE, http->resolved))
		return http_fail(-ENOMEM, why, size, "no memory");
	return 0;
}

int http_new(const struct http_options *options, struct http **out, char *why, size_t size)
{
	CLEANUP_FREE struct http *http = calloc(1, sizeof(*http));
	int error;

	if (!http)
		return http_fail(-ENOMEM, why, size, "no memory");
	error = libcurl_load(&http->curl, why, size);
	if (error)
		return error;
	if (options->ca) {
		error = file_readable(options->ca);
		if (error)
			return http_fail(error, why, size, "ca=%s: %s", options->ca,
					 strerror(-error));
	}
	http->wait = options->wait;
	http->context = options->context;
	http->due = -1;
	http->sockets = epoll_create1(EPOLL_CLOEXEC);
	http->multi = http->curl.multi_init();
	http->easy = http->curl.easy_init();
	if (http->sockets < 0 || !http->multi || !http->easy || !http_set_multi(http) ||
	    !http_set_options(http, options))
		error = http_fail(-ENOMEM, why, size, "libcurl does not start");
	else
		error = http_set_headers(http, options->headers, why, size);
	if (error) {
		http_free(TAKE_POINTER(http));
		return error;
	}
	if (options->url)
		http_resolve(http, options->url, why, size);
	*out = TAKE_POINTER(http);
	return 0;
}

void http_free(struct http *http)
{
	if (!http)
		return;
	if (http->easy)
		http->curl.easy_cleanup(http->easy);
	if (http->multi)
		http->curl.multi_cleanup(http->multi);
	http->curl.slist_free_all(http->headers);
	http->curl.slist_free_all(http->resolved);
	if (http->sockets >= 0)
		close(http->sockets);
	buffer_free(&http->packed);
	free(http);
}

/* ---- a request ---- */

static int http_wait_for(struct http *http, int timeout_ms)
{
	struct pollfd one = {.fd = http->sockets, .events = POLLIN};

	if (http->wait)
		return http->wait(http->context, http->sockets, timeout_ms);
	return poll(&one, 1, timeout_ms) < 0 && errno != EINTR ? -errno : 0;
}

static int http_timeout_ms(const struct http *http)
{
	int64_t left = http->due - clock_ns(CLOCK_MONOTONIC);

	if (http->due < 0)
		return -1;
	left = left <= 0 ? 0 : (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static CURLMcode http_step(struct http *http, int *running)
{
	struct epoll_event ready[READY_MOST];
	CURLMcode code = CURLM_OK;
	int count = epoll_wait(http->sockets, ready, READY_MOST, 0);

	for (int i = 0; i < count && code == CURLM_OK; i++) {
		int what = (ready[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			   (ready[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			   (ready[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

		code = http->curl.multi_socket_action(http->multi, ready[i].data.fd, what, running);
	}
	if (code == CURLM_OK && !http_timeout_ms(http)) {
		http->due = -1;
		code = http->curl.multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, running);
	}
	return code;
}

static CURLcode http_result(struct http *http)
{
	CURLMsg *message;
	int left;

	do
		message = http->curl.multi_info_read(http->multi, &left);
	while (message && message->msg != CURLMSG_DONE);
	return message ? message->data.result : CURLE_FAILED_INIT;
}

/* As libcurl has it; negative errno is what `wait` has ended it with. */
static int http_run(struct http *http, CURLcode *result)
{
	CURLMcode code = http->curl.multi_add_handle(http->multi, http->easy);
	int running = 1, error = 0;

	*result = CURLE_FAILED_INIT;
	if (code)
		return 0;
	while (running && !error && code == CURLM_OK) {
		error = http_wait_for(http, http_timeout_ms(http));
		if (!error)
			code = http_step(http, &running);
	}
	if (!error && code == CURLM_OK)
		*result = http_result(http);
	http->curl.multi_remove_handle(http->multi, http->easy);
	return error;
}

static int error_of_connect(struct http *http)
{
	long number = 0;

	http->curl.easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &number);
	return number > 0 && number != EAGAIN && number != EBADMSG ? (int)-number : -ECONNREFUSED;
}

static int error_of(struct http *http, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		return error_of_connect(http);
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
		return -EKEYREJECTED;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

static void http_read_answer(struct http *http)
{
	curl_off_t after = 0;

	http->curl.easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &after);
	http->answer->status = (unsigned int)http_status(http);
	http->answer->retry_after =
		after < 0 ? 0 : (unsigned int)(after > RETRY_AFTER_MOST ? RETRY_AFTER_MOST : after);
}

/* What came of it, once it is over. */
static int http_judge(struct http *http, CURLcode code, char *why, size_t size)
{
	if (http->header_bytes > HEADERS_MOST)
		return http_fail(-EPROTO, why, size, "the answer's headers have no end");
	if (http->taken == -ENOMEM)
		return http_fail(-ENOMEM, why, size, "no memory");
	if (http->taken < 0)
		return http_fail(http->taken, why, size, "given up");
	if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && http->answer->cut))
		return http_fail(error_of(http, code), why, size, "%s",
				 *http->error ? http->error : http->curl.easy_strerror(code));
	http_read_answer(http);
	return 0;
}

static int http_send(struct http *http, const char *url, struct curl_slist *headers,
		     const void *body, size_t size, char *why, size_t why_size)
{
	CURLcode code;
	int error;

	if (!option_set(http, CURLOPT_URL, url) || !option_set(http, CURLOPT_POSTFIELDS, body) ||
	    !option_set(http, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size) ||
	    !option_set(http, CURLOPT_HTTPHEADER, headers))
		return http_fail(-ENOMEM, why, why_size, "no memory");
	*http->error = '\0';
	http->taken = 0;
	http->header_bytes = 0;
	error = http_run(http, &code);
	if (error)
		return http_fail(error, why, why_size, "given up: %s", strerror(-error));
	return http_judge(http, code, why, why_size);
}

/* The usual headers and those of this body, in a list of its own. */
static struct curl_slist *headers_of(struct http *http, const char *content_type, bool packed)
{
	CLEANUP(buffer_free) struct buffer type = BUFFER_EMPTY;
	struct curl_slist *list = NULL;
	bool whole;

	buffer_printf(&type, "Content-Type: %s", content_type);
	buffer_byte(&type, '\0');
	whole = !type.failed && header_add(http, &list, type.data) &&
		(!packed || header_add(http, &list, "Content-Encoding: gzip"));
	for (struct curl_slist *one = http->headers; one && whole; one = one->next)
		whole = header_add(http, &list, one->data);
	if (whole)
		return list;
	http->curl.slist_free_all(list);
	return NULL;
}

int http_post_stream(struct http *http, const char *url, const char *content_type, const void *body,
		     size_t size, http_take *take, void *context, struct http_answer *answer,
		     char *why, size_t why_size)
{
	struct curl_slist *headers;
	bool packed = false;
	int error;

	buffer_reset(&answer->body);
	*answer = (struct http_answer){.body = answer->body};
	http->answer = answer;
	http->take = take;
	http->take_context = context;
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return http_fail(-EINVAL, why, why_size, "expected http://... or https://...");
	/* Names change; while there is a connection nobody needs to ask. */
	error = http->opened ? 0 : http_resolve(http, url, why, why_size);
	if (error)
		return error;

	if (size > HTTP_GZIP_FROM) {
		buffer_reset(&http->packed);
		gzip_append(&http->packed, body, size);
		packed = !http->packed.failed && http->packed.length < size;
	}
	headers = headers_of(http, content_type, packed);
	if (!headers)
		return http_fail(-ENOMEM, why, why_size, "no memory");
	error = http_send(http, url, headers, packed ? http->packed.data : body,
			  packed ? http->packed.length : size, why, why_size);
	http->curl.slist_free_all(headers);
	if (http->packed.capacity > PACKED_KEPT)
		buffer_free(&http->packed);
	return error;
}

int http_post(struct http *http, const char *url, const char *content_type, const void *body,
	      size_t size, struct http_answer *answer, char *why, size_t why_size)
{
	return http_post_stream(http, url, content_type, body, size, NULL, NULL, answer, why,
				why_size);
}

void http_answer_free(struct http_answer *answer)
{
	buffer_free(&answer->body);
	*answer = (struct http_answer){0};
}
#endif
