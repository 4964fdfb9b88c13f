// SPDX-License-Identifier: BSD-2-Clause
// Flows: makes and removes conntrack entries over ctnetlink, many in a system call.
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "common/util/cleanup.h"
#include "tests/lib/flows.h"

#define BATCH_BYTES (32u << 10)
#define MESSAGE_MAX 512

static void socket_close(struct mnl_socket **socket)
{
	if (*socket)
		mnl_socket_close(*socket);
}

int flows_namespace_enter(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	__cleanup_fd int fd = -1;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return -errno;
	return 0;
}

static void client_address(struct ct_tuple *tuple, uint32_t number)
{
	if (tuple->family == AF_INET) {
		tuple->src.ip4 = htonl(0x0a000000 | number >> 4);
		tuple->dst.ip4 = htonl(0xc0000201);
		return;
	}
	tuple->src.ip6[0] = htonl(0x20010db8);
	tuple->src.ip6[3] = htonl(number >> 4);
	tuple->dst.ip6[0] = htonl(0x20010db8);
	tuple->dst.ip6[1] = htonl(0x00010000);
	tuple->dst.ip6[3] = htonl(1);
}

struct ct_flow flow_nth(uint8_t family, uint8_t proto, uint32_t number)
{
	struct ct_flow flow = {
		.orig = { .family = family, .proto = proto },
		.status = IPS_CONFIRMED | IPS_SEEN_REPLY,
		.timeout_s = 600,
	};

	client_address(&flow.orig, number);
	flow.orig.src_port = htons(1024 + (number & 15));
	flow.orig.dst_port = htons(443);
	if (proto == IPPROTO_TCP) {
		flow.status |= IPS_ASSURED;
		flow.tcp_state = TCP_CONNTRACK_ESTABLISHED;
		flow.tcp_flags_orig = flow.tcp_flags_reply = IP_CT_TCP_FLAG_MAXACK_SET;
	}
	flow.reply = flow.orig;
	flow.reply.src = flow.orig.dst;
	flow.reply.dst = flow.orig.src;
	flow.reply.src_port = flow.orig.dst_port;
	flow.reply.dst_port = flow.orig.src_port;
	return flow;
}

void flow_tuple_put(struct nlmsghdr *message, uint16_t type, const struct ct_tuple *tuple,
		    uint16_t zone)
{
	const bool v6 = tuple->family == AF_INET6;
	struct nlattr *nest = mnl_attr_nest_start(message, type), *inner;

	inner = mnl_attr_nest_start(message, CTA_TUPLE_IP);
	mnl_attr_put(message, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, v6 ? 16 : 4, &tuple->src);
	mnl_attr_put(message, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, v6 ? 16 : 4, &tuple->dst);
	mnl_attr_nest_end(message, inner);
	inner = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, tuple->proto);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, tuple->src_port);
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, tuple->dst_port);
	mnl_attr_nest_end(message, inner);
	if (zone)
		mnl_attr_put_u16(message, CTA_TUPLE_ZONE, htons(zone));
	mnl_attr_nest_end(message, nest);
}

static void tcp_put(struct nlmsghdr *message, const struct ct_flow *flow)
{
	const struct nf_ct_tcp_flags orig = { flow->tcp_flags_orig, 0xff };
	const struct nf_ct_tcp_flags reply = { flow->tcp_flags_reply, 0xff };
	struct nlattr *info = mnl_attr_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, flow->tcp_state);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(orig), &orig);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(reply), &reply);
	mnl_attr_nest_end(message, tcp);
	mnl_attr_nest_end(message, info);
}

static struct nlmsghdr *header_put(void *at, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(at);
	struct nfgenmsg *generic;

	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	generic = mnl_nlmsg_put_extra_header(message, sizeof(*generic));
	generic->nfgen_family = family;
	return message;
}

static size_t flow_put(void *at, const struct ct_flow *flow)
{
	struct nlmsghdr *message =
		header_put(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, flow->orig.family);

	flow_tuple_put(message, CTA_TUPLE_ORIG, &flow->orig, 0);
	flow_tuple_put(message, CTA_TUPLE_REPLY, &flow->reply, 0);
	mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(flow->timeout_s));
	mnl_attr_put_u32(message, CTA_STATUS, htonl(flow->status));
	if (flow->mark)
		mnl_attr_put_u32(message, CTA_MARK, htonl(flow->mark));
	if (flow->zone)
		mnl_attr_put_u16(message, CTA_ZONE, htons(flow->zone));
	if (flow->orig.proto == IPPROTO_TCP)
		tcp_put(message, flow);
	return message->nlmsg_len;
}

/* Sends, and returns the first error the kernel answers with, or 0. bytes is reused. */
static int requests_send(struct mnl_socket *socket, void *bytes, size_t used)
{
	const struct nlmsghdr *message = bytes;

	if (mnl_socket_sendto(socket, bytes, used) < 0)
		return -errno;
	while (recv(mnl_socket_get_fd(socket), bytes, BATCH_BYTES, MSG_DONTWAIT) > 0) {
		if (message->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
	}
	return 0;
}

int flows_make(const struct ct_flow *flows, unsigned count)
{
	struct mnl_socket *socket __attribute__((cleanup(socket_close))) =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	__cleanup_free uint8_t *bytes = malloc(BATCH_BYTES);
	unsigned done = 0;
	int error = socket && bytes ? 0 : -ENOMEM;

	while (!error && done < count) {
		size_t used = 0;

		for (; done < count && used + MESSAGE_MAX <= BATCH_BYTES; done++)
			used += flow_put(bytes + used, &flows[done]);
		error = requests_send(socket, bytes, used);
	}
	return error;
}

static int delete_send(struct nlmsghdr *message)
{
	struct mnl_socket *socket __attribute__((cleanup(socket_close))) =
		mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

	return socket ? requests_send(socket, message, message->nlmsg_len) : -errno;
}

int flow_delete(const struct ct_tuple *orig)
{
	__cleanup_free uint8_t *bytes = calloc(1, BATCH_BYTES);
	struct nlmsghdr *message;

	if (!bytes)
		return -ENOMEM;
	message = header_put(bytes, IPCTNL_MSG_CT_DELETE, 0, orig->family);
	flow_tuple_put(message, CTA_TUPLE_ORIG, orig, 0);
	return delete_send(message);
}

int flows_flush(void)
{
	__cleanup_free uint8_t *bytes = calloc(1, BATCH_BYTES);

	if (!bytes)
		return -ENOMEM;
	return delete_send(header_put(bytes, IPCTNL_MSG_CT_DELETE, 0, AF_UNSPEC));
}
