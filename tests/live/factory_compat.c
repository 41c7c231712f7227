/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Situations of the 32-bit system calls of x86: int 0x80 with the multiplexer
 * socketcall(), which a 32-bit libc uses, and with the calls of their own (4.3).
 * A 64-bit process may call them too, if its arguments lie below 4 GiB.
 */
#include "factory.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)

#define COMPAT_SOCKETCALL 102
#define COMPAT_GETPID 20

enum { CALL_BIND = 2, CALL_CONNECT = 3, CALL_LISTEN = 4, CALL_SENDTO = 11 };

static const unsigned int direct[] = {
	[CALL_BIND] = 361,
	[CALL_CONNECT] = 362,
	[CALL_LISTEN] = 363,
	[CALL_SENDTO] = 369,
};

/* What the kernel reads: within the reach of 32-bit pointers. */
struct low {
	uint32_t arguments[6];
	struct sockaddr_storage address;
	char data[1];
};

static int compat(unsigned int number, const uint32_t arguments[6])
{
	int result;

#ifdef __x86_64__
	register unsigned int fifth asm("r10") = arguments[5];

	asm volatile("push %%rbp\n\t"
		     "mov %%r10d, %%ebp\n\t"
		     "int $0x80\n\t"
		     "pop %%rbp"
		     : "=a"(result), "+r"(fifth)
		     : "a"(number), "b"(arguments[0]), "c"(arguments[1]), "d"(arguments[2]),
		       "S"(arguments[3]), "D"(arguments[4])
		     : "r8", "r9", "r11", "memory", "cc");
#else
	/* ebx and ebp may not be operands: take both from memory. */
	const uint32_t saved[2] = {arguments[0], arguments[5]};

	asm volatile("push %%ebp\n\t"
		     "push %%ebx\n\t"
		     "mov 4(%%ebx), %%ebp\n\t"
		     "mov (%%ebx), %%ebx\n\t"
		     "int $0x80\n\t"
		     "pop %%ebx\n\t"
		     "pop %%ebp"
		     : "=a"(result)
		     : "a"(number), "b"(saved), "c"(arguments[1]), "d"(arguments[2]),
		       "S"(arguments[3]), "D"(arguments[4])
		     : "memory", "cc");
#endif
	return result;
}

static void gate_try(void *context)
{
	const uint32_t none[6] = {0};

	(void)context;
	_exit(compat(COMPAT_GETPID, none) == getpid() ? 0 : 1);
}

/* A kernel without 32-bit calls answers the instruction with a signal. */
static void gate_need(void)
{
	pid_t pid = child_start(gate_try, NULL);
	int status;

	must(waitpid(pid, &status, 0), "waitpid");
	if (status != 0)
		situation_skip("no 32-bit system calls here");
}

static struct low *low_new(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *low;

#ifdef __x86_64__
	flags |= MAP_32BIT;
#endif
	low = mmap(NULL, sizeof(struct low), PROT_READ | PROT_WRITE, flags, -1, 0);
	if (low == MAP_FAILED)
		situation_skip("no memory below 4 GiB: %s", strerror(errno));
	return low;
}

static uint32_t low_pointer(const void *pointer)
{
	return (uint32_t)(uintptr_t)pointer;
}

static int low_call(struct low *low, bool multiplexed, unsigned int call)
{
	const uint32_t wrapped[6] = {call, low_pointer(low->arguments)};
	int result;

	result = multiplexed ? compat(COMPAT_SOCKETCALL, wrapped)
			     : compat(direct[call], low->arguments);
	if (result == -ENOSYS)
		situation_skip("the kernel does not know the call");
	return result;
}

static void low_address(struct low *low, const struct sock *sock, const struct address *address)
{
	memset(low, 0, sizeof(*low));
	memcpy(&low->address, &address->any, address->length);
	low->arguments[0] = sock->fd;
	low->arguments[1] = low_pointer(&low->address);
	low->arguments[2] = address->length;
}

static void finish(struct sock *sock, struct call *call, int result, int error)
{
	struct address name = sock_name(sock);

	if (result < 0 ? -result != error : error != 0)
		situation_fail("%s by int 0x80: %s, expected %s", call->call,
			       strerror(result < 0 ? -result : 0), strerror(error));
	if (!error) {
		call->local = &name;
		sock->port = address_port(&name);
		sock->leased = true;
		sock->claimant = getpid();
	}
	report_call(sock->stage, call);
}

static void compat_bind(struct low *low, bool multiplexed, struct sock *sock,
			struct address address, int error)
{
	struct call call = {
		.call = "bind",
		.claimed = true,
		.origin = address_port(&address) ? "requested" : "kernel",
		.requested = &address,
		.error = error,
	};

	low_address(low, sock, &address);
	finish(sock, &call, low_call(low, multiplexed, CALL_BIND), error);
}

static void with_bind(const struct stage *stage, bool multiplexed)
{
	struct sock sock, other;
	struct low *low;

	gate_need();
	low = low_new();
	sock = sock_open(stage);
	other = sock_open(stage);
	compat_bind(low, multiplexed, &sock, address_loopback(stage->family, 0), 0);
	compat_bind(low, multiplexed, &other, sock_name(&sock), EADDRINUSE);
	sock_close(&other);
	sock_close(&sock);
}

static void with_listen(const struct stage *stage, bool multiplexed)
{
	struct call call = {.call = "listen", .claimed = true, .origin = "kernel"};
	struct sock sock;
	struct low *low;

	gate_need();
	low = low_new();
	sock = sock_open(stage);
	low->arguments[0] = sock.fd;
	low->arguments[1] = 8;
	finish(&sock, &call, low_call(low, multiplexed, CALL_LISTEN), 0);
	sock_close(&sock);
}

static void with_connect(const struct stage *stage, bool multiplexed)
{
	struct address where;
	struct call call = {
		.call = "connect",
		.claimed = true,
		.origin = "kernel",
		.remote = &where,
		.outcome = stage->type == SOCK_STREAM ? "established" : NULL,
	};
	struct sock listener, sock;
	struct low *low;

	gate_need();
	low = low_new();
	listener = listener_open(stage, &where);
	sock = sock_open(stage);
	low_address(low, &sock, &where);
	finish(&sock, &call, low_call(low, multiplexed, CALL_CONNECT), 0);
	sock_close(&sock);
	sock_close(&listener);
}

static void with_send(const struct stage *stage, bool multiplexed)
{
	struct address where;
	struct call call = {.call = "send", .claimed = true, .origin = "kernel", .remote = &where};
	struct sock receiver, sock;
	struct low *low;
	int result;

	gate_need();
	low = low_new();
	receiver = listener_open(stage, &where);
	sock = sock_open(stage);
	low_address(low, &sock, &where);
	low->arguments[4] = low->arguments[1];
	low->arguments[5] = low->arguments[2];
	low->arguments[1] = low_pointer(low->data);
	low->arguments[2] = sizeof(low->data);
	result = low_call(low, multiplexed, CALL_SENDTO);
	finish(&sock, &call, result < 0 ? result : 0, 0);
	sock_close(&sock);
	sock_close(&receiver);
}

#else

static void gate_missing(void)
{
	situation_skip("32-bit system calls by int 0x80 are x86's");
}

#define with_bind(stage, multiplexed) ((void)(stage), gate_missing())
#define with_listen with_bind
#define with_connect with_bind
#define with_send with_bind

#endif

#define IN_BOTH_WAYS(name)                                                                         \
	static void run_##name##_socketcall(const struct stage *stage)                             \
	{                                                                                          \
		with_##name(stage, true);                                                          \
	}                                                                                          \
	static void run_##name##_direct(const struct stage *stage)                                 \
	{                                                                                          \
		with_##name(stage, false);                                                         \
	}

IN_BOTH_WAYS(bind)
IN_BOTH_WAYS(listen)
IN_BOTH_WAYS(connect)
IN_BOTH_WAYS(send)

#define BOTH_WAYS(on, name)                                                                        \
	on("socketcall-" #name, run_##name##_socketcall, 0),                                       \
		on("compat-" #name, run_##name##_direct, 0)

const struct situation compat_situations[] = {
	BOTH_WAYS(ON_BOTH, bind),
	BOTH_WAYS(ON_TCP, listen),
	BOTH_WAYS(ON_BOTH, connect),
	BOTH_WAYS(ON_UDP, send),
	{.name = NULL},
};
