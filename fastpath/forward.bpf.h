/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Forward: where a walked packet leaves, as the kernel's FIB says. */
#ifndef EVNF_FASTPATH_FORWARD_BPF_H
#define EVNF_FASTPATH_FORWARD_BPF_H

#include "fastpath/walk.bpf.h"

/* What the way out is, for building a flow entry. */
struct way {
	__u16 next_hop; /* slot */
	__u16 mtu;      /* bytes of IP packet */
};

static __always_inline enum reason fib_reason(long result)
{
	switch (result) {
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return REASON_NO_ROUTE;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return REASON_NO_NEIGHBOR;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return REASON_TOO_BIG;
	default:
		return REASON_FOR_HOST;
	}
}

/* The kernel routes a translated packet by its new destination and its old source: DNAT is done
 * before the route is looked up, SNAT after. */
static __always_inline void fib_ask(const struct walk *walk, struct bpf_fib_lookup *fib)
{
	fib->ifindex = walk->in_ifindex;
	fib->l4_protocol = walk->packet.proto;
	fib->tot_len = walk->packet.l3_bytes;
	fib->family = walk->packet.family;
	if (walk->packet.family == AF_INET) {
		fib->ipv4_src = walk->key4.src_ip;
		fib->ipv4_dst = walk->to4.dst_ip;
		fib->sport = walk->key4.src_port;
		fib->dport = walk->to4.dst_port;
	} else {
		__builtin_memcpy(fib->ipv6_src, walk->key6.src_ip, 16);
		__builtin_memcpy(fib->ipv6_dst, walk->to6.dst_ip, 16);
		fib->sport = walk->key6.src_port;
		fib->dport = walk->to6.dst_port;
	}
}

/* Finds the way out of a routed packet. Returns REASON_NONE and fills `way`, or why the kernel
 * must have the packet. A next hop that can be reached and has no slot is asked for. */
static __always_inline enum reason route_find(struct xdp_md *ctx, const struct walk *walk,
					      struct way *way)
{
	struct bpf_fib_lookup fib = {};
	struct event event = { .type = EVENT_NEXT_HOP };
	struct next_hop *hop;
	__u32 *slot;
	long result;

	fib_ask(walk, &fib);
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (result && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return fib_reason(result);
	if (walk->out_ifindex && fib.ifindex != walk->out_ifindex)
		return REASON_UNPROVEN;
	event.next_hop.ifindex = fib.ifindex;
	event.next_hop.family = fib.family;
	event.next_hop.gateway[0] = fib.ipv4_dst;
	if (fib.family == AF_INET6)
		__builtin_memcpy(event.next_hop.gateway, fib.ipv6_dst, 16);
	slot = bpf_map_lookup_elem(&next_hop_ids, &event.next_hop);
	if (!slot && result) /* who scans a network takes no slots */
		return REASON_NO_NEIGHBOR;
	if (!slot) {
		event_send(&event);
		return REASON_NO_NEXT_HOP;
	}
	if (!*slot)
		return REASON_NOT_A_PORT;
	hop = bpf_map_lookup_elem(&next_hops, slot);
	if (!hop || hop->port == NEXT_HOP_DOWN || result)
		return REASON_NO_NEIGHBOR;
	way->next_hop = *slot;
	way->mtu = fib.mtu_result;
	return REASON_NONE;
}

#endif
