/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Moments as people type them: the timestamps of systemd.time(7), which journalctl takes,
 * and what people type beside them.
 *
 *	2026-11-21 14:32:07[.123456]   2026-11-21 14:32   2026-11-21   26-11-21
 *	14:32:07[.123456]   14:32                     of today, also if that is yet to come
 *	now   today   yesterday   tomorrow            of all but the first the 00:00
 *	yesterday 14:32   14:32 yesterday
 *	-1h30min   +5min   2 hours ago   5min left
 *	@1395716396[.5]                               seconds since 1970
 *
 * A date or time is one of the local time zone, unless it is followed by UTC, by a name
 * (Europe/Berlin, or CET where that is local and in force then) or by an offset (+01:00),
 * or reads 2026-11-21T14:32:07Z. Before it, the day of the week may stand, and must be
 * right. An hour that comes twice when the clocks are put back is the first one; a time
 * that is left out when they are put forward is so much later.
 */
#ifndef PORTSNOOP_MOMENT_H
#define PORTSNOOP_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* All that the text leaves open: of 14:32 the minute, of 14:32:07 the second, of a date the
 * day, of 0.5 s the tenth of a second. CLOCK_REALTIME, ns, both included. */
struct moment {
	int64_t ns;
	int64_t last;
	bool clock; /* a time of day without a day */
};

/*
 * `now` is CLOCK_REALTIME. From 1970 to 2261. 0, or -EINVAL with *expected, a constant
 * that completes "expected ...", and nothing else touched. For a named time zone TZ is
 * another one meanwhile: not for more than one thread.
 */
int moment_parse(const char *text, int64_t now, struct moment *moment, const char **expected);

#endif
