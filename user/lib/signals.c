/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t stop, give_up, reload, mode;
static int event = -1;
static struct sigaction interrupt_before;

static void signal_take(int number)
{
	const uint64_t one = 1;
	int saved = errno;

	if (number == SIGHUP && mode == SIGNALS_SERVICE) {
		reload = 1;
	} else if (number == SIGALRM || (number != SIGCHLD && stop)) {
		give_up = 1;
	} else if (number != SIGCHLD && !(number == SIGINT && mode == SIGNALS_COMMAND)) {
		stop = 1;
		alarm(SIGNALS_PATIENCE_S);
	}
	/* Cannot fail in a way that matters: a full counter is readable. */
	if (write(event, &one, sizeof(one)) < 0)
		errno = saved;
	errno = saved;
}

int signals_open(enum signals_mode signals_mode)
{
	static const int numbers[] = {SIGTERM, SIGHUP, SIGINT, SIGCHLD, SIGALRM};
	struct sigaction action = {.sa_handler = signal_take};

	mode = signals_mode;
	sigaction(SIGINT, NULL, &interrupt_before);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return -errno;
	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct sigaction before;

		/* nohup wants it ignored. Of SIGINT a script's `&` does the same, but who
		 * sends it by name means it. */
		if (numbers[i] == SIGHUP && mode != SIGNALS_SERVICE &&
		    !sigaction(SIGHUP, NULL, &before) && before.sa_handler == SIG_IGN)
			continue;
		sigaction(numbers[i], &action, NULL);
	}
	return event;
}

bool signals_stop(void)
{
	uint64_t count;

	if (read(event, &count, sizeof(count)) < 0)
		return stop; /* nothing new */
	return stop;
}

bool signals_asked(void)
{
	return stop;
}

bool signals_reload(void)
{
	bool asked = reload;

	if (asked)
		reload = 0;
	return asked;
}

bool signals_give_up(void)
{
	return give_up;
}

void signals_restore(void)
{
	sigaction(SIGINT, &interrupt_before, NULL);
}
