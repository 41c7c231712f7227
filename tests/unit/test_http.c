/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The HTTP client against servers of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/guard.h"
#include "http_server.h"
#include "lib/cleanup.h"
#include "sink/http.h"

#define LONG_MS 20000 /* nothing waits for its end */
#define SHORT_MS 300
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static struct http *client_of(const struct http_options *options)
{
	struct http *http = NULL;
	char why[256] = "";

	if (http_new(options, &http, why, sizeof(why)))
		fail_msg("http_new: %s", why);
	return http;
}

static struct http *client(unsigned int patience_ms)
{
	return client_of(&(struct http_options){.patience_ms = patience_ms});
}

struct post {
	struct http_answer answer;
	int error;
	char why[256];
};

static void post_free(struct post *post)
{
	http_answer_free(&post->answer);
}

static void post_to(struct post *post, struct http *http, const char *url, const char *body)
{
	*post->why = '\0';
	post->error = http_post(http, url, "text/plain", body, strlen(body), &post->answer,
				post->why, sizeof(post->why));
}

/* One request to a server that does `scene`. */
static void post_once(struct post *post, const struct http_scene *scene, unsigned int patience_ms)
{
	struct http_server *server = http_server_start(scene, 1);
	struct http *http = client(patience_ms);

	post_to(post, http, http_server_url(server), "hello");
	http_free(http);
	http_server_stop(server);
}

static void assert_body(const struct http_answer *answer, const char *text)
{
	assert_int_equal(answer->body.length, strlen(text));
	if (*text)
		assert_memory_equal(answer->body.data, text, strlen(text));
}

/* ---- what is sent ---- */

static void test_request(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("3", "yes")};
	static const char *const headers[] = {"X-Scope: a b", "Authorization: Bearer t0ken", NULL};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http =
		client_of(&(struct http_options){.headers = headers, .patience_ms = LONG_MS});
	CLEANUP(post_free) struct post post = {0};
	const struct http_request *seen;

	(void)state;
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, 0);
	assert_int_equal(post.answer.status, 200);
	assert_false(post.answer.cut);
	assert_body(&post.answer, "yes");
	assert_int_equal(http_server_requests(server, &seen), 1);
	assert_ptr_equal(strstr(seen->head.data, "POST / HTTP/1.1\r\n"), seen->head.data);
	assert_non_null(strstr(seen->head.data, "\r\nContent-Type: text/plain\r\n"));
	assert_non_null(strstr(seen->head.data, "\r\nX-Scope: a b\r\n"));
	assert_non_null(strstr(seen->head.data, "\r\nAuthorization: Bearer t0ken\r\n"));
	assert_non_null(strstr(seen->head.data, "\r\nUser-Agent: portsnoop/"));
	assert_null(strcasestr(seen->head.data, "\r\nExpect:"));
	assert_null(strcasestr(seen->head.data, "\r\nContent-Encoding:"));
	assert_int_equal(seen->body.length, 5);
	assert_memory_equal(seen->body.data, "hello", 5);
	http_free(http);
	http_server_stop(server);
}

static void test_password(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client_of(&(struct http_options){
		.user = "Aladdin", .password = "open sesame", .patience_ms = LONG_MS});
	CLEANUP(post_free) struct post post = {0};
	const struct http_request *seen;

	(void)state;
	post_to(&post, http, http_server_url(server), "");
	assert_int_equal(post.error, 0);
	assert_int_equal(http_server_requests(server, &seen), 1);
	/* RFC 7617's own example. */
	assert_non_null(strstr(seen->head.data,
			       "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
	http_free(http);
	http_server_stop(server);
}

static void test_gzip(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	CLEANUP(buffer_free) struct buffer big = BUFFER_EMPTY, got = BUFFER_EMPTY;
	const struct http_request *seen;

	(void)state;
	while (big.length < 3000000)
		buffer_printf(&big, "{\"line\":%zu}\n", big.length);
	buffer_byte(&big, '\0');
	post_to(&post, http, http_server_url(server), big.data);
	assert_int_equal(post.error, 0);
	assert_int_equal(http_server_requests(server, &seen), 1);
	assert_non_null(strcasestr(seen->head.data, "\r\nContent-Encoding: gzip\r\n"));
	assert_true(seen->body.length < big.length / 4);
	http_request_body(seen, &got);
	assert_int_equal(got.length, big.length - 1);
	assert_memory_equal(got.data, big.data, got.length);

	/* From there on, and not before. */
	big.data[HTTP_GZIP_FROM] = '\0';
	post_to(&post, http, http_server_url(server), big.data);
	assert_int_equal(http_server_requests(server, &seen), 2);
	assert_null(strcasestr(seen[1].head.data, "\r\nContent-Encoding:"));
	assert_int_equal(seen[1].body.length, HTTP_GZIP_FROM);
	http_free(http);
	http_server_stop(server);
}

/* What gains nothing goes as it is, and large bodies are not announced. */
static void test_random(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	CLEANUP(buffer_free) struct buffer big = BUFFER_EMPTY;
	const struct http_request *seen;
	uint32_t number = 1;

	(void)state;
	while (big.length < 2000000) {
		number = number * 1664525 + 1013904223;
		if (number >> 24)
			buffer_byte(&big, (char)(number >> 24));
	}
	buffer_byte(&big, '\0');
	post_to(&post, http, http_server_url(server), big.data);
	assert_int_equal(post.error, 0);
	assert_int_equal(http_server_requests(server, &seen), 1);
	assert_null(strcasestr(seen->head.data, "\r\nContent-Encoding:"));
	assert_null(strcasestr(seen->head.data, "\r\nExpect:"));
	assert_int_equal(seen->body.length, big.length - 1);
	assert_memory_equal(seen->body.data, big.data, seen->body.length);
	http_free(http);
	http_server_stop(server);
}

static void test_connection_kept(void **state)
{
	static const struct http_scene scenes[] = {
		{.answer = HTTP_OK("0", "")},
		{.answer = HTTP_OK("0", "")},
		/* It hangs up in between, without a word. */
		{.answer = HTTP_OK("0", ""), .hang_up = true},
		{.answer = HTTP_OK("4", "anew")},
	};
	struct http_server *server = http_server_start(scenes, LENGTH(scenes));
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	const struct http_request *seen;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		post_to(&post, http, http_server_url(server), "again");
		assert_int_equal(post.error, 0);
		assert_int_equal(post.answer.status, 200);
	}
	assert_body(&post.answer, "anew");
	assert_int_equal(http_server_requests(server, &seen), 4);
	assert_int_equal(seen[0].connection, 1);
	assert_int_equal(seen[2].connection, 1);
	assert_int_equal(seen[3].connection, 2);
	http_free(http);
	http_server_stop(server);
}

static void test_no_proxy(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	static const char *const names[] = {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"};
	CLEANUP(post_free) struct post post = {0};

	(void)state;
	for (size_t i = 0; i < LENGTH(names); i++)
		setenv(names[i], "http://127.0.0.1:1/", 1);
	post_once(&post, &scene, LONG_MS);
	for (size_t i = 0; i < LENGTH(names); i++)
		unsetenv(names[i]);
	assert_int_equal(post.error, 0);
}

static void test_name(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "http://localhost:%s",
		 strrchr(http_server_url(server), ':') + 1);
	post_to(&post, http, url, "hello");
	assert_int_equal(post.error, 0);
	http_free(http);
	http = client(LONG_MS);
	post_to(&post, http, "http://no-such-host.invalid:80/", "hello");
	assert_int_equal(post.error, -EHOSTUNREACH);
	assert_ptr_equal(strstr(post.why, "no-such-host.invalid: "), post.why);
	http_free(http);
	http_server_stop(server);
}

/* ---- what is not sent ---- */

static void test_headers_refused(void **state)
{
	static const char *const wrong[] = {
		"X-One: a\r\nX-Two: b",
		"X-One: a\nX-Two: b",
		"X-One\r\n: a",
		"X-One: a\r",
		"X One: a",
		"X-One",
		": a",
		"",
		"X-One:",
		"X-One: \t ",
		"X-One: a\x1b[2J",
		"X-One: a\x7f",
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		const char *const headers[] = {"X-Good: s3cret", wrong[i], NULL};
		struct http_options options = {.headers = headers, .patience_ms = LONG_MS};
		struct http *http = NULL;
		char why[256] = "";

		if (http_new(&options, &http, why, sizeof(why)) != -EINVAL)
			fail_msg("header %zu was taken", i);
		assert_string_equal(why, "header 2 is none: expected NAME: VALUE");
		assert_null(http);
	}
}

static void test_urls_refused(void **state)
{
	static const char *const wrong[] = {
		"file:///etc/passwd",
		"ftp://127.0.0.1/",
		"127.0.0.1",
		"",
		"http://",
		"HTTPX://a/",
		"http://a:99999/",
		"http://a b/",
		"http://\xc3\xa9t\xc3\xa9.example/",
		"http://user:secret@127.0.0.1:1/",
	};
	struct http *http = client(LONG_MS);

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		CLEANUP(post_free) struct post post = {0};

		post_to(&post, http, wrong[i], "hello");
		if (!post.error || post.error == -ECONNREFUSED)
			fail_msg("%s was taken: %d", wrong[i], post.error);
		assert_true(*post.why);
		assert_null(strstr(post.why, "secret"));
	}
	http_free(http);
}

/* ---- what is answered ---- */

static void test_statuses(void **state)
{
	static const struct {
		const char *answer;
		unsigned int status, retry_after;
	} cases[] = {
		{"HTTP/1.1 204 No Content\r\n\r\n", 204, 0},
		{"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad", 400, 0},
		{"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, 7},
		{"HTTP/1.1 503 Away\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", 503, 120},
		{"HTTP/1.1 503 Away\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n", 503,
		 86400},
		{"HTTP/1.1 503 Away\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", 503, 0},
		{"HTTP/1.1 503 Away\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", 503, 0},
		/* The past. */
		{"HTTP/1.1 503 Away\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n"
		 "Content-Length: 0\r\n\r\n",
		 503, 0},
		/* Where it points is not asked. */
		{"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
		 302, 0},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200,
		 0},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct http_scene scene = {.answer = cases[i].answer};
		CLEANUP(post_free) struct post post = {0};

		post_once(&post, &scene, LONG_MS);
		if (post.error)
			fail_msg("%s: %s", cases[i].answer, post.why);
		assert_int_equal(post.answer.status, cases[i].status);
		assert_int_equal(post.answer.retry_after, cases[i].retry_after);
	}
}

static void test_broken_answers(void **state)
{
	static const struct {
		struct http_scene scene;
		int error;
	} cases[] = {
		{{.hang_up = true}, -ECONNRESET},
		{{.hold = true}, -ETIMEDOUT},
		{{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .hang_up = true},
		 -ECONNRESET},
		{{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .hold = true},
		 -ETIMEDOUT},
		{{.answer = "HTTP/1.1 200", .hold = true}, -ETIMEDOUT},
		{{.answer = "SSH-2.0-OpenSSH_9.2\r\n", .hang_up = true}, -EPROTO},
		{{.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		  .hang_up = true},
		 -ECONNRESET},
		{{.answer = "HTTP/1.1 200 OK\r\n", .endless = true, .tail = "X-More: of this\r\n"},
		 -EPROTO},
		{{.endless = true, .tail = "HTTP/1.1 100 Continue\r\n\r\n"}, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		CLEANUP(post_free) struct post post = {0};

		post_once(&post, &cases[i].scene,
			  cases[i].error == -ETIMEDOUT ? SHORT_MS : LONG_MS);
		if (post.error != cases[i].error)
			fail_msg("case %zu: %d (%s)", i, post.error, post.why);
		assert_true(*post.why);
	}
}

static void test_endless_body(void **state)
{
	static const struct http_scene scenes[] = {
		{.answer = "HTTP/1.1 500 No\r\nContent-Length: 99999999999\r\n\r\n",
		 .endless = true,
		 .tail = "0123456789"},
		{.answer = HTTP_OK("0", "")},
	};
	struct http_server *server = http_server_start(scenes, LENGTH(scenes));
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	const struct http_request *seen;

	(void)state;
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, 0);
	assert_int_equal(post.answer.status, 500);
	assert_true(post.answer.cut);
	assert_int_equal(post.answer.body.length, HTTP_ANSWER_MOST);
	/* What is left of it is not taken for the next answer. */
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, 0);
	assert_int_equal(post.answer.status, 200);
	assert_false(post.answer.cut);
	assert_int_equal(http_server_requests(server, &seen), 2);
	assert_int_equal(seen[1].connection, 2);
	http_free(http);
	http_server_stop(server);
}

static void test_nobody_there(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client(LONG_MS);
	CLEANUP(post_free) struct post post = {0};
	char url[64];

	(void)state;
	snprintf(url, sizeof(url), "%s", http_server_url(server));
	http_server_stop(server);
	post_to(&post, http, url, "hello");
	assert_int_equal(post.error, -ECONNREFUSED);
	assert_true(*post.why);
	http_free(http);
}

/* ---- an answer that is streamed ---- */

struct taker {
	size_t bytes, most;
};

static int take(void *context, const char *bytes, size_t size)
{
	struct taker *taker = context;

	(void)bytes;
	taker->bytes += size;
	return taker->bytes > taker->most ? -E2BIG : 0;
}

static void stream_once(struct post *post, const char *answer, bool endless, struct taker *taker)
{
	struct http_scene scene = {.answer = answer, .endless = endless, .tail = "0123456789"};
	struct http_server *server = http_server_start(&scene, 1);
	struct http *http = client(LONG_MS);

	post->error = http_post_stream(http, http_server_url(server), "text/plain", "q", 1, take,
				       taker, &post->answer, post->why, sizeof(post->why));
	http_free(http);
	http_server_stop(server);
}

static void test_stream(void **state)
{
	CLEANUP(post_free) struct post post = {0};
	struct taker taker = {.most = 1 << 20};

	(void)state;
	stream_once(&post, HTTP_OK("5", "a\nb\nc"), false, &taker);
	assert_int_equal(post.error, 0);
	assert_int_equal(taker.bytes, 5);
	assert_body(&post.answer, "");

	/* Longer than a plain answer may be, and ended by who takes it. */
	stream_once(&post, "HTTP/1.1 200 OK\r\n\r\n", true, &taker);
	assert_int_equal(post.error, -E2BIG);
	assert_true(taker.bytes > HTTP_ANSWER_MOST);

	/* What is wrong is said in the body. */
	taker.bytes = 0;
	stream_once(&post, "HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nwhy", false, &taker);
	assert_int_equal(post.error, 0);
	assert_int_equal(post.answer.status, 500);
	assert_int_equal(taker.bytes, 0);
	assert_body(&post.answer, "why");
}

/* ---- the one who waits meanwhile ---- */

struct waiter {
	unsigned int waits;
	int error;
};

static int wait_and_count(void *context, int fd, int timeout_ms)
{
	struct waiter *waiter = context;
	struct pollfd one = {.fd = fd, .events = POLLIN};

	waiter->waits++;
	if (waiter->error)
		return waiter->error;
	return poll(&one, 1, timeout_ms) < 0 ? -errno : 0;
}

static void test_wait(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server = http_server_start(&scene, 1);
	struct waiter waiter = {0};
	struct http *http = client_of(&(struct http_options){
		.patience_ms = LONG_MS, .wait = wait_and_count, .context = &waiter});
	CLEANUP(post_free) struct post post = {0};

	(void)state;
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, 0);
	assert_true(waiter.waits > 0);
	waiter.error = -EINTR;
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, -EINTR);
	/* It can be asked again. */
	waiter.error = 0;
	post_to(&post, http, http_server_url(server), "hello");
	assert_int_equal(post.error, 0);
	http_free(http);
	http_server_stop(server);
}

/* ---- behind a courier's guard ---- */

/* In a child: whose answer is its exit status. It is told the port when there is one. */
static int guarded_run(int told)
{
	CLEANUP(post_free) struct post post = {0};
	unsigned int port;
	char url[64], why[256];
	struct http_options options = {.url = url, .patience_ms = LONG_MS};
	struct http *http;

	if (read(told, &port, sizeof(port)) != sizeof(port))
		return 2;
	snprintf(url, sizeof(url), "http://localhost:%u/", port);
	if (http_new(&options, &http, why, sizeof(why)))
		return 3;
	if (guard_courier((uint16_t)port, why, sizeof(why)))
		return 4;
	post_to(&post, http, url, "hello");
	if (post.error)
		fprintf(stderr, "%s\n", post.why);
	http_free(http);
	return post.error || post.answer.status != 200;
}

/* No thread is made, nothing is loaded, and the name is found all the same. */
static void test_guarded(void **state)
{
	static const struct http_scene scene = {.answer = HTTP_OK("0", "")};
	struct http_server *server;
	unsigned int port;
	int status, tell[2];
	pid_t child;

	(void)state;
	assert_int_equal(pipe(tell), 0);
	/* Before the server is there: a thread of it may hold a lock that the child would need. */
	child = fork();
	if (!child)
		_exit(guarded_run(tell[0]));
	server = http_server_start(&scene, 1);
	assert_int_equal(sscanf(http_server_url(server), "http://127.0.0.1:%u/", &port), 1);
	assert_int_equal(write(tell[1], &port, sizeof(port)), sizeof(port));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(tell[0]);
	close(tell[1]);
	http_server_stop(server);
}

/* ---- TLS ---- */

static char folder[] = "/tmp/portsnoop-http-XXXXXX";

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	return system(command); /* NOLINT(cert-env33-c): our own words */
}

/* Two authorities; "good" of the first one is for localhost, "other" for another name,
 * "stranger" is of the second one. */
static int make_certificates(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	return run("cd %s && exec >/dev/null 2>&1 && set -e\n"
		   "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
		   " -keyout $1.key -out $1.pem -subj /CN=$1 -days 2; }\n"
		   "of() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
		   " -keyout $2.key -out $2.csr -subj /CN=$2\n"
		   "printf 'subjectAltName=%%s\\n' $3 >ext\n"
		   "openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial"
		   " -out $2.pem -days $4 -extfile ext; }\n"
		   "ca ca; ca ca2\n"
		   "of ca good DNS:localhost,IP:127.0.0.1 2; of ca other DNS:other.example 2\n"
		   "of ca2 stranger DNS:localhost 2\n",
		   folder);
}

static int remove_certificates(void **state)
{
	(void)state;
	return run("rm -r %s", folder);
}

static void file_text(const char *name, char *text, size_t size)
{
	char path[128];
	CLEANUP_FILE FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	assert_non_null(file);
	text[fread(text, 1, size - 1, file)] = '\0';
}

static enum MHD_Result answer_tls(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **seen)
{
	unsigned int *requests = context;
	struct MHD_Response *response;
	enum MHD_Result result;

	(void)url;
	(void)method;
	(void)version;
	(void)data;
	if (!*seen || *size) {
		*seen = requests;
		*size = 0;
		return MHD_YES;
	}
	(*requests)++;
	response = MHD_create_response_from_buffer(2, (char[]){"ok"}, MHD_RESPMEM_MUST_COPY);
	result = MHD_queue_response(connection, 200, response);
	MHD_destroy_response(response);
	return result;
}

/* One request to a server with that certificate, by a client that trusts `ca`. */
static void post_tls(struct post *post, const char *certificate, const char *ca,
		     unsigned int *requests)
{
	char key[4096], text[8192], name[64], path[128], url[64];
	struct http_options options = {.patience_ms = LONG_MS, .ca = ca ? path : NULL};
	struct MHD_Daemon *server;
	struct http *http;

	snprintf(name, sizeof(name), "%s.key", certificate);
	file_text(name, key, sizeof(key));
	snprintf(name, sizeof(name), "%s.pem", certificate);
	file_text(name, text, sizeof(text));
	*requests = 0;
	server = MHD_start_daemon(MHD_USE_TLS | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
				  answer_tls, requests, MHD_OPTION_HTTPS_MEM_KEY, key,
				  MHD_OPTION_HTTPS_MEM_CERT, text, MHD_OPTION_END);
	assert_non_null(server);
	snprintf(path, sizeof(path), "%s/%s", folder, ca ? ca : "");
	http = client_of(&options);
	snprintf(url, sizeof(url), "https://localhost:%u/",
		 MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port);
	post_to(post, http, url, "hello");
	http_free(http);
	MHD_stop_daemon(server);
}

static void test_tls(void **state)
{
	CLEANUP(post_free) struct post post = {0};
	unsigned int requests;

	(void)state;
	post_tls(&post, "good", "ca.pem", &requests);
	if (post.error)
		fail_msg("%s", post.why);
	assert_int_equal(post.answer.status, 200);
	assert_int_equal(requests, 1);
}

static void test_tls_refused(void **state)
{
	static const struct {
		const char *certificate, *ca;
	} cases[] = {
		{"other", "ca.pem"}, {"stranger", "ca.pem"}, {"good", "ca2.pem"},
		{"good", NULL},	     {"ca", "ca2.pem"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		CLEANUP(post_free) struct post post = {0};
		unsigned int requests;

		post_tls(&post, cases[i].certificate, cases[i].ca, &requests);
		if (post.error != -EKEYREJECTED)
			fail_msg("%s with %s: %d (%s)", cases[i].certificate,
				 cases[i].ca ? cases[i].ca : "the system's", post.error, post.why);
		assert_int_equal(requests, 0);
	}
}

static void test_ca_refused(void **state)
{
	static const char *const wrong[] = {"/nonexistent/ca.pem", "/"};

	(void)state;
	for (size_t i = 0; i < LENGTH(wrong); i++) {
		struct http_options options = {.ca = wrong[i], .patience_ms = LONG_MS};
		struct http *http = NULL;
		char why[256] = "";

		assert_true(http_new(&options, &http, why, sizeof(why)) < 0);
		assert_ptr_equal(strstr(why, "ca=/"), why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_connection_kept),
		cmocka_unit_test(test_no_proxy),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_headers_refused),
		cmocka_unit_test(test_urls_refused),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_endless_body),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_guarded),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_tls_refused),
		cmocka_unit_test(test_ca_refused),
	};

	return cmocka_run_group_tests_name("http", tests, make_certificates, remove_certificates);
}
