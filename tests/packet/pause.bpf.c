// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Pause: a hop that lets the world change while a packet walks, and then goes on.
#include "efw/conns.bpf.h"
#include "fastpath/walk.bpf.h"
#include "tests/packet/pause.h"

volatile struct pause_orders orders;

/* State first, then the epoch, then the entry. */
static __always_inline void flow_forget(struct walk *walk)
{
	__u32 *epoch = bpf_map_lookup_elem(&epochs, &walk->bucket);

	if (walk->packet.family == AF_INET)
		bpf_map_delete_elem(&conns4, &walk->packet.key4);
	else
		bpf_map_delete_elem(&conns6, &walk->packet.key6);
	if (epoch)
		__sync_fetch_and_add(epoch, 1);
	if (walk->packet.family == AF_INET)
		bpf_map_delete_elem(&flows4, &walk->key4);
	else
		bpf_map_delete_elem(&flows6, &walk->key6);
}

SEC("xdp.frags")
int evnf_pause(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();

	if (!walk)
		return XDP_ABORTED;
	if (orders.acts & PAUSE_BUMP)
		__sync_fetch_and_add(&chain.generation, 1);
	if (orders.acts & PAUSE_FORGET)
		flow_forget(walk);
	if (orders.acts & PAUSE_NOT_FINAL)
		walk->flags |= WALK_NOT_FINAL;
	if (orders.acts & PAUSE_CHOOSE)
		walk->next_hop = orders.next_hop;
	return walk_next(ctx, walk);
}

char _license[] SEC("license") = "Dual BSD/GPL";
