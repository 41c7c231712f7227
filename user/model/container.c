/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A cgroup path is read from the root. The first component that names a container
 * decides: what lies below it was made by whoever owns that subtree (a container
 * in a container, or a user with a delegated cgroup who likes the name), what
 * lies above it by the machine's own managers. The unit is the innermost one, as
 * a user's service is below the unit that runs the user's manager.
 */
#include "model/container.h"

#include <string.h>

struct part {
	const char *bytes;
	size_t length;
};

static bool part_is(struct part part, const char *text)
{
	return part.length == strlen(text) && !memcmp(part.bytes, text, part.length);
}

/* Removes the text where the part begins with it. */
static bool part_skip(struct part *part, const char *text)
{
	size_t length = strlen(text);

	if (part->length < length || memcmp(part->bytes, text, length))
		return false;
	part->bytes += length;
	part->length -= length;
	return true;
}

static bool part_trim(struct part *part, const char *text)
{
	size_t length = strlen(text);

	if (part->length < length || memcmp(part->bytes + part->length - length, text, length))
		return false;
	part->length -= length;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool letter_or_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* strchr() would find a NUL in every set. */
static bool one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool part_is_id(struct part part)
{
	if (part.length != 64)
		return false;
	for (size_t i = 0; i < part.length; i++)
		if (hex_value(part.bytes[i]) < 0)
			return false;
	return true;
}

static void text_set(char *text, size_t size, struct part part)
{
	if (part.length >= size)
		return;
	memcpy(text, part.bytes, part.length);
	text[part.length] = '\0';
}

static void container_set(struct container *container, struct part id, const char *runtime)
{
	text_set(container->id, sizeof(container->id), id);
	text_set(container->runtime, sizeof(container->runtime),
		 (struct part){runtime, strlen(runtime)});
}

/* What LXC and machined accept as a name; everything else is somebody's joke. */
static bool part_is_name(struct part part)
{
	if (!part.length || part.length > 64 || !letter_or_digit(part.bytes[0]))
		return false;
	for (size_t i = 0; i < part.length; i++)
		if (!letter_or_digit(part.bytes[i]) && !one_of(part.bytes[i], "-_."))
			return false;
	return true;
}

/* systemd writes a byte that means something in a unit's name as \xNN. */
static bool part_unescape(struct part *part, char out[64])
{
	size_t length = 0;

	for (size_t i = 0; i < part->length; i++) {
		char c = part->bytes[i];

		if (c == '\\') {
			int high, low;

			if (part->length - i < 4 || part->bytes[i + 1] != 'x')
				return false;
			high = hex_value(part->bytes[i + 2]);
			low = hex_value(part->bytes[i + 3]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 3;
		}
		if (length == 64)
			return false;
		out[length++] = c;
	}
	*part = (struct part){out, length};
	return part_is_name(*part);
}

/* libvirt calls its machines TYPE-NUMBER-NAME, and most of them are virtual
 * machines: only the driver could tell. */
static bool part_is_libvirt(struct part part)
{
	size_t digits = 0;

	if (!part_skip(&part, "qemu-") && !part_skip(&part, "lxc-") && !part_skip(&part, "xen-"))
		return false;
	while (digits < part.length && part.bytes[digits] >= '0' && part.bytes[digits] <= '9')
		digits++;
	return digits && digits < part.length && part.bytes[digits] == '-';
}

static bool machine_parse(struct container *container, struct part part)
{
	char name[64];

	if (!(part_skip(&part, "machine-") && part_trim(&part, ".scope")) &&
	    !(part_skip(&part, "systemd-nspawn@") && part_trim(&part, ".service")))
		return false;
	if (!part_unescape(&part, name) || part_is_libvirt(part))
		return false;
	container_set(container, part, "systemd-nspawn");
	return true;
}

/* Runtimes that put the id behind a prefix, as a scope of systemd or as a plain
 * directory. Their monitors (libpod-conmon-ID) have no id right there. */
static bool prefixed_parse(struct container *container, struct part part)
{
	static const struct {
		const char *prefix, *runtime;
	} runtimes[] = {
		{"docker-", "docker"},
		{"libpod-", "podman"},
		{"cri-containerd-", "containerd"},
		{"nerdctl-", "containerd"},
		{"crio-", "cri-o"},
	};

	part_trim(&part, ".scope");
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		struct part id = part;

		if (part_skip(&id, runtimes[i].prefix) && part_is_id(id)) {
			container_set(container, id, runtimes[i].runtime);
			return true;
		}
	}
	return false;
}

/* A uid is a UUID, or for pods that the node itself declares, an MD5. A slice
 * cannot hold its dashes and has underscores instead. */
static bool pod_uid(struct part part, char dash, char out[40])
{
	if (part.length != 36 && part.length != 32)
		return false;
	for (size_t i = 0; i < part.length; i++) {
		bool separator = part.length == 36 && (i == 8 || i == 13 || i == 18 || i == 23);

		if (separator ? part.bytes[i] != dash : hex_value(part.bytes[i]) < 0)
			return false;
		out[i] = separator ? '-' : part.bytes[i];
	}
	out[part.length] = '\0';
	return true;
}

static bool pod_parse(struct container *container, struct part part, bool in_kubepods)
{
	char uid[40];

	if (part_trim(&part, ".slice")) {
		/* [kubelet-]kubepods[-besteffort|-burstable]-podUID.slice */
		part_skip(&part, "kubelet-");
		if (!part_skip(&part, "kubepods-"))
			return false;
		if (!part_skip(&part, "besteffort-"))
			part_skip(&part, "burstable-");
		if (!part_skip(&part, "pod") || !pod_uid(part, '_', uid))
			return false;
	} else if (!in_kubepods || !part_skip(&part, "pod") || !pod_uid(part, '-', uid)) {
		return false;
	}
	memcpy(container->pod, uid, sizeof(uid));
	return true;
}

static void unit_parse(struct container *container, struct part part)
{
	struct part base = part;

	/* systemd puts this before names that the kernel would take for its own */
	if (part_skip(&base, "_"))
		part = base;
	if (!part_trim(&base, ".service") && !part_trim(&base, ".scope"))
		return;
	if (!base.length)
		return;
	for (size_t i = 0; i < part.length; i++)
		if (!letter_or_digit(part.bytes[i]) && !one_of(part.bytes[i], ":-_.\\@"))
			return;
	text_set(container->unit, sizeof(container->unit), part);
}

static bool container_part(struct container *container, struct part part, struct part before,
			   bool in_lxc, bool in_pod)
{
	struct part name = part;

	if (prefixed_parse(container, part) || machine_parse(container, part))
		return true;
	if (part_is_id(part) && part_is(before, "docker")) {
		container_set(container, part, "docker");
		return true;
	}
	if (part_is_id(part) && in_pod) {
		container_set(container, part, ""); /* no runtime in the path */
		return true;
	}
	if ((part_skip(&name, "lxc.payload.") || in_lxc) && part_is_name(name)) {
		container_set(container, name, "lxc");
		return true;
	}
	return false;
}

void container_parse(struct container *container, const char *path, size_t length)
{
	const char *end = path + length;
	struct part before = {"", 0};
	bool found = false, in_kubepods = false, in_pod = false;

	*container = (struct container){0};
	for (size_t depth = 0; path < end;) {
		struct part part = {path, 0};

		while (path < end && *path != '/')
			path++;
		part.length = (size_t)(path - part.bytes);
		if (!part.length) {
			path++;
			continue;
		}
		if (!found) {
			in_kubepods |= part_is(part, "kubepods");
			if (pod_parse(container, part, in_kubepods))
				in_pod = true;
			else
				found = container_part(container, part, before,
						       depth == 1 && part_is(before, "lxc"),
						       in_pod);
		}
		unit_parse(container, part);
		before = part;
		depth++;
	}
}
