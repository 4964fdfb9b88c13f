// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// efw's hop: lets accepted connections pass the kernel by; everything else is the kernel's.
#include "efw/conns.bpf.h"
#include "fastpath/addresses.bpf.h"
#include "fastpath/walk.bpf.h"

/* Holds evnf_learn where the slow path wants to be told of unknown flows; empty otherwise. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} learners SEC(".maps");

/* A connection begins or ends: both directions go back to the kernel, records first. The slow
 * path knows from conntrack when there is one to offload again. */
static __always_inline void conn4_forget(struct flow4_key *key)
{
	struct conn4 *conn = bpf_map_lookup_elem(&conns4, key), *other;
	__u32 in_ifindex, other_in_ifindex = 0;
	struct flow4_key reverse;

	if (!conn)
		return;
	flow4_reverse(&conn->to, &reverse);
	in_ifindex = conn->head.in_ifindex;
	other = bpf_map_lookup_elem(&conns4, &reverse);
	if (other)
		other_in_ifindex = other->head.in_ifindex;
	bpf_map_delete_elem(&conns4, key);
	bpf_map_delete_elem(&conns4, &reverse);
	flow4_forget(key, in_ifindex);
	flow4_forget(&reverse, other_in_ifindex);
}

static __always_inline void conn6_forget(struct flow6_key *key)
{
	struct conn6 *conn = bpf_map_lookup_elem(&conns6, key), *other;
	__u32 in_ifindex, other_in_ifindex = 0;
	struct flow6_key reverse;

	if (!conn)
		return;
	flow6_reverse(&conn->to, &reverse);
	in_ifindex = conn->head.in_ifindex;
	other = bpf_map_lookup_elem(&conns6, &reverse);
	if (other)
		other_in_ifindex = other->head.in_ifindex;
	bpf_map_delete_elem(&conns6, key);
	bpf_map_delete_elem(&conns6, &reverse);
	flow6_forget(key, in_ifindex);
	flow6_forget(&reverse, other_in_ifindex);
}

/* Packets that are never offloaded, whatever netfilter says of their connection. */
static __always_inline enum reason packet_refuse(const struct walk *walk)
{
	const struct packet *packet = &walk->packet;
	enum reason reason;

	if (packet->odd != REASON_NONE)
		return REASON_ODD;
	if (!packet->family)
		return REASON_NOT_IP;
	if (packet->tags)
		return REASON_TAGGED;
	if (!(walk->flags & WALK_TO_PORT))
		return REASON_NOT_FOR_US;
	reason = addresses_judge(packet);
	if (reason != REASON_NONE)
		return reason == REASON_MARTIAN ? REASON_ODD : reason;
	if (packet->flags & PACKET_FRAGMENT)
		return REASON_FRAGMENT;
	if (!(packet->flags & PACKET_PORTS))
		return REASON_OTHER_PROTOCOL;
	if (packet->flags & PACKET_OPTIONS)
		return REASON_ODD;
	return REASON_NONE;
}

static __always_inline __u32 offload_bit(const struct packet *packet)
{
	if (packet->family == AF_INET)
		return packet->proto == IPPROTO_TCP ? OFFLOAD_TCP4 : OFFLOAD_UDP4;
	return packet->proto == IPPROTO_TCP ? OFFLOAD_TCP6 : OFFLOAD_UDP6;
}

/* The kernel itself must have let this direction through, on these ports, under this generation. */
static __always_inline enum reason conn_judge(struct conn_head *conn, struct walk *walk)
{
	conn->last_seen = chain.tick;
	if (conn->accepted_generation != walk->generation || conn->in_ifindex != walk->in_ifindex) {
		proof_expect(walk->bucket);
		return REASON_UNPROVEN;
	}
	walk->out_ifindex = conn->out_ifindex;
	return REASON_NONE;
}

/* The kernel must be told when it has seen the last of a TCP connection: what it remembers of
 * acknowledgments would make a late RST invalid. The direction that is proven second tells; if it
 * cannot, its next packet walks and tries again. Each writes its own mark, then reads the other's
 * (the exchange orders them): of two at once at least one tells. */
static __always_inline int announce_due(struct conn_head *conn, const struct conn_head *other,
					const struct walk *walk)
{
	if (walk->packet.proto != IPPROTO_TCP || conn->announced == walk->generation)
		return 0;
	__sync_lock_test_and_set(&conn->announced, walk->generation);
	return other && *(volatile const __u32 *)&other->announced == walk->generation;
}

static __always_inline void announce(struct conn_head *conn, struct walk *walk,
				     const struct event *event)
{
	if (!bpf_ringbuf_output(&events, (void *)event, sizeof(*event), 0))
		return;
	conn->announced = 0;
	walk->flags |= WALK_NOT_FINAL;
}

static __always_inline enum reason conn4_judge(struct walk *walk)
{
	struct conn4 *conn = bpf_map_lookup_elem(&conns4, &walk->packet.key4), *other;
	struct event event = { .type = EVENT_OFFLOADED, .connection.family = AF_INET };
	struct flow4_key reverse = {};
	enum reason reason;

	if (!conn)
		return REASON_NEW_FLOW;
	reason = conn_judge(&conn->head, walk);
	if (reason != REASON_NONE)
		return reason;
	walk->to4 = conn->to;
	flow4_reverse(&conn->to, &reverse);
	other = bpf_map_lookup_elem(&conns4, &reverse);
	if (announce_due(&conn->head, other ? &other->head : NULL, walk)) {
		event.connection.key4 = walk->packet.key4;
		announce(&conn->head, walk, &event);
	}
	return REASON_NONE;
}

static __always_inline enum reason conn6_judge(struct walk *walk)
{
	struct conn6 *conn = bpf_map_lookup_elem(&conns6, &walk->packet.key6), *other;
	struct event event = { .type = EVENT_OFFLOADED, .connection.family = AF_INET6 };
	struct flow6_key reverse = {};
	enum reason reason;

	if (!conn)
		return REASON_NEW_FLOW;
	reason = conn_judge(&conn->head, walk);
	if (reason != REASON_NONE)
		return reason;
	walk->to6 = conn->to;
	flow6_reverse(&conn->to, &reverse);
	other = bpf_map_lookup_elem(&conns6, &reverse);
	if (announce_due(&conn->head, other ? &other->head : NULL, walk)) {
		event.connection.key6 = walk->packet.key6;
		announce(&conn->head, walk, &event);
	}
	return REASON_NONE;
}

SEC("xdp.frags")
int evnf_efw(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	enum reason reason;

	if (!walk)
		return XDP_PASS;
	if (walk->packet.flags & PACKET_CONTROL) {
		if (walk->packet.family == AF_INET)
			conn4_forget(&walk->packet.key4);
		else
			conn6_forget(&walk->packet.key6);
	}
	reason = packet_refuse(walk);
	if (reason == REASON_NONE && walk->packet.flags & PACKET_CONTROL)
		reason = REASON_TCP_CONTROL;
	if (reason == REASON_NONE && chain.lease_lost)
		reason = REASON_LEASE;
	if (reason == REASON_NONE && !(chain.offload & offload_bit(&walk->packet)))
		reason = REASON_NOT_OFFLOADED;
	if (reason == REASON_NONE)
		reason = walk->packet.family == AF_INET ? conn4_judge(walk) : conn6_judge(walk);
	if (reason == REASON_NEW_FLOW)
		bpf_tail_call(ctx, &learners, 0);
	if (reason != REASON_NONE)
		return walk_leave(walk, reason, XDP_PASS);
	return walk_next(ctx, walk);
}

char _license[] SEC("license") = "Dual BSD/GPL";
