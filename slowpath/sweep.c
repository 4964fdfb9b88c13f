// SPDX-License-Identifier: BSD-2-Clause
// Sweep: idle flow entries and those of the past are deleted, live ones tell what they use.
#include "slowpath/sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "slowpath/batch.h"

struct sweep {
	struct chain *chain;
	struct batch tables[2];
	struct batch *now;
	uint32_t idle_ticks;
	flow_alive_fn alive;
	void *arg;
};

int sweep_open(struct chain *chain, unsigned int idle_s, flow_alive_fn alive, void *arg,
	       struct sweep **sweep)
{
	struct sweep *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->chain = chain;
	new->idle_ticks = idle_s *TICKS_PER_S;
	new->alive = alive;
	new->arg = arg;
	if ((r = batch_open(chain->flows4, &new->tables[0])) ||
	    (r = batch_open(chain->flows6, &new->tables[1]))) {
		sweep_close(new);
		return r;
	}
	*sweep = new;
	return 0;
}

void sweep_close(struct sweep *sweep)
{
	if (!sweep)
		return;
	batch_close(&sweep->tables[0]);
	batch_close(&sweep->tables[1]);
	free(sweep);
}

/* An entry of a past generation may have been written by a walk just ending: it gets a second. */
static bool flow_expired(const struct sweep *sweep, const struct flow_head *flow)
{
	int32_t idle = sweep->chain->state->tick - flow->last_seen;

	if (flow->generation != sweep->chain->state->generation)
		return idle > TICKS_PER_S;
	return idle > (int32_t)sweep->idle_ticks;
}

static uint32_t key_context(const struct sweep *sweep, const void *key)
{
	if (sweep->now == &sweep->tables[0])
		return flow_context(((const struct flow4_key *)key)->context);
	return flow_context(((const struct flow6_key *)key)->context);
}

static int flow_visit(void *arg, const void *key, void *value)
{
	struct sweep *sweep = arg;

	if (flow_expired(sweep, value))
		bpf_map_delete_elem(sweep->now->fd, key);
	else
		sweep->alive(sweep->arg, key_context(sweep, key), value);
	return 0;
}

int sweep_step(struct sweep *sweep, unsigned int period_s)
{
	for (int i = 0; i < 2; i++) {
		uint32_t share = batch_share(&sweep->tables[i], period_s * TICKS_PER_S);
		int r;

		sweep->now = &sweep->tables[i];
		r = batch_step(sweep->now, share, flow_visit, sweep);
		if (r < 0)
			return r;
	}
	return 0;
}
