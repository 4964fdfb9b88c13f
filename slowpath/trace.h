/* SPDX-License-Identifier: BSD-2-Clause */
/* Trace: what tcpdump would show of a chain's ports, were offloaded packets not hidden from it. */
#ifndef EVNF_SLOWPATH_TRACE_H
#define EVNF_SLOWPATH_TRACE_H

#include <stdint.h>
#include <stdio.h>

#include "slowpath/filter.h"

struct trace_options {
	const struct filter *filter; /* which frames to write */
	FILE *out;                   /* takes pcapng; flushed whenever no more frames wait */
	uint64_t count;              /* frames to write; 0: no limit */
	unsigned int seconds;        /* to watch; 0: no limit */
};

struct trace_result {
	uint64_t written; /* frames */
	uint64_t lost;    /* frames not seen, as they came faster than they were read */
};

/* Watches the chain pinned in `pins` until the options' limits, SIGINT, SIGTERM or SIGHUP. One
 * watcher at a time: the ring buffer has one reader. Needs no running slow path. Returns 0;
 * -EWOULDBLOCK when another process watches; -ESTALE when the chain went away meanwhile; -errno,
 * also of writing. The result is filled in any case. */
int trace_run(const char *pins, const struct trace_options *options, struct trace_result *result);

#endif
