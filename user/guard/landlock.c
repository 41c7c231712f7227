/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "guard/landlock.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* include/uapi/linux/landlock.h of 6.7; the headers that we build with may be older. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#define RULESET_VERSION 1
#define VERSION_NETWORK 4
#define EXECUTE (UINT64_C(1) << 0)
#define BIND_TCP (UINT64_C(1) << 0)
#define CONNECT_TCP (UINT64_C(1) << 1)
#define RULE_NET_PORT 2

struct ruleset {
	uint64_t files;
	uint64_t network;
};

struct port_rule {
	uint64_t allowed;
	uint64_t port;
};

static int landlock_restrict(const struct ruleset *ruleset, const uint16_t *ports, size_t count)
{
	CLEANUP_FD int fd = (int)syscall(SYS_landlock_create_ruleset, ruleset, sizeof(*ruleset), 0);

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		const struct port_rule rule = {CONNECT_TCP, ports[i]};

		if (syscall(SYS_landlock_add_rule, fd, RULE_NET_PORT, &rule, 0))
			return -errno;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, fd, 0))
		return -errno;
	return 0;
}

/* Negative: there is none. */
static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
}

int landlock_service(void)
{
	/* With no rule that would allow it. */
	const struct ruleset ruleset = {.network = BIND_TCP | CONNECT_TCP};

	return landlock_version() < VERSION_NETWORK ? 0 : landlock_restrict(&ruleset, NULL, 0);
}

int landlock_courier(const uint16_t *ports, size_t count)
{
	/* Who is restricted in anything may not trace who is not: that is what counts. Programs
	 * it runs none anyway. */
	struct ruleset ruleset = {.files = EXECUTE};
	const long version = landlock_version();
	const bool network = version >= VERSION_NETWORK;

	if (version < 1)
		return 0;
	if (network)
		ruleset.network = BIND_TCP | CONNECT_TCP;
	return landlock_restrict(&ruleset, ports, network ? count : 0);
}
