/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Stamp: how a packet on its way through the kernel carries the generation it came in under. */
#ifndef EVNF_EFW_STAMP_BPF_H
#define EVNF_EFW_STAMP_BPF_H

#include "fastpath/maps.bpf.h"

#define STAMP_NONE 0

/* 16 bits that are never STAMP_NONE: every generation can be proven. */
static __always_inline __u32 stamp_of(__u32 generation)
{
	return generation % 0xffff + 1;
}

/* For a packet that comes in now. While no slow path tells of changes, nothing is ever proven. */
static __always_inline __u32 stamp_now(void)
{
	return chain.lease_lost ? STAMP_NONE : stamp_of(chain.generation);
}

#endif
