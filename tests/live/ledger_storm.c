/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * usage: ledger_storm PROCESSES [hand-over]
 *
 * Processes that claim ports, listen, connect, accept, hand sockets on and close them, as
 * fast as they can, until they are told to be calm; then each says what it holds. They
 * begin to hand sockets on at the first word, or at once. Run it in a network namespace
 * of its own. What it is told on stdin, and answers on stdout:
 *
 *            {"storming": PROCESSES}  once all of them are at it
 *   linger   {"lingered": N}          once N of their connections are in TIME_WAIT
 *   calm     a line for each socket that has a port, then {"calm": CLAIMS}
 *   (end)    they give everything back and end
 */
#include "ledger_storm.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STORM, LINGER, CALM };

#define FIRST_ROUNDS 5
#define LINGER_ROUNDS 24
#define LINGER_EVERY 6

/* All of them at once would leave the tracer a hundredth of the machine, and what it
 * then loses is no news. */
#define AT_ONCE 2
#define TURN 4 /* acts */

static struct {
	sem_t turns;
	atomic_int phase;
	atomic_ulong claims;
} * shared;

static bool always;	 /* hand on from the start */
static int tell_fd = -1; /* to the parent: a byte for each step, or 'x' */

static void step(char word)
{
	if (write(tell_fd, &word, 1) != 1)
		_exit(1);
}

void die(const char *what)
{
	fprintf(stderr, "ledger_storm: process %d: %s: %s\n", (int)getpid(), what, strerror(errno));
	if (tell_fd >= 0)
		step('x');
	exit(1);
}

/* Until the other end is closed. */
static void await_end(int fd)
{
	char nothing;

	while (read(fd, &nothing, 1) < 0 && errno == EINTR)
		;
}

static void process_run(struct process *process, int report_fd, int hold_fd)
{
	unsigned long rounds = 0, calm_rounds = 0;
	bool lingered = false;
	int phase;

	while ((phase = atomic_load(&shared->phase)) != CALM) {
		while (sem_wait(&shared->turns))
			;
		for (int i = 0; i < TURN; i++)
			process_act(process, always || phase == LINGER);
		if (phase == LINGER && calm_rounds < LINGER_ROUNDS &&
		    ++calm_rounds % LINGER_EVERY == 0)
			process_linger(process);
		sem_post(&shared->turns);
		if (++rounds == FIRST_ROUNDS)
			step('b');
		if (phase == LINGER && calm_rounds == LINGER_ROUNDS && !lingered) {
			lingered = true;
			step('l');
		}
	}
	atomic_fetch_add(&shared->claims, process->claims);
	step('c');
	await_end(report_fd);
	process_report(process);
	step('r');
	await_end(hold_fd);
}

static void steps_await(int fd, unsigned long count, char word)
{
	char have;

	while (count) {
		if (read(fd, &have, 1) != 1 || have == 'x') {
			fputs("ledger_storm: a process has failed\n", stderr);
			exit(1);
		}
		count -= have == word;
	}
}

static void say(const char *key, unsigned long value)
{
	printf("{\"%s\":%lu}\n", key, value);
	fflush(stdout);
}

static void parent_run(unsigned long processes, int steps, int report_fd, int hold_fd)
{
	char line[16];

	steps_await(steps, processes, 'b');
	say("storming", processes);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "linger\n")) {
			atomic_store(&shared->phase, LINGER);
			steps_await(steps, processes, 'l');
			say("lingered", processes * (LINGER_ROUNDS / LINGER_EVERY));
		} else if (!strcmp(line, "calm\n")) {
			atomic_store(&shared->phase, CALM);
			steps_await(steps, processes, 'c');
			close(report_fd);
			steps_await(steps, processes, 'r');
			say("calm", atomic_load(&shared->claims));
		} else {
			fprintf(stderr, "ledger_storm: not a word that it knows: %s", line);
			exit(2);
		}
	}
	atomic_store(&shared->phase, CALM);
	close(report_fd);
	close(hold_fd);
	while (wait(NULL) > 0)
		;
}

int main(int argc, char **argv)
{
	unsigned long processes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	int steps[2], report[2], hold[2], (*mail)[2];

	always = argc == 3 && !strcmp(argv[2], "hand-over");
	if (!processes || processes > 400 || argc > 2 + always) {
		fputs("usage: ledger_storm PROCESSES [hand-over] (1 to 400)\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setpriority(PRIO_PROCESS, 0, 19);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	mail = calloc(processes, sizeof(*mail));
	if (shared == MAP_FAILED || !mail || pipe(steps) || pipe(report) || pipe(hold))
		die("start");
	if (sem_init(&shared->turns, 1, AT_ONCE))
		die("semaphore");
	for (unsigned long i = 0; i < processes; i++)
		if (socketpair(AF_UNIX, SOCK_DGRAM, 0, mail[i]))
			die("socketpair");
	for (unsigned long i = 0; i < processes; i++) {
		struct process self = {.number = i,
				       .mailbox = mail[i][0],
				       .neighbour = mail[(i + 1) % processes][1],
				       .random = i * 2654435761u + 1};
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		tell_fd = steps[1];
		close(steps[0]);
		close(report[1]);
		close(hold[1]);
		for (unsigned long j = 0; j < processes; j++)
			for (int end = 0; end < 2; end++)
				if (mail[j][end] != self.mailbox && mail[j][end] != self.neighbour)
					close(mail[j][end]);
		process_run(&self, report[0], hold[0]);
		return 0;
	}
	close(steps[1]);
	close(report[0]);
	close(hold[0]);
	for (unsigned long i = 0; i < processes; i++) {
		close(mail[i][0]);
		close(mail[i][1]);
	}
	parent_run(processes, steps[0], report[1], hold[1]);
	return 0;
}
