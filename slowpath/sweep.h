/* SPDX-License-Identifier: BSD-2-Clause */
/* Sweep: walks the flow tables a little at a time, ages them and tells of what is in use. */
#ifndef EVNF_SLOWPATH_SWEEP_H
#define EVNF_SLOWPATH_SWEEP_H

#include <pthread.h>
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
void sweep_close(struct sweep *sweep); /* ends the thread; not with its lock held */

/* Begins to visit the tables over and over, in a thread of its own: the kernel takes its time to
 * read a large table, also an empty one. It runs for a hundredth of the time, or a tenth while a
 * full table refuses flows. Callbacks come with `lock` held. Returns 0 or -errno. */
int sweep_start(struct sweep *sweep, pthread_mutex_t *lock);

#endif
