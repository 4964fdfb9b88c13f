/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections: the maps of efw and how its programs find a record's other direction. */
#ifndef EVNF_EFW_CONNS_BPF_H
#define EVNF_EFW_CONNS_BPF_H

#include "efw/efw.h"
#include "fastpath/maps.bpf.h"

/* Installed and deleted by the slow path; deleted by the fast path on TCP SYN, FIN and RST. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow4_key);
	__type(value, struct conn4);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} conns4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow6_key);
	__type(value, struct conn6);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} conns6 SEC(".maps");

/* Where the walk left a packet of a known connection to the kernel, unproven: in the cell of its
 * bucket, the tick. Only such packets are stamped: others have nothing to prove, and the witness
 * would look in vain into a table too large for any cache. Connections that share a cell only cost
 * such looks. */
#define EXPECTED_CELLS 1024

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXPECTED_CELLS);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} expected SEC(".maps");

static __always_inline void proof_expect(__u32 bucket)
{
	__u32 cell = bucket & (EXPECTED_CELLS - 1), *tick = bpf_map_lookup_elem(&expected, &cell);

	if (tick)
		*tick = chain.tick;
}

/* A packet is stamped at once after its walk; the tick may have gone on between the two. */
static __always_inline int proof_is_expected(__u32 bucket)
{
	__u32 cell = bucket & (EXPECTED_CELLS - 1), *tick = bpf_map_lookup_elem(&expected, &cell);

	return tick && chain.tick - *tick <= 1;
}

/* What keeps flows with netfilter: written and read by userspace only, for `show rules`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FINDINGS_SHOWN);
	__type(key, __u32);
	__type(value, struct finding_shown);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} findings SEC(".maps");

static __always_inline void flow4_reverse(const struct flow4_key *key, struct flow4_key *reverse)
{
	reverse->src_ip = key->dst_ip;
	reverse->dst_ip = key->src_ip;
	reverse->src_port = key->dst_port;
	reverse->dst_port = key->src_port;
	reverse->proto = key->proto;
	flow_set_context(reverse->context, 0);
}

static __always_inline void flow6_reverse(const struct flow6_key *key, struct flow6_key *reverse)
{
	__builtin_memcpy(reverse->src_ip, key->dst_ip, 16);
	__builtin_memcpy(reverse->dst_ip, key->src_ip, 16);
	reverse->src_port = key->dst_port;
	reverse->dst_port = key->src_port;
	reverse->proto = key->proto;
	flow_set_context(reverse->context, 0);
}

static __always_inline __u32 context_of(__u32 ifindex)
{
	__u32 *context = bpf_map_lookup_elem(&port_contexts, &ifindex);

	return context ? *context : 0;
}

/* Bumps the flow's epoch, then deletes its entry: an install under way is undone. */
static __always_inline void flow4_forget(struct flow4_key *key, __u32 in_ifindex)
{
	__u32 bucket = flow4_bucket(key);
	__u32 *epoch = bpf_map_lookup_elem(&epochs, &bucket);

	if (epoch)
		__sync_fetch_and_add(epoch, 1);
	flow_set_context(key->context, context_of(in_ifindex));
	bpf_map_delete_elem(&flows4, key);
	flow_set_context(key->context, 0);
}

static __always_inline void flow6_forget(struct flow6_key *key, __u32 in_ifindex)
{
	__u32 bucket = flow6_bucket(key);
	__u32 *epoch = bpf_map_lookup_elem(&epochs, &bucket);

	if (epoch)
		__sync_fetch_and_add(epoch, 1);
	flow_set_context(key->context, context_of(in_ifindex));
	bpf_map_delete_elem(&flows6, key);
	flow_set_context(key->context, 0);
}

#endif
