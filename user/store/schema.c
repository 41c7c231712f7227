/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "store/schema.h"

/*
 * Times are ns since 1970 (CLOCK_REALTIME), durations ns. Texts that are not valid UTF-8
 * are blobs. NULL is: not known, or none. `era` is about the newest segment in which a row
 * is referred to (see writer.h): when the segments of its time are trimmed away, it goes.
 */

/* clang-format off */

#define LEASE_COLUMNS \
	" id INTEGER PRIMARY KEY, claimed INTEGER NOT NULL," \
	" held INTEGER,"     /* NULL: still */ \
	" lingered INTEGER," /* of it in TIME_WAIT; -1: in it now */ \
	" answered INTEGER, port INTEGER NOT NULL, remote_port INTEGER, local INTEGER," \
	" remote INTEGER, kind INTEGER NOT NULL, process INTEGER"

#define ISO(time) \
	"strftime('%Y-%m-%dT%H:%M:%S', " time " / 1000000000, 'unixepoch')" \
	" || printf('.%09dZ', " time " % 1000000000)"

/* JSON has no blobs. */
#define JSON_TEXT(text) "iif(typeof(" text ") = 'blob', 'hex:' || hex(" text "), " text ")"

/* What of a process is shown, and where it and all else of a lease or failure l is. */
#define PROCESS_SHOWN \
	" p.pid AS pid, g.comm AS comm, e.path AS exe, g.args AS args, g.uid AS uid," \
	" g.user AS user, p.parent_pid AS parent_pid, g.parent_comm AS parent_comm," \
	" c.unit AS unit, c.container AS container, c.runtime AS runtime, c.pod AS pod," \
	" c.path AS cgroup,"

#define JOINED \
	" JOIN kind k ON k.id = l.kind" \
	" LEFT JOIN run r ON r.id = k.run" \
	" LEFT JOIN address a ON a.id = l.local" \
	" LEFT JOIN address b ON b.id = l.remote" \
	" LEFT JOIN process p ON p.id = l.process" \
	" LEFT JOIN program g ON g.id = p.program" \
	" LEFT JOIN executable e ON e.id = g.executable" \
	" LEFT JOIN cgroup c ON c.id = g.cgroup"

#define LEASES_SHOWN \
	"SELECT l.id AS id, l.claimed AS claimed, l.claimed + l.held AS ended, l.held AS held," \
	" nullif(l.lingered, -1) AS lingered, l.answered AS answered," \
	" " ISO("l.claimed") " AS claimed_at," \
	" " ISO("(l.claimed + l.held)") " AS ended_at," \
	" l.held / 1e9 AS held_seconds, nullif(l.lingered, -1) / 1e9 AS lingered_seconds," \
	" l.answered / 1e9 AS answered_seconds," \
	" k.protocol AS protocol, a.ip AS local_ip, l.port AS local_port," \
	" b.ip AS remote_ip, l.remote_port AS remote_port, k.trigger AS trigger," \
	" k.origin AS origin, k.outcome AS outcome, k.ending AS ending, k.error AS error," \
	" k.netns AS netns, k.device AS device, k.pool_low AS pool_low, k.pool_high AS pool_high," \
	PROCESS_SHOWN " r.host AS host, k.run AS run" \
	" FROM "

const char schema_text[] =
	"CREATE TABLE run ("
	" id INTEGER PRIMARY KEY,"
	" stream INTEGER NOT NULL,"
	" host TEXT, kernel TEXT, boot TEXT, program TEXT, tier TEXT, coverage INTEGER,"
	" started INTEGER NOT NULL,"
	" alive INTEGER NOT NULL,"
	" ended INTEGER);" /* NULL: it still runs, or was killed after `alive` */

	"CREATE TABLE gap ("
	" id INTEGER PRIMARY KEY, run INTEGER NOT NULL, reason TEXT NOT NULL,"
	" since INTEGER NOT NULL, until INTEGER NOT NULL, count INTEGER NOT NULL);"

	"CREATE TABLE address (id INTEGER PRIMARY KEY, era INTEGER, ip TEXT NOT NULL UNIQUE);"

	"CREATE TABLE executable (id INTEGER PRIMARY KEY, era INTEGER, path NOT NULL UNIQUE);"

	"CREATE TABLE cgroup ("
	" id INTEGER PRIMARY KEY, era INTEGER, path NOT NULL UNIQUE,"
	" unit, container TEXT, runtime TEXT, pod TEXT);"

	/* What many processes have in common. */
	"CREATE TABLE program ("
	" id INTEGER PRIMARY KEY, era INTEGER, comm, executable INTEGER, args," /* JSON array */
	" uid INTEGER, user, gid INTEGER, parent_comm, cgroup INTEGER, flags INTEGER);"

	"CREATE TABLE process ("
	" id INTEGER PRIMARY KEY, era INTEGER, pid INTEGER NOT NULL,"
	" start INTEGER, exec INTEGER," /* start: ns since boot */
	" program INTEGER NOT NULL,"
	" namespace_pid INTEGER," /* NULL: the same */
	" parent_pid INTEGER);"

	/* What many leases have in common. */
	"CREATE TABLE kind ("
	" id INTEGER PRIMARY KEY, era INTEGER, run INTEGER NOT NULL, netns INTEGER NOT NULL,"
	" protocol TEXT NOT NULL, family INTEGER NOT NULL, trigger TEXT, origin TEXT,"
	" outcome TEXT NOT NULL, ending TEXT NOT NULL, error TEXT, device INTEGER,"
	" flags INTEGER NOT NULL, pool_low INTEGER, pool_high INTEGER);"

	"CREATE TABLE lease (" LEASE_COLUMNS ");"

	"CREATE TABLE lease_port (key INTEGER PRIMARY KEY);"

	"CREATE TABLE open_lease (" LEASE_COLUMNS ");"

	/* Of complete segments: from the first claim to the last end; `released` is the first
	 * end: whatever of it was held at a moment before was held at least from then on. */
	"CREATE TABLE segment ("
	" id INTEGER PRIMARY KEY, claimed INTEGER NOT NULL, released INTEGER NOT NULL,"
	" ended INTEGER NOT NULL,"
	" leases INTEGER NOT NULL,"   /* 0: it has failures only */
	" failure INTEGER NOT NULL);" /* the newest failure when it was completed */

	/* How much older than said an era may be: since a segment, and before it. */
	"CREATE TABLE slack ("
	" id INTEGER PRIMARY KEY, slack INTEGER NOT NULL, before INTEGER NOT NULL,"
	" since INTEGER NOT NULL);"

	"CREATE TABLE failure ("
	" id INTEGER PRIMARY KEY, time INTEGER NOT NULL, port INTEGER NOT NULL,"
	" remote_port INTEGER, local INTEGER, remote INTEGER, kind INTEGER NOT NULL,"
	" process INTEGER, blocked_total INTEGER, blocked_reason TEXT);"

	"CREATE INDEX failure_port ON failure (port, time);"

	"CREATE TABLE blocker ("
	" failure INTEGER NOT NULL, position INTEGER NOT NULL, process INTEGER, role TEXT,"
	" state TEXT, since INTEGER, ports INTEGER, port INTEGER, remote_port INTEGER,"
	" local INTEGER, remote INTEGER, PRIMARY KEY (failure, position)) WITHOUT ROWID;"

	/* Those that are still held have the ending "open", and ids of their own. */
	"CREATE VIEW leases AS "
	LEASES_SHOWN "lease l" JOINED " UNION ALL " LEASES_SHOWN "open_lease l" JOINED ";"

	"CREATE VIEW failures AS SELECT l.id AS id, l.time AS time,"
	" " ISO("l.time") " AS time_at,"
	" k.protocol AS protocol, a.ip AS local_ip, l.port AS local_port,"
	" b.ip AS remote_ip, l.remote_port AS remote_port, k.trigger AS trigger,"
	" k.origin AS origin, k.error AS error, k.netns AS netns, k.device AS device,"
	" k.pool_low AS pool_low, k.pool_high AS pool_high,"
	PROCESS_SHOWN
	" (SELECT json_group_array(json_object('pid', bp.pid,"
	"   'comm', " JSON_TEXT("bg.comm") ", 'role', w.role, 'state', w.state, 'since', w.since,"
	"   'ports', w.ports, 'local_ip', ba.ip, 'local_port', w.port,"
	"   'remote_ip', br.ip, 'remote_port', w.remote_port))"
	"  FROM blocker w"
	"  LEFT JOIN process bp ON bp.id = w.process LEFT JOIN program bg ON bg.id = bp.program"
	"  LEFT JOIN address ba ON ba.id = w.local LEFT JOIN address br ON br.id = w.remote"
	"  WHERE w.failure = l.id) AS blocked_by,"
	" l.blocked_total AS blocked_total, l.blocked_reason AS blocked_reason,"
	" r.host AS host, k.run AS run"
	" FROM failure l" JOINED ";"

	"CREATE VIEW gaps AS SELECT id, reason, since, until,"
	" " ISO("since") " AS since_at, " ISO("until") " AS until_at,"
	" (until - since) / 1e9 AS seconds, count, run FROM gap;"

	"CREATE VIEW runs AS SELECT id, host, kernel, boot, program, tier, coverage,"
	" started, alive, ended, " ISO("started") " AS started_at,"
	" " ISO("alive") " AS alive_at, " ISO("ended") " AS ended_at FROM run;";

/* clang-format on */
