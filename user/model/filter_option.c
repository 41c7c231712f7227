/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What people type becomes a filter; filter.c does not know of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/resolve.h"
#include "model/filter.h"

#define PID_MOST 4194304 /* the kernel's PID_MAX_LIMIT */

/* Takes the parts of "a,b,c" one by one into a list of numbers. */
struct number_taker {
	int (*parse)(const char *text, uint64_t *number, const char **expected);
	struct number_list **list;
	const char **expected;
};

static int number_take(const char *part, void *context)
{
	const struct number_taker *taker = context;
	uint64_t number = 0;
	int error = taker->parse(part, &number, taker->expected);

	return error ? error : number_list_add(taker->list, number);
}

static int pid_parse(const char *text, uint64_t *pid, const char **expected)
{
	*expected = "a process id (1-4194304) or a comma-separated list";
	return parse_unsigned(text, 1, PID_MOST, pid);
}

static int protocol_parse(const char *text, uint64_t *number, const char **expected)
{
	uint16_t protocol;
	int error = parse_protocol(text, &protocol, expected);

	if (!error)
		*number = protocol;
	return error;
}

int filter_set_ports(const char *argument, void *target, const char **expected)
{
	struct port_set **ports = target;

	if (!*ports)
		*ports = calloc(1, sizeof(**ports));
	if (!*ports)
		return -ENOMEM;
	return parse_ports(argument, *ports, expected);
}

int filter_set_pids(const char *argument, void *target, const char **expected)
{
	struct number_taker taker = {pid_parse, target, expected};

	return list_split(argument, number_take, &taker);
}

int filter_set_uids(const char *argument, void *target, const char **expected)
{
	struct number_taker taker = {resolve_user, target, expected};

	return list_split(argument, number_take, &taker);
}

int filter_set_protocols(const char *argument, void *target, const char **expected)
{
	struct number_taker taker = {protocol_parse, target, expected};

	return list_split(argument, number_take, &taker);
}

int filter_set_netns(const char *argument, void *target, const char **expected)
{
	struct number_taker taker = {resolve_netns, target, expected};

	return list_split(argument, number_take, &taker);
}

int filter_set_comms(const char *argument, void *target, const char **expected)
{
	size_t length = strlen(argument);

	if (!length || length >= WIRE_COMM) {
		*expected = "the name of a process or thread: the kernel keeps its first 15 bytes";
		return -EINVAL;
	}
	return text_list_add(target, argument, length);
}

int filter_set_family(const char *argument, void *target, const char **expected)
{
	unsigned int *family = target;

	if (!strcmp(argument, "4") || !strcmp(argument, "ipv4")) {
		*family = 4;
		return 0;
	}
	if (!strcmp(argument, "6") || !strcmp(argument, "ipv6")) {
		*family = 6;
		return 0;
	}
	*expected = "4, 6, ipv4 or ipv6";
	return -EINVAL;
}

int filter_set_cgroups(const char *argument, void *target, const char **expected)
{
	size_t length = strlen(argument);

	if (*argument != '/') {
		*expected = "the path of a cgroup below its mount, from its root: /system.slice";
		return -EINVAL;
	}
	while (length && argument[length - 1] == '/')
		length--;
	return text_list_add(target, argument, length);
}

struct trigger_taker {
	unsigned int triggers;
	const char **expected;
};

static int trigger_take(const char *part, void *context)
{
	struct trigger_taker *taker = context;

	for (unsigned int i = WIRE_BIND; i <= WIRE_SUBFLOW; i++) {
		if (!strcmp(part, trigger_name(i))) {
			taker->triggers |= 1u << i;
			return 0;
		}
	}
	*taker->expected =
		"bind, connect, listen, send, subflow, or a comma-separated list of these";
	return -EINVAL;
}

int filter_set_triggers(const char *argument, void *target, const char **expected)
{
	struct trigger_taker taker = {.expected = expected};
	int error = list_split(argument, trigger_take, &taker);

	if (!error)
		*(unsigned int *)target |= taker.triggers;
	return error;
}
