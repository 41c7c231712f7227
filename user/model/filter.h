/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which events reach the output. All conditions that are set must hold; a
 * condition given more than once, or as a list, holds if one of its values does.
 * What is not known of an event matches no value. Events of the stream about
 * itself (lost-events, stream-start, stream-end) always pass.
 */
#ifndef PORTSNOOP_FILTER_H
#define PORTSNOOP_FILTER_H

#include "lib/list.h"
#include "lib/option.h"
#include "lib/parse.h"
#include "model/event.h"

struct filter {
	struct port_set *ports;	  /* the local port, or the one that a failed bind asked
				 * for; NULL: any, also below */
	struct number_list *pids; /* thread groups; and what descends from them, as far as the
				   * stream tells (wire_process.root) */
	struct number_list *uids;
	struct number_list *netns;     /* inode numbers */
	struct number_list *protocols; /* IPPROTO_*; MPTCP's subflows match TCP and MPTCP */
	struct text_list *comms;       /* of the thread or of its process, whole name */
	struct text_list *cgroups;     /* path, or a path above it; no slash at the end */
	unsigned int family;	       /* 4, 6; 0: any */
	unsigned int triggers;	       /* bit per enum wire_trigger; 0: any */
	bool failed;		       /* only failures */
	bool ephemeral;		       /* only ports that the kernel chose */
	bool release;		       /* released-port too */
};

#define FILTER_ALL ((struct filter){0})

/* Pure. Outcomes and releases are judged by the same fields as their claim. */
bool filter_passes(const struct filter *filter, const struct event *event);
void filter_free(struct filter *filter);

/*
 * From words to a filter: setters for option_entry.set. The target is the member
 * of that name, which they allocate and add to. --uid and --netns ask this machine
 * for what a name means; the filter itself holds numbers.
 */
option_setter filter_set_ports;
option_setter filter_set_pids;
option_setter filter_set_comms;
option_setter filter_set_uids;
option_setter filter_set_protocols;
option_setter filter_set_family;
option_setter filter_set_cgroups;
option_setter filter_set_netns;
option_setter filter_set_triggers;

/* Entries for a command's option table; `type` is its options struct, `member`
 * the struct filter in it. */
#define FILTER_OPTIONS(type, member)                                                               \
	OPTION("port", 'p', "PORTS", "only these local ports: 80, 8000-8010, or a list of these",  \
	       filter_set_ports, type, member.ports),                                              \
		OPTION("pid", 'P', "PID",                                                          \
		       "only claims of these processes and of their descendants", filter_set_pids, \
		       type, member.pids),                                                         \
		OPTION("comm", 'c', "NAME",                                                        \
		       "only processes of this name, or threads of this name; may be repeated",    \
		       filter_set_comms, type, member.comms),                                      \
		OPTION("uid", 'u', "USER", "only these users: numbers or names", filter_set_uids,  \
		       type, member.uids),                                                         \
		OPTION("proto", 0, "NAME",                                                         \
		       "only these protocols: tcp, udp, udplite, icmp, icmpv6, sctp, mptcp",       \
		       filter_set_protocols, type, member.protocols,                               \
		       .values = "tcp,udp,udplite,icmp,icmpv6,sctp,mptcp"),                        \
		OPTION("family", 0, "4|6", "only sockets of IPv4, or of IPv6", filter_set_family,  \
		       type, member.family, .values = "4 6"),                                      \
		OPTION("cgroup", 0, "PATH",                                                        \
		       "only processes in this cgroup (v2), or below it; may be repeated",         \
		       filter_set_cgroups, type, member.cgroups),                                  \
		OPTION("netns", 0, "NETNS",                                                        \
		       "only these network namespaces: inode numbers, files like /proc/1/ns/net, " \
		       "or names in /run/netns",                                                   \
		       filter_set_netns, type, member.netns),                                      \
		OPTION("trigger", 0, "CALL",                                                       \
		       "only ports taken by these calls: bind, connect, listen, send, subflow",    \
		       filter_set_triggers, type, member.triggers,                                 \
		       .values = "bind,connect,listen,send,subflow"),                              \
		OPTION("failed", 0, NULL, "only failures", option_flag, type, member.failed),      \
		OPTION("ephemeral", 0, NULL, "only ports that the kernel chose", option_flag,      \
		       type, member.ephemeral),                                                    \
		OPTION("release", 0, NULL, "also show when a port is given back", option_flag,     \
		       type, member.release)

#endif
