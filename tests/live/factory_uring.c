/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Situations of io_uring: no socket system call is made, the claim is the same. */
#include "factory.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Newer than the headers that many have: 6.11. */
#define OP_BIND 56
#define OP_LISTEN 57

#define ENTRIES 4

enum mode { INLINE, WORKER, SQPOLL };

struct uring {
	int fd;
	enum mode mode;
	struct io_uring_params params;
	uint8_t *submit, *complete;
	struct io_uring_sqe *entries;
};

static void *uring_map(const struct uring *uring, size_t size, off_t offset)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring->fd,
			 offset);

	if (map == MAP_FAILED)
		must(-1, "mmap of a ring");
	return map;
}

static struct uring uring_open(enum mode mode)
{
	struct uring uring = {.mode = mode};
	struct io_uring_params *params = &uring.params;

	if (mode == SQPOLL) {
		params->flags = IORING_SETUP_SQPOLL;
		params->sq_thread_idle = 1000;
	}
	uring.fd = syscall(__NR_io_uring_setup, ENTRIES, params);
	if (uring.fd < 0)
		situation_skip("io_uring_setup: %s", strerror(errno));
	if (mode == SQPOLL && !(params->features & IORING_FEAT_SQPOLL_NONFIXED))
		situation_skip("SQPOLL takes registered files only");
	uring.submit = uring_map(&uring,
				 params->sq_off.array + params->sq_entries * sizeof(uint32_t),
				 IORING_OFF_SQ_RING);
	uring.complete = uring_map(
		&uring, params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe),
		IORING_OFF_CQ_RING);
	uring.entries = uring_map(&uring, params->sq_entries * sizeof(struct io_uring_sqe),
				  IORING_OFF_SQES);
	return uring;
}

static uint32_t *word(uint8_t *ring, uint32_t offset)
{
	return (uint32_t *)(ring + offset);
}

/* Its result, negative for an errno, as the kernel gives it. */
static int uring_do(struct uring *uring, struct io_uring_sqe entry)
{
	struct io_sqring_offsets *sq = &uring->params.sq_off;
	struct io_cqring_offsets *cq = &uring->params.cq_off;
	uint32_t mask = *word(uring->submit, sq->ring_mask), tail = *word(uring->submit, sq->tail);
	uint32_t *head = word(uring->complete, cq->head), flags = IORING_ENTER_GETEVENTS;
	struct io_uring_cqe *done;

	if (uring->mode == WORKER)
		entry.flags |= IOSQE_ASYNC;
	uring->entries[tail & mask] = entry;
	word(uring->submit, sq->array)[tail & mask] = tail & mask;
	__atomic_store_n(word(uring->submit, sq->tail), tail + 1, __ATOMIC_SEQ_CST);

	if (uring->mode == SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	/* alarm() bounds the wait: main() has set it. */
	must(syscall(__NR_io_uring_enter, uring->fd, uring->mode == SQPOLL ? 0 : 1, 1, flags, NULL,
		     0),
	     "io_uring_enter");
	if (*head == __atomic_load_n(word(uring->complete, cq->tail), __ATOMIC_ACQUIRE))
		situation_fail("io_uring_enter came back without a completion");
	done = (struct io_uring_cqe *)(uring->complete + cq->cqes) +
	       (*head & *word(uring->complete, cq->ring_mask));
	mask = done->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return (int)mask;
}

/* Does this kernel know the operation? One that it does not know it answers with
 * EINVAL, and so it does a bind that is refused: ask. */
static void uring_need(const struct uring *uring, unsigned int op)
{
	struct io_uring_probe *probe = calloc(1, sizeof(*probe) + 256 * sizeof(probe->ops[0]));

	if (!probe)
		must(-1, "calloc");
	if (syscall(__NR_io_uring_register, uring->fd, IORING_REGISTER_PROBE, probe, 256) < 0)
		situation_skip("IORING_REGISTER_PROBE: %s", strerror(errno));
	if (op > probe->last_op || !(probe->ops[op].flags & IO_URING_OP_SUPPORTED))
		situation_skip("io_uring of this kernel has no operation %u", op);
	free(probe);
}

/* A worker claims in the name of the process, under a thread id nobody knows. */
static pid_t uring_tid(const struct uring *uring)
{
	return uring->mode == INLINE ? 0 : -1;
}

static void finish(struct sock *sock, struct call *call, int result, int error)
{
	struct address name = sock_name(sock);

	if (result < 0 ? -result != error : error != 0)
		situation_fail("io_uring %s: %s, expected %s", call->call,
			       strerror(result < 0 ? -result : 0), strerror(error));
	if (!error) {
		call->local = &name;
		sock->port = address_port(&name);
		sock->leased = sock->port != 0;
		sock->claimant = getpid();
	}
	report_call(sock->stage, call);
}

static void uring_bind(struct uring *uring, struct sock *sock, struct address address, int error)
{
	struct io_uring_sqe entry = {
		.opcode = OP_BIND,
		.fd = sock->fd,
		.addr = (uintptr_t)&address.any,
		.addr2 = address.length,
	};
	struct call call = {
		.call = "bind",
		.tid = uring_tid(uring),
		.claimed = !sock->leased,
		.origin = address_port(&address) ? "requested" : "kernel",
		.requested = &address,
		.error = error,
	};

	uring_need(uring, OP_BIND);
	finish(sock, &call, uring_do(uring, entry), error);
}

static void uring_listen(struct uring *uring, struct sock *sock)
{
	struct io_uring_sqe entry = {.opcode = OP_LISTEN, .fd = sock->fd, .len = 8};
	struct call call = {
		.call = "listen",
		.tid = uring_tid(uring),
		.claimed = !sock->leased,
		.origin = sock->leased ? NULL : "kernel",
	};

	uring_need(uring, OP_LISTEN);
	finish(sock, &call, uring_do(uring, entry), 0);
}

/* io_uring connects without blocking, and asks again when the socket is ready:
 * still one connect. */
static void uring_connect(struct uring *uring, struct sock *sock, struct address remote, int error)
{
	struct io_uring_sqe entry = {
		.opcode = IORING_OP_CONNECT,
		.fd = sock->fd,
		.addr = (uintptr_t)&remote.any,
		.off = remote.length,
	};
	bool tcp = sock->stage->type == SOCK_STREAM;
	struct call call = {
		.call = "connect",
		.tid = uring_tid(uring),
		.claimed = !sock->leased,
		.origin = sock->leased ? NULL : "kernel",
		.remote = &remote,
		.outcome = !tcp	   ? NULL
			   : error ? "refused"
				   : "established",
	};
	int result = uring_do(uring, entry);
	struct address name = sock_name(sock);

	if (result < 0 ? -result != error : error != 0)
		situation_fail("io_uring connect: %s, expected %s",
			       strerror(result < 0 ? -result : 0), strerror(error));
	sock->port = address_port(&name);
	sock->leased = true;
	sock->claimant = getpid();
	if (error)
		call.local_port = sock->port;
	else
		call.local = &name;
	report_call(sock->stage, &call);
	if (error) {
		report_release(sock->stage, sock);
		sock->leased = false;
	}
}

static void uring_send(struct uring *uring, struct sock *sock, struct address to)
{
	struct iovec piece = {"x", 1};
	struct msghdr message = {
		.msg_name = &to.any,
		.msg_namelen = to.length,
		.msg_iov = &piece,
		.msg_iovlen = 1,
	};
	struct io_uring_sqe entry = {
		.opcode = IORING_OP_SENDMSG,
		.fd = sock->fd,
		.addr = (uintptr_t)&message,
		.len = 1,
	};
	struct call call = {
		.call = "send",
		.tid = uring_tid(uring),
		.claimed = true,
		.origin = "kernel",
		.remote = &to,
	};
	int result = uring_do(uring, entry);

	finish(sock, &call, result < 0 ? result : 0, 0);
}

static void with_bind(const struct stage *stage, enum mode mode)
{
	struct uring uring = uring_open(mode);
	struct sock sock = sock_open(stage), other = sock_open(stage);

	uring_need(&uring, OP_BIND);
	uring_bind(&uring, &sock, address_loopback(stage->family, 0), 0);
	uring_bind(&uring, &other, sock_name(&sock), EADDRINUSE);
	sock_close(&other);
	sock_close(&sock);
	sock = sock_open(stage);
	uring_bind(&uring, &sock, address_loopback(stage->family, 0), 0);
	sock_close(&sock);
}

static void with_listen(const struct stage *stage, enum mode mode)
{
	struct uring uring = uring_open(mode);
	struct sock sock = sock_open(stage);

	uring_need(&uring, OP_LISTEN);
	uring_listen(&uring, &sock);
	sock_close(&sock);
	sock = sock_open(stage);
	uring_bind(&uring, &sock, address_loopback(stage->family, 0), 0);
	uring_listen(&uring, &sock);
	sock_close(&sock);
}

static void with_connect(const struct stage *stage, enum mode mode)
{
	struct uring uring = uring_open(mode);
	struct address where;
	struct sock listener = listener_open(stage, &where), sock = sock_open(stage);

	uring_need(&uring, IORING_OP_CONNECT);
	uring_connect(&uring, &sock, where, 0);
	sock_close(&sock);
	if (stage->type == SOCK_STREAM) {
		sock = sock_open(stage);
		uring_connect(&uring, &sock, refusing_address(stage), ECONNREFUSED);
		sock_close(&sock);
	}
	sock_close(&listener);
}

static void with_send(const struct stage *stage, enum mode mode)
{
	struct uring uring = uring_open(mode);
	struct address where;
	struct sock receiver = listener_open(stage, &where), sock = sock_open(stage);

	uring_need(&uring, IORING_OP_SENDMSG);
	uring_send(&uring, &sock, where);
	sock_close(&sock);
	sock_close(&receiver);
}

#define IN_EVERY_MODE(with)                                                                        \
	static void with##_inline(const struct stage *stage)                                       \
	{                                                                                          \
		with(stage, INLINE);                                                               \
	}                                                                                          \
	static void with##_worker(const struct stage *stage)                                       \
	{                                                                                          \
		with(stage, WORKER);                                                               \
	}                                                                                          \
	static void with##_sqpoll(const struct stage *stage)                                       \
	{                                                                                          \
		with(stage, SQPOLL);                                                               \
	}

IN_EVERY_MODE(with_bind)
IN_EVERY_MODE(with_listen)
IN_EVERY_MODE(with_connect)
IN_EVERY_MODE(with_send)

#define EVERY_MODE(on, name, with)                                                                 \
	on("uring-" name, with##_inline, 0), on("uring-worker-" name, with##_worker, 0),           \
		on("uring-sqpoll-" name, with##_sqpoll, 0)

const struct situation uring_situations[] = {
	EVERY_MODE(ON_BOTH, "bind", with_bind),
	EVERY_MODE(ON_TCP, "listen", with_listen),
	EVERY_MODE(ON_BOTH, "connect", with_connect),
	EVERY_MODE(ON_UDP, "send", with_send),
	{.name = NULL},
};
