/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* State of a chain: what its programs and its slow path share beside the flow tables. */
#ifndef EVNF_COMMON_STATE_H
#define EVNF_COMMON_STATE_H

#include "common/flow.h"
#include "common/reasons.h"

#define PORTS_MAX 64
#define HOPS_MAX 16                /* functions in a chain, finish included */
#define BANKS 2                    /* sets of hops: one in use, one being prepared */
#define NEXT_HOPS_MAX 16384        /* slot 0 is never used */
#define FOREIGN_NEXT_HOPS_MAX 1024 /* known to be by no port: they have slot 0 */
#define CONTEXTS_MAX 4096          /* stacks of VLAN tags that flows have */
#define TICK_MS 100                /* one tick, milliseconds */
#define TICKS_PER_S (1000 / TICK_MS)

/* One per chain, in the map `chain`. The slow path maps it and writes with atomic operations. */
struct chain_state {
	__u32 generation;   /* bumped by whoever changed policy, routes or chain */
	__u32 tick;         /* written by the kernel timer, every TICK_MS */
	__u32 lease_until;  /* tick; written by the slow path while it lives */
	__u32 lease_lost;   /* 1: the lease ran out, nothing is installed (kernel timer) */
	__u32 bank;         /* hops in use */
	__u32 offload;      /* enum offload bits the policy allows (slow path) */
	__u32 bumps;        /* how often the generation was bumped */
	__u32 pid;          /* of the slow path, 0 when stopped cleanly */
	__u32 trace_until;  /* tick; renewed by who watches, 0: nobody does (kernel timer) */
	__u32 trace_lost;   /* records that found the ring full (fast path) */
	__u64 fingerprint;  /* of config, ruleset and routes at the last tick of the slow path */
	__u64 install_full; /* installs refused: table full (fast path) */
	__u64 install_budget;
	__u64 install_stale; /* installs undone: a delete came between */
};

enum offload { OFFLOAD_TCP4 = 1, OFFLOAD_UDP4 = 2, OFFLOAD_TCP6 = 4, OFFLOAD_UDP6 = 8 };

/* Where a packet goes. The slow path writes each half with one 64-bit store; the fast path reads
 * each with one load: never a mix of two neighbors, or of two places of a station. */
struct next_hop {
	union {
		__u8 dst_mac[6]; /* router */
		__u16 vid;       /* bridge: of the tag to leave with, 0: untagged */
	};
	__u16 port; /* index of the port; NEXT_HOP_DOWN: not usable now */
	__u8 src_mac[6];
	__u16 pad;
};
_Static_assert(sizeof(struct next_hop) == 16, "next_hop is two 64-bit words");
#define NEXT_HOP_DOWN 0xffff

/* Names a routed next hop: the fast path looks up the slot, the slow path assigns it. */
struct next_hop_key {
	__u32 ifindex;
	__u32 family;      /* AF_INET or AF_INET6 */
	__be32 gateway[4]; /* the neighbor's address; IPv4 in the first word */
};
_Static_assert(sizeof(struct next_hop_key) == 24, "next_hop_key is a map key");

/* Names a context: frames of one port and one stack of VLAN tags. */
struct context_key {
	__u16 port;
	__u16 outer_vid, inner_vid; /* 0 when absent, and of a priority tag */
	__u16 shape;                /* how many tags, and of which type: as entry sees it */
};
_Static_assert(sizeof(struct context_key) == 8, "context_key is a map key");

/* Counters of a port, per CPU, written by the fast path. */
struct port_counters {
	__u64 packets[REASON_COUNT];
	__u64 bytes[REASON_COUNT];
};

/* What a port sent, as the driver tells (tracepoint xdp_devmap_xmit), and what redirect lost. */
struct port_sent {
	__u64 packets;  /* accepted by the driver */
	__u64 lost;     /* refused by the driver, or withheld */
	__u64 withheld; /* a flood's, that the port's own program kept from it */
	__u64 redirect; /* redirect failed before the driver */
	__u64 aborted;  /* xdp_exception */
};

/* Names a port to the tracepoints: they see the devices of every namespace. */
struct device_key {
	__u32 netns; /* inode number of the network namespace */
	__u32 ifindex;
};
_Static_assert(sizeof(struct device_key) == 8, "device_key is a map key");

/* What the fast path asks of the slow path, through the ring buffer `events`. */
enum event_type {
	EVENT_NEXT_HOP,   /* a route needs a slot for this next hop */
	EVENT_CONTEXT,    /* a tag stack has no context */
	EVENT_STATION,    /* bridge: a source MAC is new or moved */
	EVENT_CONNECTION, /* firewall: conntrack has assured a flow of which there is no record */
	EVENT_OFFLOADED,  /* firewall: both directions of a TCP connection pass the kernel by now */
};

struct event {
	__u32 type;
	union {
		struct next_hop_key next_hop;
		struct context_key context;
		struct {
			__u8 mac[6];
			__u16 vid;
			__u16 port;
		} station;
		struct {
			__u32 family;
			union {
				struct flow4_key key4;
				struct flow6_key key6;
			};
		} connection;
	};
};

#endif
