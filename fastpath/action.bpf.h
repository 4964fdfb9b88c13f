/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Action: applies a flow entry to a packet; the same code for the first packet and all others. */
#ifndef EVNF_FASTPATH_ACTION_BPF_H
#define EVNF_FASTPATH_ACTION_BPF_H

#include "fastpath/maps.bpf.h"
#include "fastpath/packet.bpf.h"

#define TTL_DELTA bpf_htons(0xfeff) /* one's complement of 0x0100: TTL less one */

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 1624, equation 3, with the difference summed up beforehand. */
static __always_inline __sum16 checksum_add(__sum16 check, __u16 delta)
{
	return ~checksum_fold((__u16)~check + delta);
}

/* Adds the change of n 32-bit words to a running difference. */
static __always_inline __u32 checksum_change(__u32 delta, const __be32 *old, const __be32 *new,
					     int n)
{
	for (int i = 0; i < n; i++)
		delta += (__u16) ~(old[i] & 0xffff) + (__u16) ~(old[i] >> 16) + (new[i] & 0xffff) +
			 (new[i] >> 16);
	return delta;
}

static __always_inline __u32 checksum_change16(__u32 delta, __be16 old, __be16 new)
{
	return delta + (__u16)~old + new;
}

/* Writes ports and the L4 checksum. Returns -1 when the header is not in the frame. */
static __always_inline int ports_rewrite(struct headers *h, __u8 proto, __be16 src_port,
					 __be16 dst_port, __u16 delta)
{
	if (proto == IPPROTO_TCP) {
		struct tcphdr *tcp = h->l4;

		if ((void *)(tcp + 1) > h->end)
			return -1;
		tcp->source = src_port;
		tcp->dest = dst_port;
		tcp->check = checksum_add(tcp->check, delta);
	} else {
		struct udphdr *udp = h->l4;

		if ((void *)(udp + 1) > h->end)
			return -1;
		udp->source = src_port;
		udp->dest = dst_port;
		if (udp->check) { /* 0: the sender computed none (RFC 768); it stays so */
			udp->check = checksum_add(udp->check, delta);
			if (!udp->check)
				udp->check = 0xffff;
		}
	}
	return 0;
}

/* Writes both MAC addresses of a routed frame: twelve bytes in two stores. */
static __always_inline void macs_rewrite(struct ethhdr *eth, __u64 dst, __u64 src)
{
	*(__u64 *)eth->h_dest = (dst & 0xffffffffffffULL) | src << 48;
	*(__u32 *)(eth->h_source + 2) = src >> 16;
}

/* Looks the next hop up and writes the MAC addresses if the frame is routed. Returns the port to
 * leave by, or -1 when the next hop is down. */
static __always_inline int next_hop_take(struct headers *h, const struct flow_head *flow)
{
	__u32 index = flow->next_hop;
	__u64 *words = bpf_map_lookup_elem(&next_hops, &index), dst;

	if (!words)
		return -1;
	dst = *(volatile __u64 *)&words[0];
	if (dst >> 48 == NEXT_HOP_DOWN)
		return -1;
	if (flow->actions & FLOW_ROUTE)
		macs_rewrite(h->eth, dst, *(volatile __u64 *)&words[1]);
	return dst >> 48;
}

static __always_inline int flow4_rewrite(struct headers *h, __u8 proto, const struct flow4 *flow)
{
	struct iphdr *ip = h->l3;

	if ((void *)(ip + 1) > h->end)
		return -1;
	if (flow->head.actions & FLOW_REWRITE) {
		if (ports_rewrite(h, proto, flow->src_port, flow->dst_port, flow->l4_delta))
			return -1;
		ip->saddr = flow->src_ip;
		ip->daddr = flow->dst_ip;
	}
	if (flow->head.actions & FLOW_ROUTE)
		ip->ttl--;
	if (flow->head.actions & (FLOW_ROUTE | FLOW_REWRITE))
		ip->check = checksum_add(ip->check, flow->ip_delta);
	return 0;
}

static __always_inline int flow6_rewrite(struct headers *h, __u8 proto, const struct flow6 *flow)
{
	struct ipv6hdr *ip = h->l3;

	if ((void *)(ip + 1) > h->end)
		return -1;
	if (flow->head.actions & FLOW_REWRITE) {
		if (ports_rewrite(h, proto, flow->src_port, flow->dst_port, flow->l4_delta))
			return -1;
		__builtin_memcpy(&ip->saddr, flow->src_ip, 16);
		__builtin_memcpy(&ip->daddr, flow->dst_ip, 16);
	}
	if (flow->head.actions & FLOW_ROUTE)
		ip->hop_limit--;
	return 0;
}

#endif
