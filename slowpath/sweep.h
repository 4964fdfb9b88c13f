/* SPDX-License-Identifier: BSD-2-Clause */
/* Sweep: walks the flow tables a little at a time, ages them and tells of what is in use. */
#ifndef EVNF_SLOWPATH_SWEEP_H
#define EVNF_SLOWPATH_SWEEP_H

#include <stdint.h>

#include "common/flow.h"
#include "slowpath/chain.h"

struct sweep;

/* What a sweep tells of a live entry: its context, and the slots it leaves by and comes from. */
typedef void (*flow_alive_fn)(void *arg, uint32_t context, const struct flow_head *flow);

/* idle_s: entries unused for so long, or of a past generation, are deleted: that costs the flow a
 * walk and nothing else. Returns 0 or -errno. */
int sweep_open(struct chain *chain, unsigned int idle_s, flow_alive_fn alive, void *arg,
	       struct sweep **sweep);
void sweep_close(struct sweep *sweep);

/* Visits the next part of each table, so that calls every TICK_MS visit all of it in about
 * `period_s` seconds. Returns 0 or -errno. */
int sweep_step(struct sweep *sweep, unsigned int period_s);

#endif
