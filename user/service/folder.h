/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the sockets of running services are: one folder, one socket a process, named
 * PID.sock. A socket is not there before it can be connected to. The folder belongs to
 * root or to whom root gave it, as a service manager does for the user of a service; these
 * two are trusted.
 */
#ifndef PORTSNOOP_SERVICE_FOLDER_H
#define PORTSNOOP_SERVICE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#define SERVICE_FOLDER "/run/portsnoop"

/* Where, and who has to have put it there. Tests have their own. */
struct service_place {
	const char *folder; /* NULL: SERVICE_FOLDER */
	uid_t owner;	    /* 0: root */
};

/* A descriptor of the folder, or negative errno: -ENOENT, or -EPERM if somebody else
 * than its owner could put something into it, or if it is not root's and could have been
 * put there by somebody else than root. With `make` it is made if need be. */
int folder_open(const struct service_place *place, bool make);

/* Whether somebody is trusted to serve in the open folder: root, and its owner. */
bool folder_trusts(const struct service_place *place, int folder, uid_t uid);

/* The address of a file in it. -ENAMETOOLONG if it does not fit. */
int folder_address(const struct service_place *place, const char *name,
		   struct sockaddr_un *address);

/* The names of the sockets in it, at most `most`: their processes. Returns how many, or
 * negative errno. */
int folder_list(int folder, uint32_t *pids, size_t most);

#define FOLDER_NAME 24
void folder_name(char name[FOLDER_NAME], uint32_t pid);

/*
 * Connects, which waits for `timeout_ms` at most (0: not at all), and has made sure that
 * the one who listens is trusted. Returns a descriptor, or negative errno:
 * -ECONNREFUSED means that the process is gone; its socket then is gone as well, if we
 * may. -EAGAIN: it is alive and has no time. *pid is the listening process as seen from
 * here, 0 if it cannot be.
 */
int folder_connect(const struct service_place *place, int folder, const char *name,
		   unsigned int timeout_ms, uint32_t *pid);

/* Rids the folder of sockets whose processes are gone. */
void folder_sweep(const struct service_place *place, int folder);

#endif
