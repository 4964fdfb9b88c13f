/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Walk: the record a packet without a flow entry carries through the functions of its chain. */
#ifndef EVNF_FASTPATH_WALK_BPF_H
#define EVNF_FASTPATH_WALK_BPF_H

#include "fastpath/count.bpf.h"
#include "fastpath/packet.bpf.h"

enum walk_flag {
	WALK_NOT_FINAL = 1 << 0,       /* some function wants to see the next packet too */
	WALK_BRIDGED = 1 << 1,         /* the frame keeps its MAC addresses and TTL */
	WALK_SEVERAL_BUFFERS = 1 << 2, /* and this kernel cannot redirect such a frame */
	WALK_TO_PORT = 1 << 3,         /* sent to the MAC address of its port of entry */
	WALK_NO_CONTEXT = 1 << 4,      /* the tag stack has no context yet */
	WALK_RETAG = 1 << 5,           /* leave with the next hop's VLAN tag, or with none */
};

/* Per CPU: entry fills it, the functions add to it, finish acts on it. */
struct walk {
	struct packet packet; /* as the frame is now */
	union {               /* as it arrived, with its context: the key to install by */
		struct flow4_key key4;
		struct flow6_key key6;
	};
	union { /* as it shall leave; entry copies the arrival here */
		struct flow4_key to4;
		struct flow6_key to6;
	};
	__u32 generation; /* sampled by entry, before any function read its state */
	__u32 bucket, epoch;
	__u32 bytes;       /* of the frame */
	__u32 in_ifindex;  /* where it came from */
	__u32 out_ifindex; /* where it must leave, or 0: where the route says */
	__u16 port;        /* index of the port of entry */
	__u16 next_hop;    /* slot chosen by a function, or 0: finish asks the FIB */
	__u16 source;      /* bridge: slot of the station it comes from, 0: none */
	__u8 bank, hop;
	__u8 flags; /* enum walk_flag */
	__u8 pad;
	__u16 aggregates[FLOW_AGGREGATES];
	__u16 slots; /* aggregates taken */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} walks SEC(".maps");

/* The record of this CPU. NULL never happens, but the verifier asks. */
static __always_inline struct walk *walk_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&walks, &zero);
}

/* Leaves the walk here. */
static __always_inline int walk_leave(const struct walk *walk, enum reason reason, int verdict)
{
	return count(walk->port, reason, walk->bytes, verdict);
}

/* Goes on to the next function, or to finish behind the last. */
static __always_inline int walk_next(struct xdp_md *ctx, struct walk *walk)
{
	walk->hop++;
	bpf_tail_call(ctx, &hops, walk->bank * HOPS_MAX + walk->hop);
	return walk_leave(walk, REASON_NO_HOP, XDP_DROP);
}

/* How many events this CPU sent in the tick it names. */
struct asker {
	__u32 tick, events;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct asker);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} askers SEC(".maps");

#define EVENTS_PER_TICK 4096

/* Asks the slow path for something. What finds the ring full, or is too much for one tick, is asked
 * for by the next packet again. */
static __always_inline void event_send(const struct event *event)
{
	__u32 zero = 0, tick = chain.tick;
	struct asker *asker = bpf_map_lookup_elem(&askers, &zero);

	if (!asker)
		return;
	if (asker->tick != tick) {
		asker->tick = tick;
		asker->events = 0;
	}
	if (asker->events++ < EVENTS_PER_TICK)
		bpf_ringbuf_output(&events, (void *)event, sizeof(*event), 0);
}

#endif
