// SPDX-License-Identifier: BSD-2-Clause
// Contexts: the free list of context ids, and the map that the fast path reads them from.
#include "slowpath/contexts.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define FIRST_ID (PORTS_MAX + 1)        /* below are those of untagged frames, one per port */
#define UNUSED_TICKS (30 * TICKS_PER_S) /* thrice the time in which every flow is visited */

struct context {
	struct context_key key;
	uint32_t used; /* tick */
	bool taken;
};

struct contexts {
	struct chain *chain;
	struct context all[CONTEXTS_MAX];
	uint32_t reclaimed; /* tick */
};

static uint32_t tick_now(const struct contexts *contexts)
{
	return contexts->chain->state->tick;
}

static bool port_is_ours(const struct port *ports, unsigned int n_ports, uint16_t index)
{
	for (unsigned int i = 0; i < n_ports; i++)
		if (ports[i].index == index)
			return true;
	return false;
}

static void context_adopt(struct contexts *contexts, const struct context_key *key, uint32_t id)
{
	struct context *context = &contexts->all[id - FIRST_ID];

	*context = (struct context){ .key = *key, .used = tick_now(contexts), .taken = true };
}

static void contexts_adopt(struct contexts *contexts, const struct port *ports,
			   unsigned int n_ports)
{
	struct context_key key, *previous = NULL, next;
	uint32_t id;

	while (!bpf_map_get_next_key(contexts->chain->contexts, previous, &next)) {
		bool known = !bpf_map_lookup_elem(contexts->chain->contexts, &next, &id);

		if (known && id >= FIRST_ID && id < FIRST_ID + CONTEXTS_MAX &&
		    port_is_ours(ports, n_ports, next.port)) {
			context_adopt(contexts, &next, id);
			key = next;
			previous = &key;
		} else {
			bpf_map_delete_elem(contexts->chain->contexts, &next);
			previous = NULL; /* the walk begins anew behind a deleted key */
		}
	}
}

int contexts_open(struct chain *chain, const struct port *ports, unsigned int n_ports,
		  struct contexts **contexts)
{
	struct contexts *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->chain = chain;
	new->reclaimed = chain->state->tick;
	contexts_adopt(new, ports, n_ports);
	*contexts = new;
	return 0;
}

void contexts_close(struct contexts *contexts)
{
	free(contexts);
}

static struct context *context_free(struct contexts *contexts)
{
	for (unsigned int i = 0; i < CONTEXTS_MAX; i++)
		if (!contexts->all[i].taken)
			return &contexts->all[i];
	return NULL;
}

/* Entries made under an id name it in their key: only after a bump may it mean something else. */
static void contexts_reclaim(struct contexts *contexts)
{
	const uint32_t tick = tick_now(contexts);
	bool any = false;

	if (tick - contexts->reclaimed < UNUSED_TICKS)
		return;
	contexts->reclaimed = tick;
	for (unsigned int i = 0; i < CONTEXTS_MAX; i++) {
		struct context *context = &contexts->all[i];

		if ((int32_t)(tick - context->used) <= UNUSED_TICKS)
			continue;
		bpf_map_delete_elem(contexts->chain->contexts, &context->key);
		context->taken = false;
		any = true;
	}
	if (any)
		chain_bump(contexts->chain);
}

int contexts_add(struct contexts *contexts, const struct context_key *key)
{
	struct context *context;
	uint32_t id;

	if (!bpf_map_lookup_elem(contexts->chain->contexts, key, &id))
		return 0;
	context = context_free(contexts);
	if (!context) {
		contexts_reclaim(contexts);
		context = context_free(contexts);
	}
	if (!context)
		return -ENOSPC;
	id = FIRST_ID + (context - contexts->all);
	if (bpf_map_update_elem(contexts->chain->contexts, key, &id, BPF_ANY))
		return -errno;
	context_adopt(contexts, key, id);
	return 0;
}

void contexts_use(struct contexts *contexts, uint32_t id)
{
	if (id >= FIRST_ID && id < FIRST_ID + CONTEXTS_MAX)
		contexts->all[id - FIRST_ID].used = tick_now(contexts);
}
