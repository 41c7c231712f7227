/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "model/holding.h"

#ifndef IPPROTO_MPTCP /* headers before 5.6 */
#define IPPROTO_MPTCP 262
#endif
#define REQ_PROTOCOL 3 /* INET_DIAG_REQ_PROTOCOL, 5.9 */
#define STATE_BOUND 13 /* TCP_BOUND_INACTIVE, 6.8 */
#define TIMER_TIME_WAIT 3
#define ALL_STATES UINT32_MAX

/* The kernel fills at most 32 KiB at a time. */
#define ANSWER_SIZE 65536

struct filter {
	struct rtattr attribute;
	struct inet_diag_bc_op code[4];
};

struct request {
	struct nlmsghdr header;
	struct inet_diag_req_v2 diag;
	struct filter filter;
	struct rtattr protocol_attribute;
	uint32_t protocol;
};

/* The first form of the request, of 2.6: TCP alone, but both families at once. */
struct request_tcp {
	struct nlmsghdr header;
	struct inet_diag_req diag;
	struct filter filter;
};

int diag_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

/* A condition is two words: what to test, and the port. `yes` and `no` tell how many
 * bytes to go on; the end of the code is a match, 4 bytes behind it is none. */
static struct filter filter_make(uint16_t low, uint16_t high)
{
	struct filter filter = {
		.attribute.rta_type = INET_DIAG_REQ_BYTECODE,
		.attribute.rta_len = sizeof(filter),
	};
	struct inet_diag_bc_op *code = filter.code;
	unsigned char condition = 2 * sizeof(*code);

	code[0] = (struct inet_diag_bc_op){INET_DIAG_BC_S_GE, condition, sizeof(filter.code) + 4};
	code[1].no = low;
	code[2] = (struct inet_diag_bc_op){INET_DIAG_BC_S_LE, condition, condition + 4};
	code[3].no = high;
	return filter;
}

static int request_send(int diag, const struct nlmsghdr *request)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do
		sent = sendto(diag, request, request->nlmsg_len, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Compared before anything else is looked at. 0: any. */
static __be16 one_port(const struct diag_answer *answer)
{
	return answer->low == answer->high ? htons(answer->low) : 0;
}

static int tcp_ask(int diag, uint32_t states, const struct diag_answer *answer)
{
	struct request_tcp request = {
		.header =
			{
				.nlmsg_len = sizeof(request),
				.nlmsg_type = TCPDIAG_GETSOCK,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = answer->sequence,
			},
		.diag.idiag_states = states,
		.diag.id.idiag_sport = one_port(answer),
		.filter = filter_make(answer->low, answer->high),
	};

	return request_send(diag, &request.header);
}

static int family_ask(int diag, uint8_t family, uint32_t states, const struct diag_answer *answer)
{
	struct request request = {
		.header =
			{
				.nlmsg_len = sizeof(request),
				.nlmsg_type = SOCK_DIAG_BY_FAMILY,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = answer->sequence,
			},
		.diag =
			{
				.sdiag_family = family,
				.idiag_states = states,
				.id.idiag_sport = one_port(answer),
			},
		.filter = filter_make(answer->low, answer->high),
		.protocol = answer->protocol,
	};

	if (answer->protocol > UINT8_MAX) {
		request.protocol_attribute.rta_type = REQ_PROTOCOL;
		request.protocol_attribute.rta_len = RTA_LENGTH(sizeof(request.protocol));
	} else {
		request.diag.sdiag_protocol = (uint8_t)answer->protocol;
		request.header.nlmsg_len = offsetof(struct request, protocol_attribute);
	}
	return request_send(diag, &request.header);
}

static void attributes_take(struct diag_socket *socket, const char *bytes, size_t length)
{
	struct rtattr attribute;

	while (length >= sizeof(attribute)) {
		size_t step;

		memcpy(&attribute, bytes, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > length)
			return;
		if (attribute.rta_type == INET_DIAG_SKV6ONLY &&
		    attribute.rta_len > sizeof(attribute))
			socket->v6only = bytes[sizeof(attribute)];
		step = RTA_ALIGN(attribute.rta_len);
		if (step >= length)
			return;
		bytes += step;
		length -= step;
	}
}

/* False: the message is no socket that was asked for. */
static bool message_take(struct diag_socket *socket, const struct diag_answer *answer,
			 const char *bytes, size_t length)
{
	struct inet_diag_msg message;
	size_t address;

	memcpy(&message, bytes, sizeof(message));
	if (message.idiag_family != AF_INET && message.idiag_family != AF_INET6)
		return false;
	*socket = (struct diag_socket){
		.inode = message.idiag_inode,
		.uid = message.idiag_uid,
		.device = message.id.idiag_if,
		.protocol = answer->protocol,
		.local_port = ntohs(message.id.idiag_sport),
		.other_port = ntohs(message.id.idiag_dport),
		.family = message.idiag_family == AF_INET6 ? 6 : 4,
		.state = message.idiag_state == STATE_BOUND ? HOLDING_CLOSE : message.idiag_state,
	};
	if (!socket->local_port || socket->local_port < answer->low ||
	    socket->local_port > answer->high)
		return false;
	address = socket->family == 6 ? 16 : 4;
	memcpy(socket->local, message.id.idiag_src, address);
	if (socket->other_port)
		memcpy(socket->other, message.id.idiag_dst, address);
	if (message.idiag_timer == TIMER_TIME_WAIT) {
		socket->has_expires = true;
		socket->expires = message.idiag_expires;
	}
	attributes_take(socket, bytes + sizeof(message), length - sizeof(message));
	return true;
}

int diag_parse(const struct diag_answer *answer, const void *bytes, size_t length,
	       diag_visitor *visit, void *context)
{
	const char *next = bytes;

	while (length) {
		struct diag_socket socket;
		struct nlmsghdr header;
		struct nlmsgerr error;
		const char *payload = next + NLMSG_HDRLEN;
		size_t size, step;
		int result;

		if (length < sizeof(header))
			return -EBADMSG;
		memcpy(&header, next, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > length)
			return -EBADMSG;
		size = header.nlmsg_len - sizeof(header);
		step = NLMSG_ALIGN(header.nlmsg_len);
		next += step < length ? step : length;
		length -= step < length ? step : length;
		if (header.nlmsg_seq != answer->sequence)
			continue;
		switch (header.nlmsg_type) {
		case NLMSG_DONE:
			/* It carries the error, if the kernel gave up half-way. */
			if (size >= sizeof(error.error)) {
				memcpy(&error.error, payload, sizeof(error.error));
				if (error.error < 0)
					return error.error;
			}
			return 1;
		case NLMSG_ERROR:
			if (size < sizeof(error.error))
				return -EBADMSG;
			memcpy(&error.error, payload, sizeof(error.error));
			return error.error < 0 ? error.error : -EBADMSG;
		case SOCK_DIAG_BY_FAMILY:
		case TCPDIAG_GETSOCK:
			if (size < sizeof(struct inet_diag_msg))
				return -EBADMSG;
			if (!message_take(&socket, answer, payload, size))
				break;
			result = visit(&socket, context);
			if (result < 0)
				return result;
			break;
		default:
			break;
		}
	}
	return 0;
}

/* Reads on to the end when the visitor gave up: what is left would come before the
 * next answer. */
struct reader {
	diag_visitor *visit;
	void *context;
	int error; /* the visitor's */
};

static int reader_visit(const struct diag_socket *socket, void *context)
{
	struct reader *reader = context;
	int result = reader->error ? 0 : reader->visit(socket, reader->context);

	if (result < 0)
		reader->error = result;
	return 0;
}

static int answer_read(int diag, const struct diag_answer *answer, diag_visitor *visit,
		       void *context)
{
	_Alignas(struct nlmsghdr) char bytes[ANSWER_SIZE];
	struct reader reader = {.visit = visit, .context = context};
	int result = 0;

	while (!result) {
		ssize_t length = recv(diag, bytes, sizeof(bytes), MSG_TRUNC);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return -errno;
		if (!length || length > (ssize_t)sizeof(bytes))
			return -EBADMSG;
		result = diag_parse(answer, bytes, (size_t)length, reader_visit, &reader);
	}
	return result < 0 ? result : reader.error;
}

/* What is left of an answer that could not be read to its end. */
static void answer_drop(int diag)
{
	char byte;

	while (recv(diag, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
}

static int states_list(int diag, uint32_t states, uint16_t protocol, uint16_t low, uint16_t high,
		       diag_visitor *visit, void *context)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct diag_answer answer = {.protocol = protocol, .low = low, .high = high};
	int error;

	answer_drop(diag);
	/* Each question costs the kernel a walk over the sockets of all namespaces. */
	if (protocol == IPPROTO_TCP) {
		answer.sequence++;
		error = tcp_ask(diag, states, &answer);
		if (!error)
			error = answer_read(diag, &answer, visit, context);
		if (error != -EINVAL && error != -EOPNOTSUPP && error != -ENOENT)
			return error;
	}
	for (size_t i = 0; i < sizeof(families); i++) {
		answer.sequence++;
		error = family_ask(diag, families[i], states, &answer);
		if (!error)
			error = answer_read(diag, &answer, visit, context);
		/* No handler for the second family: a machine without IPv6. */
		if (error && !(error == -ENOENT && families[i] == AF_INET6))
			return error;
	}
	return 0;
}

int diag_list(int diag, uint16_t protocol, uint16_t low, uint16_t high, diag_visitor *visit,
	      void *context)
{
	return states_list(diag, ALL_STATES, protocol, low, high, visit, context);
}

int diag_list_active(int diag, uint16_t protocol, uint16_t low, uint16_t high, diag_visitor *visit,
		     void *context)
{
	return states_list(diag, ALL_STATES & ~(1u << STATE_BOUND), protocol, low, high, visit,
			   context);
}
