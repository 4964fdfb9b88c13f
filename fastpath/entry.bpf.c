// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Entry: looks a plain packet's flow up once, and leaves; a miss and all else walk. One per port.
#include "fastpath/action.bpf.h"
#include "common/programs.h"
#include "fastpath/plain.bpf.h"
#include "fastpath/trace.bpf.h"
#include "fastpath/walk.bpf.h"

#define PADDING_MAX 46 /* bytes, of an empty packet in the shortest frame */

const volatile struct entry_config config;

static __always_inline int frame_is_to_port(const struct ethhdr *eth)
{
	const __u32 *high = (const void *)eth->h_dest;
	const __u16 *low = (const void *)(eth->h_dest + 4);

	return *high == config.mac_high && *low == config.mac_low;
}

/* Bytes of the frame, all its buffers counted. There may be more than the first where the packet
 * does not end with this one. */
static __always_inline __u32 frame_bytes(struct xdp_md *ctx, const struct headers *h,
					 __u32 l3_bytes)
{
	const void *behind = h->l3 + l3_bytes;

	if (behind <= h->end && behind + PADDING_MAX >= h->end)
		return h->end - (void *)h->eth;
	return bpf_xdp_get_buff_len(ctx);
}

/* False when the kernel could not redirect the frame. */
static __always_inline int frame_can_leave(const struct headers *h, __u32 bytes)
{
	return config.multi_buffer || bytes == h->end - (void *)h->eth;
}

/* The id of a frame's context. 0: it has none, and no entry; a router leaves tagged frames to the
 * kernel. */
static __always_inline __u32 context_find(const struct packet *packet)
{
	struct context_key key = { config.port, packet->outer_vid, packet->inner_vid,
				   packet_shape(packet) };
	__u32 *id;

	if (!packet->tags)
		return config.context;
	id = config.router ? NULL : bpf_map_lookup_elem(&contexts, &key);
	return id ? *id : 0;
}

/* ---- a hit ---- */

/* True when an entry made under `generation` still stands, and fits this packet. */
static __always_inline int flow_usable(const struct flow_head *flow, const struct ethhdr *eth,
				       __u32 l3_bytes, __u8 ttl)
{
	if (flow->generation != chain.generation || l3_bytes > flow->mtu)
		return 0;
	if (flow->actions & FLOW_ROUTE)
		return ttl > 1;
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

/* `tags`: a packet of which the tags are known. */
static __always_inline int flow_leave(struct xdp_md *ctx, struct flow_head *flow,
				      const struct packet *tags, int vid, int port, __u32 bytes)
{
	flow_touch(flow, bytes);
	if (flow_retag(ctx, tags, vid))
		return count(config.port, REASON_INTERNAL, bytes, XDP_DROP);
	trace(ctx, port, TRACE_OUT);
	return count_sent(config.port, REASON_HIT, bytes, port);
}

/* The last word of a key. Keys are made of the words that the table reads: a load cannot follow at
 * once on stores of parts of it. */
static __always_inline __u32 key_tail(__u8 proto, __u32 context)
{
	return proto | context << 8;
}

/* Sends the packet as its flow entry says. Returns the verdict, or -1: there is none that applies.
 */
static __always_inline int flow4_hit(struct xdp_md *ctx, struct headers *h,
				     const struct packet *tags, __u32 context)
{
	const struct iphdr *ip = h->l3;
	__u32 key[4], bytes, l3_bytes = ip4_plain(ctx, h);
	struct flow4 *flow;
	int port, vid = VID_AS_IS;

	if (!l3_bytes)
		return -1;
	bytes = frame_bytes(ctx, h, l3_bytes);
	key[0] = ip->saddr;
	key[1] = ip->daddr;
	key[2] = *(const __u32 *)h->l4;
	key[3] = key_tail(ip->protocol, context);
	flow = bpf_map_lookup_elem(&flows4, key);
	if (!flow || !flow_usable(&flow->head, h->eth, l3_bytes, ip->ttl) ||
	    !frame_can_leave(h, bytes) || (port = flow_way(h, &flow->head, &vid)) < 0 ||
	    flow4_rewrite(h, ip->protocol, flow))
		return -1;
	return flow_leave(ctx, &flow->head, tags, vid, port, bytes);
}

static __always_inline int flow6_hit(struct xdp_md *ctx, struct headers *h,
				     const struct packet *tags, __u32 context)
{
	const struct ipv6hdr *ip = h->l3;
	__u32 key[10], bytes, l3_bytes = ip6_plain(ctx, h);
	struct flow6 *flow;
	int port, vid = VID_AS_IS;

	if (!l3_bytes)
		return -1;
	bytes = frame_bytes(ctx, h, l3_bytes);
	__builtin_memcpy(&key[0], &ip->saddr, 16);
	__builtin_memcpy(&key[4], &ip->daddr, 16);
	key[8] = *(const __u32 *)h->l4;
	key[9] = key_tail(ip->nexthdr, context);
	flow = bpf_map_lookup_elem(&flows6, key);
	if (!flow || !flow_usable(&flow->head, h->eth, l3_bytes, ip->hop_limit) ||
	    !frame_can_leave(h, bytes) || (port = flow_way(h, &flow->head, &vid)) < 0 ||
	    flow6_rewrite(h, ip->nexthdr, flow))
		return -1;
	return flow_leave(ctx, &flow->head, tags, vid, port, bytes);
}

/* Sends the frame as a flow entry says, or returns -1. A router's entries are for untagged frames
 * sent to its own MAC address; others are judged on the walk. */
static __always_inline int frame_hit(struct xdp_md *ctx)
{
	struct packet tags = {};
	struct headers h;
	__u32 context;
	__be16 type;

	if (headers_open(ctx, &h))
		return -1;
	type = packet_parse_tags(&tags, &h);
	context = context_find(&tags);
	if (!context || (config.router && !frame_is_to_port(h.eth)))
		return -1;
	if (type == bpf_htons(ETH_P_IP))
		return flow4_hit(ctx, &h, &tags, context);
	return type == bpf_htons(ETH_P_IPV6) ? flow6_hit(ctx, &h, &tags, context) : -1;
}

/* ---- a walk ---- */

/* What the packet's flow will be known by, and how it leaves unless a function rewrites it. */
static __always_inline void walk_set_flow(struct walk *walk, __u32 context)
{
	const struct packet *packet = &walk->packet;
	__u32 *epoch;

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
}

static __always_inline void walk_set_frame(struct xdp_md *ctx, struct walk *walk,
					   const struct headers *h, __u32 context)
{
	walk->bytes = frame_bytes(ctx, h, walk->packet.l3_bytes);
	walk->flags = (context ? 0 : WALK_NO_CONTEXT) |
		      (frame_can_leave(h, walk->bytes) ? 0 : WALK_SEVERAL_BUFFERS) |
		      (frame_is_to_port(h->eth) ? WALK_TO_PORT : 0);
}

/* Parses the frame into this CPU's record and hands it to the first function. */
static __always_inline int walk_start(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	struct packet *packet;
	struct headers h;
	__u32 context;

	if (!walk)
		return count(config.port, REASON_INTERNAL, ctx->data_end - ctx->data, XDP_DROP);
	walk->generation = chain.generation;
	walk->bytes = ctx->data_end - ctx->data;
	walk->port = config.port;
	walk->in_ifindex = config.ifindex;
	walk->out_ifindex = 0;
	walk->next_hop = walk->source = 0;
	walk->bank = chain.bank;
	__builtin_memset(walk->aggregates, 0, sizeof(walk->aggregates));
	walk->slots = 0;
	walk->hop = -1;
	packet = &walk->packet;
	__builtin_memset(packet, 0, sizeof(*packet));
	if (packet_parse(ctx, packet, &h))
		return walk_leave(walk, REASON_MALFORMED, XDP_DROP);
	context = context_find(packet);
	walk_set_frame(ctx, walk, &h, context);
	walk_set_flow(walk, context);
	return walk_next(ctx, walk);
}

SEC("xdp.frags")
int evnf_entry(struct xdp_md *ctx)
{
	int verdict;

	trace(ctx, config.port, TRACE_IN);
	verdict = frame_hit(ctx);
	return verdict < 0 ? walk_start(ctx) : verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
