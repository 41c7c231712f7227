/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "factory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct line {
	char text[2048];
	size_t length;
};

static void __attribute__((format(printf, 2, 3)))
line_add(struct line *line, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line->text + line->length, sizeof(line->text) - line->length, format,
			   arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof(line->text) - line->length)
		abort();
	line->length += length;
}

/* One write() a line: lines of several processes must not mix. */
static void line_send(struct line *line)
{
	line_add(line, "\n");
	if (write(STDOUT_FILENO, line->text, line->length) != (ssize_t)line->length)
		_exit(FACTORY_FAILED);
}

/* JSON needs no more than this: what is not ASCII stands as U+00XX, a byte each. */
static void line_add_string(struct line *line, const char *text)
{
	line_add(line, "\"");
	for (; *text; text++) {
		unsigned char c = *text;

		if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
			line_add(line, "\\u%04x", c);
		else
			line_add(line, "%c", c);
	}
	line_add(line, "\"");
}

static void line_add_address(struct line *line, const char *key, const struct address *address)
{
	char ip[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET)
		inet_ntop(AF_INET, &address->v4.sin_addr, ip, sizeof(ip));
	else if (address->any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &address->v6.sin6_addr, ip, sizeof(ip));
	else
		return;
	line_add(line, ",\"%s\":{\"ip\":\"%s\",\"port\":%u}", key, ip, address_port(address));
}

const char *transport_name(int type, int protocol, int family)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_UDPLITE:
		return "udplite";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_MPTCP:
		return "mptcp";
	case IPPROTO_ICMPV6:
		return "ipv6-icmp";
	case IPPROTO_ICMP:
		return family == AF_INET6 ? "ipv6-icmp" : "icmp";
	}
	return type == SOCK_STREAM ? "tcp" : "udp";
}

const char *errno_name(int error)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {
		{EADDRINUSE, "EADDRINUSE"},
		{EADDRNOTAVAIL, "EADDRNOTAVAIL"},
		{EACCES, "EACCES"},
		{EPERM, "EPERM"},
		{EINVAL, "EINVAL"},
		{EAFNOSUPPORT, "EAFNOSUPPORT"},
		{EAGAIN, "EAGAIN"},
		{EINPROGRESS, "EINPROGRESS"},
		{EALREADY, "EALREADY"},
		{EISCONN, "EISCONN"},
		{ECONNREFUSED, "ECONNREFUSED"},
		{ETIMEDOUT, "ETIMEDOUT"},
		{EHOSTUNREACH, "EHOSTUNREACH"},
		{ENETUNREACH, "ENETUNREACH"},
		{ECONNRESET, "ECONNRESET"},
		{EOPNOTSUPP, "EOPNOTSUPP"},
		{EFAULT, "EFAULT"},
		{EDESTADDRREQ, "EDESTADDRREQ"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].error == error)
			return names[i].name;
	return NULL;
}

void report_process(const struct stage *stage)
{
	struct line line = {.length = 0};

	line_add(&line, "{\"situation\":\"%s\",\"pid\":%d,\"call\":\"process\"}", stage->situation,
		 (int)getpid());
	line_send(&line);
}

static bool is_mapped(const struct address *address)
{
	return address && address->any.sa_family == AF_INET6 &&
	       IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);
}

void report_call(const struct stage *stage, const struct call *call)
{
	struct line line = {.length = 0};
	int family = call->family ? call->family : stage->family;
	pid_t pid = call->pid ? call->pid : getpid();
	pid_t tid = call->tid ? call->tid : (pid_t)syscall(SYS_gettid);

	line_add(&line, "{\"situation\":\"%s\",\"pid\":%d", stage->situation, (int)pid);
	if (tid > 0 && !(call->pid && !call->tid))
		line_add(&line, ",\"tid\":%d", (int)tid);
	line_add(&line, ",\"call\":\"%s\"", call->call);
	line_add(&line, ",\"transport\":\"%s\"",
		 call->transport ? call->transport
				 : transport_name(stage->type, stage->protocol, family));
	/* The family is the packets'. */
	if (is_mapped(call->local) || is_mapped(call->requested) || is_mapped(call->remote))
		family = AF_INET;
	if (family)
		line_add(&line, ",\"family\":\"%s\"", family == AF_INET6 ? "ipv6" : "ipv4");
	if (strcmp(call->call, "release") != 0) {
		line_add(&line, ",\"claimed\":%s", call->claimed ? "true" : "false");
		line_add(&line, ",\"trigger\":\"%s\"", call->trigger ? call->trigger : call->call);
	}
	if (call->origin)
		line_add(&line, ",\"origin\":\"%s\"", call->origin);
	if (call->local)
		line_add_address(&line, "local", call->local);
	else if (call->local_port)
		line_add(&line, ",\"local\":{\"port\":%u}", call->local_port);
	if (call->requested)
		line_add_address(&line, "requested", call->requested);
	if (call->remote)
		line_add_address(&line, "remote", call->remote);
	if (!call->error)
		line_add(&line, call->error_unknown ? "" : ",\"error\":null");
	else if (errno_name(call->error))
		line_add(&line, ",\"error\":\"%s\"", errno_name(call->error));
	else
		line_add(&line, ",\"error\":\"%d\"", call->error);
	if (call->outcome)
		line_add(&line, ",\"outcome\":\"%s\"", call->outcome);
	if (call->optional)
		line_add(&line, ",\"optional\":true");
	if (call->name) {
		line_add(&line, ",\"name\":");
		line_add_string(&line, call->name);
	}
	line_add(&line, "}");
	line_send(&line);
}

static void release_report(const struct stage *stage, const struct sock *sock, bool optional)
{
	struct call call = {
		.call = "release",
		.pid = sock->claimant,
		.family = sock->mapped ? AF_INET : sock->family,
		.optional = optional,
		.local_port = sock->port,
	};

	report_call(stage, &call);
}

void report_release(const struct stage *stage, const struct sock *sock)
{
	release_report(stage, sock, false);
}

void report_release_sometime(const struct stage *stage, const struct sock *sock)
{
	release_report(stage, sock, true);
}

void situation_skip(const char *format, ...)
{
	struct line line = {.length = 0};
	char reason[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	line_add(&line, "{\"skip\":");
	line_add_string(&line, reason);
	line_add(&line, "}");
	line_send(&line);
	_exit(FACTORY_SKIPPED);
}

void situation_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("factory: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	_exit(FACTORY_FAILED);
}

int must(long result, const char *what)
{
	if (result < 0)
		situation_fail("%s: %s", what, strerror(errno));
	return result;
}

int errno_is_missing(int error)
{
	return error == EPROTONOSUPPORT || error == EAFNOSUPPORT || error == ESOCKTNOSUPPORT ||
	       error == ENOSYS || error == ENOPROTOOPT;
}
