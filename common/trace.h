/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Trace: how the fast path hands copies of frames to who watches them. */
#ifndef EVNF_COMMON_TRACE_H
#define EVNF_COMMON_TRACE_H

#include <linux/types.h>

#define TRACE_BYTES_MAX                                                           \
	9216 /* of a frame; longer ones are cut. A jumbo frame with its tags fits \
	      */

enum trace_direction {
	TRACE_IN = 1,  /* as it came to the port, also when the kernel got it then */
	TRACE_OUT = 2, /* as the fast path sent it; what the kernel sends is not seen */
};

/* One element of the ring buffer `traces`, written by the fast path: this, then the captured bytes
 * of the frame from its destination MAC on. */
struct trace_record {
	__u64 timestamp_ns; /* CLOCK_MONOTONIC */
	__u32 length;       /* of the frame, bytes */
	__u32 captured;     /* of them here, at most TRACE_BYTES_MAX */
	__u16 port;         /* index of the port it came to or leaves by */
	__u16 direction;    /* enum trace_direction */
	__u32 pad;
};
_Static_assert(sizeof(struct trace_record) == 24, "trace_record is read by userspace");

#endif
