// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Clock: a kernel timer that advances the tick, and ends the lease of a slow path that died.
#include <linux/errno.h>

#include "fastpath/maps.bpf.h"

#define CLOCK_MONOTONIC 1

struct clock {
	struct bpf_timer timer;
};

/* Pinned: the timer runs as long as the map, not as long as the process. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct clock);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} clocks SEC(".maps");

/* The lease is lost once: flows walk again, and nothing is installed until it is renewed. */
static void lease_check(__u32 tick)
{
	__u32 lost = (__s32)(tick - chain.lease_until) > 0;

	if (lost && !chain.lease_lost) {
		__sync_fetch_and_add(&chain.generation, 1);
		__sync_fetch_and_add(&chain.bumps, 1);
	}
	if (lost != chain.lease_lost)
		chain.lease_lost = lost;
}

/* Who watches renews it. One who was killed does not, and costs nothing more. */
static void trace_check(__u32 tick)
{
	__u32 until = chain.trace_until;

	if (until && (__s32)(tick - until) > 0)
		__sync_val_compare_and_swap(&chain.trace_until, until, 0);
}

static int clock_tick(void *map, __u32 *key, struct clock *clock)
{
	__u32 tick = bpf_ktime_get_ns() / (TICK_MS * 1000000ULL);

	chain.tick = tick;
	lease_check(tick);
	trace_check(tick);
	bpf_timer_start(&clock->timer, TICK_MS * 1000000ULL, 0);
	return 0;
}

/* Run once by the loader with BPF_PROG_TEST_RUN. Returns 0, or 1 when no timer could be had. A
 * timer that runs already is left as it is, with the callback of this program. */
SEC("xdp")
int evnf_clock(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct clock *clock = bpf_map_lookup_elem(&clocks, &zero);
	long error;

	if (!clock)
		return 1;
	error = bpf_timer_init(&clock->timer, &clocks, CLOCK_MONOTONIC);
	if (error && error != -EBUSY)
		return 1;
	if (bpf_timer_set_callback(&clock->timer, clock_tick))
		return 1;
	chain.tick = bpf_ktime_get_ns() / (TICK_MS * 1000000ULL);
	return bpf_timer_start(&clock->timer, TICK_MS * 1000000ULL, 0) ? 1 : 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
