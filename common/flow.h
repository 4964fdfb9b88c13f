/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows: the keys and values of the flow tables, shared by fast path and slow path. */
#ifndef EVNF_COMMON_FLOW_H
#define EVNF_COMMON_FLOW_H

#include <linux/types.h>

/* A flow: the numbers that name one direction of a conversation. Map keys compare byte by byte:
 * no hidden padding. Where it keys a function's own table the context is zero. */
struct flow4_key {
	__be32 src_ip, dst_ip;
	__be16 src_port, dst_port; /* 0 when the protocol has no ports */
	__u8 proto;                /* IPPROTO_* */
	__u8 context[3];           /* id of (ingress port, outer VID, inner VID), little endian */
};
_Static_assert(sizeof(struct flow4_key) == 16, "flow4_key is a map key");

struct flow6_key {
	__be32 src_ip[4], dst_ip[4];
	__be16 src_port, dst_port;
	__u8 proto;
	__u8 context[3];
};
_Static_assert(sizeof(struct flow6_key) == 40, "flow6_key is a map key");

/* What an entry does to a packet beside leaving by its next hop. */
enum flow_action {
	FLOW_ROUTE = 1 << 0,   /* decrement TTL, write the next hop's MAC addresses */
	FLOW_REWRITE = 1 << 1, /* write the addresses and ports below */
	FLOW_DST_MAC = 1 << 2, /* bridge: only for frames to dst_mac from elsewhere */
	FLOW_RETAG = 1 << 3,   /* bridge: leave with the next hop's VLAN tag, or with none */
};

#define FLOW_AGGREGATES 4 /* per-CPU counter slots an entry may name */

/* How every flow entry begins. Written by the fast path when it installs; last_seen, packets and
 * bytes on every hit. The slow path reads, carries the counts away and deletes. */
struct flow_head {
	__u32 generation; /* of the chain, sampled before any function read its state */
	__u32 last_seen;  /* tick */
	__u64 packets;
	__u64 bytes;
	__u16 next_hop; /* index into next_hops */
	__u16 mtu;      /* the largest IP packet that may leave, bytes */
	__u8 actions;   /* enum flow_action */
	__u8 dst_mac[6];
	__u8 pad;
	__u16 source; /* bridge: slot of the station the flow comes from, 0: none */
	__u16 pad2;
};
_Static_assert(sizeof(struct flow_head) == 40, "flow_head is part of a map value");

/* IPv4: the entry is one cache line. */
struct flow4 {
	struct flow_head head;
	__be32 src_ip, dst_ip;     /* as the packet leaves */
	__be16 src_port, dst_port; /* as the packet leaves */
	__u16 ip_delta, l4_delta;  /* one's complement sums to add to the inverted checksums */
	__u16 aggregates[FLOW_AGGREGATES];
};
_Static_assert(sizeof(struct flow4) == 64, "flow4 is one cache line");

struct flow6 {
	struct flow_head head;
	__be32 src_ip[4], dst_ip[4];
	__be16 src_port, dst_port;
	__u16 l4_delta;
	__u16 aggregates[FLOW_AGGREGATES];
	__u8 pad[42];
};
_Static_assert(sizeof(struct flow6) == 128, "flow6 is two cache lines");

static inline __u32 flow_context(const __u8 context[3])
{
	return context[0] | context[1] << 8 | context[2] << 16;
}

static inline void flow_set_context(__u8 context[3], __u32 id)
{
	context[0] = id;
	context[1] = id >> 8;
	context[2] = id >> 16;
}

/* True when both name the same addresses, ports and protocol; contexts are not compared. */
static inline int flow4_same(const struct flow4_key *a, const struct flow4_key *b)
{
	return a->src_ip == b->src_ip && a->dst_ip == b->dst_ip && a->src_port == b->src_port &&
	       a->dst_port == b->dst_port && a->proto == b->proto;
}

static inline int flow6_same(const struct flow6_key *a, const struct flow6_key *b)
{
	__u32 differ = 0;

	for (int i = 0; i < 4; i++)
		differ |= (a->src_ip[i] ^ b->src_ip[i]) | (a->dst_ip[i] ^ b->dst_ip[i]);
	return !differ && a->src_port == b->src_port && a->dst_port == b->dst_port &&
	       a->proto == b->proto;
}

/* The epoch bucket of a flow: a delete of one flow bumps its bucket, and with it defeats the
 * installs that began before. The context takes no part: who deletes may not know it. */
#define EPOCH_BUCKETS 65536

static inline __u32 flow_bucket(const __be32 *words, __u32 n)
{
	__u32 hash = 0x9e3779b9;

	for (__u32 i = 0; i < n; i++) {
		hash = (hash ^ words[i]) * 0x85ebca6b;
		/* What differs between flows is often the last byte of an address or port, which is
		 * the highest here, and a product carries no bit downwards. */
		hash ^= hash >> 15;
	}
	return hash & (EPOCH_BUCKETS - 1);
}

static inline __u32 flow4_bucket(const struct flow4_key *key)
{
	const __be32 words[4] = { key->src_ip, key->dst_ip,
				  (__u32)key->src_port << 16 | key->dst_port, key->proto };

	return flow_bucket(words, 4);
}

static inline __u32 flow6_bucket(const struct flow6_key *key)
{
	const __be32 words[10] = {
		key->src_ip[0], key->src_ip[1], key->src_ip[2],
		key->src_ip[3], key->dst_ip[0], key->dst_ip[1],
		key->dst_ip[2], key->dst_ip[3], (__u32)key->src_port << 16 | key->dst_port,
		key->proto
	};

	return flow_bucket(words, 10);
}

#endif
