/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Trace: copies frames to userspace while somebody watches; otherwise it costs one branch. */
#ifndef EVNF_FASTPATH_TRACE_BPF_H
#define EVNF_FASTPATH_TRACE_BPF_H

#include <linux/if_ether.h>

#include "common/trace.h"
#include "fastpath/maps.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} traces SEC(".maps");

/* The ring takes records of any length only as a copy: here they are put together. */
struct trace_copy {
	struct trace_record record;
	__u8 bytes[TRACE_BYTES_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_copy);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} trace_copies SEC(".maps");

/* A function of its own, so that what calls it keeps its registers and its size. */
__noinline int trace_frame(struct xdp_md *ctx, __u32 port, __u32 direction)
{
	/* In 64 bits, or the verifier does not know that the bounded register is the one passed. */
	__u64 length = bpf_xdp_get_buff_len(ctx), captured = length;
	__u32 zero = 0;
	struct trace_copy *copy = bpf_map_lookup_elem(&trace_copies, &zero);

	if (captured > TRACE_BYTES_MAX)
		captured = TRACE_BYTES_MAX;
	/* No frame is shorter, but Linux 6.1 wants to see that it is no 0. */
	if (!copy || captured < ETH_HLEN || bpf_xdp_load_bytes(ctx, 0, copy->bytes, captured))
		return 0;
	copy->record = (struct trace_record){ .timestamp_ns = bpf_ktime_get_ns(),
					      .length = length,
					      .captured = captured,
					      .port = port,
					      .direction = direction };
	if (bpf_ringbuf_output(&traces, copy, sizeof(copy->record) + captured, 0))
		__sync_fetch_and_add(&chain.trace_lost, 1);
	return 0;
}

/* Records the frame as it is now, if anybody watches. */
static __always_inline void trace(struct xdp_md *ctx, __u32 port, enum trace_direction direction)
{
	if (__builtin_expect(chain.trace_until != 0, 0))
		trace_frame(ctx, port, direction);
}

#endif
