/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What people who query the database are promised. tests/golden/manual.py holds the columns
 * against those of a database. */
#include "roff.h"

#define PLACE_COLUMNS                                                                              \
	"protocol\ttcp, mptcp, udp, udplite, icmp, icmpv6 or sctp, or a number\n"                  \
	"local_ip, local_port\tthe port, and the address that it is bound to\n"                    \
	"remote_ip, remote_port\tits peer\n"                                                       \
	"trigger\tthe call that claimed it: bind, connect, listen, send or subflow; NULL: it was " \
	"held before the recording began, and the process only had the socket open\n"              \
	"origin\twho chose the number: requested or kernel\n"

#define PROCESS_COLUMNS                                                                            \
	"netns, device\tthe inode number of the network namespace; the index of the network "      \
	"device that the socket is bound to\n"                                                     \
	"pool_low, pool_high\tfrom where the kernel could choose\n"                                \
	"pid, comm, exe, args, uid, user\tthe process; args is a JSON array\n"                     \
	"parent_pid, parent_comm\tits parent\n"                                                    \
	"unit, container, runtime, pod, cgroup\twhere it ran: the systemd unit, the id of the "    \
	"container and what runs it, the Kubernetes pod, and the path of which they are read\n"    \
	"host, run\tof the recording\n"

const char sql_section[] =
	"The database is a SQLite file. Its views are made to be queried, also while portsnoop "
	"writes, and grow only by new columns; the tables below them may change with PRAGMA "
	"user_version, which is 1. Open it read-only: sqlite3 -readonly.\n"
	"\n"
	"Times are nanoseconds since 1970 (UTC), and again as ISO 8601 in the columns that end with "
	"_at; durations are nanoseconds, and again in those that end with _seconds. NULL: not "
	"known, or none. Names, arguments and paths are what processes gave themselves: do not "
	"show them on a terminal as they are. One that is not valid UTF-8 is a blob.\n"
	"\n"
	"The view leases has a row for each lease of a port:\n"
	"\n"
	"id\tits number; one that is still held has another one than when it has ended\n"
	"claimed, claimed_at\twhen it was claimed; of one from before the recording: when that "
	"began\n"
	"ended, ended_at\twhen the port was given back\n"
	"held, held_seconds\thow long it was held, TIME_WAIT included\n"
	"lingered, lingered_seconds\thow long of it in TIME_WAIT\n"
	"answered, answered_seconds\thow long until the connect was answered\n" PLACE_COLUMNS
	"outcome\tbound, listening, pending, established or failed\n"
	"ending\topen (still held), released, estimated (the end of TIME_WAIT was not seen), "
	"unseen (the recording ended first; held is how long it was seen) or evicted (it did not "
	"fit into memory any more)\n"
	"error\twhy the connect failed: ECONNREFUSED\n" PROCESS_COLUMNS "\n"
	"The view failures has a row for each claim that failed:\n"
	"\n"
	"id, time, time_at\tits number, and when it was\n"
	"protocol, local_ip, local_port\twhat was asked for; port 0: any\n"
	"remote_ip, remote_port, trigger, origin\tas in leases\n"
	"error\tEADDRINUSE, EACCES, ...\n"
	"netns, device, pool_low, pool_high\tas in leases\n"
	"pid, comm, exe, args, uid, user, parent_pid, parent_comm\tas in leases\n"
	"unit, container, runtime, pod, cgroup\tas in leases\n"
	"blocked_by\twho stood in the way: a JSON array of objects with pid, comm, role, state, "
	"since, ports, local_ip, local_port, remote_ip and remote_port\n"
	"blocked_total\thow many stood in the way; blocked_by has at most 8 of them\n"
	"blocked_reason\twhy blocked_by is empty\n"
	"host, run\tof the recording\n"
	"\n"
	"The view gaps has a row for each time that is missing:\n"
	"\n"
	"id\tits number\n"
	"reason\tas under GAPS\n"
	"since, since_at, until, until_at, seconds\tfrom when to when\n"
	"count\thow many records, leases or failures are missing\n"
	"run\tthe recording that found it\n"
	"\n"
	"The view runs has a row for each time that portsnoop recorded:\n"
	"\n"
	"id\tits number, the run of the other views\n"
	"host, kernel, boot, program\tthe name of the machine, its kernel, the id of its boot, and "
	"the version of portsnoop\n"
	"tier, coverage\tthe kernel hooks, and a bit for each kind of claim that they see\n"
	"started, started_at\twhen it began\n"
	"alive, alive_at\tits last sign of life\n"
	"ended, ended_at\twhen it ended; NULL: it runs, or was killed\n"
	"\n"
	"Which programs took the most ephemeral ports in the last hour?\n"
	"\n"
	"  # sqlite3 -readonly -box /var/lib/portsnoop/history.db \"\n"
	"      SELECT exe, count(*) AS leases, round(avg(held_seconds), 3) AS seconds\n"
	"      FROM leases\n"
	"      WHERE origin = 'kernel' AND claimed > (strftime('%s') - 3600) * 1000000000\n"
	"      GROUP BY exe ORDER BY leases DESC LIMIT 10\"\n"
	"\n"
	"Who stood in whose way?\n"
	"\n"
	"  # sqlite3 -readonly /var/lib/portsnoop/history.db \"\n"
	"      SELECT time_at, f.comm, local_port, b.value ->> 'comm', b.value ->> 'pid'\n"
	"      FROM failures f, json_each(f.blocked_by) b\n"
	"      WHERE error = 'EADDRINUSE'\"";
