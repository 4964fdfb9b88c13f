/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Action: applies a flow entry to a packet; the same code for the first packet and all others. */
#ifndef EVNF_FASTPATH_ACTION_BPF_H
#define EVNF_FASTPATH_ACTION_BPF_H

#include "fastpath/maps.bpf.h"
#include "fastpath/packet.bpf.h"

#define VID_MAX 0xfff               /* mask of the VID in a tag */
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
static __always_inline void macs_rewrite(void *eth, __u64 dst, __u64 src)
{
	*(__u64 *)eth = (dst & 0xffffffffffffULL) | src << 48;
	*(__u32 *)(eth + 8) = src >> 16;
}

#define VID_AS_IS (-1)

/* Looks the next hop up and writes the MAC addresses if the frame is routed. Returns the port to
 * leave by, or -1 when the next hop is down. `vid`, NULL at a router, becomes what frame_retag()
 * shall make of the tag. */
static __always_inline int next_hop_take(struct headers *h, const struct flow_head *flow, int *vid)
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
	if (vid && flow->actions & FLOW_RETAG)
		*vid = dst & VID_MAX;
	return dst >> 48;
}

static __always_inline int tag_pop(struct xdp_md *ctx)
{
	__u32 macs[3];

	if (bpf_xdp_load_bytes(ctx, 0, macs, sizeof(macs)) ||
	    bpf_xdp_adjust_head(ctx, sizeof(struct vlan_tag)))
		return -1;
	return bpf_xdp_store_bytes(ctx, 0, macs, sizeof(macs));
}

static __always_inline int tag_push(struct xdp_md *ctx, __u32 vid)
{
	struct {
		__u32 macs[3];
		__be16 type, tci;
	} front = { .type = bpf_htons(ETH_P_8021Q), .tci = bpf_htons(vid) };

	if (bpf_xdp_load_bytes(ctx, 0, front.macs, sizeof(front.macs)) ||
	    bpf_xdp_adjust_head(ctx, -(int)sizeof(struct vlan_tag)))
		return -1;
	return bpf_xdp_store_bytes(ctx, 0, &front, sizeof(front));
}

/* Makes the frame, whose outer tag is one of 802.1Q if `tagged`, leave with VID `vid` in that tag,
 * its priority kept, or with no such tag where vid is 0. Returns 0, or -1 when the frame has no
 * room. A function of its own: few frames need it, and no pointer into the frame survives it. */
__noinline int frame_retag(struct xdp_md *ctx, __u32 tagged, __u32 vid)
{
	const __u32 at = sizeof(struct ethhdr);
	__be16 tci;

	if (tagged && !vid)
		return tag_pop(ctx);
	if (!tagged)
		return vid ? tag_push(ctx, vid) : 0;
	if (bpf_xdp_load_bytes(ctx, at, &tci, sizeof(tci)))
		return -1;
	tci = (tci & bpf_htons(0xffff & ~VID_MAX)) | bpf_htons(vid);
	return bpf_xdp_store_bytes(ctx, at, &tci, sizeof(tci));
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
