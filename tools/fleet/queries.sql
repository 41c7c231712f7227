-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
--
-- Questions to the whole fleet, for ClickHouse from 18.16 on. What to change in each stands
-- in its WITH: ports, and times in UTC. They read what they need by day and port, and count
-- an event once even if it came twice.

-- taken: which host, which process had this port in that night?
--
-- A lease has a row where it began and one where it ended, which alone tells both; a port
-- that is not released has the first one only. A lease that began longer ago than a week, and
-- of which nothing was said since, is not found. `until` '-': it is held, as far as is known.
WITH
	60002 AS port,
	toUInt64(toDateTime('2026-11-20 22:00:00', 'UTC')) * 1000000000 AS night,
	toUInt64(toDateTime('2026-11-21 06:00:00', 'UTC')) * 1000000000 AS morning
SELECT
	host,
	any(transport) AS protocol,
	any(local_ip) AS address,
	any(comm) AS process,
	any(pid) AS number,
	any(user) AS owner,
	any(exe) AS program,
	any(if(container = '', unit, container)) AS place,
	toString(toDateTime(intDiv(min(if(action = 'released-port', toUInt64(time - duration), time)), 1000000000), 'UTC')) AS since,
	if(max(action = 'released-port') = 0, '-',
	   toString(toDateTime(intDiv(max(time), 1000000000), 'UTC'))) AS until
FROM portsnoop.events
WHERE local_port = port
	AND time BETWEEN night - 7 * 86400000000000 AND morning + 86400000000000
	AND (action = 'released-port' OR (claimed AND outcome != 'failure'))
GROUP BY host, substring(id, 1, 16), socket
HAVING min(if(action = 'released-port', toUInt64(time - duration), time)) < morning
	AND (max(action = 'released-port') = 0 OR max(time) >= night)
ORDER BY since, host;

-- failures: who did not get a port, or no answer, on which hosts, and why?
WITH
	toUInt64(toDateTime('2026-11-21 00:00:00', 'UTC')) * 1000000000 AS begin,
	toUInt64(toDateTime('2026-11-22 00:00:00', 'UTC')) * 1000000000 AS end
SELECT
	host,
	comm,
	trigger,
	error,
	requested_port,
	uniqExact(id) AS failures,
	any(blocked_by) AS in_the_way
FROM portsnoop.events
WHERE time >= begin AND time < end AND outcome = 'failure'
GROUP BY host, comm, trigger, error, requested_port
ORDER BY failures DESC, host, comm
LIMIT 100;

-- exhausted: toward which destinations did hosts run out of ports of their own?
WITH
	toUInt64(toDateTime('2026-11-21 00:00:00', 'UTC')) * 1000000000 AS begin,
	toUInt64(toDateTime('2026-11-22 00:00:00', 'UTC')) * 1000000000 AS end
SELECT
	remote_ip,
	remote_port,
	uniqExact(host) AS hosts,
	uniqExact(id) AS failures,
	toString(toDateTime(intDiv(min(time), 1000000000), 'UTC')) AS first,
	toString(toDateTime(intDiv(max(time), 1000000000), 'UTC')) AS last,
	groupUniqArray(comm) AS processes
FROM portsnoop.events
WHERE time >= begin AND time < end AND outcome = 'failure'
	AND ((trigger = 'connect' AND error = 'EADDRNOTAVAIL')
		OR (trigger = 'send' AND error = 'EAGAIN')
		OR (trigger = 'bind' AND error = 'EADDRINUSE' AND requested_port = 0))
GROUP BY remote_ip, remote_port
ORDER BY failures DESC;

-- unwatched: where did hosts say nothing for longer than three heartbeats?
--
-- A host that said nothing at all between the two times is not known here.
SELECT
	host,
	toString(toDateTime(gap.1 * 60, 'UTC')) AS heard_last,
	toString(toDateTime(gap.2 * 60, 'UTC')) AS heard_again
FROM
(
	WITH
		toUInt64(toDateTime('2026-11-21 00:00:00', 'UTC')) * 1000000000 AS begin,
		toUInt64(toDateTime('2026-11-22 00:00:00', 'UTC')) * 1000000000 AS end
	SELECT
		host,
		arraySort(groupUniqArray(intDiv(time, 60000000000))) AS minutes,
		arrayJoin(arrayFilter(pair -> pair.2 - pair.1 > 3,
			arrayMap((one, next) -> (one, next),
				arrayPopBack(minutes), arrayPopFront(minutes)))) AS gap
	FROM portsnoop.events
	WHERE time >= begin AND time < end
	GROUP BY host
)
ORDER BY host, heard_last;

-- silent: which hosts have said nothing for three minutes?
SELECT
	host,
	toString(toDateTime(intDiv(max(time), 1000000000), 'UTC')) AS heard_last
FROM portsnoop.events
WHERE time >= (toUInt64(now()) - 7 * 86400) * 1000000000
GROUP BY host
HAVING max(time) < (toUInt64(now()) - 180) * 1000000000
ORDER BY heard_last;

-- lost: what went missing, and where?
SELECT
	host,
	count() AS gaps,
	sum(lost) AS events,
	toString(toDateTime(intDiv(max(moment), 1000000000), 'UTC')) AS last
FROM
(
	WITH
		toUInt64(toDateTime('2026-11-21 00:00:00', 'UTC')) * 1000000000 AS begin,
		toUInt64(toDateTime('2026-11-22 00:00:00', 'UTC')) * 1000000000 AS end
	SELECT host, id, any(lost_count) AS lost, any(time) AS moment
	FROM portsnoop.events
	WHERE time >= begin AND time < end AND action = 'lost-events'
	GROUP BY host, id
)
GROUP BY host
ORDER BY events DESC, host;
