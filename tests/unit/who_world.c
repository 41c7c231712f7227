/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/escape.h"
#include "who_world.h"

void who_world_free(struct who_world *world)
{
	holdings_free(&world->holdings);
	buffer_free(&world->out);
}

void who_world_make(struct who_world *world, uint16_t low, uint16_t high)
{
	static char blue[] = "blue";

	*world = (struct who_world){0};
	world->subject[0] = (struct explain_subject){.low = low, .high = high, .protocols = ALL};
	world->subjects = (struct subjects){.list = world->subject, .count = 1};
	world->pool = (struct pool){.low = 32768, .high = 60999, .unprivileged = 1024};
	world->netns = (struct netns){.inode = OTHER, .name = blue};
	world->names = (struct netns_list){.list = &world->netns, .count = 1};
	world->view = (struct who_view){
		.subjects = &world->subjects,
		.query = &world->query,
		.pool = &world->pool,
		.own_netns = OWN,
		.names = &world->names,
		.host = "web1",
		.now = INT64_C(1795271527123456789),
		.boot_offset = INT64_C(1795000000000000000),
	};
}

struct holding *holding_add(struct who_world *world, uint8_t state, const char *ip, uint16_t port)
{
	struct holdings *all = &world->holdings;
	struct holding *holding;

	all->list = realloc(all->list, (all->count + 1) * sizeof(*all->list));
	assert_non_null(all->list);
	holding = &all->list[all->count++];
	*holding = (struct holding){
		.netns = OWN, .protocol = 6, .local_port = port, .family = 4, .state = state};
	if (inet_pton(AF_INET, ip, holding->local) != 1) {
		holding->family = 6;
		assert_int_equal(inet_pton(AF_INET6, ip, holding->local), 1);
	}
	if (state != HOLDING_TIME_WAIT)
		holding->inode = 77;
	return holding;
}

void peer_set(struct holding *holding, const char *ip, uint16_t port)
{
	holding->other_port = port;
	assert_int_equal(inet_pton(holding->family == 4 ? AF_INET : AF_INET6, ip, holding->other),
			 1);
}

struct holder *holder_add(struct holding *holding, uint32_t pid, const char *comm)
{
	static const char args[] = "python3\0-m\0http.server\0a b";
	struct holder *holder;

	holding->holders = realloc(holding->holders, (holding->holder_count + 1) * sizeof(*holder));
	assert_non_null(holding->holders);
	holder = &holding->holders[holding->holder_count++];
	*holder = (struct holder){.pid = pid,
				  .uid = 1000,
				  .fd = 3,
				  .fds = 1,
				  .start = UINT64_C(271000000000000),
				  .user = strdup("dev"),
				  .exe = strdup("/usr/bin/python3.11"),
				  .args = malloc(sizeof(args)),
				  .args_length = sizeof(args)};
	memcpy(holder->args, args, sizeof(args));
	snprintf(holder->comm, sizeof(holder->comm), "%s", comm);
	return holder;
}

const char *who_world_text(struct who_world *world)
{
	buffer_reset(&world->out);
	who_text(&world->out, &world->view, &world->holdings);
	buffer_byte(&world->out, '\0');
	assert_false(world->out.failed);
	return world->out.data;
}

const char *who_world_json(struct who_world *world)
{
	buffer_reset(&world->out);
	who_json(&world->out, &world->view, &world->holdings);
	buffer_byte(&world->out, '\0');
	assert_false(world->out.failed);
	return world->out.data;
}

size_t lines_count(const char *text)
{
	size_t lines = 0;

	for (; (text = strchr(text, '\n')); text++)
		lines++;
	return lines;
}

void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in '%s'", part, text);
}

void has_not(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' is in '%s'", part, text);
}

void all_hostile(struct who_world *world)
{
	static char netns[] = "n" HOSTILE;
	struct holding *holding;
	struct holder *holder;

	who_world_make(world, 80, 80);
	world->netns.name = netns;
	world->view.host = "h" HOSTILE;
	holding = holding_add(world, HOLDING_LISTEN, "0.0.0.0", 80);
	holding->netns = OTHER;
	holder = holder_add(holding, 3, "c" HOSTILE);
	free(holder->user);
	free(holder->exe);
	free(holder->args);
	holder->user = strdup("u" HOSTILE);
	holder->exe = strdup("/e" HOSTILE);
	holder->cgroup = strdup("/g" HOSTILE);
	holder->args = strdup("a" HOSTILE);
	holder->args_length = strlen(holder->args); /* without its NUL */
	snprintf(holder->container.unit, sizeof(holder->container.unit), "i" HOSTILE);
	snprintf(holder->container.pod, sizeof(holder->container.pod), "p" HOSTILE);
	snprintf(holder->container.id, sizeof(holder->container.id), "k" HOSTILE);
	snprintf(holder->container.runtime, sizeof(holder->container.runtime), "r" HOSTILE);
}

/* Valid UTF-8 without anything that a terminal obeys or that forges a line. */
void is_harmless(const char *text, size_t lines)
{
	assert_int_equal(lines_count(text), lines);
	for (size_t left = strlen(text), taken; left; text += taken, left -= taken) {
		uint32_t character = 0;

		taken = utf8_length(text, left, &character);
		assert_true(taken > 0);
		assert_true(character == '\n' || (character >= 0x20 && character != 0x7f));
		assert_int_not_equal(character, 0x202e);
	}
}
