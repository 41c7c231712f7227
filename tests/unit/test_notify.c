/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/notify.h"

static char folder[] = "/tmp/portsnoop-notify-XXXXXX";
static char path[64];

static int listen_at(const char *name, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, name, length);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      offsetof(struct sockaddr_un, sun_path) + length),
			 0);
	return fd;
}

/* A manager at `path`, and this process told of it. */
static int manager_open(void)
{
	int fd = listen_at(path, strlen(path) + 1);

	setenv("NOTIFY_SOCKET", path, 1);
	notify_open();
	return fd;
}

static void manager_close(int fd)
{
	close(fd);
	unlink(path);
	notify_open(); /* without the environment: told of nobody */
}

/* The next datagram. Sent before this is called, so it is there. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t length = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (length < 0)
		return NULL;
	assert_null(memchr(text, 0, (size_t)length));
	text[length] = '\0';
	return text;
}

static void test_messages(void **state)
{
	int fd = manager_open();

	(void)state;
	notify_ready("recording");
	assert_string_equal(heard(fd), "READY=1\nSTATUS=recording");
	notify_ready(NULL);
	assert_string_equal(heard(fd), "READY=1\n");
	notify_status("12 leases");
	assert_string_equal(heard(fd), "STATUS=12 leases");
	notify_stopping();
	assert_string_equal(heard(fd), "STOPPING=1\n");
	notify_alive();
	assert_string_equal(heard(fd), "WATCHDOG=1\n");
	assert_null(heard(fd));
	manager_close(fd);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void test_reloading(void **state)
{
	uint64_t before = now_us(), told;
	int fd = manager_open(), end = 0;
	const char *text;

	(void)state;
	notify_reloading();
	text = heard(fd);
	assert_non_null(text);
	assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%" SCNu64 "%n", &told, &end), 1);
	assert_string_equal(text + end, "\n");
	assert_in_range(told, before, now_us());
	manager_close(fd);
}

/* Whatever is in it, it is one field. */
static void test_hostile_status(void **state)
{
	static char endless[100000];
	int fd = manager_open();
	const char *text;

	(void)state;
	notify_status("a\nMAINPID=1\r\nREADY=1\t\x1b[2J\x7f");
	assert_string_equal(heard(fd), "STATUS=a MAINPID=1  READY=1  [2J ");
	notify_status("p\xc3\xb6rt \xff"); /* the manager's business */
	assert_string_equal(heard(fd), "STATUS=p\xc3\xb6rt \xff");
	memset(endless, '\n', sizeof(endless) - 1);
	notify_ready(endless);
	text = heard(fd);
	assert_non_null(text);
	assert_int_equal(strlen(text), 1024);
	assert_ptr_equal(strrchr(text, '\n'), strchr(text, '\n'));
	manager_close(fd);
}

static void test_abstract(void **state)
{
	char name[64];
	int fd;

	(void)state;
	snprintf(name, sizeof(name), "@portsnoop-notify-%d", (int)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = '\0';
	fd = listen_at(name, 1 + strlen(name + 1));
	notify_open();
	notify_ready(NULL);
	assert_string_equal(heard(fd), "READY=1\n");
	manager_close(fd);
}

/* Commands that we start are not to speak for us. */
static void test_environment(void **state)
{
	int fd;

	(void)state;
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	fd = manager_open();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	assert_int_equal(notify_watchdog(), 0); /* it is somebody else's */
	manager_close(fd);
}

static void watchdog_expect(const char *usec, const char *pid, uint64_t expected)
{
	int fd;

	setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	fd = manager_open();
	assert_int_equal(notify_watchdog(), expected);
	manager_close(fd);
}

static void test_watchdog(void **state)
{
	char own[16];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	watchdog_expect("30000000", own, UINT64_C(30000000000));
	watchdog_expect("1", NULL, 1000);
	watchdog_expect("0", own, 0);
	watchdog_expect("-1", own, 0);
	watchdog_expect("12x", own, 0);
	watchdog_expect("18446744073709551615", own, 0);
	watchdog_expect("30000000", "nobody", 0);
	watchdog_expect("30000000", "", 0);
	/* Without anybody to tell there is nobody who waits. */
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_open();
	assert_int_equal(notify_watchdog(), 0);
}

static void speak(void)
{
	notify_ready("x");
	notify_reloading();
	notify_alive();
	notify_stopping();
}

/* None of these is worth a word, or a wait. */
static void test_nobody(void **state)
{
	static const char *const names[] = {
		"", "@", "/", "relative", "vsock:2:1234", "/nonexistent/portsnoop/notify"};
	char endless[300];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		notify_open();
		speak();
	}
	memset(endless, 'x', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	endless[0] = '/';
	setenv("NOTIFY_SOCKET", endless, 1);
	notify_open();
	speak();
	unsetenv("NOTIFY_SOCKET");
	notify_open();
	speak();
}

/* A manager that does not read must not stop the service. */
static void test_full(void **state)
{
	int fd = manager_open();

	(void)state;
	for (int i = 0; i < 10000; i++)
		notify_alive();
	assert_string_equal(heard(fd), "WATCHDOG=1\n");
	manager_close(fd);
}

static int folder_make(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/notify", folder);
	return 0;
}

static int folder_remove(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),       cmocka_unit_test(test_reloading),
		cmocka_unit_test(test_hostile_status), cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_environment),    cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_nobody),	       cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("notify", tests, folder_make, folder_remove);
}
