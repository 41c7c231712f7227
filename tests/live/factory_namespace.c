/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Private network namespaces, and situations that are about them. */
#include "factory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* <linux/ipv6.h> and <netinet/in.h> do not go together. */
struct ipv6_request {
	struct in6_addr address;
	uint32_t prefix;
	int ifindex;
};

void netns_up(const char *device)
{
	struct ifreq request = {.ifr_flags = 0};
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");

	strncpy(request.ifr_name, device, IFNAMSIZ - 1);
	must(ioctl(fd, SIOCGIFFLAGS, &request), "SIOCGIFFLAGS");
	request.ifr_flags |= IFF_UP;
	must(ioctl(fd, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS");
	close(fd);
}

void netns_enter(void)
{
	if (unshare(CLONE_NEWNET) < 0)
		situation_skip("unshare(CLONE_NEWNET): %s", strerror(errno));
	netns_up("lo");
}

bool netns_sysctl_try(const char *name, const char *value)
{
	char path[128];
	size_t length = strlen(value);
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return false;
	ok = write(fd, value, length) == (ssize_t)length;
	close(fd);
	return ok;
}

void netns_sysctl(const char *name, const char *format, ...)
{
	char value[64];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(value, sizeof(value), format, arguments);
	va_end(arguments);
	if (!netns_sysctl_try(name, value))
		situation_skip("cannot set net/%s to %s: %s", name, value, strerror(errno));
}

void netns_range(unsigned int low, unsigned int high)
{
	netns_sysctl("ipv4/ip_local_port_range", "%u %u", low, high);
}

void netns_address(const char *device, int family, const char *ip, unsigned int prefix)
{
	struct address address = address_make(family, ip, 0);
	int fd = must(socket(family, SOCK_DGRAM, 0), "socket");

	if (family == AF_INET6) {
		struct ipv6_request request = {
			.address = address.v6.sin6_addr,
			.prefix = prefix,
			.ifindex = if_nametoindex(device),
		};

		must(ioctl(fd, SIOCSIFADDR, &request), "SIOCSIFADDR");
	} else {
		struct ifreq request = {.ifr_flags = 0};

		strncpy(request.ifr_name, device, IFNAMSIZ - 1);
		memcpy(&request.ifr_addr, &address.v4, sizeof(address.v4));
		must(ioctl(fd, SIOCSIFADDR, &request), "SIOCSIFADDR");
		address = address_make(family, "0.0.0.0", 0);
		address.v4.sin_addr.s_addr = htonl(~0U << (32 - prefix));
		memcpy(&request.ifr_netmask, &address.v4, sizeof(address.v4));
		must(ioctl(fd, SIOCSIFNETMASK, &request), "SIOCSIFNETMASK");
	}
	close(fd);
}

/* ---- rtnetlink: no more than RTM_NEWLINK ---- */

struct link_request {
	struct nlmsghdr header;
	struct ifinfomsg info;
	char room[512];
};

static struct rtattr *link_add(struct link_request *request, int type, const void *data,
			       size_t size)
{
	struct rtattr *attribute =
		(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(size);
	memcpy(RTA_DATA(attribute), data, size);
	request->header.nlmsg_len =
		NLMSG_ALIGN(request->header.nlmsg_len) + RTA_ALIGN(RTA_LENGTH(size));
	return attribute;
}

static void link_end(struct link_request *request, struct rtattr *nest)
{
	nest->rta_len = (char *)request + request->header.nlmsg_len - (char *)nest;
}

static int link_send(struct link_request *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[1024];
	} answer;
	int fd = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), "socket(AF_NETLINK)");

	must(send(fd, request, request->header.nlmsg_len, 0), "send(RTM_NEWLINK)");
	must(recv(fd, &answer, sizeof(answer), 0), "recv(RTM_NEWLINK)");
	close(fd);
	return answer.header.nlmsg_type == NLMSG_ERROR ? answer.error.error : 0;
}

/* A vxlan device without a remote opens its UDP socket when it goes up. */
void netns_link(const char *kind, const char *name)
{
	struct link_request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			   .nlmsg_type = RTM_NEWLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK},
	};
	uint32_t id = 42;
	struct rtattr *link, *data;
	int error;

	link_add(&request, IFLA_IFNAME, name, strlen(name) + 1);
	link = link_add(&request, IFLA_LINKINFO, "", 0);
	link_add(&request, IFLA_INFO_KIND, kind, strlen(kind));
	if (strcmp(kind, "vxlan") == 0) {
		data = link_add(&request, IFLA_INFO_DATA, "", 0);
		link_add(&request, IFLA_VXLAN_ID, &id, sizeof(id));
		link_end(&request, data);
	}
	link_end(&request, link);
	error = link_send(&request);
	if (error)
		situation_skip("no %s device: %s", kind, strerror(-error));
}

/* ---- situations ---- */

static void run_other_namespace(const struct stage *stage)
{
	int home = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "/proc/self/ns/net");
	struct sock sock;

	netns_enter();
	sock = sock_open(stage);
	must(setns(home, CLONE_NEWNET), "setns");
	sock_bind(&sock, address_loopback(stage->family, 0), 0);
	sock_close(&sock);
}

static void run_exhausted_bind(const struct stage *stage)
{
	struct sock socks[3];

	netns_enter();
	netns_range(40000, 40001);
	for (int i = 0; i < 3; i++) {
		socks[i] = sock_open(stage);
		sock_bind(&socks[i], address_loopback(stage->family, 0), i == 2 ? EADDRINUSE : 0);
	}
	for (int i = 0; i < 3; i++)
		sock_close(&socks[i]);
}

static void run_exhausted_connect(const struct stage *stage)
{
	int error = stage->type == SOCK_STREAM ? EADDRNOTAVAIL : EAGAIN;
	bool tcp = stage->type == SOCK_STREAM;
	struct address where;
	struct sock listener, socks[3];

	netns_enter();
	listener = listener_open(stage, &where);
	netns_range(40000, 40001);
	for (int i = 0; i < 3; i++) {
		socks[i] = sock_open(stage);
		if (i < 2)
			sock_connect(&socks[i], where, tcp ? "established" : NULL, 0);
		else
			sock_connect(&socks[i], where, NULL, error);
	}
	for (int i = 0; i < 3; i++)
		sock_close(&socks[i]);
	sock_close(&listener);
}

static void run_unreachable(const struct stage *stage)
{
	struct sock sock = {.fd = -1};

	netns_enter();
	sock = sock_open(stage);
	sock_connect(&sock, address_outside(stage->family, 7777), NULL, ENETUNREACH);
	sock_close(&sock);
}

/* A port that the unreachable connect of a bound socket has nothing to do with. */
static void run_unreachable_bound(const struct stage *stage)
{
	struct sock sock = {.fd = -1};

	netns_enter();
	sock = sock_open(stage);
	sock_bind(&sock, address_any(stage->family, 0), 0);
	sock_connect(&sock, address_outside(stage->family, 7777), NULL, ENETUNREACH);
	sock_close(&sock);
}

static void run_no_neighbour(const struct stage *stage)
{
	bool v6 = stage->family == AF_INET6;
	struct sock sock;

	netns_enter();
	/* Both are soon: one question, 100 ms apart, for a machine that is not there. */
	netns_sysctl_try(
		v6 ? "ipv6/neigh/default/mcast_solicit" : "ipv4/neigh/default/mcast_solicit", "1");
	netns_sysctl_try(v6 ? "ipv6/neigh/default/retrans_time_ms"
			    : "ipv4/neigh/default/retrans_time_ms",
			 "100");
	netns_sysctl_try("ipv6/conf/default/accept_dad", "0");
	netns_link("veth", "snoop0");
	if (v6)
		netns_address("snoop0", AF_INET6, "fd00:706f:7274::1", 64);
	else
		netns_address("snoop0", AF_INET, "198.51.100.1", 24);
	netns_up("snoop0");
	netns_up("veth0");
	sock = sock_open(stage);
	sock_connect(&sock,
		     v6 ? address_make(AF_INET6, "fd00:706f:7274::99", 7777)
			: address_make(AF_INET, "198.51.100.99", 7777),
		     "unreachable", EHOSTUNREACH);
	sock_close(&sock);
}

static void run_kernel_socket(const struct stage *stage)
{
	struct address requested = address_any(AF_INET, 8472);
	struct call call = {
		.call = "bind",
		.transport = "udp",
		.family = AF_INET,
		.claimed = true,
		.origin = "requested",
		.requested = &requested,
		.local = &requested,
	};

	netns_enter();
	netns_link("vxlan", "snoop1");
	netns_up("snoop1");
	report_call(stage, &call);
	/* Goes with its network namespace, some time after us. */
	call = (struct call){
		.call = "release", .family = AF_INET, .local_port = 8472, .optional = true};
	report_call(stage, &call);
}

const struct situation namespace_situations[] = {
	ON_BOTH("other-netns", run_other_namespace, NEED_ROOT),
	ON_BOTH("bind-exhausted", run_exhausted_bind, NEED_ROOT),
	ON_BOTH("connect-exhausted", run_exhausted_connect, NEED_ROOT),
	ON_BOTH("connect-unreachable", run_unreachable, NEED_ROOT),
	ON_BOTH("connect-unreachable-bound", run_unreachable_bound, NEED_ROOT),
	ON_TCP("connect-no-neighbour", run_no_neighbour, NEED_ROOT),
	SITUATION("kernel-socket", run_kernel_socket, 0, SOCK_DGRAM, IPPROTO_UDP, NEED_ROOT),
	{.name = NULL},
};
