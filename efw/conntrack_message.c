// SPDX-License-Identifier: BSD-2-Clause
// Messages of ctnetlink: reads what the kernel tells of a flow, writes what the firewall asks.
#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "efw/conntrack_message.h"

/* Takes padded bytes off the front, or all that is left: the last of a row need not be padded. */
static inline void bytes_take(struct ct_bytes *bytes, size_t padded)
{
	const size_t left = (size_t)(bytes->end - bytes->at);

	bytes->at += padded < left ? padded : left;
}

const struct nlmsghdr *ct_message_next(struct ct_bytes *datagram)
{
	const struct nlmsghdr *message = (const void *)datagram->at;
	const size_t left = (size_t)(datagram->end - datagram->at);

	if (left < sizeof(*message) || message->nlmsg_len < sizeof(*message) ||
	    message->nlmsg_len > left)
		return NULL;
	bytes_take(datagram, NLMSG_ALIGN((size_t)message->nlmsg_len));
	return message;
}

/* The next attribute, its length within the bounds; NULL: none, or garbage. libmnl's iterators are
 * calls into a shared library, four for each attribute: they made up most of the cost of an event.
 */
static inline const struct nlattr *attr_next(struct ct_bytes *attrs)
{
	const struct nlattr *attr = (const void *)attrs->at;
	const size_t left = (size_t)(attrs->end - attrs->at);

	if (left < sizeof(*attr) || attr->nla_len < sizeof(*attr) || attr->nla_len > left)
		return NULL;
	bytes_take(attrs, NLA_ALIGN((size_t)attr->nla_len));
	return attr;
}

static inline uint16_t attr_type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

static inline size_t attr_length(const struct nlattr *attr)
{
	return attr->nla_len - sizeof(*attr);
}

static inline struct ct_bytes attr_nested(const struct nlattr *attr)
{
	const uint8_t *bytes = (const uint8_t *)attr;

	return (struct ct_bytes){ bytes + sizeof(*attr), bytes + attr->nla_len };
}

static inline uint8_t attr_u8(const struct nlattr *attr)
{
	return attr_length(attr) >= 1 ? *(const uint8_t *)(attr + 1) : 0;
}

static inline __be16 attr_be16(const struct nlattr *attr)
{
	return attr_length(attr) >= 2 ? *(const __be16 *)(attr + 1) : 0;
}

static inline __be32 attr_be32(const struct nlattr *attr)
{
	return attr_length(attr) >= 4 ? *(const __be32 *)(attr + 1) : 0;
}

/* What of a tuple has been read. */
enum { HAS_SRC = 1, HAS_DST = 2, HAS_PROTO = 4, HAS_SRC_PORT = 8, HAS_DST_PORT = 16, HAS_ALL = 31 };

static unsigned address_read(const struct nlattr *attr, size_t length, void *out, unsigned has)
{
	if (attr_length(attr) != length)
		return 0;
	memcpy(out, attr + 1, length);
	return has;
}

static unsigned addresses_read(const struct nlattr *nest, struct ct_tuple *tuple)
{
	const bool v6 = tuple->family == AF_INET6;
	const size_t length = v6 ? 16 : 4;
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);
	unsigned has = 0;

	while ((attr = attr_next(&attrs))) {
		const uint16_t type = attr_type(attr);

		if (type == (v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC))
			has |= address_read(attr, length, &tuple->src, HAS_SRC);
		else if (type == (v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST))
			has |= address_read(attr, length, &tuple->dst, HAS_DST);
	}
	return has;
}

static unsigned ports_read(const struct nlattr *nest, struct ct_tuple *tuple)
{
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);
	unsigned has = 0;

	while ((attr = attr_next(&attrs))) {
		switch (attr_type(attr)) {
		case CTA_PROTO_NUM:
			tuple->proto = attr_u8(attr);
			has |= HAS_PROTO;
			break;
		case CTA_PROTO_SRC_PORT:
			tuple->src_port = attr_be16(attr);
			has |= HAS_SRC_PORT;
			break;
		case CTA_PROTO_DST_PORT:
			tuple->dst_port = attr_be16(attr);
			has |= HAS_DST_PORT;
			break;
		}
	}
	return has;
}

/* False: not whole, or neither TCP nor UDP. */
static bool tuple_read(const struct nlattr *nest, uint8_t family, struct ct_tuple *tuple,
		       uint16_t *zone)
{
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);
	unsigned has = 0;

	tuple->family = family;
	while ((attr = attr_next(&attrs))) {
		switch (attr_type(attr)) {
		case CTA_TUPLE_IP:
			has |= addresses_read(attr, tuple);
			break;
		case CTA_TUPLE_PROTO:
			has |= ports_read(attr, tuple);
			break;
		case CTA_TUPLE_ZONE:
			*zone = ntohs(attr_be16(attr));
			break;
		}
	}
	return has == HAS_ALL && (tuple->proto == IPPROTO_TCP || tuple->proto == IPPROTO_UDP);
}

static void tcp_read(const struct nlattr *nest, struct ct_flow *flow)
{
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);

	while ((attr = attr_next(&attrs))) {
		switch (attr_type(attr)) {
		case CTA_PROTOINFO_TCP_STATE:
			flow->tcp_state = attr_u8(attr);
			flow->has_tcp_state = true;
			break;
		case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: /* struct nf_ct_tcp_flags: flags, then mask
							*/
			flow->tcp_flags_orig = attr_u8(attr);
			break;
		case CTA_PROTOINFO_TCP_FLAGS_REPLY:
			flow->tcp_flags_reply = attr_u8(attr);
			break;
		}
	}
}

static void protoinfo_read(const struct nlattr *nest, struct ct_flow *flow)
{
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);

	while ((attr = attr_next(&attrs))) {
		if (attr_type(attr) == CTA_PROTOINFO_TCP)
			tcp_read(attr, flow);
	}
}

/* A flow that ctnetlink created carries the attribute with zeros: only numbers make it one. */
static bool synproxy_read(const struct nlattr *nest)
{
	const struct nlattr *attr;
	struct ct_bytes attrs = attr_nested(nest);

	while ((attr = attr_next(&attrs))) {
		if (attr_be32(attr))
			return true;
	}
	return false;
}

static void flow_attr_read(const struct nlattr *attr, struct ct_flow *flow)
{
	switch (attr_type(attr)) {
	case CTA_ID:
		flow->id = ntohl(attr_be32(attr));
		break;
	case CTA_STATUS:
		flow->status = ntohl(attr_be32(attr));
		break;
	case CTA_TIMEOUT:
		flow->timeout_s = ntohl(attr_be32(attr));
		flow->has_timeout = true;
		break;
	case CTA_MARK:
		flow->mark = ntohl(attr_be32(attr));
		break;
	case CTA_ZONE:
		flow->zone = ntohs(attr_be16(attr));
		break;
	case CTA_PROTOINFO:
		protoinfo_read(attr, flow);
		break;
	case CTA_HELP:
		flow->has_helper = true;
		break;
	case CTA_TUPLE_MASTER:
		flow->has_master = true;
		break;
	case CTA_SEQ_ADJ_ORIG:
	case CTA_SEQ_ADJ_REPLY:
		flow->has_seqadj = true;
		break;
	case CTA_SYNPROXY:
		flow->has_synproxy = synproxy_read(attr);
		break;
	case CTA_LABELS:
		flow->has_labels = true;
		break;
	}
}

bool ct_flow_read(const struct nlmsghdr *message, struct ct_flow *out)
{
	const uint8_t *bytes = (const uint8_t *)message;
	const struct nfgenmsg *generic = (const void *)(bytes + NLMSG_HDRLEN);
	struct ct_bytes attrs = { bytes + CT_ATTRS_AT, bytes + message->nlmsg_len };
	const struct nlattr *attr;
	unsigned tuples = 0;

	if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_CTNETLINK ||
	    message->nlmsg_len < CT_ATTRS_AT ||
	    (generic->nfgen_family != AF_INET && generic->nfgen_family != AF_INET6))
		return false;
	memset(out, 0, sizeof(*out));
	while ((attr = attr_next(&attrs))) {
		const uint16_t type = attr_type(attr);

		if (type == CTA_TUPLE_ORIG || type == CTA_TUPLE_REPLY) {
			struct ct_tuple *tuple = type == CTA_TUPLE_ORIG ? &out->orig : &out->reply;

			if (!tuple_read(attr, generic->nfgen_family, tuple, &out->zone))
				return false;
			tuples |= 1u << type;
		} else {
			flow_attr_read(attr, out);
		}
	}
	return tuples == (1u << CTA_TUPLE_ORIG | 1u << CTA_TUPLE_REPLY) &&
	       out->orig.proto == out->reply.proto;
}

static struct nlmsghdr *request_put(void *at, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(at);
	struct nfgenmsg *generic;

	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	generic = mnl_nlmsg_put_extra_header(message, sizeof(*generic));
	generic->nfgen_family = family;
	generic->version = NFNETLINK_V0;
	return message;
}

static void addresses_put(struct nlmsghdr *message, const struct ct_tuple *tuple)
{
	const bool v6 = tuple->family == AF_INET6;
	const size_t length = v6 ? 16 : 4;
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);

	mnl_attr_put(message, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, length, &tuple->src);
	mnl_attr_put(message, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, length, &tuple->dst);
	mnl_attr_nest_end(message, nest);
}

static void ports_put(struct nlmsghdr *message, const struct ct_tuple *tuple)
{
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(message, CTA_PROTO_NUM, tuple->proto);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, tuple->src_port);
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, tuple->dst_port);
	mnl_attr_nest_end(message, nest);
}

static void tuple_put(struct nlmsghdr *message, uint16_t type, const struct ct_tuple *tuple)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	addresses_put(message, tuple);
	ports_put(message, tuple);
	mnl_attr_nest_end(message, nest);
}

/* The kernel has not seen the windows of what the fast path carried: liberal takes any sequence
 * number, and without a max-ack a RST need not match it exactly. */
static void tcp_put(struct nlmsghdr *message)
{
	static const struct nf_ct_tcp_flags flags = {
		.flags = IP_CT_TCP_FLAG_BE_LIBERAL,
		.mask = IP_CT_TCP_FLAG_BE_LIBERAL | IP_CT_TCP_FLAG_MAXACK_SET,
	};
	struct nlattr *info = mnl_attr_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);

	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	mnl_attr_nest_end(message, tcp);
	mnl_attr_nest_end(message, info);
}

/* Without NLM_F_CREATE, so never a new connection; without NLM_F_ACK, so silence means done. */
size_t ct_refresh_write(void *at, const struct ct_refresh *refresh, uint32_t sequence)
{
	struct nlmsghdr *message = request_put(at, IPCTNL_MSG_CT_NEW, 0, refresh->orig.family);

	message->nlmsg_seq = sequence;
	tuple_put(message, CTA_TUPLE_ORIG, &refresh->orig);
	if (refresh->timeout_s)
		mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(refresh->timeout_s));
	if (refresh->orig.proto == IPPROTO_TCP)
		tcp_put(message);
	else if (refresh->assured)
		mnl_attr_put_u32(message, CTA_STATUS, htonl(refresh->assured | IPS_ASSURED));
	return message->nlmsg_len;
}

size_t ct_query_write(void *at, const struct ct_tuple *orig)
{
	struct nlmsghdr *message = request_put(at, IPCTNL_MSG_CT_GET, 0, orig->family);

	tuple_put(message, CTA_TUPLE_ORIG, orig);
	return message->nlmsg_len;
}

size_t ct_dump_write(void *at, uint8_t family)
{
	struct nlmsghdr *message = request_put(at, IPCTNL_MSG_CT_GET, NLM_F_DUMP, family);

	/* Linux 6.1 filters by status; whoever does not, tells more than ct_refusal() lets through.
	 */
	mnl_attr_put_u32(message, CTA_STATUS, htonl(IPS_SEEN_REPLY));
	mnl_attr_put_u32(message, CTA_STATUS_MASK, htonl(IPS_SEEN_REPLY));
	return message->nlmsg_len;
}
