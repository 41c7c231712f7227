/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The static program's own getpwuid() and getpwnam(). libc's would load the NSS
 * modules of whatever machine it runs on, built for another libc: with "passwd:
 * files systemd", which is common, the first unknown user ends it with a signal.
 */
#ifdef PORTSNOOP_STATIC
#include <pwd.h>
#include <stdio.h>
#include <string.h>

/* By name, or by number without one. */
static struct passwd *passwd_find(const char *name, uid_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd *entry;

	if (!file)
		return NULL;
	do
		entry = fgetpwent(file);
	while (entry && (name ? strcmp(entry->pw_name, name) != 0 : entry->pw_uid != uid));
	fclose(file);
	return entry;
}

struct passwd *getpwuid(uid_t uid)
{
	return passwd_find(NULL, uid);
}

struct passwd *getpwnam(const char *name)
{
	return passwd_find(name, 0);
}
#endif
