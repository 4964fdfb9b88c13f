/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Packet: one bounded parse of a frame, and what every program may know of it afterwards. */
#ifndef EVNF_FASTPATH_PACKET_BPF_H
#define EVNF_FASTPATH_PACKET_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common/flow.h"
#include "common/reasons.h"

#define AF_INET 2
#define AF_INET6 10
#define ETH_P_QINQ1 0x9100
#define ETH_P_QINQ2 0x9200
#define ETH_P_QINQ3 0x9300
#define TAGS_MAX 2
#define IP6_EXTENSIONS_MAX 8
#define L4_OFFSET_MAX 0x3fff            /* as far as offsets go */
#define IP6_EXTENSIONS_BYTES_MAX 0x3000 /* they end before that, whatever is before them */

enum packet_flag {
	PACKET_PORTS = 1 << 0,   /* TCP or UDP with its whole header here: the key is complete */
	PACKET_CONTROL = 1 << 1, /* TCP SYN, FIN or RST */
	PACKET_FRAGMENT = 1 << 2,
	PACKET_OPTIONS = 1 << 3,  /* IPv4 options or IPv6 extension headers */
	PACKET_OUTER_AD = 1 << 4, /* the outer tag is of 802.1ad, */
	PACKET_INNER_AD = 1 << 5, /* the inner one is */
};

/* Of these only PACKET_PORTS may be set in a packet that a flow entry is for: what a function
 * decided about an ordinary packet says nothing about the others of its flow. */
#define PACKET_KIND (PACKET_PORTS | PACKET_CONTROL | PACKET_OPTIONS)

/* A frame as parsed. Functions of a chain that rewrite it keep this up to date. */
struct packet {
	__u16 l3, l4;   /* offsets from the start of the frame; l4 only with PACKET_PORTS */
	__u16 l3_bytes; /* length of the IP packet, padding not counted */
	__u16 outer_vid, inner_vid; /* 0 when absent; a priority tag is VID 0 */
	__u8 tags;
	__u8 family; /* AF_INET, AF_INET6, or 0: not IP */
	__u8 proto;
	__u8 ttl;
	__u8 flags; /* enum packet_flag */
	__u8 odd;   /* enum reason it deserves, or REASON_NONE */
	union {
		struct flow4_key key4; /* context still 0 */
		struct flow6_key key6;
	};
};

/* Where the headers are, while a program holds the frame. */
struct headers {
	struct ethhdr *eth;
	void *l3, *l4, *end;
};

struct vlan_tag {
	__be16 tci, ether_type;
};

/* True when the outer tag is one of 802.1Q: the one a bridge goes by. */
static __always_inline int packet_is_tagged(const struct packet *packet)
{
	return packet->tags && !(packet->flags & PACKET_OUTER_AD);
}

/* What the contexts of frames differ by beside port and VIDs. */
static __always_inline __u16 packet_shape(const struct packet *packet)
{
	return packet->tags | (packet->flags & (PACKET_OUTER_AD | PACKET_INNER_AD));
}

static __always_inline int mac_same(const __u8 *a, const __u8 *b)
{
	return *(const __u32 *)a == *(const __u32 *)b &&
	       *(const __u16 *)(a + 4) == *(const __u16 *)(b + 4);
}

/* A length from the wire. Linux 6.1 knows no bounds of a number whose bytes were swapped. */
static __always_inline __u32 length_read(__be16 length)
{
	__u32 bytes = bpf_ntohs(length);

	barrier_var(bytes);
	return bytes & 0xffff;
}

/* Finds the frame. Returns 0, or -1 when not even an Ethernet header is there. */
static __always_inline int headers_open(struct xdp_md *ctx, struct headers *h)
{
	h->eth = (void *)(long)ctx->data;
	h->end = (void *)(long)ctx->data_end;
	h->l3 = h->l4 = h->eth + 1;
	return h->l3 > h->end ? -1 : 0;
}

static __always_inline int ether_is_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/* Tags that some vendors used before 802.1ad; what they hide is not looked at. */
static __always_inline int ether_is_foreign_tag(__be16 type)
{
	return type == bpf_htons(ETH_P_QINQ1) || type == bpf_htons(ETH_P_QINQ2) ||
	       type == bpf_htons(ETH_P_QINQ3);
}

/* Steps over at most TAGS_MAX tags and returns the inner EtherType. More tags stay unread: the
 * type returned then is a tag's, and the frame is odd. */
static __always_inline __be16 packet_parse_tags(struct packet *packet, struct headers *h)
{
	/* In one load: struct ethhdr is packed. */
	__be16 type = *(__be16 *)((void *)h->eth + __builtin_offsetof(struct ethhdr, h_proto));

	for (int i = 0; i < TAGS_MAX && ether_is_tag(type); i++) {
		struct vlan_tag *tag = h->l3;

		if ((void *)(tag + 1) > h->end) {
			packet->odd = REASON_MALFORMED;
			return 0;
		}
		if (i == 0)
			packet->outer_vid = bpf_ntohs(tag->tci) & 0xfff;
		else
			packet->inner_vid = bpf_ntohs(tag->tci) & 0xfff;
		if (type == bpf_htons(ETH_P_8021AD))
			packet->flags |= i == 0 ? PACKET_OUTER_AD : PACKET_INNER_AD;
		packet->tags++;
		type = tag->ether_type;
		h->l3 = tag + 1;
	}
	if (ether_is_tag(type))
		packet->odd = REASON_TAGS;
	return type;
}

/* TCP flags no stack sends. RFC 9293 has no meaning for any of them. */
static __always_inline int tcp_flags_impossible(const struct tcphdr *tcp)
{
	if (tcp->syn)
		return tcp->fin || tcp->rst;
	return !tcp->ack && (tcp->fin || !tcp->rst);
}

/* Reads TCP or UDP at h->l4. `room` is what the IP header says there is, bytes. */
static __always_inline void packet_parse_l4(struct packet *packet, struct headers *h, __u32 room,
					    __be16 *src_port, __be16 *dst_port)
{
	if (packet->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = h->l4;

		if ((void *)(tcp + 1) > h->end || tcp->doff < 5 || tcp->doff * 4 > room) {
			packet->odd = REASON_MALFORMED;
			return;
		}
		*src_port = tcp->source;
		*dst_port = tcp->dest;
		if (tcp->syn | tcp->fin | tcp->rst | !tcp->ack) {
			packet->flags |= PACKET_CONTROL;
			if (tcp_flags_impossible(tcp))
				packet->odd = REASON_TCP_FLAGS;
		}
	} else if (packet->proto == IPPROTO_UDP) {
		struct udphdr *udp = h->l4;

		if ((void *)(udp + 1) > h->end || bpf_ntohs(udp->len) < sizeof(*udp) ||
		    bpf_ntohs(udp->len) > room) {
			packet->odd = REASON_MALFORMED;
			return;
		}
		*src_port = udp->source;
		*dst_port = udp->dest;
	} else {
		return;
	}
	packet->flags |= PACKET_PORTS;
}

/* True when the frame, all its buffers counted, is shorter than `bytes` after `from`. */
static __always_inline int frame_shorter(struct xdp_md *ctx, const void *from,
					 const struct headers *h, __u32 bytes)
{
	if (from + bytes <= h->end)
		return 0;
	return (long)bpf_xdp_get_buff_len(ctx) < from - (const void *)h->eth + bytes;
}

/* The first fragment of a datagram must hold the whole L4 header (RFC 1858), and a TCP fragment
 * at offset 8 would overwrite its flags. */
static __always_inline int fragment_too_short(__u8 proto, __u32 offset_bytes, __u32 room)
{
	if (proto == IPPROTO_TCP)
		return (offset_bytes == 0 && room < sizeof(struct tcphdr)) || offset_bytes == 8;
	return proto == IPPROTO_UDP && offset_bytes == 0 && room < sizeof(struct udphdr);
}

/* Source routing: options 131 and 137 (RFC 791), looked for in `bytes` of options at `offset` of
 * the frame. A function of its own: the verifier walks its loop once, not once per caller. */
__noinline int ip4_source_routed(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	__u8 options[64] = {};
	__u32 at = 0;

	if (bytes < 4 || bytes > 40 || bpf_xdp_load_bytes(ctx, offset, options, bytes))
		return 0;
	for (int i = 0; i < 40; i++) {
		__u8 type = options[at & 63], length = options[(at + 1) & 63];

		if (type == 131 || type == 137)
			return 1;
		if (type == 0 || (type != 1 && length < 2))
			return 0;
		at += type == 1 ? 1 : length;
		if (at >= bytes)
			return 0;
	}
	return 0;
}

static __always_inline void packet_parse_ip4(struct xdp_md *ctx, struct packet *packet,
					     struct headers *h)
{
	struct iphdr *ip = h->l3;
	__u32 header_bytes, offset;

	if ((void *)(ip + 1) > h->end)
		goto malformed;
	header_bytes = ip->ihl * 4;
	packet->family = AF_INET;
	packet->l3_bytes = length_read(ip->tot_len);
	packet->ttl = ip->ttl;
	packet->proto = ip->protocol;
	packet->key4.src_ip = ip->saddr;
	packet->key4.dst_ip = ip->daddr;
	packet->key4.proto = ip->protocol;
	if (ip->version != 4 || header_bytes < sizeof(*ip) || packet->l3_bytes < header_bytes ||
	    frame_shorter(ctx, ip, h, packet->l3_bytes))
		goto malformed;
	h->l4 = h->l3 + header_bytes;
	if (header_bytes > sizeof(*ip)) {
		packet->flags |= PACKET_OPTIONS;
		if (ip4_source_routed(ctx, (void *)(ip + 1) - (void *)h->eth,
				      header_bytes - sizeof(*ip)))
			packet->odd = REASON_SOURCE_ROUTE;
	}
	offset = bpf_ntohs(ip->frag_off);
	if (offset & 0x3fff) { /* more fragments, or not the first */
		packet->flags |= PACKET_FRAGMENT;
		if (fragment_too_short(ip->protocol, (offset & 0x1fff) * 8,
				       packet->l3_bytes - header_bytes))
			packet->odd = REASON_SHORT_FRAGMENT;
		return;
	}
	packet_parse_l4(packet, h, packet->l3_bytes - header_bytes, &packet->key4.src_port,
			&packet->key4.dst_port);
	return;
malformed:
	packet->odd = REASON_MALFORMED;
}

/* What all skippable extension headers begin with (RFC 8200); AH counts in words (RFC 4302). */
struct ip6_extension {
	__u8 next, length;
	__be16 fragment; /* fragment header: offset, reserved, more */
	__be32 rest;
};

static __always_inline int ip6_is_extension(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

/* What stands behind the extension headers. */
struct ip6_upper {
	__u8 proto;
	__u8 flags; /* enum packet_flag */
	__u8 odd;   /* enum reason */
	__u8 pad;
	__u32 bytes; /* of extension headers */
};

static __always_inline __u32 ip6_extension_bytes(__u8 proto, const struct ip6_extension *extension)
{
	if (proto == IPPROTO_FRAGMENT)
		return sizeof(*extension);
	return proto == IPPROTO_AH ? (extension->length + 2) * 4 : (extension->length + 1) * 8;
}

/* Steps over the extension headers at `offset` of the frame, `proto` the first of them, `room` the
 * bytes behind the IPv6 header. Returns a struct ip6_upper as one number: a function of its own
 * has no other way, and is verified once. */
__noinline __u64 ip6_extensions_skip(struct xdp_md *ctx, __u32 offset, __u32 proto, __u32 room)
{
	union {
		struct ip6_upper upper;
		__u64 number;
	} skipped = { .upper = { .proto = proto, .flags = PACKET_OPTIONS, .odd = REASON_NONE } };
	struct ip6_upper *upper = &skipped.upper;

	for (int i = 0; i < IP6_EXTENSIONS_MAX && ip6_is_extension(upper->proto); i++) {
		struct ip6_extension extension;
		__be16 fragment;

		if (bpf_xdp_load_bytes(ctx, offset + upper->bytes, &extension, sizeof(extension))) {
			upper->odd = REASON_MALFORMED;
			break;
		}
		fragment = upper->proto == IPPROTO_FRAGMENT ? extension.fragment & bpf_htons(0xfff9)
							    : 0;
		if (upper->proto == IPPROTO_ROUTING && !(extension.fragment & bpf_htons(0xff00)))
			upper->odd = REASON_SOURCE_ROUTE;
		upper->bytes += ip6_extension_bytes(upper->proto, &extension);
		upper->proto = extension.next;
		if (fragment) {
			__u32 left = room > upper->bytes ? room - upper->bytes : 0;

			upper->flags |= PACKET_FRAGMENT;
			if (fragment_too_short(upper->proto, bpf_ntohs(fragment) & 0xfff8, left))
				upper->odd = REASON_SHORT_FRAGMENT;
			break;
		}
	}
	if (!(upper->flags & PACKET_FRAGMENT) && ip6_is_extension(upper->proto))
		upper->odd = REASON_MALFORMED;
	return skipped.number;
}

static __always_inline void packet_parse_extensions(struct xdp_md *ctx, struct packet *packet,
						    struct headers *h, __u32 payload)
{
	union {
		struct ip6_upper upper;
		__u64 number;
	} skipped = { .number = ip6_extensions_skip(ctx, h->l4 - (void *)h->eth, packet->proto,
						    payload) };

	packet->proto = skipped.upper.proto;
	packet->flags |= skipped.upper.flags;
	if (skipped.upper.odd != REASON_NONE)
		packet->odd = skipped.upper.odd;
	else if (skipped.upper.bytes > IP6_EXTENSIONS_BYTES_MAX)
		packet->odd = REASON_MALFORMED;
	h->l4 += skipped.upper.bytes & L4_OFFSET_MAX;
}

static __always_inline void packet_parse_ip6(struct xdp_md *ctx, struct packet *packet,
					     struct headers *h)
{
	struct ipv6hdr *ip = h->l3;
	__u32 used, payload;

	if ((void *)(ip + 1) > h->end || ip->version != 6)
		goto malformed;
	payload = length_read(ip->payload_len);
	packet->family = AF_INET6;
	packet->l3_bytes = sizeof(*ip) + payload;
	packet->ttl = ip->hop_limit;
	packet->proto = ip->nexthdr;
	__builtin_memcpy(packet->key6.src_ip, &ip->saddr, 16);
	__builtin_memcpy(packet->key6.dst_ip, &ip->daddr, 16);
	/* A jumbogram (RFC 2675) would not fit 16 bits; no port here carries one. */
	if (payload > 0xffff - sizeof(*ip) || frame_shorter(ctx, ip, h, sizeof(*ip) + payload))
		goto malformed;
	h->l4 = ip + 1;
	if (ip6_is_extension(packet->proto))
		packet_parse_extensions(ctx, packet, h, payload);
	packet->key6.proto = packet->proto;
	if (packet->odd != REASON_NONE || packet->flags & PACKET_FRAGMENT)
		return;
	used = h->l4 - h->l3;
	if (used > packet->l3_bytes)
		goto malformed;
	packet_parse_l4(packet, h, packet->l3_bytes - used, &packet->key6.src_port,
			&packet->key6.dst_port);
	return;
malformed:
	packet->odd = REASON_MALFORMED;
}

/* Parses the frame once. `packet` must be zero. Never reads behind the frame; a frame it cannot
 * make sense of has packet->odd set and only the fields read so far. Returns 0, or -1 when not
 * even an Ethernet header is there. */
static __always_inline int packet_parse(struct xdp_md *ctx, struct packet *packet,
					struct headers *h)
{
	__be16 type;

	packet->odd = REASON_NONE;
	if (headers_open(ctx, h))
		return -1;
	type = packet_parse_tags(packet, h);
	if (type == bpf_htons(ETH_P_IP))
		packet_parse_ip4(ctx, packet, h);
	else if (type == bpf_htons(ETH_P_IPV6))
		packet_parse_ip6(ctx, packet, h);
	else if (ether_is_foreign_tag(type))
		packet->odd = REASON_TAGS;
	packet->l3 = h->l3 - (void *)h->eth;
	if (packet->flags & PACKET_PORTS)
		packet->l4 = (h->l4 - (void *)h->eth) & L4_OFFSET_MAX;
	return 0;
}

/* Finds the headers again in a program after the one that parsed. Returns 0, or -1 when the frame
 * is not as long as it was. */
static __always_inline int packet_headers(struct xdp_md *ctx, const struct packet *packet,
					  struct headers *h)
{
	__u32 l3 = packet->l3 & 0x3f, l4 = packet->l4 & L4_OFFSET_MAX;

	if (headers_open(ctx, h))
		return -1;
	h->l3 = (void *)h->eth + l3;
	h->l4 = (void *)h->eth + l4;
	return 0;
}

#endif
