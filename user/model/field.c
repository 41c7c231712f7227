/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/field.h"

#include <strings.h>

#include "model/field_get.h"

#define BIT(action) (1u << (action))
#define ALL (BIT(EVENT_ACTIONS) - 1)
#define BOUND BIT(EVENT_BOUND)
#define LISTEN BIT(EVENT_LISTEN)
#define RELEASED BIT(EVENT_RELEASED)
#define CALLS (BOUND | LISTEN | BIT(EVENT_CONNECTED) | BIT(EVENT_AUTOBOUND))
#define OUTCOMES (BIT(EVENT_ESTABLISHED) | BIT(EVENT_FAILED))
#define SOCKETS (CALLS | OUTCOMES | RELEASED)
#define DIRECTED (SOCKETS & ~(BOUND | LISTEN))
#define LOST BIT(EVENT_LOST)
#define START BIT(EVENT_START)
#define END BIT(EVENT_END)
#define TOTALS (END | BIT(EVENT_HEARTBEAT))

#define FIELD(name, get_, actions_, help_, ...)                                                    \
	{                                                                                          \
		.path = name, .get = field_##get_, .actions = actions_, .help = help_, __VA_ARGS__ \
	}
#define COLUMN(heading, usual, narrow) .column = heading, .width = usual, .least = narrow
#define NUMBER(heading, usual) COLUMN(heading, usual, usual), .right = true
#define PORT "portsnoop."

const struct field field_table[] = {
	FIELD("@timestamp", timestamp, ALL, "when it happened, UTC", COLUMN("TIME", 12, 12)),
	FIELD("message", message, ALL, "the event as a sentence", COLUMN("MESSAGE", 60, 20)),
	FIELD("ecs.version", ecs_version, ALL, "version of the Elastic Common Schema",
	      .scope = SCOPE_STREAM),
	FIELD("event.kind", kind, ALL, "event; of a heartbeat, metric", .scope = SCOPE_KIND),
	FIELD("event.category", category, ALL, "always network", .scope = SCOPE_STREAM),
	FIELD("event.type", type, ALL, "kind of change: start, end, connection, denied, info",
	      .scope = SCOPE_KIND),
	FIELD("event.action", action, ALL, "what happened: bound-socket, connected-to, ...",
	      COLUMN("ACTION", 22, 10), .scope = SCOPE_KIND),
	FIELD("event.outcome", outcome, SOCKETS,
	      "success, failure, or unknown while a handshake is under way",
	      COLUMN("OUTCOME", 7, 7), .scope = SCOPE_KIND),
	FIELD("event.dataset", dataset, ALL, "always portsnoop.events", .scope = SCOPE_STREAM),
	FIELD("event.id", id, ALL, "identity of the stream, and the number in it",
	      COLUMN("ID", 24, 12)),
	FIELD("event.sequence", sequence, ALL, "number in the stream, from 1, before any filter",
	      NUMBER("SEQUENCE", 10)),
	FIELD("event.duration", duration, OUTCOMES | RELEASED,
	      "ns that the handshake took, or that the port was held, TIME_WAIT included",
	      NUMBER("DURATION", 13)),
	FIELD("error.code", error, SOCKETS, "name of the errno", COLUMN("ERROR", 13, 10)),
	FIELD("network.transport", transport, SOCKETS, "tcp, udp, udplite, icmp, ipv6-icmp, sctp",
	      COLUMN("TRANSPORT", 9, 4)),
	FIELD("network.type", network_type, SOCKETS,
	      "ipv4 or ipv6, by the packets: ipv4 for v4-mapped addresses", COLUMN("TYPE", 4, 4)),
	FIELD("network.iana_number", iana_number, SOCKETS,
	      "number of a protocol without a name here"),
	FIELD("source.ip", source_ip, DIRECTED, "own address, as in the packets",
	      COLUMN("SOURCE", 21, 11)),
	FIELD("source.port", source_port, DIRECTED, "own port", NUMBER("SPORT", 5)),
	FIELD("destination.ip", destination_ip, DIRECTED, "remote address, as in the packets",
	      COLUMN("DESTINATION", 21, 11)),
	FIELD("destination.port", destination_port, DIRECTED, "remote port", NUMBER("DPORT", 5)),
	FIELD("server.ip", server_ip, LISTEN, "address listened on, as in the packets"),
	FIELD("server.port", server_port, LISTEN, "port listened on"),
	FIELD("process.pid", pid, SOCKETS, "process that made the claim", NUMBER("PID", 7)),
	FIELD("process.entity_id", entity_id, SOCKETS,
	      "the process, unique across reuse of its pid, and its exec"),
	FIELD("process.name", process_name, SOCKETS, "name of the process", COLUMN("COMM", 15, 8)),
	FIELD("process.thread.id", thread_id, SOCKETS, "thread, if it is not the first one",
	      NUMBER("TID", 7)),
	FIELD("process.thread.name", thread_name, SOCKETS, "name of that thread",
	      COLUMN("THREAD", 15, 8)),
	FIELD("process.executable", executable, SOCKETS, "path of the program",
	      COLUMN("EXE", 30, 10), .scope = SCOPE_PROCESS),
	FIELD("process.args", args, SOCKETS, "arguments, the program's name first",
	      COLUMN("ARGS", 40, 10), .scope = SCOPE_PROCESS),
	FIELD("process.parent.pid", parent_pid, SOCKETS, "parent of the process", NUMBER("PPID", 7),
	      .scope = SCOPE_PROCESS),
	FIELD("process.parent.name", parent_name, SOCKETS, "name of the parent",
	      COLUMN("PARENT", 15, 8), .scope = SCOPE_PROCESS),
	FIELD("process.user.id", user_id, SOCKETS, "real user id", NUMBER("UID", 6)),
	FIELD("process.user.name", user_name, SOCKETS, "name of that user", COLUMN("USER", 10, 6)),
	FIELD("container.id", container_id, SOCKETS, "container of the process",
	      COLUMN("CONTAINER", 12, 12), .scope = SCOPE_PROCESS),
	FIELD("container.runtime", container_runtime, SOCKETS,
	      "docker, podman, containerd, cri-o, lxc, systemd-nspawn", COLUMN("RUNTIME", 10, 6),
	      .scope = SCOPE_PROCESS),
	FIELD("host.name", stream_host, ALL, "host that the stream comes from",
	      COLUMN("HOST", 15, 8), .scope = SCOPE_STREAM),
	FIELD(PORT "schema", schema, ALL, "version of the fields under portsnoop",
	      .scope = SCOPE_STREAM),
	FIELD(PORT "trigger", trigger, SOCKETS,
	      "call that caused it: bind, connect, listen, send, subflow", COLUMN("TRIGGER", 7, 4)),
	FIELD(PORT "origin", origin, SOCKETS, "who chose the port: requested or kernel",
	      COLUMN("ORIGIN", 9, 6)),
	FIELD(PORT "claimed", claimed, CALLS, "whether the socket had no port and tried to get one",
	      COLUMN("CLAIMED", 7, 5)),
	FIELD(PORT "local.ip", local_ip, SOCKETS, "address of the socket", COLUMN("IP", 21, 11)),
	FIELD(PORT "local.port", local_port, SOCKETS, "port of the socket", NUMBER("PORT", 5)),
	FIELD(PORT "requested.ip", requested_ip, BOUND, "address that a bind asked for",
	      COLUMN("REQUESTED", 21, 11)),
	FIELD(PORT "requested.port", requested_port, BOUND,
	      "port that a bind asked for; 0 leaves it to the kernel", NUMBER("RPORT", 5)),
	FIELD(PORT "class.iana", class_iana, SOCKETS, "system, user or dynamic, by IANA's ranges",
	      COLUMN("IANA", 7, 4)),
	FIELD(PORT "class.service", class_service, SOCKETS,
	      "service registered for a port that the program asked for", COLUMN("SERVICE", 15, 8)),
	FIELD(PORT "class.in_pool", class_in_pool, SOCKETS,
	      "whether the kernel could have chosen this port", COLUMN("IN-POOL", 7, 5)),
	FIELD(PORT "class.reserved", class_reserved, SOCKETS,
	      "whether ip_local_reserved_ports has it", COLUMN("RESERVED", 8, 5)),
	FIELD(PORT "class.privileged", class_privileged, SOCKETS,
	      "whether it lies below ip_unprivileged_port_start", COLUMN("PRIVILEGED", 10, 5)),
	FIELD(PORT "class.pool", class_pool, SOCKETS, "range that the kernel chooses from",
	      COLUMN("POOL", 11, 11)),
	FIELD(PORT "class.own_range", own_range, SOCKETS,
	      "true: the range is the socket's own (IP_LOCAL_PORT_RANGE)"),
	FIELD(PORT "known_uses", known_uses, SOCKETS,
	      "programs known to use that port without being registered", COLUMN("USES", 25, 8)),
	FIELD(PORT "socket_options", socket_options, SOCKETS,
	      "reuseaddr, reuseport, v6only, bind_address_no_port", COLUMN("OPTIONS", 20, 8)),
	FIELD(PORT "mptcp", mptcp, SOCKETS, "true: MPTCP, or a subflow of it"),
	FIELD(PORT "fastopen", fastopen, SOCKETS, "true: TCP Fast Open"),
	FIELD(PORT "self_connect", self_connect, SOCKETS,
	      "true: the socket is connected to itself"),
	FIELD(PORT "kernel_socket", kernel_socket, SOCKETS, "true: a socket of the kernel's own"),
	FIELD(PORT "disconnect", disconnect, RELEASED,
	      "true: released by connect() to no address, not by a close"),
	FIELD(PORT "time_wait", time_wait, RELEASED,
	      "the port lives on in TIME_WAIT: seen, or estimated; or that is over"),
	FIELD(PORT "lingered", lingered, RELEASED,
	      "of event.duration, the ns that the port stood in TIME_WAIT", NUMBER("LINGERED", 13)),
	FIELD(PORT "holder.pid", holder_pid, RELEASED,
	      "where the process is not known: one that had the socket open before"),
	FIELD(PORT "holder.name", holder_name, RELEASED, "name of that one"),
	FIELD(PORT "blocked_by", blocked_by, CALLS,
	      "what stood in the way of a call that failed for want of a port: at most 8 sockets, "
	      "or, if no port was left, the processes with the most of them",
	      COLUMN("BLOCKED-BY", 40, 12)),
	FIELD(PORT "blocked_by_total", blocked_by_total, CALLS, "how many stood in the way"),
	FIELD(PORT "blocked_by_unlisted", blocked_by_unlisted, CALLS,
	      "sockets on that port beyond these, too many to be looked at"),
	FIELD(PORT "blocked_by_reason", blocked_by_reason, CALLS,
	      "why nothing is named: not_seen (it had gone when the kernel was asked, or too many "
	      "failures came at once to ask), no_ledger"),
	FIELD(PORT "process_unknown", process_unknown, SOCKETS,
	      "why the process is not known: predates the stream, or no-record came"),
	FIELD(PORT "pod", container_pod, SOCKETS, "uid of the Kubernetes pod", COLUMN("POD", 36, 8),
	      .scope = SCOPE_PROCESS),
	FIELD(PORT "unit", container_unit, SOCKETS, "systemd unit of the process",
	      COLUMN("UNIT", 20, 8), .scope = SCOPE_PROCESS),
	FIELD(PORT "cgroup", cgroup, SOCKETS, "cgroup of the process", COLUMN("CGROUP", 40, 10),
	      .tail = true, .scope = SCOPE_PROCESS),
	FIELD(PORT "exe_flags", exe_flags, SOCKETS,
	      "deleted: the program's file is gone; memory: it never was on a disk",
	      COLUMN("EXE-FLAGS", 9, 7), .scope = SCOPE_PROCESS),
	FIELD(PORT "incomplete", incomplete, SOCKETS,
	      "what of the process was too long or unreadable", .scope = SCOPE_PROCESS),
	FIELD(PORT "namespace_pid", namespace_pid, SOCKETS,
	      "pid as the process itself sees it, if that differs", NUMBER("NSPID", 7),
	      .scope = SCOPE_PROCESS),
	FIELD(PORT "kernel_thread", kernel_thread, SOCKETS, "true: the process is the kernel's",
	      .scope = SCOPE_PROCESS),
	FIELD(PORT "device", device, SOCKETS, "ifindex that the socket is bound to",
	      NUMBER("DEVICE", 6)),
	FIELD(PORT "netns", netns, SOCKETS, "inode of the socket's network namespace",
	      NUMBER("NETNS", 10)),
	FIELD(PORT "socket", socket, SOCKETS, "number of the socket in this stream",
	      NUMBER("SOCKET", 10)),
	FIELD(PORT "tier", tier, ALL, "kernel hooks in use: fentry, kprobe, tracepoint",
	      COLUMN("TIER", 10, 6), .scope = SCOPE_STREAM),
	FIELD(PORT "stream.tier", tier, START, "kernel hooks in use"),
	FIELD(PORT "stream.kernel", stream_kernel, START, "release of the kernel"),
	FIELD(PORT "stream.boot_id", stream_boot_id, START, "identity of this boot"),
	FIELD(PORT "stream.program", stream_program, START, "portsnoop's version"),
	FIELD(PORT "stream.cpus", stream_cpus, START, "CPUs that can be"),
	FIELD(PORT "stream.ring_bytes", stream_ring_bytes, START, "size of the ring buffer"),
	FIELD(PORT "stream.not_covered", stream_not_covered, START,
	      "claims that these hooks cannot see on this kernel"),
	FIELD(PORT "totals.seen", total_seen, TOTALS,
	      "records that the kernel's side wanted to send; in a heartbeat so far"),
	FIELD(PORT "totals.lost", total_lost, TOTALS, "of these, without room in the ring"),
	FIELD(PORT "totals.filtered", total_filtered, TOTALS, "of these, held back by a filter"),
	FIELD(PORT "totals.untracked", total_untracked, TOTALS, "calls and sockets without room"),
	FIELD(PORT "totals.unseen", total_unseen, END, "releases whose claim was not seen"),
	FIELD(PORT "totals.skipped", total_skipped, END,
	      "runs that the kernel left out; null: it does not tell"),
	FIELD(PORT "totals.evicted", total_evicted, END,
	      "leases forgotten for want of room; null: without a ledger"),
	FIELD(PORT "lost.count", lost_count, LOST, "records that are missing here",
	      NUMBER("LOST", 6)),
	FIELD(PORT "lost.cpu", lost_cpu, LOST, "CPU that they were lost on"),
	FIELD(PORT "lost.from", lost_from, LOST, "last record of that CPU before the gap"),
	FIELD(PORT "lost.to", lost_to, LOST, "first record behind the gap"),

	/* For people */
	FIELD("verb", people_verb, SOCKETS, "what happened, in a word", COLUMN("EVENT", 7, 7),
	      .people = true),
	FIELD("protocol", people_protocol, SOCKETS, "protocol; of MPTCP, mptcp",
	      COLUMN("PROTO", 7, 4), .people = true),
	FIELD("local", people_local, SOCKETS,
	      "own address and port; of a failed bind the wanted one", COLUMN("LOCAL", 21, 15),
	      .tail = true, .people = true),
	FIELD("remote", people_remote, SOCKETS, "remote address and port", COLUMN("REMOTE", 21, 15),
	      .tail = true, .people = true),
	FIELD("result", people_result, SOCKETS,
	      "ok, pending, the error, how long the handshake took or the port was held",
	      COLUMN("RESULT", 13, 11), .people = true),
	FIELD("class", people_class, SOCKETS, "what kind of port it is, in a phrase",
	      COLUMN("PORT-CLASS", 24, 13), .people = true),
};

const unsigned int field_count = sizeof(field_table) / sizeof(field_table[0]);

static bool name_equal(const char *known, const char *name, size_t length)
{
	return known && strlen(known) == length && !strncasecmp(known, name, length);
}

const struct field *field_find(const char *name, size_t length)
{
	for (unsigned int i = 0; i < field_count; i++)
		if (name_equal(field_table[i].path, name, length) ||
		    name_equal(field_table[i].column, name, length))
			return &field_table[i];
	return NULL;
}
