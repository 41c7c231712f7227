/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: least CAPABILITIES COMMAND...
 *
 * Runs a command as a user without rights but for these capabilities: what a service
 * manager does with User= and AmbientCapabilities=. "bpf,perfmon"; "none" for none. For
 * guests: their busybox has no setpriv that changes the user.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static const struct {
	const char *name;
	int bit;
} names[] = {
	{"bpf", CAP_BPF},
	{"perfmon", CAP_PERFMON},
	{"net_admin", CAP_NET_ADMIN},
	{"sys_admin", CAP_SYS_ADMIN},
	{"dac_read_search", CAP_DAC_READ_SEARCH},
	{"sys_resource", CAP_SYS_RESOURCE},
};

static void fail(const char *what)
{
	perror(what);
	exit(126);
}

static unsigned long long bits_parse(char *list)
{
	unsigned long long bits = 0;

	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(*names) && strcmp(word, names[i].name) != 0)
			i++;
		if (i < sizeof(names) / sizeof(*names))
			bits |= 1ULL << names[i].bit;
		else if (strcmp(word, "none") != 0)
			fail(word);
	}
	return bits;
}

static void capabilities_keep(unsigned long long bits)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	for (unsigned int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable =
			(unsigned int)(bits >> (32 * i));
	if (syscall(SYS_capset, &header, data))
		fail("capset");
	for (int bit = 0; bit < 64; bit++)
		if (bits >> bit & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0))
			fail("ambient capabilities");
}

int main(int argc, char **argv)
{
	unsigned long long bits;

	if (argc < 3)
		return 2;
	bits = bits_parse(argv[1]);
	for (int bit = 0; bit < 64; bit++)
		if (!(bits >> bit & 1))
			prctl(PR_CAPBSET_DROP, bit, 0, 0, 0); /* those that there are */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(0, NULL) ||
	    setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		fail("user");
	capabilities_keep(bits);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		fail("no_new_privs");
	execvp(argv[2], argv + 2);
	fail(argv[2]);
}
