/* SPDX-License-Identifier: BSD-2-Clause */
/* Neighbors: gives next hops their slots, keeps their MAC addresses true, and watches the routes.
 */
#ifndef EVNF_SLOWPATH_NEIGHBORS_H
#define EVNF_SLOWPATH_NEIGHBORS_H

#include <stdint.h>

#include "slowpath/chain.h"

struct neighbors;

enum change {
	CHANGE_ROUTES, /* something that routes depend on: a route, an address, a rule, a link */
	CHANGE_PORT,   /* a port has another MAC address, or came back as another interface */
};

/* Called on each change; `what` names it. */
typedef void (*routes_changed_fn)(void *arg, enum change change, const char *what);

/* Listens to the kernel's routes, links, addresses and neighbors in the caller's network namespace;
 * in that of a bridging chain, to links only.
 * Slots pinned by an earlier process are adopted and brought up to date. Returns 0 or -errno. */
int neighbors_open(struct chain *chain, const struct port *ports, unsigned int n_ports,
		   routes_changed_fn changed, void *arg, struct neighbors **neighbors);
void neighbors_close(struct neighbors *neighbors);

/* The descriptor to poll for reading. */
int neighbors_fd(const struct neighbors *neighbors);

/* Takes at most `budget` messages in. Returns 0 or -errno; lost messages are no error: all routes
 * count as changed then and the neighbors are read anew. */
int neighbors_receive(struct neighbors *neighbors, unsigned int budget);

/* The fast path met a next hop without a slot: give it one. Asking twice is fine. Returns 0,
 * -ENOSPC when all slots are taken (see neighbors_refresh()), or -errno. */
int neighbors_add(struct neighbors *neighbors, const struct next_hop_key *key);

/* Marks a slot as used by a flow within the last sweep. */
void neighbors_use(struct neighbors *neighbors, uint16_t slot);

/* Asks the kernel to keep every neighbor used since the last call alive: it sees none of the
 * traffic that would. When slots are scarce, those not used for several calls are given back: that
 * counts as a change of routes, and they can be had again after the next call. To be called at
 * most every second. Returns 0 or -errno. */
int neighbors_refresh(struct neighbors *neighbors);

/* A hash of the routes, rules, addresses and ports as they are: to tell whether they changed while
 * nobody listened. */
uint64_t neighbors_fingerprint(struct neighbors *neighbors);

#endif
