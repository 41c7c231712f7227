/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * To be preloaded: a timer of a minute that comes again and again, which is the heartbeat's,
 * is one of 50 ms. A test is not to wait for minutes.
 */
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

int timerfd_settime(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
	struct itimerspec soon = *when;

	if (when->it_interval.tv_sec == 60 && !when->it_interval.tv_nsec) {
		soon.it_interval = (struct timespec){.tv_nsec = 50000000};
		soon.it_value = soon.it_interval;
	}
	return (int)syscall(SYS_timerfd_settime, fd, flags, &soon, before);
}
