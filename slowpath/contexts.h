/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts: gives each stack of VLAN tags on a port the id that stands for it in a flow's key. */
#ifndef EVNF_SLOWPATH_CONTEXTS_H
#define EVNF_SLOWPATH_CONTEXTS_H

#include <stdint.h>

#include "slowpath/chain.h"

struct contexts;

/* Adopts the ids that an earlier process gave; those of ports that are no more are taken back.
 * Returns 0 or -errno. */
int contexts_open(struct chain *chain, const struct port *ports, unsigned int n_ports,
		  struct contexts **contexts);
void contexts_close(struct contexts *contexts);

/* The fast path met a tag stack without an id: give it one. Asking twice is fine. When none is
 * free, those that no flow has used for a while are taken back, and all flows walk again. Returns
 * 0; -ENOSPC when every id is in use: such frames walk; or -errno. */
int contexts_add(struct contexts *contexts, const struct context_key *key);

/* Marks the id of a live flow's context as used; ids of ports are none of ours. */
void contexts_use(struct contexts *contexts, uint32_t id);

#endif
