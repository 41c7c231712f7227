/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

#define MESSAGE_MOST 1024
#define NS_PER_US UINT64_C(1000)

/* Of the process, as its environment is. */
static struct {
	struct sockaddr_un address;
	socklen_t length; /* 0: nobody to tell */
	uint64_t watchdog;
} manager;

/* A path, or "@name" for the abstract one. */
static void address_set(const char *name)
{
	size_t length = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || !name[1] ||
	    length >= sizeof(manager.address.sun_path))
		return;
	manager.address.sun_family = AF_UNIX;
	memcpy(manager.address.sun_path, name, length + 1);
	manager.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (name[0] == '@')
		manager.address.sun_path[0] = '\0';
	else
		manager.length++; /* its end belongs to a path */
}

/* WATCHDOG_PID says whom WATCHDOG_USEC is for; without it, whoever reads it. */
static uint64_t watchdog_read(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t number;

	if (pid && (parse_unsigned(pid, 1, INT32_MAX, &number) || number != (uint64_t)getpid()))
		return 0;
	if (!usec || parse_unsigned(usec, 1, UINT64_MAX / NS_PER_US, &number))
		return 0;
	return number * NS_PER_US;
}

void notify_open(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	memset(&manager, 0, sizeof(manager));
	if (name)
		address_set(name);
	manager.watchdog = manager.length ? watchdog_read() : 0;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

uint64_t notify_watchdog(void)
{
	return manager.watchdog;
}

/* What could not be told is told again, or is not worth a word: the manager sees for
 * itself that it heard nothing. */
static void message_send(const char *message, size_t length)
{
	CLEANUP_FD int fd = -1;

	if (!manager.length)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sendto(fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT,
			      (const struct sockaddr *)&manager.address, manager.length) < 0)
		return;
}

/* Fields, and then one for people. A line of it that begins with a name of a field would
 * be one: it is one line, of printable characters. */
static void fields_send(const char *fields, const char *status)
{
	char message[MESSAGE_MOST];
	size_t length, end;

	if (!status) {
		message_send(fields, strlen(fields));
		return;
	}
	length = (size_t)snprintf(message, sizeof(message), "%sSTATUS=", fields);
	end = length + strnlen(status, sizeof(message) - length);
	for (; length < end; length++, status++)
		message[length] = (unsigned char)*status < ' ' || *status == 0x7f ? ' ' : *status;
	message_send(message, length);
}

void notify_ready(const char *status)
{
	fields_send("READY=1\n", status);
}

void notify_status(const char *status)
{
	fields_send("", status);
}

/* The time tells the manager which READY=1 is the one that follows (systemd 253). */
void notify_reloading(void)
{
	char fields[80];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(fields, sizeof(fields), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	fields_send(fields, NULL);
}

void notify_stopping(void)
{
	fields_send("STOPPING=1\n", NULL);
}

void notify_alive(void)
{
	fields_send("WATCHDOG=1\n", NULL);
}
