/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "probe/lookup.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "probe/diag.h"
#include "probe/lookup_iter.h"
#include "probe/lookup_match.h"
#include "probe/netns.h"
#include "probe/procfs.h"

#ifndef IPPROTO_MPTCP /* headers before 5.6 */
#define IPPROTO_MPTCP 262
#endif

struct lookup {
	struct lookup_iter *iter; /* NULL: refused */
	int diag;		  /* of the own namespace; -1: opened for each question */
	bool processes;		  /* whose the sockets are is asked, too */
	bool settled;		  /* without privileges: neither setns() nor socket() */
};

/* A protocol to ask sock_diag for. MPTCP comes first, so that what TCP lists next is
 * known for its subflows. */
struct protocol {
	const char *path;  /* only where this exists: asking must not load a module */
	const char *blind; /* without a list of it, ... */
	uint16_t number;
	bool always; /* ... also if the iterator found the sockets that processes have */
};

static const struct protocol protocols[] = {
	{.number = IPPROTO_MPTCP,
	 .path = "/proc/sys/net/mptcp",
	 .blind = "MPTCP sockets (this kernel does not list them: no mptcp_diag)"},
	{.number = IPPROTO_TCP,
	 .blind =
		 "TIME_WAIT and orphaned TCP sockets (this kernel does not list them: no tcp_diag)",
	 .always = true},
	{.number = IPPROTO_UDP,
	 .blind = "UDP sockets (this kernel does not list them: no udp_diag)"},
	{.number = IPPROTO_UDPLITE,
	 .path = "/proc/net/udplite",
	 .blind = "UDP-Lite sockets (this kernel does not list them: no udp_diag)"},
	{.number = IPPROTO_SCTP,
	 .path = "/proc/net/sctp",
	 .blind = "SCTP sockets (this kernel does not list them: no sctp_diag)"},
};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

/* One question on its way. */
struct work {
	const struct lookup *lookup;
	const struct lookup_query *query;
	uint16_t low, high; /* of the ports */

	/* What the iterator found, by inode, and those of them that the kernel knows
	 * by their addresses too. */
	struct holdings listed;
	const struct holding **named;
	size_t named_count;

	/* What only sock_diag knows. */
	struct holdings extra;
	size_t room;
	size_t without_process; /* of these, with an inode */

	/* The listing that is under way. */
	uint32_t netns;
	uint16_t protocol;
	size_t first; /* of extra, from this namespace */
	bool missing[PROTOCOLS];
	const char *blind[sizeof(((struct holdings *)0)->blind) / sizeof(char *)];
};

static void work_free(struct work *work)
{
	holdings_free(&work->listed);
	holdings_free(&work->extra);
	free(work->named);
}

static void blind_add(struct work *work, const char *sentence)
{
	size_t i;

	for (i = 0; i + 1 < sizeof(work->blind) / sizeof(work->blind[0]); i++) {
		if (!work->blind[i])
			work->blind[i] = sentence;
		if (work->blind[i] == sentence)
			return;
	}
}

static bool protocol_wanted(const struct lookup_query *query, uint16_t protocol)
{
	return !query->protocol || query->protocol == protocol ||
	       (query->protocol == IPPROTO_TCP && protocol == IPPROTO_MPTCP);
}

/* ---- what the iterator found ---- */

static int name_compare_pointers(const void *first, const void *second)
{
	return match_names(*(const struct holding *const *)first,
			   *(const struct holding *const *)second);
}

static bool is_tcp(const struct holding *holding)
{
	return holding->protocol == IPPROTO_TCP || holding->protocol == IPPROTO_MPTCP;
}

/* A connection is told by its addresses; and an MPTCP socket that listens has a TCP
 * socket that listens for it. */
static bool holding_is_named(const struct holding *holding)
{
	return is_tcp(holding) && (holding->other_port || holding->flags & WIRE_MPTCP);
}

static int work_query(const struct work *work, struct listing_record **records, size_t *count)
{
	CLEANUP_FREE struct listing_query *query = calloc(1, sizeof(*query));

	if (!query)
		return -ENOMEM;
	query->netns = work->query->netns;
	query->protocol = work->query->protocol;
	memcpy(query->ports, work->query->ports->bits, sizeof(query->ports));
	return lookup_iter_run(work->lookup->iter, query, records, count);
}

static int listed_index(struct work *work)
{
	size_t count = 0;

	for (size_t i = 0; i < work->listed.count; i++)
		count += holding_is_named(&work->listed.list[i]);
	if (!count)
		return 0;
	work->named = malloc(count * sizeof(const struct holding *));
	if (!work->named)
		return -ENOMEM;
	for (size_t i = 0; i < work->listed.count; i++)
		if (holding_is_named(&work->listed.list[i]))
			work->named[work->named_count++] = &work->listed.list[i];
	qsort(work->named, count, sizeof(const struct holding *), name_compare_pointers);
	return 0;
}

static int listed_read(struct work *work)
{
	CLEANUP_FREE const struct listing_record **sorted = NULL;
	CLEANUP_FREE struct listing_record *records = NULL;
	size_t count, sockets = 0;
	int error = work_query(work, &records, &count);

	if (error)
		return error;
	sorted = match_sort(records, count);
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < count; i += match_same(sorted + i, count - i))
		sockets++;
	work->listed.list = calloc(sockets ? sockets : 1, sizeof(*work->listed.list));
	if (!work->listed.list)
		return -ENOMEM;
	for (size_t i = 0, same; i < count; i += same) {
		same = match_same(sorted + i, count - i);
		error = match_holding(&work->listed.list[work->listed.count++], sorted + i, same);
		if (error)
			return error;
	}
	return listed_index(work);
}

/* A socket that came after the iterator had passed its process: one more look, at the
 * price of one, and only if there is such a socket. */
static int extra_iterate(struct work *work)
{
	CLEANUP_FREE const struct listing_record **sorted = NULL;
	CLEANUP_FREE struct listing_record *records = NULL;
	size_t count;
	int error = work_query(work, &records, &count);

	if (error)
		return error;
	sorted = match_sort(records, count);
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0, same; i < count; i += same) {
		same = match_same(sorted + i, count - i);
		for (size_t k = 0; k < work->extra.count; k++) {
			if (work->extra.list[k].inode != sorted[i]->inode)
				continue;
			error = match_holding(&work->extra.list[k], sorted + i, same);
			if (error)
				return error;
		}
	}
	return 0;
}

/* ---- what sock_diag lists ---- */

static int inode_compare(const void *inode, const void *member)
{
	const struct holding *holding = member;
	uint64_t wanted = *(const uint64_t *)inode;

	return wanted < holding->inode ? -1 : wanted > holding->inode;
}

static bool work_knows(const struct work *work, const struct holding *holding)
{
	if (holding->inode && bsearch(&holding->inode, work->listed.list, work->listed.count,
				      sizeof(*work->listed.list), inode_compare))
		return true;
	if (is_tcp(holding) && work->named_count) {
		const struct holding *const *same =
			bsearch(&holding, work->named, work->named_count,
				sizeof(const struct holding *), name_compare_pointers);

		if (same)
			return true;
	}
	/* SCTP lists a socket once more for each association. */
	if (holding->protocol != IPPROTO_TCP && holding->protocol != IPPROTO_SCTP)
		return false;
	for (size_t i = work->first; i < work->extra.count; i++) {
		const struct holding *other = &work->extra.list[i];

		if (holding->protocol == IPPROTO_SCTP
			    ? other->inode == holding->inode && other->inode
			    : other->flags & WIRE_MPTCP && !match_names(other, holding))
			return true;
		/* MPTCP is listed first. */
		if (holding->protocol == IPPROTO_TCP && !(other->flags & WIRE_MPTCP))
			break;
	}
	return false;
}

/* States in which nothing but the kernel is at work once the inode is gone. In the
 * others it has not been made yet: accept() makes it. */
static bool state_is_orphan(uint8_t state)
{
	return state == HOLDING_FIN_WAIT1 || state == HOLDING_FIN_WAIT2 ||
	       state == HOLDING_TIME_WAIT || state == HOLDING_LAST_ACK || state == HOLDING_CLOSING;
}

static int extra_add(const struct diag_socket *socket, void *context)
{
	struct work *work = context;
	struct holding holding = {
		.netns = work->netns,
		.uid = socket->uid,
		.device = socket->device,
		.inode = socket->inode,
		.protocol = socket->protocol,
		.local_port = socket->local_port,
		.other_port = socket->other_port,
		.family = socket->family,
		.state = socket->state,
		.has_expires = socket->has_expires,
		.expires = socket->expires,
		.orphan = !socket->inode && state_is_orphan(socket->state),
	};

	if (!port_set_has(work->query->ports, socket->local_port))
		return 0;
	if (socket->v6only)
		holding.flags |= WIRE_V6ONLY;
	if (socket->protocol == IPPROTO_MPTCP)
		holding.flags |= WIRE_MPTCP;
	memcpy(holding.local, socket->local, sizeof(holding.local));
	memcpy(holding.other, socket->other, sizeof(holding.other));
	if (work_knows(work, &holding))
		return 0;
	if (work->extra.count == work->room) {
		size_t room = work->room ? 2 * work->room : 64;
		struct holding *list = realloc(work->extra.list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		work->extra.list = list;
		work->room = room;
	}
	work->extra.list[work->extra.count++] = holding;
	work->without_process += holding.inode != 0;
	return 0;
}

static int namespace_list(struct work *work, int diag)
{
	for (size_t i = 0; i < PROTOCOLS; i++) {
		const struct protocol *protocol = &protocols[i];
		int error;

		/* A socket of MPTCP that no process has shows in its subflows. */
		if (protocol->number == IPPROTO_MPTCP && work->lookup->iter &&
		    work->query->protocol != IPPROTO_MPTCP)
			continue;
		if (!protocol_wanted(work->query, protocol->number) || work->missing[i] ||
		    (protocol->path && access(protocol->path, F_OK)))
			continue;
		/* What is no more than bound has a process: the iterator found it. */
		error = (work->lookup->iter ? diag_list_active : diag_list)(
			diag, protocol->number, work->low, work->high, extra_add, work);
		/* IPPROTO_MPTCP was no protocol before 5.6: EINVAL. */
		if (error == -ENOENT || error == -EINVAL) {
			work->missing[i] = true;
			if (protocol->always || !work->lookup->iter)
				blind_add(work, protocol->blind);
		} else if (error) {
			return error;
		}
	}
	return 0;
}

static int namespaces_read(const struct work *work, struct netns_list *namespaces)
{
	CLEANUP_FREE struct listing_namespace *tasks = NULL;
	size_t count;

	if (work->lookup->iter && !lookup_iter_namespaces(work->lookup->iter, &tasks, &count))
		return netns_list_make(namespaces, tasks, count);
	return netns_list_read(namespaces);
}

static const char other_namespaces[] = "other network namespaces (run as root to see them)";

static int own_list(struct work *work)
{
	CLEANUP_FD int diag = -1;

	if (work->lookup->diag >= 0)
		return namespace_list(work, work->lookup->diag);
	if (work->lookup->settled)
		return 0;
	diag = diag_open();
	return diag < 0 ? diag : namespace_list(work, diag);
}

static int extra_read(struct work *work)
{
	CLEANUP(netns_list_free) struct netns_list namespaces = {0};
	uint32_t own = netns_own();
	int error = 0;

	work->netns = own;
	if (!work->query->netns || work->query->netns == own) {
		error = own_list(work);
		if (error || work->query->netns)
			return error;
	}
	if (work->lookup->settled) {
		blind_add(work, other_namespaces);
		return 0;
	}
	error = namespaces_read(work, &namespaces);
	if (error)
		return error;
	if (!namespaces.whole)
		blind_add(work, other_namespaces);
	for (size_t i = 0; i < namespaces.count && !error; i++) {
		const struct netns *netns = &namespaces.list[i];
		CLEANUP_FD int diag = -1;

		if (netns->inode == own ||
		    (work->query->netns && work->query->netns != netns->inode))
			continue;
		diag = netns_call(netns, diag_open);
		if (diag == -ENOENT) /* its last process ended */
			continue;
		if (diag == -EPERM || diag == -EACCES) {
			blind_add(work, other_namespaces);
			continue;
		}
		work->netns = netns->inode;
		work->first = work->extra.count;
		error = diag < 0 ? diag : namespace_list(work, diag);
	}
	return error;
}

/* ---- without the iterator ---- */

static int extra_compare(const void *first, const void *second)
{
	const struct holding *a = first, *b = second;

	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static int holder_found(uint64_t inode, const struct holder *found, void *context)
{
	struct work *work = context;
	struct holding *holding;
	struct holder *holders;

	if (!inode)
		return 0;
	holding = bsearch(&inode, work->extra.list, work->extra.count, sizeof(*work->extra.list),
			  inode_compare);
	if (!holding)
		return 0;
	/* Processes come one after the other. */
	if (holding->holder_count) {
		struct holder *last = &holding->holders[holding->holder_count - 1];

		if (last->pid == found->pid) {
			last->fds++;
			if (found->fd < last->fd)
				last->fd = found->fd;
			return 0;
		}
	}
	holders = realloc(holding->holders, (holding->holder_count + 1) * sizeof(*holders));
	if (!holders)
		return -ENOMEM;
	holding->holders = holders;
	holders[holding->holder_count] = *found;
	holders[holding->holder_count++].fds = 1;
	return 0;
}

static bool kernel_is_before(unsigned int major, unsigned int minor)
{
	struct utsname kernel;
	unsigned int a, b;

	return !uname(&kernel) && sscanf(kernel.release, "%u.%u", &a, &b) == 2 &&
	       (a < major || (a == major && b < minor));
}

static int extra_walk(struct work *work, struct procfs *procfs)
{
	bool whole;
	int error;

	if (protocol_wanted(work->query, IPPROTO_TCP) && kernel_is_before(6, 8))
		blind_add(work, "TCP sockets that are bound and neither listen nor are connected "
				"(kernels before 6.8 do not list them)");
	qsort(work->extra.list, work->extra.count, sizeof(*work->extra.list), extra_compare);
	error = procfs_sockets(procfs, holder_found, work, &whole);
	if (!error && !whole)
		blind_add(work, "processes of other users (run as root to see them)");
	return error;
}

/* ---- all of it ---- */

static int holdings_unite(struct work *work, struct holdings *holdings)
{
	size_t count = work->listed.count + work->extra.count;
	struct holding *list = malloc((count ? count : 1) * sizeof(*list));
	struct holdings *parts[] = {&work->listed, &work->extra};

	if (!list)
		return -ENOMEM;
	*holdings = (struct holdings){.list = list};
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < parts[i]->count; k++) {
			if (match_address(work->query, &parts[i]->list[k]))
				list[holdings->count++] = parts[i]->list[k];
			else
				holding_free(&parts[i]->list[k]);
		}
		parts[i]->count = 0;
	}
	memcpy(holdings->blind, work->blind, sizeof(holdings->blind));
	holding_sort(holdings);
	return 0;
}

static int holdings_describe(struct holdings *holdings, struct procfs *procfs)
{
	for (size_t i = 0; i < holdings->count; i++) {
		struct holding *holding = &holdings->list[i];

		for (size_t k = 0; k < holding->holder_count; k++) {
			int error = procfs_describe(procfs, &holding->holders[k]);

			if (error)
				return error;
		}
	}
	return 0;
}

static bool ports_span(const struct port_set *ports, uint16_t *low, uint16_t *high)
{
	unsigned int port = 1;

	while (port <= UINT16_MAX && !port_set_has(ports, (uint16_t)port))
		port++;
	if (port > UINT16_MAX)
		return false;
	*low = (uint16_t)port;
	for (port = UINT16_MAX; !port_set_has(ports, (uint16_t)port);)
		port--;
	*high = (uint16_t)port;
	return true;
}

static void procfs_end(struct procfs *const *procfs)
{
	procfs_close(*procfs);
}

int lookup_run(struct lookup *lookup, const struct lookup_query *query, struct holdings *holdings,
	       const char **why)
{
	CLEANUP(work_free) struct work work = {.lookup = lookup, .query = query};
	CLEANUP(procfs_end) struct procfs *procfs = procfs_open("/proc");
	int error;

	*holdings = (struct holdings){0};
	*why = "/proc cannot be read";
	if (!procfs)
		return -errno;
	*why = "no port is asked for";
	if (!ports_span(query->ports, &work.low, &work.high))
		return -EINVAL;
	if (lookup->iter) {
		*why = "the kernel's list of open files cannot be read";
		error = listed_read(&work);
		if (error == -EPERM && lookup->settled) {
			lookup_iter_close(lookup->iter);
			lookup->iter = NULL;
		} else if (error) {
			return error;
		}
	}
	*why = "the kernel's list of sockets (sock_diag) cannot be read";
	error = extra_read(&work);
	if (error)
		return error;
	*why = "the open files of the processes cannot be read";
	/* Settled, it could look into its own open files only. */
	if (!lookup->iter)
		error = lookup_knows_processes(lookup) ? extra_walk(&work, procfs) : 0;
	else if (work.without_process)
		error = extra_iterate(&work);
	if (!error)
		error = holdings_unite(&work, holdings);
	if (!error)
		error = holdings_describe(holdings, procfs);
	if (error)
		holdings_free(holdings);
	return error;
}

struct lookup *lookup_open(bool processes)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup) {
		lookup->diag = -1;
		lookup->processes = processes;
		if (processes)
			lookup->iter = lookup_iter_open();
	}
	return lookup;
}

void lookup_settle(struct lookup *lookup)
{
	lookup->diag = diag_open(); /* of this thread's namespace, wherever it is asked */
	lookup->settled = true;
}

bool lookup_knows_processes(const struct lookup *lookup)
{
	return lookup->iter || (lookup->processes && !lookup->settled);
}

void lookup_close(struct lookup *lookup)
{
	if (!lookup)
		return;
	lookup_iter_close(lookup->iter);
	cleanup_fd(&lookup->diag);
	free(lookup);
}
