/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sink against a socket that the test reads as journald does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"
#include "sink/sink.h"

static char path[128];
static struct sink_spec spec;
static struct sink sink;
static int journal; /* the other end */

static void journal_start(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(path, sizeof(path), "%s/journal", sample_folder);
	strcpy(address.sun_path, path);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(journal >= 0);
	assert_int_equal(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void journal_stop(void)
{
	assert_int_equal(close(journal), 0);
	assert_int_equal(unlink(path), 0);
}

/* The next record, an empty datagram is "", and none NULL. */
static const char *journal_read(void)
{
	static char bytes[FRAME_MOST];
	ssize_t length = recv(journal, bytes, sizeof(bytes) - 1, 0);

	if (length < 0)
		return NULL;
	bytes[length] = '\0';
	return bytes;
}

static int sink_start(void **state)
{
	(void)state;
	journal_start();
	spec = (struct sink_spec){.kind = SINK_JOURNALD, .path = path};
	sink = (struct sink){.ops = &sink_journald, .spec = &spec};
	return sink.ops->prepare(&sink);
}

static int sink_stop(void **state)
{
	(void)state;
	sink.ops->close(&sink);
	sink.ops->free(&sink);
	journal_stop();
	return 0;
}

static ssize_t deliver(const char *text, uint32_t size)
{
	struct frame frame = {.bytes = text, .size = size};
	size_t count = 1;

	return sink.ops->send(&sink, &frame, &count);
}

static bool sink_hung_up(void)
{
	struct pollfd one = {.fd = sink.ops->fd(&sink), .events = POLLIN};

	return poll(&one, 1, 0) == 1 && sink.ops->lost(&sink, one.revents) < 0;
}

static void record_is_settled_when_it_was_taken(void **state)
{
	(void)state;
	assert_int_equal(sink.ops->open(&sink), 0);
	assert_int_equal(deliver("A=1\n", 4), 1);
	assert_int_equal(deliver("B=2\n", 4), 1);
	assert_int_equal(sink.ops->settled(&sink), 0);
	assert_string_equal(journal_read(), "A=1\n");
	assert_int_equal(sink.ops->settled(&sink), 0);
	assert_string_equal(journal_read(), "B=2\n");
	assert_int_equal(sink.ops->settled(&sink), 2);
	assert_null(journal_read());
	assert_false(sink_hung_up());
}

/* Its queue goes with it: as good as never sent. */
static void journald_that_ends_settles_nothing(void **state)
{
	(void)state;
	assert_int_equal(sink.ops->open(&sink), 0);
	assert_int_equal(deliver("A=1\n", 4), 1);
	assert_string_equal(journal_read(), "A=1\n");
	assert_int_equal(sink.ops->settled(&sink), 1);
	assert_int_equal(deliver("B=2\n", 4), 1);
	journal_stop();
	assert_int_equal(sink.ops->settled(&sink), 1);
	assert_true(sink_hung_up());
	assert_int_equal(sink.ops->settled(&sink), 1);
	assert_true(deliver("C=3\n", 4) < 0);
	sink.ops->close(&sink);
	assert_int_equal(sink.ops->open(&sink), -ENOENT);
	journal_start();
	assert_int_equal(sink.ops->open(&sink), 0);
	assert_int_equal(sink.ops->settled(&sink), 0);
	assert_int_equal(deliver("B=2\n", 4), 1);
	assert_string_equal(journal_read(), "B=2\n");
	assert_int_equal(sink.ops->settled(&sink), 1);
}

/* One that is there again at once is not the one that had it, even with its inode. */
static void another_journald_settles_nothing(void **state)
{
	(void)state;
	assert_int_equal(sink.ops->open(&sink), 0);
	assert_int_equal(deliver("A=1\n", 4), 1);
	journal_stop();
	journal_start();
	assert_int_equal(sink.ops->settled(&sink), 0);
	assert_true(sink_hung_up());
}

static void stream_is_not_journald(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int other = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	journal_stop();
	strcpy(address.sun_path, path);
	assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(sink.ops->open(&sink), -EPROTOTYPE);
	close(other);
	unlink(path);
	journal_start();
}

static void send_says_that_journald_has_ended(void **state)
{
	(void)state;
	assert_int_equal(sink.ops->open(&sink), 0);
	journal_stop();
	assert_int_equal(deliver("A=1\n", 4), -ECONNREFUSED);
	assert_non_null(strstr(sink.why, "Connection refused"));
	journal_start();
}

/* As many as its queue takes, then again when there is room. */
static void full_queue_is_waited_for(void **state)
{
	static struct frame frames[2048];
	size_t most = sizeof(frames) / sizeof(frames[0]), read = 0, done = 0;
	pid_t child;

	(void)state;
	assert_int_equal(sink.ops->open(&sink), 0);
	for (size_t i = 0; i < most; i++)
		frames[i] = (struct frame){.bytes = "A=1\n", .size = 4};
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct pollfd one = {.fd = journal, .events = POLLIN};

		while (read < most && poll(&one, 1, 10000) == 1)
			while (journal_read())
				read++;
		_exit(read == most ? 0 : 1);
	}
	while (done < most) {
		size_t count = most - done;
		ssize_t taken = sink.ops->send(&sink, frames + done, &count);

		assert_true(taken > 0 || taken == -EAGAIN);
		done += taken > 0 ? (size_t)taken : 0;
	}
	assert_int_equal(waitpid(child, &(int){0}, 0), child);
	assert_int_equal(sink.ops->settled(&sink), most);
}

/* What no datagram has room for comes as a file that nobody can change. */
static void long_record_is_handed_over(void **state)
{
	static char bytes[FRAME_MOST], read_back[FRAME_MOST + 1];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec none = {.iov_base = read_back, .iov_len = sizeof(read_back)};
	struct msghdr message = {.msg_iov = &none,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int least = 0, fd;

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	memcpy(bytes, "A=", 2);
	bytes[sizeof(bytes) - 1] = '\n';
	assert_int_equal(sink.ops->open(&sink), 0);
	assert_int_equal(
		setsockopt(sink.ops->fd(&sink), SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
	assert_int_equal(deliver(bytes, sizeof(bytes)), 1);
	assert_int_equal(recvmsg(journal, &message, MSG_CMSG_CLOEXEC), 0);
	assert_non_null(CMSG_FIRSTHDR(&message));
	assert_int_equal(CMSG_FIRSTHDR(&message)->cmsg_type, SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	assert_int_equal(fcntl(fd, F_GET_SEALS),
			 F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	assert_int_equal(pread(fd, read_back, sizeof(read_back), 0), sizeof(bytes));
	assert_memory_equal(read_back, bytes, sizeof(bytes));
	close(fd);
	assert_int_equal(sink.ops->settled(&sink), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sink_start, sink_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(record_is_settled_when_it_was_taken),
		TEST(journald_that_ends_settles_nothing),
		TEST(send_says_that_journald_has_ended),
		TEST(full_queue_is_waited_for),
		TEST(long_record_is_handed_over),
		TEST(another_journald_settles_nothing),
		TEST(stream_is_not_journald),
	};

	return cmocka_run_group_tests(tests, sample_folder_make, sample_folder_remove);
}
