/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "guard/network.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* include/uapi/linux/landlock.h of 6.7; the headers that we build with may be older. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define RULESET_VERSION 1
#define VERSION_NETWORK 4
#define BIND_TCP (UINT64_C(1) << 0)
#define CONNECT_TCP (UINT64_C(1) << 1)

struct ruleset {
	uint64_t files;
	uint64_t network;
};

int network_restrict(void)
{
	/* With no rule that would allow it. */
	const struct ruleset ruleset = {.network = BIND_TCP | CONNECT_TCP};
	CLEANUP_FD int fd = -1;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION) < VERSION_NETWORK)
		return 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_landlock_restrict_self, fd, 0))
		return -errno;
	return 0;
}
