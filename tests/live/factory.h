/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The situation factory: puts sockets into named situations and says, one line
 * of JSON a call, what the caller itself knows about it. Whoever watches the
 * machine at the same time must have seen the same.
 *
 * Needs nothing but libc, a loopback device and, for some situations, root.
 */
#ifndef FACTORY_H
#define FACTORY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare, setns, setresuid, sendmmsg */
#endif

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Exit statuses; the reason is on stdout for a skip, on stderr for a failure. */
#define FACTORY_FAILED 1
#define FACTORY_SKIPPED 77

/* One run of one situation. */
struct stage {
	const char *situation;
	int family;   /* AF_INET or AF_INET6; 0: the situation has no such variant */
	int type;     /* SOCK_* */
	int protocol; /* IPPROTO_* */
};

struct situation {
	const char *name;
	void (*run)(const struct stage *stage);
	int family, type, protocol;
	unsigned int needs; /* enum need */
};

enum need {
	NEED_ROOT = 1 << 0,
	NEED_IPV6 = 1 << 1, /* implied by AF_INET6 */
};

extern const struct situation bind_situations[], tcp_situations[], udp_situations[],
	other_situations[], uring_situations[], process_situations[], compat_situations[],
	namespace_situations[];

/* Rows for the table of a room. Every room's table ends with a zero row. */
#define SITUATION(name, run, family, type, protocol, needs)                                        \
	{                                                                                          \
		name, run, family, type, protocol, needs                                           \
	}
#define ON_TCP(name, run, needs)                                                                   \
	SITUATION(name "/tcp4", run, AF_INET, SOCK_STREAM, IPPROTO_TCP, needs),                    \
		SITUATION(name "/tcp6", run, AF_INET6, SOCK_STREAM, IPPROTO_TCP, needs)
#define ON_UDP(name, run, needs)                                                                   \
	SITUATION(name "/udp4", run, AF_INET, SOCK_DGRAM, IPPROTO_UDP, needs),                     \
		SITUATION(name "/udp6", run, AF_INET6, SOCK_DGRAM, IPPROTO_UDP, needs)
#define ON_BOTH(name, run, needs) ON_TCP(name, run, needs), ON_UDP(name, run, needs)

/* ---- addresses ---- */

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage room;
	};
	socklen_t length; /* 0: no address */
};

struct address address_make(int family, const char *ip, uint16_t port);
struct address address_any(int family, uint16_t port);
struct address address_loopback(int family, uint16_t port);
struct address address_mapped(const char *ip, uint16_t port);
struct address address_none(void); /* AF_UNSPEC */
struct address address_outside(int family,
			       uint16_t port); /* documentation range, never routed by us */
uint16_t address_port(const struct address *address);

/* ---- sockets ---- */

struct sock {
	const struct stage *stage;
	int fd, family;
	bool leased; /* has a port as far as we know; not what getsockname() says */
	pid_t claimant;
	uint16_t port; /* of the lease */
	bool mapped;   /* an IPv6 socket that speaks IPv4 */
	bool listening;
};

/* Everything below ends the situation when what it does fails in another way
 * than it was told to expect: with a skip where the kernel lacks the thing. */
struct sock sock_open(const struct stage *stage);
struct sock sock_open_as(const struct stage *stage, int family, int type, int protocol);
struct sock sock_adopt(const struct stage *stage, int fd); /* handed on by another process */
void sock_set(const struct sock *sock, int level, int option, int value);
void sock_nonblock(const struct sock *sock);

/* One call each, reported. `error` is the errno that must come, 0 for success. */
void sock_bind(struct sock *sock, struct address address, int error);
void sock_listen(struct sock *sock, int error);
void sock_connect(struct sock *sock, struct address remote, const char *outcome, int error);
void sock_close(struct sock *sock); /* releases the lease; only where that is immediate */
void sock_close_quietly(
	struct sock *sock); /* where the time of the release is the kernel's business */

/* A listener on loopback, not told of as a part of the situation but reported
 * like everything else: it is a claim of the same process. */
struct sock listener_open(const struct stage *stage, struct address *where);
/* A port on loopback where nobody listens: claimed and given back, reported. */
struct address refusing_address(const struct stage *stage);
int sock_accept(const struct sock *listener);
struct address sock_name(const struct sock *sock); /* getsockname() */

/* ---- report ---- */

/* What a caller knows about one call. Fields left zero are "not known" where
 * that is possible: the comparison then skips them. */
struct call {
	const char *call;      /* bind connect listen send release */
	const char *transport; /* NULL: by the stage's protocol */
	int family;	       /* 0: by the stage */
	pid_t pid, tid;	       /* 0: the caller's; tid -1: not known */
	bool claimed;
	const char *origin;  /* requested, kernel */
	const char *trigger; /* NULL: same as call */
	const struct address *local, *requested, *remote;
	uint16_t local_port; /* without `local`: the port alone is known */
	const char *outcome; /* established refused timeout unreachable closed */
	int error;	     /* errno of the claim or call */
	bool error_unknown;
	bool optional;	  /* kernels differ, or it is no use of a port: may be seen or not */
	const char *name; /* comm */
};

void report_call(const struct stage *stage, const struct call *call);
/* Makes this process' claims count even if it reports none. */
void report_process(const struct stage *stage);
void report_release(const struct stage *stage, const struct sock *sock);
void report_release_sometime(const struct stage *stage, const struct sock *sock);
const char *transport_name(int type, int protocol, int family);
const char *errno_name(int error); /* NULL: not in the list */

_Noreturn void situation_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void situation_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the situation unless `result` is not negative; names the call and errno. */
int must(long result, const char *what);
int errno_is_missing(int error); /* this kernel lacks the thing */

/* ---- processes ---- */

pid_t child_start(void (*run)(void *), void *context); /* its own pid reported by whoever wants */
void child_wait(pid_t pid);			       /* takes over a failure or skip */

/* ---- network namespaces ---- */

void netns_enter(void); /* a private one, lo up; ends in a skip where that is refused */
void netns_sysctl(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool netns_sysctl_try(const char *name, const char *value);
void netns_range(unsigned int low, unsigned int high); /* ip_local_port_range */
void netns_address(const char *device, int family, const char *ip, unsigned int prefix);
void netns_up(const char *device);
void netns_link(const char *kind, const char *name); /* veth (peer NAME-peer), vxlan */

#endif
