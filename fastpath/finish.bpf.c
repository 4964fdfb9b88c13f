// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Finish: applies the sum of the walk to its packet, and installs it for the packets to come.
#include "fastpath/action.bpf.h"
#include "common/programs.h"
#include "fastpath/forward.bpf.h"
#include "fastpath/install.bpf.h"
#include "fastpath/trace.bpf.h"

const volatile struct finish_config config;

static __always_inline void head_build(const struct walk *walk, const struct way *way,
				       const struct ethhdr *eth, struct flow_head *head)
{
	head->generation = walk->generation;
	head->last_seen = chain.tick;
	head->packets = 1;
	head->bytes = walk->bytes;
	head->next_hop = way->next_hop;
	head->mtu = way->mtu;
	if (walk->flags & WALK_BRIDGED) {
		head->actions = FLOW_DST_MAC | (walk->flags & WALK_RETAG ? FLOW_RETAG : 0);
		head->source = walk->source;
		__builtin_memcpy(head->dst_mac, eth->h_dest, 6);
	} else {
		head->actions = FLOW_ROUTE;
	}
}

static __always_inline void flow4_build(const struct walk *walk, struct flow4 *flow)
{
	__u32 addresses = 0, ports = 0;
	__be32 from[2] = { walk->key4.src_ip, walk->key4.dst_ip };
	__be32 to[2] = { walk->to4.src_ip, walk->to4.dst_ip };

	flow->src_ip = to[0];
	flow->dst_ip = to[1];
	flow->src_port = walk->to4.src_port;
	flow->dst_port = walk->to4.dst_port;
	ports = checksum_change16(ports, walk->key4.src_port, flow->src_port);
	ports = checksum_change16(ports, walk->key4.dst_port, flow->dst_port);
	if (!flow4_same(&walk->key4, &walk->to4))
		flow->head.actions |= FLOW_REWRITE;
	addresses = checksum_change(0, from, to, 2);
	flow->l4_delta = checksum_fold(addresses + ports);
	if (flow->head.actions & FLOW_ROUTE)
		addresses += TTL_DELTA;
	flow->ip_delta = checksum_fold(addresses);
}

static __always_inline void flow6_build(const struct walk *walk, struct flow6 *flow)
{
	__u32 delta = 0;

	__builtin_memcpy(flow->src_ip, walk->to6.src_ip, 16);
	__builtin_memcpy(flow->dst_ip, walk->to6.dst_ip, 16);
	flow->src_port = walk->to6.src_port;
	flow->dst_port = walk->to6.dst_port;
	if (!flow6_same(&walk->key6, &walk->to6))
		flow->head.actions |= FLOW_REWRITE;
	delta = checksum_change(delta, walk->key6.src_ip, walk->to6.src_ip, 4);
	delta = checksum_change(delta, walk->key6.dst_ip, walk->to6.dst_ip, 4);
	delta = checksum_change16(delta, walk->key6.src_port, flow->src_port);
	delta = checksum_change16(delta, walk->key6.dst_port, flow->dst_port);
	flow->l4_delta = checksum_fold(delta);
}

/* Flows of this port and tag stack could have entries, had they a context. */
static __always_inline void context_ask(const struct walk *walk)
{
	struct event event = { .type = EVENT_CONTEXT,
			       .context = { walk->port, walk->packet.outer_vid,
					    walk->packet.inner_vid, packet_shape(&walk->packet) } };

	event_send(&event);
}

/* Only flows of which every function has made up its mind, while the slow path lives; never a
 * connection's first or last packet. */
static __always_inline int walk_installs(const struct walk *walk, __u32 mark)
{
	if (walk->flags & WALK_NOT_FINAL || walk->packet.odd != REASON_NONE || chain.lease_lost ||
	    (walk->packet.flags & PACKET_KIND) != PACKET_PORTS)
		return 0;
	if (walk->flags & WALK_NO_CONTEXT) {
		context_ask(walk);
		return 0;
	}
	if (config.doorkeeper && !knocked_before(walk->bucket, mark))
		return 0;
	return budget_take(config.inserts_per_tick);
}

static __always_inline int finish4(struct walk *walk, struct headers *h, const struct way *way,
				   int *vid)
{
	struct flow4 flow = {};
	int port;

	head_build(walk, way, h->eth, &flow.head);
	flow4_build(walk, &flow);
	__builtin_memcpy(flow.aggregates, walk->aggregates, sizeof(flow.aggregates));
	port = next_hop_take(h, &flow.head, vid);
	if (port < 0 || flow4_rewrite(h, walk->packet.proto, &flow))
		return -1;
	if (walk_installs(walk, knock_mark((__be32 *)&walk->key4, 4)))
		install(&flows4, &walk->key4, &flow.head, walk->bucket, walk->epoch);
	return port;
}

static __always_inline int finish6(struct walk *walk, struct headers *h, const struct way *way,
				   int *vid)
{
	struct flow6 flow = {};
	int port;

	head_build(walk, way, h->eth, &flow.head);
	flow6_build(walk, &flow);
	__builtin_memcpy(flow.aggregates, walk->aggregates, sizeof(flow.aggregates));
	port = next_hop_take(h, &flow.head, vid);
	if (port < 0 || flow6_rewrite(h, walk->packet.proto, &flow))
		return -1;
	if (walk_installs(walk, knock_mark((__be32 *)&walk->key6, 10)))
		install(&flows6, &walk->key6, &flow.head, walk->bucket, walk->epoch);
	return port;
}

/* A bridged frame that is no flow: only its way is looked up. */
static __always_inline int finish_frame(struct walk *walk, struct headers *h, const struct way *way,
					int *vid)
{
	struct flow_head head = {};

	head_build(walk, way, h->eth, &head);
	return next_hop_take(h, &head, vid);
}

SEC("xdp.frags")
int evnf_finish(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	struct way way = { .mtu = 0xffff };
	enum reason reason;
	struct headers h;
	int port, vid = VID_AS_IS;

	if (!walk)
		return XDP_DROP;
	if (packet_headers(ctx, &walk->packet, &h))
		return walk_leave(walk, REASON_INTERNAL, XDP_DROP);
	if (walk->flags & WALK_SEVERAL_BUFFERS)
		return walk_leave(walk, REASON_MULTI_BUFFER, XDP_PASS);
	if (!(walk->flags & WALK_BRIDGED) && walk->packet.ttl <= 1)
		return walk_leave(walk, REASON_TTL, XDP_PASS);
	way.next_hop = walk->next_hop;
	if (!way.next_hop) {
		reason = route_find(ctx, walk, &way);
		if (reason != REASON_NONE)
			return walk_leave(walk, reason, XDP_PASS);
	}
	if (walk->flags & WALK_BRIDGED && !(walk->packet.flags & PACKET_PORTS))
		port = finish_frame(walk, &h, &way, &vid);
	else if (walk->packet.family == AF_INET)
		port = finish4(walk, &h, &way, &vid);
	else
		port = finish6(walk, &h, &way, &vid);
	if (port < 0)
		return walk_leave(walk, REASON_NO_NEIGHBOR, XDP_PASS);
	if (vid != VID_AS_IS && frame_retag(ctx, packet_is_tagged(&walk->packet), vid))
		return walk_leave(walk, REASON_INTERNAL, XDP_DROP);
	trace(ctx, port, TRACE_OUT);
	return count_sent(walk->port, REASON_WALKED, walk->bytes, port);
}

char _license[] SEC("license") = "Dual BSD/GPL";
