/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Odd: which packets are refused for what they are; the same in both modes of efwd. */
#ifndef EVNF_EFWD_ODD_BPF_H
#define EVNF_EFWD_ODD_BPF_H

#include "fastpath/walk.bpf.h"

/* The drops that the configuration lifts, a bit per reason. */
const volatile __u64 lifted;

_Static_assert(REASON_COUNT <= 64, "reasons are bits of a 64-bit word");

static __always_inline int reason_lifted(enum reason reason)
{
	return lifted >> reason & 1;
}

/* The reasons that end in a drop, a bit each. */
#define X(name, fate, help) | (FATE_##fate == FATE_DROP ? 1ULL << REASON_##name : 0)
static const __u64 reasons_drop = 0 REASONS(X);
#undef X

/* Leaves the walk with what a reason means. */
static __always_inline int walk_refuse(const struct walk *walk, enum reason reason)
{
	return walk_leave(walk, reason, reasons_drop >> reason & 1 ? XDP_DROP : XDP_PASS);
}

#endif
