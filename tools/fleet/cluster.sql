-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
--
-- The fleet's table on a cluster of ClickHouse servers (24.3 or newer): the rows of
-- node.sql, replicated, spread over the shards by host, and gone after 30 days. The cluster
-- is called `fleet` here, as in <remote_servers> of each server, and each server's <macros>
-- say its {shard} and {replica}.
--
--	clickhouse-client --multiquery < cluster.sql
--
-- portsnoop writes to portsnoop.events, on any server of the cluster.

CREATE DATABASE IF NOT EXISTS portsnoop ON CLUSTER fleet;

CREATE TABLE IF NOT EXISTS portsnoop.events_local ON CLUSTER fleet
(
	`time` UInt64 CODEC(Delta, ZSTD),
	`host` LowCardinality(String) CODEC(ZSTD),
	`id` String CODEC(ZSTD),
	`action` LowCardinality(String) CODEC(ZSTD),
	`outcome` LowCardinality(String) CODEC(ZSTD),
	`error` LowCardinality(String) CODEC(ZSTD),
	`transport` LowCardinality(String) CODEC(ZSTD),
	`trigger` LowCardinality(String) CODEC(ZSTD),
	`origin` LowCardinality(String) CODEC(ZSTD),
	`claimed` UInt8 CODEC(ZSTD),
	`local_ip` LowCardinality(String) CODEC(ZSTD),
	`local_port` UInt16 CODEC(Delta, ZSTD),
	`remote_ip` LowCardinality(String) CODEC(ZSTD),
	`remote_port` UInt16 CODEC(ZSTD),
	`requested_ip` LowCardinality(String) CODEC(ZSTD),
	`requested_port` UInt16 CODEC(ZSTD),
	`pid` UInt32 CODEC(ZSTD),
	`comm` LowCardinality(String) CODEC(ZSTD),
	`exe` LowCardinality(String) CODEC(ZSTD),
	`args` String CODEC(ZSTD),
	`parent_pid` UInt32 CODEC(ZSTD),
	`parent_comm` LowCardinality(String) CODEC(ZSTD),
	`entity` String CODEC(ZSTD),
	`uid` UInt32 CODEC(ZSTD),
	`user` LowCardinality(String) CODEC(ZSTD),
	`container` LowCardinality(String) CODEC(ZSTD),
	`runtime` LowCardinality(String) CODEC(ZSTD),
	`pod` LowCardinality(String) CODEC(ZSTD),
	`unit` LowCardinality(String) CODEC(ZSTD),
	`cgroup` LowCardinality(String) CODEC(ZSTD),
	`netns` UInt64 CODEC(ZSTD),
	`socket` UInt64 CODEC(Delta, ZSTD),
	`duration` UInt64 CODEC(T64, ZSTD),
	`lingered` UInt64 CODEC(T64, ZSTD),
	`time_wait` LowCardinality(String) CODEC(ZSTD),
	`service` LowCardinality(String) CODEC(ZSTD),
	`in_pool` UInt8 CODEC(ZSTD),
	`holder_pid` UInt32 CODEC(ZSTD),
	`holder_comm` LowCardinality(String) CODEC(ZSTD),
	`blocked_by` String CODEC(ZSTD),
	`blocked_by_total` UInt32 CODEC(ZSTD),
	`lost_count` UInt64 CODEC(ZSTD),
	`tier` LowCardinality(String) CODEC(ZSTD),

	`at` DateTime ALIAS toDateTime(intDiv(time, 1000000000))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/portsnoop/events', '{replica}')
PARTITION BY toYYYYMMDD(toDateTime(intDiv(time, 1000000000), 'UTC'))
ORDER BY (local_port, host, time, id)
TTL toDateTime(intDiv(time, 1000000000)) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;

-- A host's rows stay together: a batch goes to one shard, where it is known when it comes
-- again, and an event that came twice meets itself.
CREATE TABLE IF NOT EXISTS portsnoop.events ON CLUSTER fleet
AS portsnoop.events_local
ENGINE = Distributed(fleet, portsnoop, events_local, cityHash64(host));
