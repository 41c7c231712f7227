-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
--
-- The fleet's table on one ClickHouse server, from 18.16 to today's. Every event of every
-- host is a row; what an event does not have is '' or 0. Several things that came together
-- (args, blocked_by) are a text in JSON.
--
--	clickhouse-client --multiquery < node.sql
--
-- An event can arrive twice, with the same id and all else the same: ReplacingMergeTree
-- removes the second one when it merges, and queries that count say FINAL, or LIMIT 1 BY id.
-- What is too old goes by the day: ALTER TABLE portsnoop.events DROP PARTITION 20261121.

CREATE DATABASE IF NOT EXISTS portsnoop;

CREATE TABLE IF NOT EXISTS portsnoop.events
(
	`time` UInt64,                -- ns since 1970
	`host` String,
	`id` String,                  -- event.id: the stream, '-', number in it
	`action` String,              -- bound-socket, connected-to, released-port, lost-events, ...
	`outcome` String,             -- success, failure, unknown
	`error` String,               -- EADDRINUSE, ...
	`transport` String,           -- tcp, udp, ...
	`trigger` String,             -- bind, connect, listen, send, subflow
	`origin` String,              -- requested, kernel
	`claimed` UInt8,              -- 1: the socket had no port, and tried to get one
	`local_ip` String,
	`local_port` UInt16,
	`remote_ip` String,
	`remote_port` UInt16,
	`requested_ip` String,        -- what a bind asked for
	`requested_port` UInt16,
	`pid` UInt32,                 -- 0: the process is not known; then uid says nothing
	`comm` String,
	`exe` String,
	`args` String,                -- JSON: ["python3","-m","http.server"]; only with args=yes
	`parent_pid` UInt32,
	`parent_comm` String,
	`entity` String,              -- the process, unique across reuse of its pid, and its exec
	`uid` UInt32,
	`user` String,
	`container` String,
	`runtime` String,             -- docker, podman, ...
	`pod` String,
	`unit` String,
	`cgroup` String,
	`netns` UInt64,
	`socket` UInt64,              -- number of the socket in the stream
	`duration` UInt64,            -- ns that a handshake took, or a port was held
	`lingered` UInt64,            -- of these, ns in TIME_WAIT
	`time_wait` String,           -- of a release: seen, estimated, over
	`service` String,             -- IANA's, of a port that the program asked for
	`in_pool` UInt8,              -- 1: the kernel could have chosen this port
	`holder_pid` UInt32,          -- of a release whose claimant is not known
	`holder_comm` String,
	`blocked_by` String,          -- JSON: what stood in the way of a failure
	`blocked_by_total` UInt32,
	`lost_count` UInt64,          -- of lost-events
	`tier` String,                -- fentry, kprobe, tracepoint

	`at` DateTime ALIAS toDateTime(intDiv(time, 1000000000))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(toDateTime(intDiv(time, 1000000000), 'UTC'))
ORDER BY (local_port, host, time, id);
