// SPDX-License-Identifier: BSD-2-Clause
// Sweep: idle flow entries and those of the past are deleted, live ones tell what they use.
#include "slowpath/sweep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "slowpath/batch.h"

struct sweep {
	struct chain *chain;
	struct batch tables[2];
	struct batch *now; /* the table being visited */
	uint64_t refused;  /* installs so far */
	pthread_t thread;
	sem_t stop;
	bool running;
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
	sem_init(&new->stop, 0, 0);
	new->chain = chain;
	new->idle_ticks = idle_s *TICKS_PER_S;
	new->alive = alive;
	new->arg = arg;
	if ((r = batch_open(chain->flows4, &new->tables[0])) ||
	    (r = batch_open(chain->flows6, &new->tables[1]))) {
		sweep_close(new);
		return r;
	}
	new->now = &new->tables[0];
	*sweep = new;
	return 0;
}

void sweep_close(struct sweep *sweep)
{
	if (!sweep)
		return;
	if (sweep->running) {
		sem_post(&sweep->stop);
		pthread_join(sweep->thread, NULL);
	}
	sem_destroy(&sweep->stop);
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

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Waits. Returns true when the thread shall end. */
static bool sweep_rest(struct sweep *sweep, int64_t ns)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ns / 1000000000;
	until.tv_nsec += ns % 1000000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	return !sem_timedwait(&sweep->stop, &until);
}

/* Visits a part of one table, the next one at its end. Returns how long to rest then, ns. */
static int64_t sweep_part(struct sweep *sweep)
{
	const int64_t began = now_ns(), least = TICK_MS * 1000000LL;
	const uint64_t refused = sweep->chain->state->install_full;
	const bool pressed = refused != sweep->refused;
	int64_t took;

	sweep->refused = refused;
	if (batch_step(sweep->now, BATCH_MAX, flow_visit, sweep) != 1)
		sweep->now = &sweep->tables[sweep->now == &sweep->tables[0]];
	took = now_ns() - began;
	if (pressed)
		return 9 * took;
	return 99 * took > least ? 99 * took : least;
}

static void *sweep_run(void *arg)
{
	struct sweep *sweep = arg;

	while (!sweep_rest(sweep, sweep_part(sweep)))
		;
	return NULL;
}

int sweep_start(struct sweep *sweep, pthread_mutex_t *lock)
{
	int r;

	sweep->tables[0].lock = sweep->tables[1].lock = lock;
	r = -pthread_create(&sweep->thread, NULL, sweep_run, sweep);
	sweep->running = !r;
	return r;
}
