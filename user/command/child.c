/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "command/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/signals.h"

/* One byte down the gate lets the child go; an errno comes back if its exec fails,
 * and the end of file if it does not. */
static void child_main(int gate, char **argv) __attribute__((noreturn));

static void child_main(int gate, char **argv)
{
	char go;
	int error;

	/* Handlers are gone with the exec; what is ignored is not. */
	signal(SIGPIPE, SIG_DFL);
	signals_restore();
	if (read(gate, &go, 1) != 1)
		_exit(EXIT_FAILURE);
	execvp(argv[0], argv);
	error = errno;
	if (write(gate, &error, sizeof(error)) < 0)
		_exit(EXIT_FAILURE);
	_exit(error == ENOENT ? 127 : 126);
}

int child_start(struct child *child, char **argv)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*child = (struct child){.gate = pair[0], .pid = fork()};
	if (child->pid < 0) {
		int error = -errno;

		close(pair[0]);
		close(pair[1]);
		child->pid = 0;
		return error;
	}
	if (!child->pid) {
		close(pair[0]);
		child_main(pair[1], argv);
	}
	close(pair[1]);
	return 0;
}

int child_release(struct child *child)
{
	int error = 0;
	ssize_t length;

	/* One that was killed in front of the gate neither reads nor answers: its
	 * status will tell. */
	do
		length = write(child->gate, "", 1);
	while (length < 0 && errno == EINTR);
	do
		length = read(child->gate, &error, sizeof(error));
	while (length < 0 && errno == EINTR);
	close(child->gate);
	if (error)
		child_reap(child, true);
	return -error;
}

void child_reap(struct child *child, bool wait)
{
	pid_t pid;

	if (!child->pid || child->ended)
		return;
	do
		pid = waitpid(child->pid, &child->status, wait ? 0 : WNOHANG);
	while (pid < 0 && errno == EINTR);
	child->ended = pid == child->pid;
}

void child_drop(struct child *child)
{
	if (!child->pid || child->ended)
		return;
	close(child->gate);
	child_reap(child, true);
}

int child_exit_status(const struct child *child)
{
	if (WIFSIGNALED(child->status))
		return 128 + WTERMSIG(child->status);
	return WEXITSTATUS(child->status);
}
