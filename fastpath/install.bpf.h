/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Install: puts the sum of a walk into the flow table, unless it is stale, new or too much. */
#ifndef EVNF_FASTPATH_INSTALL_BPF_H
#define EVNF_FASTPATH_INSTALL_BPF_H

#include "fastpath/walk.bpf.h"

/* How many entries this CPU inserted in the tick it names. */
struct installer {
	__u32 tick, inserts;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct installer);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} installers SEC(".maps");

/* The doorkeeper: in the cell of a flow's bucket, the mark of the flow that came there last. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EPOCH_BUCKETS);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} knocks SEC(".maps");

/* Hashes words into 32 bits, other than flow_bucket does: it must tell flows of a cell apart. */
static __always_inline __u32 knock_mark(const __be32 *words, int n)
{
	__u32 mark = 0x811c9dc5;

	for (int i = 0; i < n; i++)
		mark = (mark ^ words[i]) * 0x01000193 + (mark >> 15);
	return mark | 1;
}

/* True when this flow was the last to come to its cell; it is from now on. */
static __always_inline int knocked_before(__u32 bucket, __u32 mark)
{
	__u32 *knock = bpf_map_lookup_elem(&knocks, &bucket);

	if (!knock || *knock == mark)
		return 1;
	*knock = mark;
	return 0;
}

/* True while this CPU has inserts left in this tick: a flood of new flows cannot buy more. */
static __always_inline int budget_take(__u32 inserts_per_tick)
{
	__u32 zero = 0, tick = chain.tick;
	struct installer *installer = bpf_map_lookup_elem(&installers, &zero);

	if (!installer)
		return 0;
	if (installer->tick != tick) {
		installer->tick = tick;
		installer->inserts = 0;
	}
	if (installer->inserts++ < inserts_per_tick)
		return 1;
	__sync_fetch_and_add(&chain.install_budget, 1);
	return 0;
}

/* Inserts, then looks whether a delete of this flow, or a bump, came since the walk began. If so
 * the entry is withdrawn. The writer changes its state, bumps, then deletes; whichever of the two
 * comes second sees the other. An entry already there keeps its counts. */
static __always_inline void install(void *flows, const void *key, struct flow_head *flow,
				    __u32 bucket, __u32 epoch)
{
	const struct flow_head *old = bpf_map_lookup_elem(flows, key);
	__u32 *now = bpf_map_lookup_elem(&epochs, &bucket);

	if (!now)
		return;
	if (old) {
		flow->packets += old->packets;
		flow->bytes += old->bytes;
	}
	if (bpf_map_update_elem(flows, key, flow, BPF_ANY)) {
		__sync_fetch_and_add(&chain.install_full, 1);
		return;
	}
	/* An atomic read: it is ordered after the insert. */
	if (__sync_fetch_and_add(now, 0) != epoch) {
		bpf_map_delete_elem(flows, key);
		__sync_fetch_and_add(&chain.install_stale, 1);
	}
}

#endif
