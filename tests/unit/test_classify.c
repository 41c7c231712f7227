/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "model/classify.h"

#define MPTCP 262
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void range_of_every_port(void **state)
{
	unsigned int count[3] = {0};

	(void)state;
	for (unsigned int port = 0; port <= 65535; port++)
		count[iana_range_of((uint16_t)port)]++;
	assert_int_equal(count[IANA_SYSTEM], 1024);
	assert_int_equal(count[IANA_USER], 48128);
	assert_int_equal(count[IANA_DYNAMIC], 16384);
	assert_int_equal(iana_range_of(1023), IANA_SYSTEM);
	assert_int_equal(iana_range_of(1024), IANA_USER);
	assert_int_equal(iana_range_of(49151), IANA_USER);
	assert_int_equal(iana_range_of(49152), IANA_DYNAMIC);
	assert_string_equal(iana_range_name(IANA_SYSTEM), "system");
	assert_string_equal(iana_range_name(IANA_USER), "user");
	assert_string_equal(iana_range_name(IANA_DYNAMIC), "dynamic");
}

/* What /etc/services has had for decades, and what differs by protocol. */
static void service_well_known(void **state)
{
	static const struct {
		uint16_t port, protocol;
		const char *service;
	} known[] = {
		{7, IPPROTO_TCP, "echo"},
		{9, IPPROTO_DCCP, "discard"},
		{20, IPPROTO_TCP, "ftp-data"},
		{21, IPPROTO_TCP, "ftp"},
		{22, IPPROTO_TCP, "ssh"},
		{22, IPPROTO_SCTP, "ssh"},
		{22, IPPROTO_DCCP, NULL},
		{23, IPPROTO_TCP, "telnet"},
		{25, IPPROTO_TCP, "smtp"},
		{53, IPPROTO_TCP, "domain"},
		{53, IPPROTO_UDP, "domain"},
		{67, IPPROTO_UDP, "bootps"},
		{69, IPPROTO_UDP, "tftp"},
		{80, IPPROTO_TCP, "http"},
		{80, IPPROTO_SCTP, "http"},
		{88, IPPROTO_TCP, "kerberos"},
		{110, IPPROTO_TCP, "pop3"},
		{123, IPPROTO_UDP, "ntp"},
		{143, IPPROTO_TCP, "imap"},
		{161, IPPROTO_UDP, "snmp"},
		{179, IPPROTO_TCP, "bgp"},
		{389, IPPROTO_TCP, "ldap"},
		{443, IPPROTO_TCP, "https"},
		{443, IPPROTO_UDP, "https"},
		{514, IPPROTO_TCP, "shell"},
		{514, IPPROTO_UDP, "syslog"},
		{631, IPPROTO_TCP, "ipp"},
		{853, IPPROTO_TCP, "domain-s"},
		{993, IPPROTO_TCP, "imaps"},
		{1883, IPPROTO_TCP, "mqtt"},
		/* Two names; the first one has the registry's remark of a conflict. */
		{2049, IPPROTO_TCP, "nfs"},
		{2049, IPPROTO_UDP, "nfs"},
		{3306, IPPROTO_TCP, "mysql"},
		{3389, IPPROTO_TCP, "ms-wbt-server"},
		{5060, IPPROTO_UDP, "sip"},
		{5353, IPPROTO_UDP, "mdns"},
		{5432, IPPROTO_TCP, "postgresql"},
		{5672, IPPROTO_TCP, "amqp"},
		{5900, IPPROTO_TCP, "rfb"},
		{6379, IPPROTO_TCP, "redis"},
		{8080, IPPROTO_TCP, "http-alt"},
		{9100, IPPROTO_TCP, "hp-pdl-datastr"},
		{27017, IPPROTO_TCP, "mongodb"},
		/* Ranges, and both their ends. */
		{5999, IPPROTO_TCP, "cvsup"},
		{6000, IPPROTO_TCP, "x11"},
		{6063, IPPROTO_TCP, "x11"},
		{6064, IPPROTO_TCP, "ndl-ahp-svc"},
		{6667, IPPROTO_TCP, "ircu"},
		{6667, IPPROTO_UDP, NULL},
		/* The registry tells no protocol. */
		{4250, IPPROTO_TCP, "vrml-multi-use"},
		{6400, IPPROTO_UDP, "boe-cms"},
		{6400, IPPROTO_SCTP, NULL},
		/* Has a use, but no service name; reserved; unassigned. */
		{24, IPPROTO_TCP, NULL},
		{0, IPPROTO_TCP, NULL},
		{1023, IPPROTO_TCP, NULL},
		{4, IPPROTO_UDP, NULL},
		/* Inside a range that is called unassigned as a whole. */
		{7774, IPPROTO_TCP, NULL},
		{7775, IPPROTO_TCP, "inetfs"},
		{7775, IPPROTO_UDP, NULL},
		{7997, IPPROTO_TCP, "pushns"},
		/* TCP has it, UDP is reserved. */
		{49150, IPPROTO_TCP, "inspider"},
		{49150, IPPROTO_UDP, NULL},
		{49151, IPPROTO_TCP, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		const char *service = iana_service(known[i].port, known[i].protocol);

		if (known[i].service && service)
			assert_string_equal(service, known[i].service);
		else if (service != known[i].service)
			fail_msg("port %u, protocol %u: %s", known[i].port, known[i].protocol,
				 service ? service : "no service");
	}
}

static void service_of_other_protocols(void **state)
{
	static const uint16_t without[] = {0,		IPPROTO_ICMP, IPPROTO_ICMPV6,
					   IPPROTO_RAW, 263,	      65535};

	(void)state;
	for (unsigned int port = 0; port <= 65535; port++) {
		uint16_t at = (uint16_t)port;

		assert_ptr_equal(iana_service(at, IPPROTO_UDPLITE), iana_service(at, IPPROTO_UDP));
		assert_ptr_equal(iana_service(at, MPTCP), iana_service(at, IPPROTO_TCP));
		for (size_t i = 0; i < COUNT(without); i++)
			assert_null(iana_service(at, without[i]));
	}
}

static void service_never_dynamic(void **state)
{
	static const uint16_t all[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_DCCP};

	(void)state;
	for (unsigned int port = 49151; port <= 65535; port++)
		for (size_t i = 0; i < COUNT(all); i++)
			assert_null(iana_service((uint16_t)port, all[i]));
}

static void uses_by_protocol(void **state)
{
	const char *uses[KNOWN_USES_MAX] = {NULL};

	(void)state;
	assert_int_equal(known_uses(60002, IPPROTO_UDP, uses, KNOWN_USES_MAX), 1);
	assert_string_equal(uses[0], "mosh (udp 60000-61000)");
	assert_int_equal(known_uses(60002, IPPROTO_TCP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(60002, IPPROTO_UDPLITE, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(60002, IPPROTO_SCTP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(51413, IPPROTO_TCP, uses, KNOWN_USES_MAX), 1);
	assert_string_equal(uses[0], "Transmission peer port (tcp/udp 51413)");
	assert_int_equal(known_uses(50010, MPTCP, uses, KNOWN_USES_MAX), 1);
	assert_string_equal(uses[0], "Hadoop 2 HDFS (tcp 50010)");
	assert_int_equal(known_uses(22, IPPROTO_TCP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(41641, IPPROTO_ICMP, uses, KNOWN_USES_MAX), 0);
}

static void uses_at_their_ends(void **state)
{
	const char *uses[KNOWN_USES_MAX];

	(void)state;
	assert_int_equal(known_uses(59999, IPPROTO_UDP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(60000, IPPROTO_UDP, uses, KNOWN_USES_MAX), 1);
	assert_int_equal(known_uses(61000, IPPROTO_UDP, uses, KNOWN_USES_MAX), 1);
	assert_int_equal(known_uses(61001, IPPROTO_UDP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(49151, IPPROTO_TCP, uses, KNOWN_USES_MAX), 0);
	assert_int_equal(known_uses(49152, IPPROTO_TCP, uses, KNOWN_USES_MAX), 1);
	assert_int_equal(known_uses(49215, IPPROTO_TCP, uses, KNOWN_USES_MAX), 1);
	assert_int_equal(known_uses(49216, IPPROTO_TCP, uses, KNOWN_USES_MAX), 0);
}

/* Xsan, coturn and the like say nothing about one port of theirs. */
static void uses_without_the_broad(void **state)
{
	static const char *const broad[] = {"Xsan",    "Docker",  "coturn", "Samba",
					    "Gluster", "ProFTPD", "LiveKit"};
	static const uint16_t both[] = {IPPROTO_TCP, IPPROTO_UDP};
	const char *uses[KNOWN_USES_MAX];

	(void)state;
	for (unsigned int port = 0; port <= 65535; port++)
		for (size_t protocol = 0; protocol < COUNT(both); protocol++) {
			unsigned int count =
				known_uses((uint16_t)port, both[protocol], uses, KNOWN_USES_MAX);

			assert_true(count <= KNOWN_USES_MAX);
			for (unsigned int i = 0; i < count; i++)
				for (size_t j = 0; j < COUNT(broad); j++)
					assert_null(strstr(uses[i], broad[j]));
		}
}

static void uses_keep_the_limit(void **state)
{
	const char *uses[3] = {"one", "two", "three"};

	(void)state;
	/* IBM Db2 and Talos apid. */
	assert_int_equal(known_uses(50000, IPPROTO_TCP, uses, 1), 2);
	assert_string_equal(uses[1], "two");
	assert_int_equal(known_uses(50000, IPPROTO_TCP, uses, 0), 2);
	assert_int_equal(known_uses(50000, IPPROTO_TCP, NULL, 0), 2);
	assert_int_equal(known_uses(50000, IPPROTO_TCP, uses, 3), 2);
	assert_string_equal(uses[2], "three");
}

/* HBase's master (one port) stands before any range that holds it. */
static void uses_most_specific_first(void **state)
{
	const char *uses[KNOWN_USES_MAX];

	(void)state;
	for (unsigned int port = 0; port <= 65535; port++) {
		unsigned int count = known_uses((uint16_t)port, IPPROTO_TCP, uses, KNOWN_USES_MAX);
		bool range = false;

		for (unsigned int i = 0; i < count; i++) {
			const char *ports = strrchr(uses[i], ' ');

			assert_non_null(ports);
			assert_false(range && !strchr(ports, '-'));
			range = strchr(ports, '-');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_of_every_port),
		cmocka_unit_test(service_well_known),
		cmocka_unit_test(service_of_other_protocols),
		cmocka_unit_test(service_never_dynamic),
		cmocka_unit_test(uses_by_protocol),
		cmocka_unit_test(uses_at_their_ends),
		cmocka_unit_test(uses_without_the_broad),
		cmocka_unit_test(uses_keep_the_limit),
		cmocka_unit_test(uses_most_specific_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
