/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/holding.h"

#include <stdlib.h>
#include <string.h>

#include "lib/order.h"

/* Every member that two holdings can differ in, so that the order is the same in each
 * run. */
static int holding_compare(const void *first, const void *second)
{
	const struct holding *a = first, *b = second;
	int order = number_compare(a->netns, b->netns);

	if (!order)
		order = number_compare(a->protocol, b->protocol);
	if (!order)
		order = number_compare(a->local_port, b->local_port);
	if (!order)
		order = number_compare(a->state != HOLDING_LISTEN, b->state != HOLDING_LISTEN);
	if (!order)
		order = number_compare(a->family, b->family);
	if (!order)
		order = memcmp(a->other, b->other, sizeof(a->other));
	if (!order)
		order = number_compare(a->other_port, b->other_port);
	if (!order)
		order = memcmp(a->local, b->local, sizeof(a->local));
	if (!order)
		order = number_compare(a->device, b->device);
	if (!order)
		order = number_compare(a->state, b->state);
	if (!order)
		order = number_compare(a->inode, b->inode);
	return order ? order : number_compare(a->socket, b->socket);
}

static int holder_compare(const void *first, const void *second)
{
	const struct holder *a = first, *b = second;
	int order = number_compare(a->pid, b->pid);

	return order ? order : number_compare(a->start, b->start);
}

void holding_sort(struct holdings *holdings)
{
	for (size_t i = 0; i < holdings->count; i++)
		if (holdings->list[i].holder_count > 1)
			qsort(holdings->list[i].holders, holdings->list[i].holder_count,
			      sizeof(struct holder), holder_compare);
	if (holdings->count > 1)
		qsort(holdings->list, holdings->count, sizeof(*holdings->list), holding_compare);
}

void holding_free(struct holding *holding)
{
	for (size_t i = 0; i < holding->holder_count; i++) {
		struct holder *holder = &holding->holders[i];

		free(holder->user);
		free(holder->exe);
		free(holder->args);
		free(holder->cgroup);
	}
	free(holding->holders);
	*holding = (struct holding){0};
}

void holdings_free(struct holdings *holdings)
{
	for (size_t i = 0; i < holdings->count; i++)
		holding_free(&holdings->list[i]);
	free(holdings->list);
	*holdings = (struct holdings){0};
}

const char *holding_state_name(uint8_t state)
{
	static const char *const names[] = {
		[HOLDING_ESTABLISHED] = "established",
		[HOLDING_SYN_SENT] = "syn_sent",
		[HOLDING_SYN_RECV] = "syn_recv",
		[HOLDING_FIN_WAIT1] = "fin_wait1",
		[HOLDING_FIN_WAIT2] = "fin_wait2",
		[HOLDING_TIME_WAIT] = "time_wait",
		[HOLDING_CLOSE] = "bound",
		[HOLDING_CLOSE_WAIT] = "close_wait",
		[HOLDING_LAST_ACK] = "last_ack",
		[HOLDING_LISTEN] = "listen",
		[HOLDING_CLOSING] = "closing",
		[HOLDING_NEW_SYN_RECV] = "syn_recv",
	};

	return state < sizeof(names) / sizeof(names[0]) && names[state] ? names[state] : "unknown";
}
