/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above. */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "model/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD "1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901"
#define POD_ "1b2c3d4e_5f60_7182_93a4_b5c6d7e8f901"
#define MD5 "00112233445566778899aabbccddeeff"

static const struct {
	const char *path, *id, *runtime, *pod, *unit;
} paths[] = {
	{"/", "", "", "", ""},
	{"/system.slice/app.service", "", "", "", "app.service"},
	{"/user.slice/user-1000.slice/session-3.scope", "", "", "", "session-3.scope"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "", "", "",
	 "foo.service"},
	{"/user.slice/user-1000.slice/user@1000.service/init.scope", "", "", "", "init.scope"},
	{"/user.slice/user-1000.slice", "", "", "", ""},
	{"/system.slice/_cpu.service", "", "", "", "cpu.service"},
	{"/system.slice/dev-disk\\x2dby.service", "", "", "", "dev-disk\\x2dby.service"},

	{"/docker/" ID, ID, "docker", "", ""},
	{"/system.slice/docker-" ID ".scope", ID, "docker", "", "docker-" ID ".scope"},
	{"/system.slice/docker-" ID ".scope/system.slice/nginx.service", ID, "docker", "",
	 "nginx.service"},
	{"/machine.slice/libpod-" ID ".scope", ID, "podman", "", "libpod-" ID ".scope"},
	{"/machine.slice/libpod-" ID ".scope/container", ID, "podman", "", "libpod-" ID ".scope"},
	{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope", ID,
	 "podman", "", "libpod-" ID ".scope"},
	{"/libpod_parent/libpod-" ID, ID, "podman", "", ""},
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "", "", "libpod-conmon-" ID ".scope"},
	{"/system.slice/nerdctl-" ID ".scope", ID, "containerd", "", "nerdctl-" ID ".scope"},

	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
	 ".slice/cri-containerd-" ID ".scope",
	 ID, "containerd", POD, "cri-containerd-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope", ID, "cri-o", POD,
	 "crio-" ID ".scope"},
	{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" MD5 ".slice/docker-" ID
	 ".scope",
	 ID, "docker", MD5, "docker-" ID ".scope"},
	{"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope", "", "", POD,
	 "crio-conmon-" ID ".scope"},
	{"/kubepods/burstable/pod" POD "/" ID, ID, "", POD, ""},
	{"/kubepods/pod" POD "/crio-" ID, ID, "cri-o", POD, ""},
	{"/kubepods/pod" POD, "", "", POD, ""},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
	 ".slice/cri-containerd-" ID ".scope",
	 ID, "containerd", POD, "cri-containerd-" ID ".scope"},

	{"/lxc/web", "web", "lxc", "", ""},
	{"/lxc.payload.web-1", "web-1", "lxc", "", ""},
	{"/lxc.payload.web/system.slice/ssh.service", "web", "lxc", "", "ssh.service"},
	{"/lxc.monitor.web", "", "", "", ""},
	{"/home/lxc/web", "", "", "", ""},
	{"/lxc", "", "", "", ""},

	{"/machine.slice/machine-web.scope", "web", "systemd-nspawn", "", "machine-web.scope"},
	{"/machine.slice/machine-web\\x2d1.scope/payload", "web-1", "systemd-nspawn", "",
	 "machine-web\\x2d1.scope"},
	{"/machine.slice/systemd-nspawn@db.service/payload", "db", "systemd-nspawn", "",
	 "systemd-nspawn@db.service"},
	{"/machine.slice/machine-qemu\\x2d3\\x2dvm.scope", "", "", "",
	 "machine-qemu\\x2d3\\x2dvm.scope"},

	/* The outermost container is the one that this machine knows. */
	{"/system.slice/docker-" ID ".scope/docker/" OTHER, ID, "docker", "",
	 "docker-" ID ".scope"},
	{"/docker/" ID "/kubelet/kubepods/pod" POD "/" OTHER, ID, "docker", "", ""},

	/* Almost, and so not. */
	{"/docker/0123456789abcdef", "", "", "", ""},
	{"/docker/" ID "0", "", "", "", ""},
	{"/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "", "", "",
	 ""},
	{"/" ID, "", "", "", ""},
	{"/podman/" ID, "", "", "", ""},
	{"/xdocker-" ID ".scope", "", "", "", "xdocker-" ID ".scope"},
	{"/pod" POD "/" ID, "", "", "", ""},
	{"/kubepods/pod1b2c3d4e-5f60-7182-93a4-b5c6d7e8f90/" ID, "", "", "", ""},
	{"/kubepods/pod1b2c3d4e_5f60-7182-93a4-b5c6d7e8f901/" ID, "", "", "", ""},
	{"/system.slice/.service", "", "", "", ""},
	{"/.scope", "", "", "", ""},
	{"//", "", "", "", ""},
	{"///system.slice//a.service///", "", "", "", "a.service"},

	/* Somebody's joke. */
	{"/system.slice/a\nb.service", "", "", "", ""},
	{"/system.slice/good.service/\033[31m.service", "", "", "", "good.service"},
	{"/system.slice/a\"b.scope", "", "", "", ""},
	{"/lxc/a b", "", "", "", ""},
	{"/lxc/-a", "", "", "", ""},
	{"/lxc.payload.", "", "", "", ""},
	{"/machine.slice/machine-a\\x0ab.scope", "", "", "", "machine-a\\x0ab.scope"},
	{"/machine.slice/machine-a\\x2.scope", "", "", "", "machine-a\\x2.scope"},
	{"/machine.slice/machine-a\\x.scope", "", "", "", "machine-a\\x.scope"},
	{"/machine.slice/machine-\\x2fetc.scope", "", "", "", "machine-\\x2fetc.scope"},
	{"/machine.slice/machine-.scope", "", "", "", "machine-.scope"},
	{"/kubepods.slice/kubepods-pod" POD_ "\".slice/x", "", "", "", ""},
	{".../docker-" ID ".scope/init.scope", ID, "docker", "", "init.scope"},
};

/* From memory that ends where the path does, so that a read too far is seen. */
static struct container parse(const char *path, size_t length)
{
	struct container container;
	char *copy = malloc(length ? length : 1);

	assert_non_null(copy);
	memcpy(copy, path, length);
	memset(&container, 0xaa, sizeof(container));
	container_parse(&container, copy, length);
	free(copy);
	return container;
}

static void known_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct container container = parse(paths[i].path, strlen(paths[i].path));

		if (strcmp(container.id, paths[i].id) ||
		    strcmp(container.runtime, paths[i].runtime) ||
		    strcmp(container.pod, paths[i].pod) || strcmp(container.unit, paths[i].unit))
			fail_msg("%s: id '%s', runtime '%s', pod '%s', unit '%s'", paths[i].path,
				 container.id, container.runtime, container.pod, container.unit);
	}
}

/* A path may end anywhere: the kernel's side cuts it. */
static void every_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		for (size_t length = 0; length <= strlen(paths[i].path); length++)
			parse(paths[i].path, length);
}

static void too_long(void **state)
{
	char path[1000];
	struct container container;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	memcpy(path + sizeof(path) - 8, ".service", 8);
	container = parse(path, sizeof(path));
	assert_string_equal(container.unit, "");

	/* 127 bytes fit, 128 do not */
	memcpy(path + 1 + 127 - 8, ".service", 8);
	container = parse(path, 1 + 127);
	assert_int_equal(strlen(container.unit), 127);
	memcpy(path + 1 + 128 - 8, ".service", 8);
	container = parse(path, 1 + 128);
	assert_string_equal(container.unit, "");

	memcpy(path, "/lxc/", 5);
	memset(path + 5, 'a', 65);
	assert_int_equal(strlen(parse(path, 5 + 64).id), 64);
	assert_string_equal(parse(path, 5 + 65).id, "");
}

static void nul_is_no_letter(void **state)
{
	static const char unit[] = "/a\0b.service", name[] = "/lxc/a\0b";

	(void)state;
	assert_string_equal(parse(unit, sizeof(unit) - 1).unit, "");
	assert_string_equal(parse(name, sizeof(name) - 1).id, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_layouts),
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(too_long),
		cmocka_unit_test(nul_is_no_letter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
