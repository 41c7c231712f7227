/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "factory.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than any situation takes under emulation. */
#define PATIENCE_S 30

static const struct situation *const rooms[] = {
	bind_situations,  tcp_situations,     udp_situations,	 other_situations,
	uring_situations, process_situations, compat_situations, namespace_situations,
};

#define ROOMS (sizeof(rooms) / sizeof(rooms[0]))

static const struct situation *situation_find(const char *name)
{
	for (size_t i = 0; i < ROOMS; i++)
		for (const struct situation *one = rooms[i]; one->name; one++)
			if (strcmp(one->name, name) == 0)
				return one;
	return NULL;
}

/* A guest's init may not have done it. */
static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return;
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &request);
	}
	close(fd);
}

static bool ipv6_is_there(void)
{
	char line[128];
	bool found = false;
	FILE *file = fopen("/proc/net/if_inet6", "r");

	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, "00000000000000000000000000000001 ", 33) == 0;
	if (file)
		fclose(file);
	return found;
}

static int situation_run(const struct situation *situation)
{
	struct stage stage = {
		.situation = situation->name,
		.family = situation->family,
		.type = situation->type,
		.protocol = situation->protocol,
	};

	alarm(PATIENCE_S); /* its default action is the clear end of a stuck situation */
	signal(SIGPIPE, SIG_IGN);
	report_process(&stage);
	if ((situation->needs & NEED_ROOT) && geteuid() != 0)
		situation_skip("needs root");
	if (situation->family == AF_INET6 && !ipv6_is_there())
		situation_skip("no IPv6 on loopback");
	situation->run(&stage);
	return 0;
}

/* One after the other, each in a process of its own, and a line on how it went. */
static int situations_run(const struct situation *const *list, size_t count)
{
	int failed = 0;

	for (size_t i = 0; i < count; i++) {
		pid_t pid = must(fork(), "fork");
		const char *result = "failed";
		int status;

		if (pid == 0)
			_exit(situation_run(list[i]));
		must(waitpid(pid, &status, 0), "waitpid");
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			result = "ok";
		else if (WIFEXITED(status) && WEXITSTATUS(status) == FACTORY_SKIPPED)
			result = "skipped";
		else
			failed = 1;
		printf("{\"situation\":\"%s\",\"result\":\"%s\",\"status\":%d}\n", list[i]->name,
		       result, status);
		fflush(stdout);
	}
	return failed ? FACTORY_FAILED : 0;
}

static int usage(FILE *where)
{
	fputs("usage: factory list | all | NAME...\n"
	      "Puts sockets into situations and tells on stdout, a line of JSON a call, what it did.\n"
	      "One NAME runs in this process: exit status 0, or 77 where this machine lacks the thing.\n",
	      where);
	return where == stderr ? 2 : 0;
}

static int run_all(void)
{
	const struct situation *list[512];
	size_t count = 0;

	for (size_t i = 0; i < ROOMS; i++)
		for (const struct situation *one = rooms[i]; one->name && count < 512; one++)
			list[count++] = one;
	return situations_run(list, count);
}

int main(int argc, char **argv)
{
	const struct situation *list[512];

	if (argc < 2)
		return usage(stderr);
	if (strcmp(argv[1], "--help") == 0)
		return usage(stdout);
	if (strcmp(argv[1], "list") == 0) {
		for (size_t i = 0; i < ROOMS; i++)
			for (const struct situation *one = rooms[i]; one->name; one++)
				puts(one->name);
		return 0;
	}
	loopback_up();
	if (strcmp(argv[1], "all") == 0)
		return run_all();
	if (strcmp(argv[1], "resume") == 0 && argc >= 4) {
		setenv("FACTORY_FD", argv[3], 1);
		argv++;
		argc = 2;
	}
	for (int i = 1; i < argc; i++) {
		list[i - 1] = i <= 512 ? situation_find(argv[i]) : NULL;
		if (!list[i - 1]) {
			fprintf(stderr, "factory: no situation \"%s\"; `factory list` names them\n",
				argv[i]);
			return 2;
		}
	}
	if (argc == 2)
		return situation_run(list[0]);
	return situations_run(list, argc - 1);
}
