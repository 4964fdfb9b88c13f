/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses: which packets no router forwards, whatever its routes say. */
#ifndef EVNF_FASTPATH_ADDRESSES_BPF_H
#define EVNF_FASTPATH_ADDRESSES_BPF_H

#include "fastpath/packet.bpf.h"

#define LOOPBACK6 bpf_htonl(1) /* last word of ::1 */
#define MAPPED6 bpf_htonl(0xffff)

static __always_inline int ip4_in(__be32 address, __u32 network, int bits)
{
	return (bpf_ntohl(address) ^ network) >> (32 - bits) == 0;
}

/* Never a source, wherever it comes from: this network, loopback, multicast, reserved (RFC 1812,
 * 5.3.7); and a packet from its own destination. */
static __always_inline int ip4_is_martian(__be32 src, __be32 dst)
{
	return ip4_in(src, 0, 8) || ip4_in(src, 127U << 24, 8) || ip4_in(src, 224U << 24, 3) ||
	       ip4_in(dst, 0, 8) || ip4_in(dst, 127U << 24, 8) || ip4_in(dst, 240U << 24, 4) ||
	       src == dst;
}

/* The unspecified address, ::1, or an IPv4 address in disguise: not on a wire (RFC 4291). */
static __always_inline int ip6_is_reserved(const __be32 address[4])
{
	if (address[0] || address[1])
		return 0;
	return address[2] == MAPPED6 || (!address[2] && (!address[3] || address[3] == LOOPBACK6));
}

static __always_inline int ip6_is_multicast(const __be32 address[4])
{
	return (address[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

static __always_inline int ip6_is_link_local(const __be32 address[4])
{
	return (address[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

static __always_inline int ip6_is_martian(const struct flow6_key *key)
{
	__u32 differ = 0;

	for (int i = 0; i < 4; i++)
		differ |= key->src_ip[i] ^ key->dst_ip[i];
	return !differ || ip6_is_multicast(key->src_ip) || ip6_is_reserved(key->src_ip) ||
	       ip6_is_reserved(key->dst_ip);
}

/* REASON_NONE for an IP packet whose addresses are fit to be routed. */
static __always_inline enum reason addresses_judge(const struct packet *packet)
{
	const struct flow6_key *key6 = &packet->key6;

	if (packet->family == AF_INET) {
		if (ip4_is_martian(packet->key4.src_ip, packet->key4.dst_ip))
			return REASON_MARTIAN;
		return ip4_in(packet->key4.dst_ip, 224U << 24, 4) ? REASON_MULTICAST : REASON_NONE;
	}
	if (ip6_is_martian(key6))
		return REASON_MARTIAN;
	if (ip6_is_multicast(key6->dst_ip))
		return REASON_MULTICAST;
	if (ip6_is_link_local(key6->src_ip) || ip6_is_link_local(key6->dst_ip))
		return REASON_FOR_HOST;
	return REASON_NONE;
}

#endif
