/* SPDX-License-Identifier: BSD-2-Clause */
/* Chain: loads the fast path's programs, shares their maps, and attaches them to ports. */
#ifndef EVNF_SLOWPATH_CHAIN_H
#define EVNF_SLOWPATH_CHAIN_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/flow.h"
#include "common/state.h"
#include "slowpath/pins.h"

struct bpf_object;

struct chain_options {
	uint32_t max_flows4, max_flows6; /* connections; the tables hold both directions of each */
	uint32_t inserts_per_s;          /* flow entries a CPU may insert */
	bool doorkeeper;                 /* install a flow from its second packet on */
	bool router;                     /* entry takes only frames to the port's MAC address */
};

/* A port as the kernel knows it. */
struct port {
	char name[IFNAMSIZ];
	uint32_t ifindex;
	uint32_t mtu;
	uint16_t index; /* in every map; the same after a restart */
	uint8_t mac[6];
	bool native;   /* XDP in the driver; false: generic */
	bool attached; /* by this process or by the one whose pins were adopted */
};

/* Programs and maps of one chain. */
struct chain {
	char pins[PINS_PATH_MAX];
	struct chain_options options;
	bool adopted; /* the pins of an earlier process were found and fit */
	struct clock_bpf *clock;
	struct sent_bpf *sent;
	struct finish_bpf *finish;
	struct entry_bpf *entries[PORTS_MAX];
	volatile struct chain_state *state;
	struct next_hop *next_hops;
	uint32_t *epochs;
	int flows4, flows6, next_hop_ids, contexts, tx_ports, hops, devices, port_contexts;
};

/* The chain's memory: what `flows` connections cost at most, bytes per connection (both directions,
 * the flow table alone). Elements of a kernel hash table are 48 bytes, key and value, and a bucket
 * of 16 bytes for each. */
#define FLOW4_BYTES (2 * (48 + sizeof(struct flow4_key) + sizeof(struct flow4) + 16))
#define FLOW6_BYTES (2 * (48 + sizeof(struct flow6_key) + sizeof(struct flow6) + 16))

/* Loads clock, counters and finish into `pins` (pins_make()) and starts the clock. Pins of an
 * earlier process that fit are adopted; those that do not are removed first. Returns 0 or -errno.
 */
int chain_open(struct chain *chain, const char *pins, const struct chain_options *options);

/* Unloads; what is pinned stays. */
void chain_close(struct chain *chain);

/* Gives an object's maps the chain's sizes and pins; call it between open and load. The maps
 * `conns4` and `conns6` of a function have the size of the flow tables. Returns 0 or -errno. */
int chain_prepare(const struct chain *chain, struct bpf_object *object);

/* Puts a function's program into slot `hop` of the bank in use, finish behind it. Returns 0 or
 * -errno. */
int chain_set_hop(struct chain *chain, unsigned int hop, int program);

/* Finds what the kernel says of an interface; its index in the maps is the one it had before, or
 * the next free one. Returns 0, -ENODEV, -ENOSPC beyond PORTS_MAX, or -errno. */
int chain_find_port(struct chain *chain, const char *name, struct port *port);

/* Loads the entry program of a port and makes it a way out. Returns the program or -errno. */
int chain_load_port(struct chain *chain, const struct port *port);

enum attach { ATTACH_AUTO, ATTACH_NATIVE, ATTACH_GENERIC };

/* Attaches the port's entry program and pins the link, or replaces the program behind a link pinned
 * before, without losing a frame. Sets port->native. Returns 0; -EBUSY when another XDP program is
 * attached; -EOPNOTSUPP without native XDP when it was demanded; or -errno. */
int chain_attach_port(struct chain *chain, struct port *port, enum attach how);

/* Detaches every pinned port whose interface is not in `ports`. */
int chain_detach_others(struct chain *chain, const struct port *ports, unsigned int n);

/* Writes a slot of next_hops, each half with one store: the fast path never reads a mix. */
void chain_set_next_hop(struct chain *chain, unsigned int slot, const struct next_hop *hop);

/* Every flow must walk again: call it after the state it derives from has changed. */
void chain_bump(struct chain *chain);

/* One flow, both maps' keys without context: its installs under way are void. Call it after the
 * state has changed and before the entry is deleted. */
void chain_bump_flow4(struct chain *chain, const struct flow4_key *key);
void chain_bump_flow6(struct chain *chain, const struct flow6_key *key);

/* Renews the lease for `lease_s` seconds from now. */
void chain_renew(struct chain *chain, unsigned int lease_s);

/* The context of untagged frames of a port. */
static inline uint32_t port_context(uint16_t index)
{
	return index + 1;
}

#endif
