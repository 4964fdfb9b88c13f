/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Count: the one door out of a program; it counts why. */
#ifndef EVNF_FASTPATH_COUNT_BPF_H
#define EVNF_FASTPATH_COUNT_BPF_H

#include "fastpath/maps.bpf.h"

/* Counts one frame of `bytes` that entered by `port` and leaves this program for `reason`.
 * Returns `verdict`, so that every exit reads `return count(…, XDP_PASS)`. */
static __always_inline int count(__u32 port, enum reason reason, __u32 bytes, int verdict)
{
	struct port_counters *counters = bpf_map_lookup_elem(&port_counters, &port);
	__u32 index = reason;

	/* A reason read from the walk record is any byte to the verifier, and to that of Linux 6.1
	 * also after a check of any copy of the register but this. */
	if (!__builtin_constant_p(reason))
		asm volatile("" : "+r"(index));
	if (counters && index < REASON_COUNT) { /* always: the array holds every port */
		counters->packets[index]++;
		counters->bytes[index] += bytes;
	}
	return verdict;
}

/* Sends the frame to port `out` and counts it; a port that is gone drops it. */
static __always_inline int count_sent(__u32 port, enum reason reason, __u32 bytes, __u32 out)
{
	int verdict = bpf_redirect_map(&tx_ports, out, XDP_DROP);

	return count(port, verdict == XDP_REDIRECT ? reason : REASON_INTERNAL, bytes, verdict);
}

#endif
