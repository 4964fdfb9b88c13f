// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Entry: parse once, look the flow up once, and leave; a miss starts the walk. One per port.
#include "fastpath/action.bpf.h"
#include "common/programs.h"
#include "fastpath/trace.bpf.h"
#include "fastpath/walk.bpf.h"

const volatile struct entry_config config;

/* True when an entry made under `generation` still stands, and fits this frame. */
static __always_inline int flow_usable(const struct flow_head *flow, const struct packet *packet,
				       const struct ethhdr *eth)
{
	if (flow->generation != chain.generation || packet->l3_bytes > flow->mtu)
		return 0;
	if (flow->actions & FLOW_ROUTE)
		return packet->ttl > 1;
	return !(flow->actions & FLOW_DST_MAC) || mac_same(flow->dst_mac, eth->h_dest);
}

/* The way out by an entry, or -1. A bridge never sends a frame back where it came from: its station
 * has moved there meanwhile. */
static __always_inline int flow_way(struct headers *h, const struct flow_head *flow, int *vid)
{
	int port = next_hop_take(h, flow, config.router ? NULL : vid);

	return !config.router && port == config.port ? -1 : port;
}

/* The tags of a bridged frame, translated. Returns 0, or -1 when the frame has no room. */
static __always_inline int flow_retag(struct xdp_md *ctx, const struct packet *packet, int vid)
{
	if (config.router || vid == VID_AS_IS)
		return 0;
	return frame_retag(ctx, packet_is_tagged(packet), vid);
}

static __always_inline void flow_touch(struct flow_head *flow, __u32 bytes)
{
	__u32 tick = chain.tick;

	if (flow->last_seen != tick)
		flow->last_seen = tick;
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, bytes);
}

static __always_inline int flow_leave(struct xdp_md *ctx, int port, __u32 bytes)
{
	trace(ctx, port, TRACE_OUT);
	return count_sent(config.port, REASON_HIT, bytes, port);
}

static __always_inline int frame_is_to_port(const struct ethhdr *eth)
{
	const __u32 *high = (const void *)eth->h_dest;
	const __u16 *low = (const void *)(eth->h_dest + 4);

	return *high == config.mac_high && *low == config.mac_low;
}

/* A router takes only untagged frames sent to its own MAC address; others are judged on the walk.
 */
static __always_inline int frame_is_routable(const struct packet *packet, const struct ethhdr *eth)
{
	return !config.router || (!packet->tags && frame_is_to_port(eth));
}

/* The id of a tagged frame's context. 0: it has none, and no entry; a router leaves tagged frames
 * to the kernel. */
static __always_inline __u32 context_find(const struct packet *packet)
{
	struct context_key key = { config.port, packet->outer_vid, packet->inner_vid,
				   packet_shape(packet) };
	__u32 *id = config.router ? NULL : bpf_map_lookup_elem(&contexts, &key);

	return id ? *id : 0;
}

/* Fills the record and hands the frame to the first function. */
static __always_inline int walk_start(struct xdp_md *ctx, const struct packet *packet,
				      const struct ethhdr *eth, __u32 context, __u32 bytes,
				      int whole)
{
	struct walk *walk = walk_here();
	__u32 *epoch;

	if (!walk)
		return count(config.port, REASON_INTERNAL, bytes, XDP_DROP);
	walk->generation = chain.generation;
	walk->packet = *packet;
	if (packet->family == AF_INET) {
		walk->to4 = packet->key4;
		walk->key4 = packet->key4;
		flow_set_context(walk->key4.context, context);
		walk->bucket = flow4_bucket(&packet->key4);
	} else {
		walk->to6 = packet->key6;
		walk->key6 = packet->key6;
		flow_set_context(walk->key6.context, context);
		walk->bucket = flow6_bucket(&packet->key6);
	}
	epoch = bpf_map_lookup_elem(&epochs, &walk->bucket);
	walk->epoch = epoch ? *(volatile __u32 *)epoch : 0;
	walk->bytes = bytes;
	walk->port = config.port;
	walk->in_ifindex = config.ifindex;
	walk->out_ifindex = 0;
	walk->next_hop = walk->source = 0;
	walk->bank = chain.bank;
	walk->flags = (context ? 0 : WALK_NO_CONTEXT) | (whole ? 0 : WALK_SEVERAL_BUFFERS) |
		      (frame_is_to_port(eth) ? WALK_TO_PORT : 0);
	__builtin_memset(walk->aggregates, 0, sizeof(walk->aggregates));
	walk->slots = 0;
	walk->hop = -1;
	return walk_next(ctx, walk);
}

#define PADDING_MAX 46 /* bytes, of an empty packet in the shortest frame */

SEC("xdp.frags")
int evnf_entry(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct headers h;
	__u32 context, bytes;
	int port, vid = VID_AS_IS, whole = 1;

	trace(ctx, config.port, TRACE_IN);
	bytes = ctx->data_end - ctx->data;
	if (packet_parse(ctx, &packet, &h))
		return count(config.port, REASON_MALFORMED, bytes, XDP_DROP);
	/* The packet does not end where this buffer does: there may be more of them. */
	if (bytes - packet.l3 - packet.l3_bytes > PADDING_MAX) {
		__u32 frame_bytes = bpf_xdp_get_buff_len(ctx);

		whole = frame_bytes == bytes || config.multi_buffer;
		bytes = frame_bytes;
	}
	context = packet.tags ? context_find(&packet) : config.context;
	if ((packet.flags & PACKET_KIND) != PACKET_PORTS || !context || !whole ||
	    packet.odd != REASON_NONE || !frame_is_routable(&packet, h.eth))
		return walk_start(ctx, &packet, h.eth, context, bytes, whole);

	if (packet.family == AF_INET) {
		struct flow4_key key = packet.key4;
		struct flow4 *flow;

		flow_set_context(key.context, context);
		flow = bpf_map_lookup_elem(&flows4, &key);
		if (flow && flow_usable(&flow->head, &packet, h.eth) &&
		    (port = flow_way(&h, &flow->head, &vid)) >= 0 &&
		    !flow4_rewrite(&h, packet.proto, flow)) {
			flow_touch(&flow->head, bytes);
			if (flow_retag(ctx, &packet, vid))
				return count(config.port, REASON_INTERNAL, bytes, XDP_DROP);
			return flow_leave(ctx, port, bytes);
		}
	} else {
		struct flow6_key key = packet.key6;
		struct flow6 *flow;

		flow_set_context(key.context, context);
		flow = bpf_map_lookup_elem(&flows6, &key);
		if (flow && flow_usable(&flow->head, &packet, h.eth) &&
		    (port = flow_way(&h, &flow->head, &vid)) >= 0 &&
		    !flow6_rewrite(&h, packet.proto, flow)) {
			flow_touch(&flow->head, bytes);
			if (flow_retag(ctx, &packet, vid))
				return count(config.port, REASON_INTERNAL, bytes, XDP_DROP);
			return flow_leave(ctx, port, bytes);
		}
	}
	return walk_start(ctx, &packet, h.eth, context, bytes, whole);
}

char _license[] SEC("license") = "Dual BSD/GPL";
