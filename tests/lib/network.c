// SPDX-License-Identifier: BSD-2-Clause
// Network: rtnetlink requests for tests, so that a guest without iproute2 can run them too.
#define _GNU_SOURCE
#include "tests/lib/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "slowpath/pins.h"

/* A message being built; rtnetlink's answers fit the rest of its buffer. */
struct request {
	struct nlmsghdr *message;
	char buffer[8192] __attribute__((aligned(8)));
};

static void *request_begin(struct request *request, uint16_t type, uint16_t flags, size_t header)
{
	request->message = mnl_nlmsg_put_header(request->buffer);
	request->message->nlmsg_type = type;
	request->message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	request->message->nlmsg_seq = 1;
	return mnl_nlmsg_put_extra_header(request->message, header);
}

static void socket_close(struct mnl_socket **socket)
{
	int saved = errno;

	if (*socket)
		mnl_socket_close(*socket);
	errno = saved;
}

static int request_send(struct request *request)
{
	__attribute__((cleanup(socket_close))) struct mnl_socket *socket =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	ssize_t n;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(socket, request->message, request->message->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(socket, request->buffer, sizeof(request->buffer));
	if (n < 0 || mnl_cb_run(request->buffer, n, 1, 0, NULL, NULL) < 0)
		return -errno;
	return 0;
}

static int sysctl_write(const char *path, const char *value)
{
	__cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

int network_enter(void)
{
	int r;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", PINS_BPFFS, "bpf", 0, "mode=0700"))
		return -errno;
	if ((r = sysctl_write("/proc/sys/net/ipv4/ip_forward", "1")) ||
	    (r = sysctl_write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1")))
		return r;
	return sysctl_write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
}

static int link_up(const char *name)
{
	struct request request;
	struct ifinfomsg *link = request_begin(&request, RTM_NEWLINK, 0, sizeof(*link));

	link->ifi_index = if_nametoindex(name);
	link->ifi_flags = link->ifi_change = IFF_UP;
	return request_send(&request);
}

/* Waits until the link runs: that is told a while after it was set up. */
static int link_wait(const char *name)
{
	struct ifreq request = {};
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	for (int ms = 0; ms < 5000; ms++) {
		if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
			return -errno;
		if (request.ifr_flags & IFF_RUNNING)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

int network_set_mtu(const char *name, uint32_t mtu)
{
	struct request request;
	struct ifinfomsg *link = request_begin(&request, RTM_NEWLINK, 0, sizeof(*link));

	link->ifi_index = if_nametoindex(name);
	mnl_attr_put_u32(request.message, IFLA_MTU, mtu);
	return request_send(&request);
}

int network_add_veth(const char *name, const char *peer, const uint8_t mac[6])
{
	struct request request;
	struct nlattr *info, *data, *other;
	int r;

	request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.message, IFLA_IFNAME, name);
	mnl_attr_put(request.message, IFLA_ADDRESS, 6, mac);
	info = mnl_attr_nest_start(request.message, IFLA_LINKINFO);
	mnl_attr_put_strz(request.message, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(request.message, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(request.message, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(request.message, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request.message, IFLA_IFNAME, peer);
	mnl_attr_nest_end(request.message, other);
	mnl_attr_nest_end(request.message, data);
	mnl_attr_nest_end(request.message, info);
	if ((r = request_send(&request)) || (r = link_up(name)) || (r = link_up(peer)))
		return r;
	return link_wait(name);
}

/* Reads an address of either family and returns its length, 0 when it is none. */
static size_t address_read(const char *text, uint8_t address[16], uint8_t *family)
{
	bool ip6 = strchr(text, ':');

	*family = ip6 ? AF_INET6 : AF_INET;
	return inet_pton(*family, text, address) == 1 ? ip6 ? 16 : 4 : 0;
}

int network_add_address(const char *link, const char *text, uint8_t prefix_bits)
{
	struct request request;
	struct ifaddrmsg *message =
		request_begin(&request, RTM_NEWADDR, NLM_F_CREATE, sizeof(*message));
	uint8_t address[16];
	size_t bytes = address_read(text, address, &message->ifa_family);

	message->ifa_prefixlen = prefix_bits;
	message->ifa_flags = IFA_F_NODAD;
	message->ifa_index = if_nametoindex(link);
	mnl_attr_put(request.message, IFA_LOCAL, bytes, address);
	mnl_attr_put(request.message, IFA_ADDRESS, bytes, address);
	return request_send(&request);
}

/* mac NULL: deletes it. */
static int neighbor_set(const char *link, const char *text, const uint8_t *mac)
{
	struct request request;
	struct ndmsg *message =
		request_begin(&request, mac ? RTM_NEWNEIGH : RTM_DELNEIGH,
			      mac ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof(*message));
	uint8_t address[16];
	size_t bytes = address_read(text, address, &message->ndm_family);

	message->ndm_state = NUD_PERMANENT;
	message->ndm_ifindex = if_nametoindex(link);
	mnl_attr_put(request.message, NDA_DST, bytes, address);
	if (mac)
		mnl_attr_put(request.message, NDA_LLADDR, 6, mac);
	return request_send(&request);
}

int network_add_neighbor(const char *link, const char *address, const uint8_t mac[6])
{
	return neighbor_set(link, address, mac);
}

int network_delete_neighbor(const char *link, const char *address)
{
	return neighbor_set(link, address, NULL);
}

/* gateway NULL: nothing may go there. */
static int route_add(const char *to, uint8_t prefix_bits, const char *gateway)
{
	struct request request;
	struct rtmsg *message =
		request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof(*message));
	uint8_t address[16];
	size_t bytes = address_read(to, address, &message->rtm_family);

	message->rtm_dst_len = prefix_bits;
	message->rtm_table = RT_TABLE_MAIN;
	message->rtm_protocol = RTPROT_STATIC;
	message->rtm_type = gateway ? RTN_UNICAST : RTN_BLACKHOLE;
	if (prefix_bits)
		mnl_attr_put(request.message, RTA_DST, bytes, address);
	if (gateway && address_read(gateway, address, &message->rtm_family) == bytes)
		mnl_attr_put(request.message, RTA_GATEWAY, bytes, address);
	return request_send(&request);
}

int network_add_route(const char *to, uint8_t prefix_bits, const char *gateway)
{
	return route_add(to, prefix_bits, gateway);
}

int network_add_blackhole(const char *to, uint8_t prefix_bits)
{
	return route_add(to, prefix_bits, NULL);
}
