// SPDX-License-Identifier: BSD-2-Clause
// Judges what beside the rules handles packets between the ports: queues, tc, IPsec, bridges.
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "common/util/cleanup.h"
#include "efw/hostpath.h"

#define OURS "evnf_" /* how the names of our own programs begin */
#define ATTRIBUTES_MAX 64
#define DUMP_TRIES 5
#define DRAIN_BUDGET 1024 /* announcements per call */
#define PROGRAMS_MAX 64

/* bpf_attach_type of Linux 6.6; older headers lack them. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

struct hostpath {
	struct mnl_socket *route, *xfrm; /* xfrm: NULL where the kernel has no IPsec */
	int poll;
};

/* What a dump is made for, and what it finds. */
struct look {
	struct findings *findings;
	const char *port; /* its name; "" for what is not of a port */
	int ifindex;
	bool filters; /* the port may have tc filters */
	bool found;
};

static void socket_close(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}
#define __cleanup_socket __attribute__((cleanup(socket_close)))

/* ---- Netlink. ---- */

struct attributes {
	const struct nlattr *list[ATTRIBUTES_MAX];
};

static int attribute_take(const struct nlattr *attribute, void *arg)
{
	struct attributes *attributes = arg;

	if (mnl_attr_get_type(attribute) < ATTRIBUTES_MAX)
		attributes->list[mnl_attr_get_type(attribute)] = attribute;
	return MNL_CB_OK;
}

static struct attributes attributes_of(const struct nlmsghdr *message, size_t head_bytes)
{
	struct attributes attributes = {};

	mnl_attr_parse(message, head_bytes, attribute_take, &attributes);
	return attributes;
}

static struct attributes attributes_in(const struct nlattr *nest)
{
	struct attributes attributes = {};

	if (nest)
		mnl_attr_parse_nested(nest, attribute_take, &attributes);
	return attributes;
}

/* A string attribute, "" when it is not there or does not end. */
static const char *attribute_text(const struct nlattr *attribute)
{
	if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING))
		return "";
	return mnl_attr_get_str(attribute);
}

static uint32_t attribute_u32(const struct nlattr *attribute, uint32_t otherwise)
{
	if (!attribute || mnl_attr_validate(attribute, MNL_TYPE_U32))
		return otherwise;
	return mnl_attr_get_u32(attribute);
}

static int answer_read(struct mnl_socket *socket, mnl_cb_t each, void *arg)
{
	char bytes[32 << 10] __attribute__((aligned(8)));
	unsigned int port = mnl_socket_get_portid(socket);
	ssize_t n;
	int r;

	do {
		n = mnl_socket_recvfrom(socket, bytes, sizeof(bytes));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(bytes, n, 0, port, each, arg);
	} while (r == MNL_CB_OK);
	return r < 0 ? -errno : 0;
}

/* Sends a request for a list; `each` sees every message of the answer. Returns 0 or -errno. */
static int dump(int bus, uint16_t type, const void *head, size_t head_bytes, mnl_cb_t each,
		void *arg)
{
	__cleanup_socket struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
	char bytes[256] __attribute__((aligned(8)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
	int r = -EINTR;

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	memcpy(mnl_nlmsg_put_extra_header(message, head_bytes), head, head_bytes);
	for (int i = 0; r == -EINTR && i < DUMP_TRIES; i++) {
		if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
			return -errno;
		r = answer_read(socket, each, arg);
	}
	return r;
}

/* ---- Ports: masters, kinds, queues. ---- */

static void port_tell(const struct look *look, uint8_t touches, const char *why, const char *detail)
{
	char where[64];

	snprintf(where, sizeof(where), *look->port ? "port %s" : "%s",
		 *look->port ? look->port : "host");
	findings_add(look->findings, touches, where, "%s%s", why, detail);
}

static bool word_among(const char *word, const char *const *list)
{
	while (*list && strcmp(*list, word))
		list++;
	return *list;
}

static int link_look(const struct nlmsghdr *message, void *arg)
{
	/* Devices that hand a packet on as it came; "" is hardware. */
	static const char *const plain[] = { "",    "dummy", "macvlan", "netdevsim",
					     "tun", "veth",  "vlan",    NULL };
	const struct ifinfomsg *head = mnl_nlmsg_get_payload(message);
	struct attributes attributes;
	struct look *look = arg;
	const char *kind;

	if (message->nlmsg_type != RTM_NEWLINK || head->ifi_index != look->ifindex)
		return MNL_CB_OK;
	look->found = true;
	attributes = attributes_of(message, sizeof(*head));
	if (attributes.list[IFLA_MASTER])
		port_tell(look, FINDING_ALL, "belongs to a bridge, bond or VRF", "");
	attributes = attributes_in(attributes.list[IFLA_LINKINFO]);
	kind = attribute_text(attributes.list[IFLA_INFO_KIND]);
	if (!word_among(kind, plain))
		port_tell(look, FINDING_ALL, "handles packets itself, being a device of kind ",
			  kind);
	return MNL_CB_OK;
}

static int qdisc_look(const struct nlmsghdr *message, void *arg)
{
	static const char *const plain[] = { "noqueue",  "pfifo_fast", "mq",      "fq",
					     "fq_codel", "clsact",     "ingress", NULL };
	const struct tcmsg *head = mnl_nlmsg_get_payload(message);
	struct attributes attributes, options;
	struct look *look = arg;
	const char *kind;

	if (message->nlmsg_type != RTM_NEWQDISC || head->tcm_ifindex != look->ifindex)
		return MNL_CB_OK;
	attributes = attributes_of(message, sizeof(*head));
	kind = attribute_text(attributes.list[TCA_KIND]);
	if (!strcmp(kind, "clsact") || !strcmp(kind, "ingress"))
		look->filters = true;
	if (!word_among(kind, plain))
		port_tell(look, FINDING_ALL, "shapes or classifies with the qdisc ", kind);
	if (strcmp(kind, "fq"))
		return MNL_CB_OK;
	options = attributes_in(attributes.list[TCA_OPTIONS]);
	if (attribute_u32(options.list[TCA_FQ_FLOW_MAX_RATE], ~0u) != ~0u)
		port_tell(look, FINDING_ALL, "shapes with the maxrate of qdisc fq", "");
	return MNL_CB_OK;
}

static int filter_look(const struct nlmsghdr *message, void *arg)
{
	struct attributes attributes, options;
	struct look *look = arg;
	const char *kind;

	if (message->nlmsg_type != RTM_NEWTFILTER)
		return MNL_CB_OK;
	attributes = attributes_of(message, sizeof(struct tcmsg));
	kind = attribute_text(attributes.list[TCA_KIND]);
	if (!strcmp(kind, "bpf") && !attributes.list[TCA_OPTIONS]) /* tells of a list to come */
		return MNL_CB_OK;
	options = attributes_in(attributes.list[TCA_OPTIONS]);
	if (strcmp(kind, "bpf") ||
	    strncmp(attribute_text(options.list[TCA_BPF_NAME]), OURS, strlen(OURS)))
		port_tell(look, FINDING_ALL, "has a tc filter of kind ", kind);
	return MNL_CB_OK;
}

static bool program_is_ours(uint32_t id)
{
	struct bpf_prog_info info = {};
	__cleanup_fd int fd = bpf_prog_get_fd_by_id(id);
	uint32_t length = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length) &&
	       !strncmp(info.name, OURS, strlen(OURS));
}

/* Programs attached the newer way, past any qdisc. A kernel that knows no such thing has none. */
static void tcx_look(const struct look *look)
{
	static const int points[] = { TCX_INGRESS, TCX_EGRESS };

	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		uint32_t ids[PROGRAMS_MAX] = {}, count = PROGRAMS_MAX;
		int r = bpf_prog_query(look->ifindex, points[i], 0, NULL, ids, &count);

		if (r && r != -ENOSPC)
			continue;
		for (uint32_t p = 0; p < count && p < PROGRAMS_MAX; p++)
			if (!program_is_ours(ids[p]))
				port_tell(look, FINDING_ALL, "has a tc program that is not ours",
					  "");
		if (r)
			port_tell(look, FINDING_ALL, "has more tc programs than can be looked at",
				  "");
	}
}

/* A number in /proc/sys of the caller's network namespace, -1 when there is none. */
static int sysctl_read(const char *path)
{
	__cleanup_file FILE *file = fopen(path, "re");
	int value = -1;

	if (!file || fscanf(file, "%d", &value) != 1)
		return -1;
	return value;
}

/* The kernel asks the port of entry for IPv4 and the whole host for IPv6. What rp_filter refuses
 * never leaves the kernel, so no flow is offloaded on that port: nothing to find. */
static void forwarding_look(const struct look *look)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/forwarding", look->port);
	if (sysctl_read(path) == 0)
		port_tell(look, FINDING_IP4, "does not forward IPv4: its sysctl forwarding is off",
			  "");
	if (sysctl_read("/proc/sys/net/ipv6/conf/all/forwarding") == 0)
		findings_add(look->findings, FINDING_IP6, "host",
			     "does not forward IPv6: net.ipv6.conf.all.forwarding is off");
}

static int filters_check(struct look *look)
{
	static const uint32_t points[] = { TC_H_MIN_INGRESS, TC_H_MIN_EGRESS };
	int r = 0;

	for (size_t i = 0; look->filters && !r && i < sizeof(points) / sizeof(*points); i++) {
		struct tcmsg filter = {
			.tcm_family = AF_UNSPEC,
			.tcm_ifindex = look->ifindex,
			.tcm_parent = TC_H_MAKE(TC_H_CLSACT, points[i]),
		};

		r = dump(NETLINK_ROUTE, RTM_GETTFILTER, &filter, sizeof(filter), filter_look, look);
	}
	return r;
}

static int port_check(unsigned ifindex, struct findings *findings)
{
	struct ifinfomsg link = { .ifi_family = AF_UNSPEC };
	struct tcmsg qdisc = { .tcm_family = AF_UNSPEC };
	char name[IF_NAMESIZE];
	struct look look = { .findings = findings, .port = name, .ifindex = ifindex };
	int r;

	if (!if_indextoname(ifindex, name))
		return -errno;
	r = dump(NETLINK_ROUTE, RTM_GETLINK, &link, sizeof(link), link_look, &look);
	r = r ?: dump(NETLINK_ROUTE, RTM_GETQDISC, &qdisc, sizeof(qdisc), qdisc_look, &look);
	r = r ?: filters_check(&look);
	if (r)
		return r;
	if (!look.found)
		return -ENODEV;
	tcx_look(&look);
	forwarding_look(&look);
	return 0;
}

/* ---- The host: routing rules, IPsec. ---- */

/* One of those the kernel makes itself, as it makes them. */
static bool rule_is_default(const struct fib_rule_hdr *head, const struct attributes *attributes)
{
	static const struct {
		uint32_t priority, table;
	} defaults[] = { { 0, RT_TABLE_LOCAL },
			 { 32766, RT_TABLE_MAIN },
			 { 32767, RT_TABLE_DEFAULT } };
	uint32_t priority = attribute_u32(attributes->list[FRA_PRIORITY], 0);
	uint32_t table = attribute_u32(attributes->list[FRA_TABLE], head->table);

	if (head->action != FR_ACT_TO_TBL || head->src_len || head->dst_len || head->tos ||
	    head->flags & FIB_RULE_INVERT ||
	    attribute_u32(attributes->list[FRA_SUPPRESS_PREFIXLEN], ~0u) != ~0u)
		return false;
	for (unsigned i = 0; i < ATTRIBUTES_MAX; i++)
		if (attributes->list[i] && i != FRA_PRIORITY && i != FRA_TABLE &&
		    i != FRA_SUPPRESS_PREFIXLEN && i != FRA_PROTOCOL)
			return false;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
		if (priority == defaults[i].priority && table == defaults[i].table)
			return true;
	return false;
}

static int rule_look(const struct nlmsghdr *message, void *arg)
{
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(message);
	struct attributes attributes;
	struct look *look = arg;
	char where[48];

	if (message->nlmsg_type != RTM_NEWRULE ||
	    (head->family != AF_INET && head->family != AF_INET6))
		return MNL_CB_OK;
	attributes = attributes_of(message, sizeof(*head));
	if (rule_is_default(head, &attributes))
		return MNL_CB_OK;
	snprintf(where, sizeof(where), "ip%s rule, priority %u",
		 head->family == AF_INET ? "" : " -6",
		 attribute_u32(attributes.list[FRA_PRIORITY], 0));
	findings_add(look->findings, head->family == AF_INET ? FINDING_IP4 : FINDING_IP6, where,
		     "routes by more than the destination");
	return MNL_CB_OK;
}

static int rules_check(struct findings *findings)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct look look = { .findings = findings, .port = "" };
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(families) / sizeof(*families); i++) {
		struct fib_rule_hdr rule = { .family = families[i] };

		r = dump(NETLINK_ROUTE, RTM_GETRULE, &rule, sizeof(rule), rule_look, &look);
		if (r == -EAFNOSUPPORT ||
		    r == -EOPNOTSUPP) /* no such protocol, or no rules at all */
			r = 0;
	}
	return r;
}

static int xfrm_look(const struct nlmsghdr *message, void *arg)
{
	const struct xfrm_userpolicy_info *policy = mnl_nlmsg_get_payload(message);
	const struct look *look = arg;
	uint8_t touches = FINDING_ALL;

	if (message->nlmsg_type != XFRM_MSG_NEWPOLICY || policy->dir >= XFRM_POLICY_MAX)
		return MNL_CB_OK; /* those beyond are of one local socket each */
	if (policy->sel.family == AF_INET)
		touches = FINDING_IP4;
	else if (policy->sel.family == AF_INET6)
		touches = FINDING_IP6;
	findings_add(look->findings, touches, "ip xfrm policy", "IPsec may take packets");
	return MNL_CB_OK;
}

static int xfrm_check(struct findings *findings)
{
	struct look look = { .findings = findings, .port = "" };
	struct xfrm_userpolicy_id policy = {};
	int r = dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, &policy, sizeof(policy), xfrm_look, &look);

	return r == -EPROTONOSUPPORT ? 0 : r;
}

int hostpath_check(const unsigned *ports, unsigned count, struct findings *findings)
{
	int r = rules_check(findings);

	r = r ?: xfrm_check(findings);
	for (unsigned i = 0; !r && i < count; i++)
		r = port_check(ports[i], findings);
	return r;
}

/* ---- Changes. ---- */

static int groups_join(int bus, const int *groups, unsigned count, struct mnl_socket **out)
{
	__cleanup_socket struct mnl_socket *socket =
		mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	for (unsigned i = 0; i < count; i++)
		if (mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, (void *)&groups[i],
					  sizeof(groups[i])))
			return -errno;
	*out = ptr_take(socket);
	return 0;
}

static int poll_add(int poll, const struct mnl_socket *socket)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(poll, EPOLL_CTL_ADD, mnl_socket_get_fd(socket), &event) ? -errno : 0;
}

static int watch_open(struct hostpath *hostpath)
{
	static const int route[] = {
		RTNLGRP_LINK,      RTNLGRP_TC,           RTNLGRP_IPV4_RULE,
		RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF
	};
	static const int xfrm[] = { XFRMNLGRP_POLICY };
	int r;

	hostpath->poll = epoll_create1(EPOLL_CLOEXEC);
	if (hostpath->poll < 0)
		return -errno;
	r = groups_join(NETLINK_ROUTE, route, sizeof(route) / sizeof(*route), &hostpath->route);
	r = r ?: poll_add(hostpath->poll, hostpath->route);
	if (r)
		return r;
	r = groups_join(NETLINK_XFRM, xfrm, sizeof(xfrm) / sizeof(*xfrm), &hostpath->xfrm);
	if (r)
		return r == -EPROTONOSUPPORT ? 0 : r;
	return poll_add(hostpath->poll, hostpath->xfrm);
}

int hostpath_open(struct hostpath **out)
{
	struct hostpath *hostpath = calloc(1, sizeof(*hostpath));
	int r;

	if (!hostpath)
		return -ENOMEM;
	hostpath->poll = -1;
	r = watch_open(hostpath);
	if (r)
		hostpath_close(hostpath);
	else
		*out = hostpath;
	return r;
}

void hostpath_close(struct hostpath *hostpath)
{
	if (!hostpath)
		return;
	socket_close(&hostpath->route);
	socket_close(&hostpath->xfrm);
	if (hostpath->poll >= 0)
		close(hostpath->poll);
	free(hostpath);
}

int hostpath_event_fd(const struct hostpath *hostpath)
{
	return hostpath->poll;
}

/* What is announced does not matter: all is looked at anew. */
static int socket_drain(const struct mnl_socket *socket, bool *any)
{
	char byte;

	for (unsigned i = 0; socket && i < DRAIN_BUDGET; i++) {
		if (recv(mnl_socket_get_fd(socket), &byte, 1, MSG_DONTWAIT) >= 0 ||
		    errno == ENOBUFS)
			*any = true;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int hostpath_receive(struct hostpath *hostpath, bool *changed)
{
	bool any = false;
	int r = socket_drain(hostpath->route, &any);

	r = r ?: socket_drain(hostpath->xfrm, &any);
	if (!r)
		*changed = any;
	return r;
}
