// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Plain: asks both readers of a frame, the quick one of hits and the full one of walks.
#include "fastpath/plain.bpf.h"

/* What the quick one found: bytes of the packet, 0 when it is not plain. */
static __always_inline __u32 quick_bytes(struct xdp_md *ctx, struct headers *h)
{
	struct packet tags = {};
	__be16 type;

	if (headers_open(ctx, h))
		return 0;
	type = packet_parse_tags(&tags, h);
	if (type == bpf_htons(ETH_P_IP))
		return ip4_plain(ctx, h);
	return type == bpf_htons(ETH_P_IPV6) ? ip6_plain(ctx, h) : 0;
}

/* The same in the words of the full one. */
static __always_inline __u32 full_bytes(struct xdp_md *ctx, struct headers *h)
{
	struct packet packet = {};

	if (packet_parse(ctx, &packet, h) || packet.odd != REASON_NONE ||
	    (packet.flags & PACKET_KIND) != PACKET_PORTS)
		return 0;
	return packet.l3_bytes;
}

/* Returns the bytes of a plain packet, 0 for any other, and -1 when the readers disagree. */
SEC("xdp.frags")
int readers_compare(struct xdp_md *ctx)
{
	struct headers quick, full;
	__u32 bytes = quick_bytes(ctx, &quick);

	if (bytes != full_bytes(ctx, &full))
		return -1;
	return bytes && (quick.l3 != full.l3 || quick.l4 != full.l4) ? -1 : (int)bytes;
}

char _license[] SEC("license") = "Dual BSD/GPL";
