// SPDX-License-Identifier: BSD-2-Clause
// Frames: builds Ethernet frames from a description and checks them, with checksums computed whole.
#include "tests/lib/frames.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

static uint32_t sum_add(uint32_t sum, const void *data, uint32_t bytes)
{
	const uint8_t *byte = data;

	for (uint32_t i = 0; i < bytes; i++)
		sum += i % 2 ? byte[i] : byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The sum of the pseudo header, RFC 9293 and RFC 8200. */
static uint32_t pseudo_sum(const uint8_t *l3, uint8_t proto, uint32_t l4_bytes)
{
	bool ip4 = l3[0] >> 4 == 4;

	return sum_add(proto + (l4_bytes >> 16) + (l4_bytes & 0xffff), l3 + (ip4 ? 12 : 8),
		       ip4 ? 8 : 32);
}

static bool has_pseudo_header(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_ICMPV6;
}

/* Where a transport protocol has its checksum, or 0. */
static uint32_t checksum_offset(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
		return offsetof(struct udphdr, check);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return offsetof(struct icmphdr, checksum);
	default:
		return 0;
	}
}

static void l4_mend(uint8_t *l3, uint8_t *l4, uint8_t proto, uint32_t bytes)
{
	uint32_t sum = has_pseudo_header(proto) ? pseudo_sum(l3, proto, bytes) : 0;
	uint32_t at = checksum_offset(proto);
	__be16 check = 0;

	if (!at || bytes < at + 2)
		return;
	memcpy(l4 + at, &check, 2);
	check = htons(~sum_add(sum, l4, bytes));
	if (proto == IPPROTO_UDP && !check)
		check = 0xffff;
	memcpy(l4 + at, &check, 2);
}

static void ip4_mend(uint8_t *l3)
{
	struct iphdr *ip = (struct iphdr *)l3;

	ip->check = 0;
	ip->check = htons(~sum_add(0, ip, ip->ihl * 4));
}

/* What a sound packet holds. */
struct layers {
	uint8_t *l3, *l4;
	uint8_t proto;
	uint32_t l4_bytes;
	bool fragment;
};

static bool is_extension(uint8_t proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_DSTOPTS ||
	       proto == IPPROTO_AH || proto == IPPROTO_FRAGMENT;
}

static const char *layers_find6(uint8_t *l3, uint32_t bytes, struct layers *layers)
{
	const struct ip6_hdr *ip = (const struct ip6_hdr *)l3;
	uint32_t at = sizeof(*ip), end = sizeof(*ip) + ntohs(ip->ip6_plen);

	layers->proto = ip->ip6_nxt;
	if (bytes < end)
		return "the IPv6 packet is longer than its frame";
	while (is_extension(layers->proto)) {
		const uint8_t *extension = l3 + at;

		if (at + 8 > end)
			return "an extension header is cut";
		if (layers->proto == IPPROTO_FRAGMENT && ((extension[2] << 8 | extension[3]) & ~6))
			layers->fragment = true;
		at += layers->proto == IPPROTO_FRAGMENT ? 8
		      : layers->proto == IPPROTO_AH     ? (extension[1] + 2) * 4
							: (extension[1] + 1) * 8;
		layers->proto = extension[0];
	}
	if (at > end)
		return "an extension header is cut";
	layers->l4 = l3 + at;
	layers->l4_bytes = end - at;
	return NULL;
}

static const char *layers_find4(uint8_t *l3, uint32_t bytes, struct layers *layers)
{
	const struct iphdr *ip = (const struct iphdr *)l3;

	if (ip->ihl < 5 || ntohs(ip->tot_len) < ip->ihl * 4 || ntohs(ip->tot_len) > bytes)
		return "the IPv4 lengths are wrong";
	layers->proto = ip->protocol;
	layers->l4 = l3 + ip->ihl * 4;
	layers->l4_bytes = ntohs(ip->tot_len) - ip->ihl * 4;
	layers->fragment = ntohs(ip->frag_off) & 0x3fff;
	return NULL;
}

/* Finds IP and transport in a frame. layers->l3 is NULL when there is no IP in it. */
static const char *layers_find(uint8_t *data, uint32_t bytes, struct layers *layers)
{
	uint32_t at = ETH_HLEN;
	uint16_t type;

	*layers = (struct layers){};
	if (bytes < at)
		return "shorter than an Ethernet header";
	type = data[12] << 8 | data[13];
	while ((type == ETH_P_8021Q || type == ETH_P_8021AD) && at + 4 <= bytes) {
		type = data[at + 2] << 8 | data[at + 3];
		at += 4;
	}
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return NULL;
	if (bytes < at + (type == ETH_P_IP ? 20 : 40))
		return "shorter than an IP header";
	layers->l3 = data + at;
	return type == ETH_P_IP ? layers_find4(layers->l3, bytes - at, layers)
				: layers_find6(layers->l3, bytes - at, layers);
}

bool frame_sums(struct frame *frame, uint16_t *ip, uint16_t *transport)
{
	struct layers layers;
	const char *fault = layers_find(frame->data, frame->bytes, &layers);
	uint32_t at = checksum_offset(layers.proto), sum = 0;

	if (fault || !layers.l3 || !at || layers.fragment || layers.l4_bytes < at + 2)
		return false;
	*ip = layers.l3[0] >> 4 == 4 ? sum_add(0, layers.l3, (layers.l3[0] & 15) * 4) : 0;
	*transport = 0;
	if (layers.proto == IPPROTO_UDP && !layers.l4[at] && !layers.l4[at + 1])
		return true; /* the sender computed none */
	if (has_pseudo_header(layers.proto))
		sum = pseudo_sum(layers.l3, layers.proto, layers.l4_bytes);
	*transport = sum_add(sum, layers.l4, layers.l4_bytes);
	return true;
}

const char *frame_fault(struct frame *frame)
{
	uint16_t ip, transport;

	if (!frame_sums(frame, &ip, &transport))
		return "no whole packet";
	if (ip && ip != 0xffff)
		return "the IPv4 checksum is wrong";
	return !transport || transport == 0xffff ? NULL : "the transport's checksum is wrong";
}

uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

void frame_mend(struct frame *frame)
{
	struct layers layers;

	if (layers_find(frame->data, frame->bytes, &layers) || !layers.l3)
		return;
	if (layers.l3[0] >> 4 == 4)
		ip4_mend(layers.l3);
	if (!layers.fragment)
		l4_mend(layers.l3, layers.l4, layers.proto, layers.l4_bytes);
}

void frame_cut(struct frame *frame, uint32_t bytes)
{
	if (bytes < frame->bytes)
		frame->bytes = bytes;
}

static void *frame_put(struct frame *frame, uint32_t bytes)
{
	void *at = frame->data + frame->bytes;

	memset(at, 0, bytes);
	frame->bytes += bytes;
	return at;
}

static void put16(struct frame *frame, uint16_t value)
{
	uint8_t *to = frame_put(frame, 2);

	to[0] = value >> 8;
	to[1] = value;
}

static void ether_put(const struct frame_spec *spec, struct frame *frame)
{
	uint16_t type = spec->family == AF_INET6 ? ETH_P_IPV6 : ETH_P_IP;

	memcpy(frame_put(frame, 6), spec->dst_mac, 6);
	memcpy(frame_put(frame, 6), spec->src_mac, 6);
	for (int i = 0; i < FRAME_TAGS_MAX && spec->tags[i].type; i++) {
		put16(frame, spec->tags[i].type);
		put16(frame, spec->tags[i].tci);
	}
	put16(frame, spec->ether_type ? spec->ether_type : type);
}

static void ip4_put(const struct frame_spec *spec, struct frame *frame)
{
	struct iphdr *ip = frame_put(frame, sizeof(*ip));
	uint16_t fragment = spec->fragment_bytes / 8 | (spec->more_fragments ? IP_MF : 0);

	ip->version = 4;
	ip->ihl = 5 + spec->option_bytes / 4;
	ip->id = htons(0x1234);
	ip->frag_off = htons(fragment | (spec->dont_fragment ? IP_DF : 0));
	ip->ttl = spec->ttl ? spec->ttl : 64;
	ip->protocol = spec->proto;
	ip->saddr = spec->src.ip[0];
	ip->daddr = spec->dst.ip[0];
	if (spec->option_bytes)
		memcpy(frame_put(frame, spec->option_bytes), spec->options, spec->option_bytes);
}

static uint8_t *extension_put(const struct frame_spec *spec, struct frame *frame, uint8_t *next,
			      uint8_t type)
{
	uint8_t *extension = frame_put(frame, type == IPPROTO_AH ? 24 : 8);
	uint16_t fragment = spec->fragment_bytes | spec->more_fragments;

	*next = type;
	if (type == IPPROTO_AH)
		extension[1] = 4;
	if (type == IPPROTO_ROUTING)
		extension[2] = spec->routing_type;
	if (type == IPPROTO_HOPOPTS || type == IPPROTO_DSTOPTS) {
		extension[2] = 1; /* PadN */
		extension[3] = 4;
	}
	if (type == IPPROTO_FRAGMENT) {
		extension[2] = fragment >> 8;
		extension[3] = fragment;
	}
	return extension;
}

static void ip6_put(const struct frame_spec *spec, struct frame *frame)
{
	struct ip6_hdr *ip = frame_put(frame, sizeof(*ip));
	uint8_t *next = &ip->ip6_nxt;

	ip->ip6_vfc = 6 << 4;
	ip->ip6_hlim = spec->ttl ? spec->ttl : 64;
	memcpy(&ip->ip6_src, spec->src.ip, 16);
	memcpy(&ip->ip6_dst, spec->dst.ip, 16);
	if (spec->hop_by_hop)
		next = extension_put(spec, frame, next, IPPROTO_HOPOPTS);
	for (int i = 0; i < FRAME_EXTENSIONS_MAX && spec->extensions[i]; i++)
		next = extension_put(spec, frame, next, spec->extensions[i]);
	if (spec->fragmented)
		next = extension_put(spec, frame, next, IPPROTO_FRAGMENT);
	*next = spec->proto;
}

/* The header of the transport, in a first fragment or a whole packet. */
static void l4_put(const struct frame_spec *spec, struct frame *frame)
{
	if (spec->fragment_bytes)
		return;
	if (spec->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = frame_put(frame, sizeof(*tcp));
		uint8_t flags = spec->tcp_flags ? spec->tcp_flags : TH_ACK;

		tcp->source = htons(spec->src.port);
		tcp->dest = htons(spec->dst.port);
		tcp->seq = htonl(0x01020304);
		tcp->ack_seq = htonl(0x05060708);
		tcp->doff = 5;
		tcp->th_flags = flags == 0xff ? 0 : flags;
		tcp->window = htons(512);
	} else if (spec->proto == IPPROTO_UDP) {
		put16(frame, spec->src.port);
		put16(frame, spec->dst.port);
		put16(frame, sizeof(struct udphdr) + spec->payload_bytes);
		put16(frame, 0);
	} else if (spec->proto == IPPROTO_ICMP || spec->proto == IPPROTO_ICMPV6) {
		put16(frame, spec->src.port);
		put16(frame, 0);
		put16(frame, spec->dst.port);
		put16(frame, 1);
	}
}

static void payload_put(const struct frame_spec *spec, struct frame *frame)
{
	uint8_t *payload = frame_put(frame, spec->payload_bytes);

	for (uint32_t i = 0; i < spec->payload_bytes; i++)
		payload[i] = i * 7 + 3;
	if (spec->payload_bytes >= 2 && spec->payload_word) {
		payload[0] = spec->payload_word >> 8;
		payload[1] = spec->payload_word;
	}
}

static void lengths_write(const struct frame_spec *spec, struct frame *frame)
{
	uint32_t bytes = frame->bytes - frame->l3;

	if (spec->family == AF_INET6)
		((struct ip6_hdr *)(frame->data + frame->l3))->ip6_plen = htons(bytes - 40);
	else
		((struct iphdr *)(frame->data + frame->l3))->tot_len = htons(bytes);
}

void frame_build(const struct frame_spec *spec, struct frame *frame)
{
	bool ip = !spec->ether_type;
	uint8_t *l3, *l4;

	frame->bytes = frame->l4 = 0;
	ether_put(spec, frame);
	frame->l3 = frame->bytes;
	if (ip && spec->family == AF_INET6)
		ip6_put(spec, frame);
	else if (ip)
		ip4_put(spec, frame);
	frame->l4 = frame->bytes;
	if (ip)
		l4_put(spec, frame);
	payload_put(spec, frame);
	l3 = frame->data + frame->l3;
	l4 = frame->data + frame->l4;
	if (ip) {
		lengths_write(spec, frame);
		if (spec->family != AF_INET6)
			ip4_mend(l3);
		if (!spec->no_checksum && !spec->fragment_bytes)
			l4_mend(l3, l4, spec->proto, frame->bytes - frame->l4);
	}
	memset(frame_put(frame, spec->padding_bytes), 0xa5, spec->padding_bytes);
}

struct endpoint endpoint_of(const char *address, uint16_t port)
{
	struct endpoint endpoint = { .port = port };

	if (inet_pton(AF_INET, address, endpoint.ip) != 1)
		inet_pton(AF_INET6, address, endpoint.ip);
	return endpoint;
}
