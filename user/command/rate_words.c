/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "command/rate.h"
#include "lib/parse.h"
#include "model/classify.h"
#include "model/event.h"
#include "model/text.h"
#include "probe/lookup.h"

#define CONTAINER_SHORT 12 /* as docker and podman show it */

/* ---- names ---- */

struct known_user {
	uint32_t uid;
	char *name; /* NULL: it has none */
	UT_hash_handle hh;
};

struct rate_names {
	struct known_user *users;
	struct netns_list namespaces;
	bool aged;
};

struct rate_names *rate_names_new(void)
{
	struct rate_names *names = calloc(1, sizeof(*names));

	if (names)
		names->aged = true;
	return names;
}

void rate_names_free(struct rate_names *names)
{
	struct known_user *user, *next;

	if (!names)
		return;
	HASH_ITER (hh, names->users, user, next) {
		HASH_DEL(names->users, user);
		free(user->name);
		free(user);
	}
	netns_list_free(&names->namespaces);
	free(names);
}

const char *rate_user_name(struct rate_names *names, uint32_t uid)
{
	struct known_user *user;
	struct passwd *entry;

	HASH_FIND(hh, names->users, &uid, sizeof(uid), user);
	if (user)
		return user->name;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	entry = getpwuid(uid);
	user->name = entry ? strdup(entry->pw_name) : NULL;
	HASH_ADD(hh, names->users, uid, sizeof(uid), user);
	if (user->hh.tbl)
		return user->name;
	free(user->name);
	free(user);
	return NULL;
}

void rate_names_age(struct rate_names *names)
{
	names->aged = true;
}

const char *rate_netns_name(struct rate_names *names, uint32_t inode)
{
	const struct netns *netns = netns_list_find(&names->namespaces, inode);

	/* A new one, or one that is gone: the list is a walk over all processes. */
	if (!netns && names->aged) {
		names->aged = false;
		netns_list_free(&names->namespaces);
		names->namespaces = (struct netns_list){0};
		if (netns_list_read(&names->namespaces))
			names->namespaces = (struct netns_list){0};
		netns = netns_list_find(&names->namespaces, inode);
	}
	return netns ? netns->name : NULL;
}

/* ---- what a group is called ---- */

static void process_name(struct buffer *out, const struct rate_group *group)
{
	if (group->subject.kind == RATE_UNKNOWN)
		buffer_text(out, "(process not known)");
	else
		buffer_printf(out, "%s[%" PRIu32 "]", *group->comm ? group->comm : "?",
			      group->subject.pid);
}

static void comm_name(struct buffer *out, const struct rate_subject *subject)
{
	buffer_text(out, subject->kind == RATE_UNKNOWN ? "(name not known)"
			 : subject->kind == RATE_NONE  ? "(empty name)"
						       : subject->name);
}

static void cgroup_name(struct buffer *out, const struct rate_group *group, const char *none,
			bool container)
{
	const struct rate_subject *subject = &group->subject;
	const char *runtime = group->container.runtime;

	if (subject->kind == RATE_UNKNOWN) {
		buffer_text(out, "(cgroup not known)");
	} else if (subject->kind == RATE_NONE) {
		buffer_text(out, none);
	} else if (!container) {
		buffer_text(out, subject->name);
	} else {
		if (*runtime && strcmp(runtime, subject->name) != 0)
			buffer_printf(out, "%s ", runtime);
		/* An id; lxc and others have names. */
		if (strspn(subject->name, "0123456789abcdef") == 64)
			buffer_append(out, subject->name, CONTAINER_SHORT);
		else
			buffer_text(out, subject->name);
	}
}

static void address_put(struct buffer *out, const uint8_t *bytes, uint8_t family)
{
	char text[TEXT_ADDRESS];

	buffer_append(out, text, (size_t)(text_address(text, bytes, family) - text));
}

static void protocol_put(struct buffer *out, uint16_t protocol)
{
	const char *name = protocol_name(protocol);

	if (name)
		buffer_text(out, name);
	else
		buffer_printf(out, "protocol %u", protocol);
}

static void destination_name(struct buffer *out, const struct rate_group *group)
{
	const struct rate_subject *subject = &group->subject;
	const char *trigger = trigger_name(subject->trigger);
	char text[TEXT_ENDPOINT];

	if (subject->kind == RATE_NONE) {
		buffer_text(out, "(no destination: ");
		protocol_put(out, subject->protocol);
		buffer_printf(out, " %s)", trigger ? trigger : "?");
		return;
	}
	protocol_put(out, subject->protocol);
	buffer_byte(out, ' ');
	buffer_append(
		out, text,
		(size_t)(text_endpoint(text, subject->address, subject->family, subject->port) -
			 text));
	if (group->mixed & RATE_MIXED_SOURCE) {
		buffer_text(out, " from several");
	} else if (group->source_family) {
		buffer_text(out, " from ");
		address_put(out, group->source, group->source_family);
	}
}

static void class_name(struct buffer *out, const struct rate_group *group)
{
	const unsigned int class = group->subject.class;
	static const char *const origins[] = {
		[WIRE_ORIGIN_NONE] = "no claim",
		[WIRE_ORIGIN_REQUESTED] = "requested",
		[WIRE_ORIGIN_KERNEL] = "kernel-chosen",
	};
	const char *origin = group->subject.origin < 3 ? origins[group->subject.origin] : "?";

	if (!(class & TALLY_IANA))
		buffer_text(out, "(no port)");
	else
		buffer_printf(out, "%s %s",
			      iana_range_name((enum iana_range)((class & TALLY_IANA) - 1)),
			      class & TALLY_RESERVED  ? "reserved"
			      : class & TALLY_IN_POOL ? "in pool"
						      : "outside pool");
	buffer_printf(out, " %s", origin);
}

void rate_name(struct buffer *out, const struct rate_view *view, const struct rate_group *group)
{
	const uint32_t number = group->subject.number;
	const char *name = NULL;

	switch (view->result.by) {
	case RATE_PROCESS:
		process_name(out, group);
		return;
	case RATE_COMM:
		comm_name(out, &group->subject);
		return;
	case RATE_UNIT:
		cgroup_name(out, group, "(in no unit)", false);
		return;
	case RATE_CONTAINER:
		cgroup_name(out, group, "(in no container)", true);
		return;
	case RATE_DESTINATION:
		destination_name(out, group);
		return;
	case RATE_PORT_CLASS:
		class_name(out, group);
		return;
	case RATE_USER:
		name = rate_user_name(view->names, number);
		break;
	case RATE_NETNS:
		name = rate_netns_name(view->names, number);
		break;
	default:
		break;
	}
	if (name)
		buffer_text(out, name);
	else
		buffer_unsigned(out, number);
}

void rate_error_name(struct buffer *out, const struct rate_error *error)
{
	const char *name = strerrorname_np((int)error->error);

	if (!error->error)
		buffer_text(out, "aborted");
	else if (name)
		buffer_text(out, name);
	else
		buffer_unsigned(out, error->error);
}

/* ---- the whole interval ---- */

unsigned int rate_gaps(const struct rate_view *view, struct rate_gap gaps[RATE_GAPS])
{
	const struct rate_counts *overflow = &view->result.overflow.now;
	const struct tally_counts *rest = view->rest;
	const bool unknown = view->skipped == UINT64_MAX;
	const struct rate_gap all[] = {
		{"overflow",
		 "attempts that found no room in the tally, counted in the total but in no row",
		 rate_attempts(overflow) + overflow->connect_failures},
		{"errors", "failures whose errno found no room in the tally",
		 rest[TALLY_REST_ERRORS].failures + rest[TALLY_REST_ERRORS].connect_failures +
			 rest[TALLY_REST_ERRORS].claims},
		{"names", "names and cgroups that found no room in the tally",
		 rest[TALLY_REST_NAMES].claims},
		{"untracked", "calls and sockets that found no room in the kernel, not counted",
		 view->untracked},
		{unknown ? "skipped_unknown" : "skipped",
		 unknown ? "this kernel does not tell how many runs of the hooks it left out"
			 : "runs of the hooks that the kernel left out, not counted",
		 view->skipped},
	};
	unsigned int count = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (all[i].count)
			gaps[count++] = all[i];
	return count;
}

#define ROUNDED 10000000 /* ns */

void rate_duration(struct buffer *out, uint64_t ns)
{
	char text[TEXT_DURATION];

	if (ns > 10 * ROUNDED)
		ns = (ns + ROUNDED / 2) / ROUNDED * ROUNDED;
	buffer_append(out, text, (size_t)(text_duration(text, ns) - text));
}

void rate_message(struct buffer *out, const struct rate_view *view)
{
	const struct rate_result *result = &view->result;
	const struct rate_counts total = rate_interval(&result->total);
	struct rate_counts most;

	buffer_printf(out, "%" PRIu64 " claims in ", rate_claims(&total));
	rate_duration(out, result->interval);
	buffer_printf(out, " (%" PRIu64 " kernel-chosen), %" PRIu64 " failed", total.kernel,
		      total.failures);
	if (!result->count)
		return;
	most = rate_interval(&result->rows[0]->sum);
	if (!rate_attempts(&most))
		return;
	buffer_text(out, "; most by ");
	rate_name(out, view, result->rows[0]);
	buffer_printf(out, ": %" PRIu64, rate_attempts(&most));
}
