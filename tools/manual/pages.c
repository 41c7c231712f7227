/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "roff.h"

#define EXIT_TRACE                                                                                 \
	"0\tthe stream was shown to its end, or until it was stopped\n"                            \
	"1\tit failed on the way; standard error says of what\n"                                   \
	"2\tthe command line was wrong, and nothing was done\n"

#define OUTPUT_FIELDS                                                                              \
	"The ecs output, also called json, has one object a line, shaped by the Elastic Common "   \
	"Schema, with one private object, portsnoop. What is not known is absent. "                \
	"portsnoop-fields(5) has all of it, and its names in the other formats.\n"                 \
	"\n"                                                                                       \
	"event.action\tbound-socket, connected-to, connection-established, connection-failed, "    \
	"listen-for-connections, autobound-socket, released-port (with --release), lost-events, "  \
	"stream-start, stream-end or heartbeat\n"                                                  \
	"event.outcome\tsuccess, failure, or unknown while a TCP handshake is under way\n"         \
	"portsnoop.claimed\twhether the call took or tried to take a port: a connect of a bound "  \
	"socket is shown, but claims nothing\n"                                                    \
	"portsnoop.origin\twho chose the number: requested (the program) or kernel\n"              \
	"portsnoop.blocked_by\tof a failure, who stood in the way: at most 8, of "                 \
	"blocked_by_total\n"                                                                       \
	"portsnoop.class\twhat the port is to IANA and to this machine\n"                          \
	"\n"                                                                                       \
	"Names, arguments and paths are escaped in every format.\n"

#define OUTPUT_ENVIRONMENT                                                                         \
	"COLUMNS\tthe width of the table, instead of the terminal's\n"                             \
	"NO_COLOR\tset to anything: no colours; TERM=dumb does the same\n"

#define SERVICE_FILES                                                                              \
	"/run/portsnoop/\tsockets of the running portsnoops, of which who and record --status "    \
	"ask; the sockets that answer there belong to root or to the service's user\n"

static const struct page_section program_sections[] = {
	{"DESCRIPTION",
	 "portsnoop watches every claim that this machine makes on a port, in the kernel, as it "
	 "happens: bind, connect, listen, and the ephemeral port that the kernel hands out inside "
	 "of them. For each claim it says which process made it, what kind of port it is, what "
	 "came of it, and what stood in the way if it failed.\n"
	 "\n"
	 "Without a command it traces: 'portsnoop --port 80' is 'portsnoop trace --port 80'."},
	{"WORDS",
	 "claim\tone attempt of a socket to take a local port, successful or not\n"
	 "trigger\tthe call that caused it: bind, connect, listen, send\n"
	 "origin\twho chose the number: the program (requested), or the kernel (an ephemeral "
	 "port)\n"
	 "claimant\tthe process that made the claim\n"
	 "holder\ta process that has the socket open now; fork, SCM_RIGHTS and socket activation "
	 "make it another than the claimant\n"
	 "lease\ta successful claim until its release; after the close of a TCP socket it can "
	 "live on in TIME_WAIT\n"
	 "pool\tthe ports that the kernel may choose from: net.ipv4.ip_local_port_range without "
	 "net.ipv4.ip_local_reserved_ports\n"
	 "tier\tthe family of kernel hooks in use: fentry, kprobe or tracepoint"},
	{"PRIVILEGES",
	 "To watch, portsnoop needs a kernel with BTF (CONFIG_DEBUG_INFO_BTF), from 5.10 on, and "
	 "root, or these capabilities:\n"
	 "\n"
	 "CAP_BPF, CAP_PERFMON\tto load programs, and to attach them\n"
	 "CAP_NET_ADMIN, CAP_DAC_READ_SEARCH\tin the tracepoint tier: to attach to cgroups, and to "
	 "read tracefs\n"
	 "CAP_SYS_ADMIN\tin the kprobe and tracepoint tiers where kernel.perf_event_paranoid is "
	 "above 2, as Debian and Ubuntu have it; in the fentry tier to see SCTP\n"
	 "CAP_SYS_RESOURCE\tbefore kernel 5.11, or a limit of locked memory (ulimit -l) that is "
	 "high enough\n"
	 "\n"
	 "portsnoop-doctor(8) says what this kernel can show. who, explain, replay and history "
	 "need no privileges, and say what they could not see without."},
	{"EXIT STATUS",
	 "0 for success, 1 for a failure at run time, 2 for a wrong command line; portsnoop-who(8) "
	 "and portsnoop-trace(8) tell more by theirs."},
	{"FILES",
	 "/run/portsnoop/\tsockets of the running portsnoops\n"
	 "/etc/portsnoop/portsnoop.conf\tthe configuration of the service, see "
	 "portsnoop-record(8)\n"
	 "/var/lib/portsnoop/history.db\twhat the service has recorded, see portsnoop-history(8)"},
	{"EXAMPLES", "Who has port 60002, and whose claim was it?\n"
		     "\n"
		     "  # portsnoop who 60002\n"
		     "\n"
		     "Who fails to get a port, and who is in the way?\n"
		     "\n"
		     "  # portsnoop trace --failed\n"
		     "\n"
		     "What is port 60002?\n"
		     "\n"
		     "  $ portsnoop explain 60002"},
	{0},
};

static const struct page_section trace_sections[] = {
	{"OUTPUT", OUTPUT_FIELDS
	 "\n"
	 "Filters say what is shown; all that are given must hold. At the end a line on standard "
	 "error counts exactly what the kernel saw:\n"
	 "\n"
	 "  portsnoop: 10 seen = 7 delivered + 3 filtered + 0 lost\n"
	 "\n"
	 "What did not fit into the ring buffer is a lost-events record in the stream as well, "
	 "where it happened."},
	{"TIERS",
	 "fentry\tBPF trampolines at the functions that every caller passes; sees everything\n"
	 "kprobe\tkprobes at the same functions; calls that a security module refuses are not "
	 "seen\n"
	 "tracepoint\tsystem call tracepoints and cgroup v2 hooks, for kernels that refuse the "
	 "other two; portsnoop-doctor(8) lists what it does not see\n"
	 "\n"
	 "The best that can be attached is taken, unless --tier names one. What it cannot see "
	 "stands in the first record of the stream."},
	{"SINKS", sinks_section},
	{"EXIT STATUS",
	 EXIT_TRACE "\nWith a COMMAND, it is the command's own. It is 1 as well when all sinks "
		    "have ended before; one that is away has not."},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT},
	{"FILES", SERVICE_FILES},
	{"EXAMPLES", "Failures only, with who stood in the way:\n"
		     "\n"
		     "  # portsnoop trace --failed\n"
		     "\n"
		     "What a command does to the ports:\n"
		     "\n"
		     "  # portsnoop trace -- curl http://localhost/\n"
		     "\n"
		     "How long ports are held, by whom, for programs:\n"
		     "\n"
		     "  # portsnoop trace --release -o json\n"
		     "\n"
		     "A night to look at later:\n"
		     "\n"
		     "  # portsnoop trace --save night.psn --duration 8h >/dev/null\n"
		     "  $ portsnoop replay night.psn --failed --columns time,comm,local,result\n"
		     "\n"
		     "Failures into the journal, and all of it into a file:\n"
		     "\n"
		     "  # portsnoop trace --failed --sink journald\n"
		     "  # portsnoop trace --sink file:/var/log/ports.json,rotate-size=100M"},
	{0},
};

static const struct page_section who_sections[] = {
	{"EXIT STATUS", "0\tsomebody has one of the ports, or what was waited for has come\n"
			"1\tnobody has, or the time was over before\n"
			"2\tan error, or a wrong command line"},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT},
	{"FILES", SERVICE_FILES
	 "\n"
	 "A portsnoop that watches is asked for what only it can know: who made the claim, and "
	 "when. It tells root everything, and others of their own claims only."},
	{"EXAMPLES", "The two servers that want port 8080:\n"
		     "\n"
		     "  # portsnoop who 8080/tcp\n"
		     "\n"
		     "Start a server as soon as its port is free, TIME_WAIT included:\n"
		     "\n"
		     "  # portsnoop who 60002 --wait-free --timeout 2m && start-server\n"
		     "\n"
		     "In scripts:\n"
		     "\n"
		     "  $ portsnoop who 22 >/dev/null && echo taken"},
	{0},
};

static const struct page_section rate_sections[] = {
	{"COLUMNS",
	 "KERNEL/s\tclaims that succeeded, the port chosen by the kernel: what empties the pool\n"
	 "REQ/s\tclaims that succeeded, the port named by the program; not by destination, where "
	 "there is only what the kernel chose\n"
	 "FAIL/s, FAILED\tclaims that failed, a second and in the interval; ERROR is their "
	 "commonest errno, and how often. Connections that failed later have their own line below\n"
	 "REL/s\tports given up by their socket\n"
	 "TW/s\tof these, those that live on in TIME_WAIT; in the tracepoint tier inferred (~)\n"
	 "HELD\tnot given back yet, of what was claimed since the start, TIME_WAIT included; in the "
	 "tracepoint tier OPEN, without it\n"
	 "TOTAL\tclaims that succeeded since the start\n"
	 "HISTORY\tthe last intervals, the newest on the right, each row by its own highest\n"
	 "\n"
	 "Rates are what was counted, divided by the time that really passed. Rows beyond --top or "
	 "the height of the terminal are summed up in '(N more)', what found no room in the kernel's "
	 "tally in '(no room)': the rows add up to the total, always. Ports claimed before the start "
	 "are not counted."},
	{"NAMES",
	 "A process has the name that its thread had at its first claim; by comm all processes "
	 "of a name are one row. Those whose name found no room are '(name not known)'."},
	{"JSON",
	 "One object an interval, event.dataset portsnoop.rate; the last one has \"final\": true. "
	 "Each of portsnoop.rows, portsnoop.rest (all other rows), portsnoop.overflow (what found no "
	 "room) and portsnoop.total has the same numbers: exact counts in 'interval' and "
	 "'since_start', 'per_second', and 'held'. Of the overflow it is not known whether the kernel "
	 "chose the port: 'unsplit'. 'errors' has the failures by errno, of claims, of connections and "
	 "of calls that would have claimed nothing. 'complete' is false when anything that the hooks "
	 "should have seen may be missing or stands in no row; 'incomplete' says what. What the tier "
	 "does not see at all stands in 'not_covered'."},
	{"EXIT STATUS", "0\tit was stopped, or its time was over\n"
			"1\tit could not count, or not write\n"
			"2\tthe command line was wrong"},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT "TZ\tthe time zone of the table\n"},
	{"EXAMPLES",
	 "Who burns ephemeral ports, right now?\n"
	 "\n"
	 "  # portsnoop rate\n"
	 "\n"
	 "Programs that live shortly, like a loop of curl, as one row?\n"
	 "\n"
	 "  # portsnoop rate --by comm\n"
	 "\n"
	 "Toward which destinations, exactly, in one minute?\n"
	 "\n"
	 "  # portsnoop rate --by destination --once --duration 1m\n"
	 "\n"
	 "Claims that failed, by unit, for a script:\n"
	 "\n"
	 "  # portsnoop rate --by unit -o json | jq '.portsnoop.rows[] | [.name, .interval.failures]'"},
	{0},
};

static const struct page_section pool_sections[] = {
	{"COLUMNS",
	 "BY\tconnect: a TCP connect from a socket without a port; bind: a bind to port 0, and for "
	 "UDP and UDP-Lite also what is sent from a socket without a port\n"
	 "FROM, TO\tthe addresses that share the pool. Elsewhere stands for each destination "
	 "that there is no connection to. Behind an address the range of its own that some of the "
	 "sockets have (IP_LOCAL_PORT_RANGE)\n"
	 "PORTS\twhat can be had: the range less reserved ports and those that a bind or listen "
	 "keeps from connect\n"
	 "USED\tports that a socket has\n"
	 "TIME-WAIT\tports of closed connections alone. Those that tcp_tw_reuse gives to connect "
	 "count as left\n"
	 "LEFT\tallocations until the first one fails, if nothing is given back meanwhile. A "
	 "tilde: estimated, since some of it could not be read\n"
	 "RATE\tallocations a second, while it was watched\n"
	 "HELD-FOR\tmean time from the allocation to the close, of what was taken while it was "
	 "watched; what is still held counts with the time so far\n"
	 "OUTLOOK\twhen nothing is left if the rate stays, or at how many ports it settles. At "
	 "the earliest: nothing was given back while it was watched, so how long ports are held "
	 "is not known. Of bind it counts binds alone, not connects, which take ports from it as "
	 "well"},
	{"WHAT COUNTS",
	 "LEFT is for sockets without options. SO_REUSEADDR lets UDP sockets share a port, and "
	 "ip_autobind_reuse lets TCP ones; binding to a device, and VRFs, make pools smaller or "
	 "apart. Not counted are SCTP and ping sockets, and ports that NAT takes.\n"
	 "\n"
	 "The kernel tries even ports first for connect and odd ones for bind, counted from the "
	 "first of the range. That is a preference: no port is kept from either. Of a range with "
	 "an odd number of ports it leaves out the first or the last one in each search, which "
	 "matters for the last one that is left.\n"
	 "\n"
	 "A look walks over the open files of all processes once, as portsnoop-who(8) does, with "
	 "--watch at each interval."},
	{"OUTPUT",
	 "The json output has one object a line, shaped by the Elastic Common Schema, with one "
	 "private object, portsnoop.\n"
	 "\n"
	 "event.kind\tmetric for a pool, alert for what needs somebody\n"
	 "event.action\tpool-use; pool-pressure and pool-pressure-over (a pool came to the share of "
	 "--warn, and fell below nine tenths of it); allocation-failed, with error.code and "
	 "process\n"
	 "portsnoop.use\tway, source, destination, own_range, ports, reserved, blocked, capacity, "
	 "used, time_wait, reusable, left, doubtful, share, estimated, watch, forecast, "
	 "holders"},
	{"EXIT STATUS",
	 "0\tthe pools were told; with --warn: all are below that share, and no allocation failed\n"
	 "1\twith --warn: a pool is at that share or above, or an allocation failed\n"
	 "2\tan error, or a wrong command line\n"
	 "\n"
	 "Nagios and its like take these for OK, WARNING and CRITICAL; with --warn the first line of "
	 "the table says why. With --watch it is the status of the last interval."},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT},
	{"FILES", "/proc/sys/net/ipv4/ip_local_port_range, ip_local_reserved_ports, tcp_tw_reuse, "
		  "tcp_tw_reuse_delay\thow each network namespace is set\n"},
	{"EXAMPLES", "Which pools are full, who holds them, and how long will it last?\n"
		     "\n"
		     "  # portsnoop pool --duration 10s\n"
		     "\n"
		     "A check for Nagios, and a record for each pool every minute:\n"
		     "\n"
		     "  # portsnoop pool --warn 80%\n"
		     "  # portsnoop pool --watch --interval 1m --warn 80% -o json\n"
		     "\n"
		     "Where the holes are:\n"
		     "\n"
		     "  # portsnoop pool --map --duration 0"},
	{0},
};

static const struct page_section explain_sections[] = {
	{"EXIT STATUS", "0\tthe port was explained\n"
			"1\ta name is not in the registry\n"
			"2\tan error, or a wrong command line"},
	{"EXAMPLES", "  $ portsnoop explain 60002\n"
		     "  $ portsnoop explain 49152-49215\n"
		     "  $ portsnoop explain ssh/tcp -o json"},
	{0},
};

static const struct page_section replay_sections[] = {
	{"OUTPUT", OUTPUT_FIELDS},
	{"SINKS", sinks_section},
	{"EXIT STATUS",
	 EXIT_TRACE "\nIt is 1 as well when a sink did not get, or did not take, all of it."},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT "TZ\tthe time zone of the table\n"},
	{"EXAMPLES",
	 "  $ portsnoop replay night.psn --failed --columns time,comm,local,result\n"
	 "  $ zstdcat night.psn.zst | portsnoop replay -o json - | jq .message\n"
	 "  $ portsnoop replay --sink clickhouse:http://db.example.org:8123/ night.psn"},
	{0},
};

static const struct page_section doctor_sections[] = {
	{"EXIT STATUS", "0\tclaims can be traced here\n"
			"1\tthey cannot; the output says what is missing\n"
			"2\tthe command line was wrong"},
	{0},
};

static const struct page_section record_sections[] = {
	{"CONFIGURATION",
	 "/etc/portsnoop/portsnoop.conf has one option a line, by its long name: NAME = VALUE. "
	 "Lines that begin with # are comments. Flags take yes, no, true or false. What stands on "
	 "the command line wins. Each sink has a line of its own. SIGHUP makes a running portsnoop "
	 "read the file again; new limits (max-size, max-age) hold at once, the rest from the "
	 "next start on.\n"
	 "\n"
	 "  # keep three months, but not more than 4 GiB\n"
	 "  max-age = 90d\n"
	 "  max-size = 4G\n"
	 "  sink = journald\n"
	 "  sink = tcp:logs.example.org:5170,format=ocsf"},
	{"SINKS", sinks_section},
	{"THE SERVICE",
	 "portsnoop.service runs this command as the user portsnoop. Once it watches, it gives "
	 "up all capabilities, takes on no new privileges and allows itself only the system calls "
	 "that it still needs. Its manager restarts it if it no longer answers (watchdog).\n"
	 "\n"
	 "  # systemctl status portsnoop\n"
	 "  # systemctl reload portsnoop\n"
	 "  # portsnoop record --status\n"
	 "\n"
	 "To read the database as another user than root, be a member of the group portsnoop.\n"
	 "\n"
	 "The limits of the unit and its sandbox are changed with 'systemctl edit portsnoop'. A database elsewhere than in /var/lib/portsnoop needs ReadWritePaths= for "
	 "its folder there, and a folder that the user portsnoop can write to."},
	{"RELIABILITY",
	 "What happened is committed once a second: a crash, or SIGKILL, costs at most the last "
	 "second, and the time without a recording is a row of its own in the history. If the "
	 "disk is full or the file cannot be written, the recording goes on in memory, within "
	 "bounds, and what had to be given up is counted and recorded as a gap."},
	{"METRICS", metrics_section},
	{"EXIT STATUS", "0\tit was stopped; with --status: somebody records\n"
			"1\tit could not watch, or not write; with --status: nobody records\n"
			"2\tthe command line or the configuration was wrong; with --status: who "
			"records gave no answer"},
	{"FILES",
	 "/etc/portsnoop/portsnoop.conf\tthe configuration\n"
	 "/var/lib/portsnoop/history.db\tthe database, see portsnoop-history(8); beside it "
	 "history.db-wal and history.db-shm of SQLite, history.db.lock of the one writer, and "
	 "history.db-spool/ with what sinks could not deliver yet, unless --spool is given\n"
	 "/run/portsnoop/\tsockets of the running portsnoops"},
	{"EXAMPLES", "A history of one's own, without the service:\n"
		     "\n"
		     "  # portsnoop record --db /tmp/history.db --max-size 64M\n"
		     "\n"
		     "From a recording:\n"
		     "\n"
		     "  $ portsnoop record --replay night.psn --db night.db\n"
		     "  $ portsnoop history --db night.db --failed"},
	{0},
};

static const struct page_section history_sections[] = {
	{"GAPS",
	 "A time in which nothing was recorded, or not everything, is a row of its own, so that "
	 "an empty answer means what it says.\n"
	 "\n"
	 "stopped\tnobody was recording; the recording before ended in order\n"
	 "killed\tnobody was recording, from the last sign of life on\n"
	 "lost\trecords that found no room in the ring buffer\n"
	 "dropped\tleases and failures that could not be written\n"
	 "evicted\tleases that did not fit into memory\n"
	 "clock\tthe wall clock was set\n"
	 "not_recorded_before\tnothing older is kept, or was ever recorded\n"
	 "not_recording\tnobody is recording any more\n"
	 "silent\tof a fleet: more than 150 s without a heartbeat, and then the stream went on\n"
	 "\n"
	 "What no process had in its table of open files while the recording started (a socket on "
	 "its way in a message between two of them) has no row, nor have accepted connections: "
	 "they share their listener's."},
	{"A FLEET",
	 "--from asks the table that the hosts of a fleet fill with --sink clickhouse:URL, by the "
	 "same SPEC: clickhouse:http://USER:PASSWORD@HOST:8123/?table=portsnoop.events, with "
	 ",ca=FILE and ,header-file=FILE behind it. An account that may only read is enough. The "
	 "statements of the table are in the folder fleet of the documentation. Every option but "
	 "--db and --follow means what it means for a machine, and --host chooses among the hosts: "
	 "names or patterns, with commas between. The table begins with the host behind the time, "
	 "CSV ends with it, and in JSON it is host.name, of gaps as well. A host that has said "
	 "nothing for 150 s is taken as one that does not record any more.\n"
	 "\n"
	 "An event that arrived twice counts once. What the table has no column for is not told: "
	 "the device, the options of the socket, the range of the pool, and MPTCP, whose "
	 "connections are tcp. The name of a process is that of its first thread. What a host had "
	 "open before its portsnoop began shows when it is released, and an accepted connection of "
	 "that time then looks like a lease; steps of the clock, and since when events were lost, "
	 "are not known. A second bind of a socket (EINVAL) is found without a PORT only.\n"
	 "\n"
	 "The engine finds the sockets that can have an answer, by the port first, and their "
	 "events come here: a question with a PORT is quick however big the fleet is; one without "
	 "reads all ports of the days since --since. Missing heartbeats are looked for in the last "
	 "week of the time that is asked about. A single answer of the server may take two "
	 "minutes. Answers of any length are sorted in bounded memory, with temporary files in "
	 "TMPDIR."},
	{"SQL", sql_section},
	{"EXIT STATUS", "0\tthere was something\n"
			"1\tthere was not\n"
			"2\tan error, or a wrong command line"},
	{"ENVIRONMENT", OUTPUT_ENVIRONMENT "TZ\tthe time zone of the table\n"},
	{"FILES", "/var/lib/portsnoop/history.db\tthe database"},
	{"EXAMPLES", "Who had port 60002 at 14:32 yesterday?\n"
		     "\n"
		     "  # portsnoop history 60002 --at 'yesterday 14:32'\n"
		     "\n"
		     "What did nginx fail to get in the last hour?\n"
		     "\n"
		     "  # portsnoop history --unit nginx --failed --since -1h\n"
		     "\n"
		     "Which host of the fleet took port 60002 last night?\n"
		     "\n"
		     "  $ portsnoop history 60002 --since 'yesterday 22:00' --until 06:00 "
		     "--from clickhouse:http://db.example.org:8123/"},
	{0},
};

static const struct page_section report_sections[] = {
	{"WHAT IS COUNTED",
	 "A port was claimed in the period if the claim was seen and lies in it, both ends included. "
	 "What was claimed before, or before the recording, counts as held, not as claimed. A lease "
	 "is held from its claim until the port is given back, TIME_WAIT included.\n"
	 "\n"
	 "Claims that failed are told apart from connects that had a port and got no connection. No "
	 "port was free where any was asked for: connect fails with EADDRNOTAVAIL, bind to 0 with "
	 "EADDRINUSE, a UDP send with EAGAIN.\n"
	 "\n"
	 "A lifetime is that of a lease that was claimed in the period and has ended, both seen; "
	 "medians and percentiles are right to 0.2 %. All other numbers are exact: the views of the "
	 "database, see portsnoop-history(8), give the same.\n"
	 "\n"
	 "Of a pool it is shown how many of its port numbers are taken, per network namespace and "
	 "transport, and per source address and destination as well: TCP connections to different "
	 "destinations may share a port, so one destination can be out of ports while others are "
	 "not.\n"
	 "\n"
	 "Times without a recording are hatched in every chart, times in which something was lost "
	 "are dotted, and both are listed at the end, with what the report cannot say."},
	{"EXIT STATUS", "0\tthe page was written\n"
			"1\tthe page was written, but nothing was recorded in the period\n"
			"2\tan error, or a wrong command line: the file is as it was"},
	{"ENVIRONMENT", "TZ\tthe time zone of the page\n"
			"TMPDIR\twhere much is sorted\n"},
	{"FILES", "/var/lib/portsnoop/history.db\tthe database"},
	{"EXAMPLES", "The last day:\n"
		     "\n"
		     "  # portsnoop report -o report.html\n"
		     "\n"
		     "What happened around two o'clock?\n"
		     "\n"
		     "  # portsnoop report --since 'yesterday 13:30' --until 'yesterday 14:30' "
		     "-o outage.html"},
	{0},
};

const struct page page_list[] = {
	{NULL, program_sections, "ss(8), lsof(8)"},
	{"trace", trace_sections, "portsnoop-fields(5), portsnoop-replay(8), portsnoop-doctor(8)"},
	{"who", who_sections, "portsnoop-history(8), ss(8), lsof(8)"},
	{"rate", rate_sections, "portsnoop-trace(8), ss(8)"},
	{"pool", pool_sections, "portsnoop-who(8), ip(7), ip-netns(8)"},
	{"explain", explain_sections, "services(5)"},
	{"replay", replay_sections, "portsnoop-fields(5), portsnoop-trace(8)"},
	{"doctor", doctor_sections, NULL},
	{"record", record_sections, "portsnoop-fields(5), portsnoop-history(8), systemctl(1)"},
	{"report", report_sections, "portsnoop-history(8), portsnoop-record(8)"},
	{"history", history_sections, "portsnoop-record(8), systemd.time(7), sqlite3(1)"},
	{0},
};
