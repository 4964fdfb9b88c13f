/* SPDX-License-Identifier: BSD-2-Clause */
/* Conns: the records of offloaded connections, as the slow path installs, refreshes and forgets
 * them. */
#ifndef EVNF_EFW_CONNS_H
#define EVNF_EFW_CONNS_H

#include <stdbool.h>
#include <stdint.h>

#include "efw/conntrack.h"
#include "efw/efw.h"
#include "slowpath/chain.h"

struct conns;

/* Opens the pinned tables conns4 and conns6 of the chain. lease_s: no record may outlive the
 * kernel's connection by the time a dead slow path's entries hold. on_demand: only conns_find()
 * installs. Returns 0 or -errno. */
int conns_open(struct chain *chain, struct ct *ct, unsigned int lease_s, bool on_demand,
	       struct conns **conns);
void conns_close(struct conns *conns);

/* Conntrack tells of a connection: its records are kept, forgotten, or installed by conns_settle().
 * Returns 0 or -errno; a full table is no error. */
int conns_take(struct conns *conns, enum ct_event event, const struct ct_flow *flow);

/* Asks conntrack for the connection of a packet, its tuple (struct flow4_key or flow6_key) as it
 * arrived, and takes it; one it does not know, or whose packet was only lately asked for, is none.
 */
void conns_find(struct conns *conns, int family, const void *key);

/* Both directions of a TCP connection, one of them with this tuple, have just begun to pass the
 * kernel by: a moment later the kernel is made to forget the acknowledgments it saw of it. */
void conns_offloaded(struct conns *conns, int family, const void *key);

/* Installs the records of the connections taken since the last call. Returns 0 or -errno. */
int conns_settle(struct conns *conns);

/* Records pinned by an earlier process are kept in step like new ones. Returns 0 or -errno. */
int conns_adopt(struct conns *conns);

/* Every TICK_MS: does what is due: connections with traffic are refreshed in the kernel, others are
 * given back to it before they expire. Returns 0 or -errno. */
int conns_step(struct conns *conns);

/* A dump begins: from now on conns_take() remembers what it told. */
int conns_resync_begin(struct conns *conns);
/* It is complete: records of connections that it did not tell of are forgotten, by and by. */
int conns_resync_end(struct conns *conns);

/* Deletes every record of the pinned tables below `pins`. Returns 0 or -errno. */
int conns_flush(const char *pins);

#endif
