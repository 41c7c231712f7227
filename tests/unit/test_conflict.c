/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rules are the kernel's, so the kernel is asked: each pair of sockets below is made
 * in an empty network namespace, and what came of it compared with what the rules say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "ledger_room.h"
#include "model/conflict.h"

#define PORT 5000

struct side {
	const char *address; /* as inet_pton() takes it */
	bool v6only, reuseaddr, reuseport;
	uid_t uid;
};

static const char *const addresses[] = {
	"0.0.0.0", "127.0.0.1", "127.0.0.2",	    "127.0.0.6",	"::",
	"::1",	   "::2",	"::ffff:127.0.0.1", "::ffff:127.0.0.2", "::ffff:0.0.0.0",
};
#define ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

static bool is_v6(const char *address)
{
	return strchr(address, ':');
}

static void address_parse(const char *address, uint8_t out[16])
{
	memset(out, 0, 16);
	assert_int_equal(inet_pton(is_v6(address) ? AF_INET6 : AF_INET, address, out), 1);
}

/* ---- by the words of the rules ---- */

struct pair {
	struct wire_event failure;
	struct lease lease;
};

static struct pair pair_new(const struct side *asks, const struct side *has, uint16_t protocol)
{
	struct pair pair = {
		.failure = failed(bind_event(0, PORT), EADDRINUSE),
		.lease = {.netns = RECORDS_NETNS, .protocol = protocol, .local_port = PORT},
	};

	pair.failure.protocol = protocol;
	pair.failure.family = is_v6(asks->address) ? 6 : 4;
	address_parse(asks->address, pair.failure.other);
	pair.failure.uid = asks->uid;
	pair.failure.flags |= (asks->reuseaddr ? WIRE_REUSEADDR : 0) |
			      (asks->reuseport ? WIRE_REUSEPORT : 0) |
			      (asks->v6only ? WIRE_V6ONLY : 0);
	pair.lease.socket = 7;
	pair.lease.family = is_v6(has->address) ? 6 : 4;
	address_parse(has->address, pair.lease.local);
	pair.lease.claimant.key.pid = SERVER;
	pair.lease.claimant.uid = has->uid;
	pair.lease.flags = (has->reuseaddr ? WIRE_REUSEADDR : 0) |
			   (has->reuseport ? WIRE_REUSEPORT : 0) | (has->v6only ? WIRE_V6ONLY : 0);
	return pair;
}

static bool conflicts(const struct pair *pair)
{
	return conflict_lease(&pair->failure, &pair->lease);
}

static const struct side any = {.address = "0.0.0.0"};

static void test_spaces(void **state)
{
	(void)state;
	assert_int_equal(conflict_space(262), conflict_space(IPPROTO_TCP));
	assert_int_equal(conflict_space(IPPROTO_ICMPV6), conflict_space(IPPROTO_ICMP));
	assert_int_not_equal(conflict_space(IPPROTO_UDP), conflict_space(IPPROTO_UDPLITE));
	assert_int_not_equal(conflict_space(IPPROTO_UDP), conflict_space(IPPROTO_TCP));
}

static void test_other_ports_and_places(void **state)
{
	struct pair pair = pair_new(&any, &any, IPPROTO_TCP);

	(void)state;
	assert_true(conflicts(&pair));
	pair.lease.protocol = 262;
	assert_true(conflicts(&pair));
	pair.lease.protocol = IPPROTO_UDP;
	assert_false(conflicts(&pair));
	pair.lease.protocol = IPPROTO_TCP;
	pair.lease.local_port++;
	assert_false(conflicts(&pair));
	pair.lease.local_port--;
	pair.lease.netns++;
	assert_false(conflicts(&pair));
}

static void test_devices(void **state)
{
	struct pair pair = pair_new(&any, &any, IPPROTO_UDP);

	(void)state;
	pair.failure.device = 3;
	assert_true(conflicts(&pair));
	pair.lease.device = 4;
	assert_false(conflicts(&pair));
	pair.lease.device = 3;
	assert_true(conflicts(&pair));
	pair.failure.device = 0;
	assert_true(conflicts(&pair));
}

static void test_only_its_own_failures(void **state)
{
	struct pair pair = pair_new(&any, &any, IPPROTO_TCP);

	(void)state;
	pair.failure.error = EACCES;
	assert_false(conflicts(&pair));
	pair.failure.error = EADDRINUSE;
	pair.failure.other_port = 0; /* no port at all would do */
	assert_false(conflicts(&pair));
	pair.failure.other_port = PORT;
	pair.failure.flags &= ~WIRE_HAS_OTHER; /* what it asked for could not be read */
	assert_false(conflicts(&pair));
}

static void test_own_lease(void **state)
{
	struct pair pair = pair_new(&any, &any, IPPROTO_TCP);

	(void)state;
	pair.failure.trigger = WIRE_LISTEN;
	pair.failure.local_port = PORT;
	assert_true(conflicts(&pair));
	pair.failure.socket = pair.lease.socket;
	assert_false(conflicts(&pair));
	pair.lease.state = LEASE_TIME_WAIT;
	assert_true(conflicts(&pair));
}

static void test_unknown_uid_is_another(void **state)
{
	struct side shares = {.address = "0.0.0.0", .reuseport = true};
	struct pair pair = pair_new(&shares, &shares, IPPROTO_TCP);

	(void)state;
	assert_false(conflicts(&pair));
	pair.lease.claimant = (struct lease_process){0};
	assert_true(conflicts(&pair));
	pair.lease.holder.key.pid = OTHER;
	assert_false(conflicts(&pair));
	pair.lease.holder.uid = 1;
	assert_true(conflicts(&pair));
}

static void test_ping(void **state)
{
	struct side one = {.address = "127.0.0.1"}, two = {.address = "127.0.0.2"};
	struct pair pair = pair_new(&one, &two, IPPROTO_ICMP);

	(void)state;
	pair.failure.device = 3;
	pair.lease.device = 4;
	assert_true(conflicts(&pair));
	pair.failure.flags |= WIRE_REUSEADDR;
	assert_true(conflicts(&pair));
	pair.lease.flags |= WIRE_REUSEADDR;
	assert_false(conflicts(&pair));
}

/* From a port that was bound: the same two ends. */
static void test_connect_to_the_same_peer(void **state)
{
	struct wire_event failure = failed(connect_event(8, PORT, PEER, 443), EADDRNOTAVAIL);
	struct pair pair = pair_new(&any, &any, IPPROTO_TCP);

	(void)state;
	failure.flags &= ~(WIRE_CLAIMED | WIRE_IN_PROGRESS);
	pair.failure = failure;
	pair.lease.state = LEASE_ESTABLISHED;
	assert_false(conflicts(&pair));
	memcpy(pair.lease.other, PEER, 4);
	pair.lease.other_port = 443;
	assert_true(conflicts(&pair));
	pair.lease.family = 6;
	record_mapped(pair.lease.other, PEER);
	assert_true(conflicts(&pair));
	pair.lease.other_port++;
	assert_false(conflicts(&pair));
	pair.lease.other_port--;
	pair.failure.flags |= WIRE_CLAIMED; /* no port would do: exhaustion */
	assert_false(conflicts(&pair));
}

static void test_connected_v6_socket(void **state)
{
	struct side v6 = {.address = "2001:db8::1"}, other = {.address = "2001:db8::2"};
	struct side dual = {.address = "::"}, one = {.address = "127.0.0.1"};
	struct pair pair = pair_new(&any, &v6, IPPROTO_TCP);

	/* It was bound to no address, so it is not IPv6 only: the kernel finds a conflict. */
	(void)state;
	assert_true(conflicts(&pair));
	pair = pair_new(&one, &v6, IPPROTO_TCP);
	assert_false(conflicts(&pair));
	pair = pair_new(&dual, &v6, IPPROTO_TCP);
	assert_true(conflicts(&pair));
	pair = pair_new(&other, &v6, IPPROTO_TCP);
	assert_false(conflicts(&pair));
}

/* ---- by the kernel ---- */

static bool alone; /* in a network namespace where nobody else takes a port */

static int namespace_leave(void **state)
{
	CLEANUP_FD int fd = -1;
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	(void)state;
	alone = !unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNET : CLONE_NEWNET);
	if (!alone)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &lo) ? 0 : -1;
}

static void ask_kernel(void)
{
	CLEANUP_FD int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (alone && fd >= 0)
		return;
	print_message("# %s\n", alone ? "no IPv6 here" : "no network namespace of its own");
	skip();
}

static int side_socket(const struct side *side, int type)
{
	int on = 1, fd;

	if (side->uid)
		assert_int_equal(seteuid(side->uid), 0);
	fd = socket(is_v6(side->address) ? AF_INET6 : AF_INET, type, 0);
	if (side->uid)
		assert_int_equal(seteuid(0), 0);
	assert_true(fd >= 0);
	if (side->v6only)
		assert_int_equal(setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
	if (side->reuseaddr)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	if (side->reuseport)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	/* ::2 is nobody's. */
	assert_int_equal(setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof(on)), 0);
	return fd;
}

static int side_bind(int fd, const struct side *side, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	uint8_t bytes[16];

	address_parse(side->address, bytes);
	memcpy(&v6.sin6_addr, bytes, 16);
	memcpy(&v4.sin_addr, bytes, 4);
	return is_v6(side->address) ? bind(fd, (struct sockaddr *)&v6, sizeof(v6))
				    : bind(fd, (struct sockaddr *)&v4, sizeof(v4));
}

/* What the options are now: bind to an address of IPv6 makes a socket IPv6 only. */
static uint32_t side_flags(int fd, const struct side *side, uint32_t flags)
{
	socklen_t length = sizeof(int);
	int v6only = 0;

	if (is_v6(side->address))
		assert_int_equal(getsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &v6only, &length), 0);
	return v6only ? flags | WIRE_V6ONLY : flags & ~WIRE_V6ONLY;
}

static void compare(const struct pair *pair, const struct side *asks, const struct side *has,
		    bool refused, const char *what)
{
	if (conflicts(pair) == refused)
		return;
	fail_msg("%s%s: %s%s%s%s (uid %u) wants what %s%s%s%s (uid %u) has: the kernel says %s",
		 what, pair->failure.protocol == IPPROTO_UDP ? " udp" : " tcp", asks->address,
		 asks->v6only ? " v6only" : "", asks->reuseaddr ? " reuseaddr" : "",
		 asks->reuseport ? " reuseport" : "", asks->uid, has->address,
		 has->v6only ? " v6only" : "", has->reuseaddr ? " reuseaddr" : "",
		 has->reuseport ? " reuseport" : "", has->uid, refused ? "no" : "yes");
}

enum meeting { BIND_BOUND, BIND_LISTENING, LISTEN_LISTENING, MEETINGS };

/* A protocol's two sockets, of which the second one binds or listens. */
static void meet(const struct side *asks, const struct side *has, int type, enum meeting meeting)
{
	static const char *const names[MEETINGS] = {"bind", "bind to a listener's", "listen"};
	struct pair pair = pair_new(asks, has, type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP);
	CLEANUP_FD int holder = side_socket(has, type);
	CLEANUP_FD int asker = side_socket(asks, type);
	int result;

	if (side_bind(holder, has, PORT)) {
		/* ::ffff:a.b.c.d of an IPv6 only socket */
		assert_int_equal(errno, EINVAL);
		return;
	}
	pair.lease.flags = side_flags(holder, has, pair.lease.flags);
	if (meeting == LISTEN_LISTENING && side_bind(asker, asks, PORT))
		return;
	if (meeting != BIND_BOUND) {
		assert_int_equal(listen(holder, 1), 0);
		pair.lease.state = LEASE_LISTEN;
	}
	if (meeting == LISTEN_LISTENING) {
		result = listen(asker, 1);
		pair.failure.trigger = WIRE_LISTEN;
		pair.failure.local_port = PORT;
		memcpy(pair.failure.local, pair.failure.other, 16);
	} else {
		result = side_bind(asker, asks, PORT);
	}
	if (result && errno == EINVAL)
		return;
	if (result)
		assert_int_equal(errno, EADDRINUSE);
	pair.failure.flags = side_flags(asker, asks, pair.failure.flags);
	compare(&pair, asks, has, result, names[meeting]);
}

static void meet_with_options(const struct side *one, const struct side *other)
{
	for (unsigned int options = 0; options < 16; options++) {
		struct side asks = *one, has = *other;

		asks.reuseaddr = options & 1;
		asks.reuseport = options & 2;
		has.reuseaddr = options & 4;
		has.reuseport = options & 8;
		for (enum meeting meeting = BIND_BOUND; meeting < MEETINGS; meeting++)
			meet(&asks, &has, SOCK_STREAM, meeting);
		meet(&asks, &has, SOCK_DGRAM, BIND_BOUND);
	}
}

static void test_kernel_addresses(void **state)
{
	(void)state;
	ask_kernel();
	for (size_t i = 0; i < ADDRESSES * 2; i++) {
		for (size_t j = 0; j < ADDRESSES * 2; j++) {
			struct side one = {addresses[i % ADDRESSES], .v6only = i >= ADDRESSES};
			struct side other = {addresses[j % ADDRESSES], .v6only = j >= ADDRESSES};

			if ((one.v6only && !is_v6(one.address)) ||
			    (other.v6only && !is_v6(other.address)))
				continue;
			meet_with_options(&one, &other);
		}
	}
}

static void test_kernel_uids(void **state)
{
	struct side one = {.address = "0.0.0.0", .uid = 1000};
	struct side other = {.address = "0.0.0.0", .uid = 1001};

	(void)state;
	ask_kernel();
	if (getuid()) {
		print_message("# only root can be others\n");
		skip();
	}
	meet_with_options(&one, &other);
	other.uid = 1000;
	meet_with_options(&one, &other);
}

/* 127.0.0.1:PORT, with the options of `has`, is left in TIME_WAIT. */
static void time_wait_make(const struct side *has, uint16_t port)
{
	struct side server = {.address = "127.0.0.2"};
	CLEANUP_FD int listener = side_socket(&server, SOCK_STREAM);
	CLEANUP_FD int client = side_socket(has, SOCK_STREAM);
	CLEANUP_FD int accepted = -1;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct pollfd gone = {0};

	to.sin_addr.s_addr = inet_addr(server.address);
	assert_int_equal(side_bind(listener, &server, PORT), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(side_bind(client, has, port), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	close(TAKE_FD(client));
	assert_int_equal(read(accepted, &(char){0}, 1), 0);
	assert_int_equal(shutdown(accepted, SHUT_RDWR), 0);
	/* Both have hung up: the last ACK came, out of TIME_WAIT. */
	gone.fd = accepted;
	do {
		struct tcp_info info;
		socklen_t length = sizeof(info);

		assert_int_equal(getsockopt(accepted, SOL_TCP, TCP_INFO, &info, &length), 0);
		if (info.tcpi_state == CLOSED)
			return;
	} while (poll(&gone, 1, 1) >= 0);
	fail();
}

static void test_kernel_time_wait(void **state)
{
	static const char *const askers[] = {"0.0.0.0", "127.0.0.1", "127.0.0.3", "::"};

	(void)state;
	ask_kernel();
	for (uint16_t options = 0; options < 64; options++) {
		struct side asks = {askers[options >> 4], .reuseaddr = options & 1,
				    .reuseport = options & 2, .uid = getuid() ? 0 : 1001};
		struct side has = {"127.0.0.1", .reuseaddr = options & 4, .reuseport = options & 8};
		struct pair pair = pair_new(&asks, &has, IPPROTO_TCP);
		uint16_t port = (uint16_t)(6000 + options); /* each is taken for a minute */
		CLEANUP_FD int asker = side_socket(&asks, SOCK_STREAM);
		int result;

		time_wait_make(&has, port);
		pair.lease.state = LEASE_TIME_WAIT;
		result = side_bind(asker, &asks, port);
		if (result)
			assert_int_equal(errno, EADDRINUSE);
		compare(&pair, &asks, &has, result, "bind to TIME_WAIT");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spaces),
		cmocka_unit_test(test_other_ports_and_places),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_only_its_own_failures),
		cmocka_unit_test(test_own_lease),
		cmocka_unit_test(test_unknown_uid_is_another),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_connect_to_the_same_peer),
		cmocka_unit_test(test_connected_v6_socket),
		cmocka_unit_test(test_kernel_addresses),
		cmocka_unit_test(test_kernel_uids),
		cmocka_unit_test(test_kernel_time_wait),
	};

	return cmocka_run_group_tests(tests, namespace_leave, NULL);
}
