// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// efwd's hop as a router: judges the packet; the route is finish's business, the rest the kernel's.
#include "efwd/odd.bpf.h"
#include "efwd/router.h"
#include "fastpath/addresses.bpf.h"

/* linux/icmp.h cannot be included here. */
enum { ICMP_UNREACHABLE = 3, ICMP_QUENCH = 4, ICMP_TIME = 11, ICMP_PARAMETER = 12 };
#define ICMP6_ERRORS 128 /* types below are errors (RFC 4443) */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32); /* enum rp_filter */
} rp_filters SEC(".maps");

/* An ICMP error follows the flow it quotes: of several routes, the kernel takes that flow's. */
static __always_inline int is_icmp_error(struct xdp_md *ctx, const struct packet *packet)
{
	__u8 type = 0, ihl = 0;

	if (packet->flags & PACKET_FRAGMENT)
		return 0;
	if (packet->proto == IPPROTO_ICMPV6 && packet->family == AF_INET6)
		return packet->flags & PACKET_OPTIONS ||
		       (!bpf_xdp_load_bytes(ctx, packet->l3 + sizeof(struct ipv6hdr), &type, 1) &&
			type < ICMP6_ERRORS);
	if (packet->proto != IPPROTO_ICMP || bpf_xdp_load_bytes(ctx, packet->l3, &ihl, 1) ||
	    bpf_xdp_load_bytes(ctx, packet->l3 + (ihl & 15) * 4, &type, 1))
		return 0;
	return type == ICMP_UNREACHABLE || type == ICMP_QUENCH || type == ICMP_TIME ||
	       type == ICMP_PARAMETER;
}

/* True where reverse path filtering (RFC 3704, the port's rp_filter) might refuse the packet: its
 * source has no route, or one by another port. The kernel then decides, which knows all routes
 * back, not only one. */
static __always_inline int source_is_doubtful(struct xdp_md *ctx, const struct walk *walk)
{
	__u32 port = walk->port;
	const __u32 *filter = bpf_map_lookup_elem(&rp_filters, &port);
	struct bpf_fib_lookup fib = { .family = AF_INET, .ifindex = walk->in_ifindex };
	long result;

	if (!filter || *filter == RP_FILTER_OFF || walk->packet.family != AF_INET)
		return 0;
	fib.ipv4_src = walk->packet.key4.dst_ip;
	fib.ipv4_dst = walk->packet.key4.src_ip;
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 1;
	return *filter == RP_FILTER_STRICT && fib.ifindex != walk->in_ifindex;
}

/* What is wrong with the packet itself; a fault that the configuration forgives is the kernel's to
 * judge, but for TCP flags, which a router need not look at. */
static __always_inline enum reason fault_judge(const struct packet *packet)
{
	if (packet->odd == REASON_TAGS)
		return REASON_TAGGED;
	if (!reason_lifted(packet->odd))
		return packet->odd;
	return packet->odd == REASON_TCP_FLAGS ? REASON_NONE : REASON_ODD;
}

static __always_inline enum reason frame_judge(struct xdp_md *ctx, const struct walk *walk)
{
	const struct packet *packet = &walk->packet;
	struct ethhdr *eth = (void *)(long)ctx->data;

	if (!packet->family)
		return REASON_NOT_IP;
	if (packet->tags)
		return REASON_TAGGED;
	if (walk->flags & WALK_TO_PORT)
		return REASON_NONE;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return REASON_INTERNAL;
	return eth->h_dest[0] & 1 ? REASON_MULTICAST : REASON_NOT_FOR_US;
}

/* Why the router does not forward this packet, or REASON_NONE. */
static __always_inline enum reason router_judge(struct xdp_md *ctx, const struct walk *walk)
{
	const struct packet *packet = &walk->packet;
	enum reason reason = REASON_NONE;

	if (packet->odd != REASON_NONE)
		reason = fault_judge(packet);
	if (reason == REASON_NONE)
		reason = frame_judge(ctx, walk);
	if (reason != REASON_NONE)
		return reason;
	if (chain.lease_lost)
		return REASON_LEASE;
	reason = addresses_judge(packet);
	if (reason == REASON_NONE && !packet->ttl)
		reason = REASON_TTL_ZERO;
	if (reason == REASON_NONE && (is_icmp_error(ctx, packet) || source_is_doubtful(ctx, walk)))
		reason = REASON_ODD;
	return reason != REASON_NONE && reason_lifted(reason) ? REASON_ODD : reason;
}

SEC("xdp.frags")
int evnf_router(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	enum reason reason;

	if (!walk)
		return XDP_PASS;
	reason = router_judge(ctx, walk);
	return reason == REASON_NONE ? walk_next(ctx, walk) : walk_refuse(walk, reason);
}

char _license[] SEC("license") = "Dual BSD/GPL";
