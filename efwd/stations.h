/* SPDX-License-Identifier: BSD-2-Clause */
/* Stations: the bridge's table in the slow path; learns, moves and ages, and gives each its slot.
 */
#ifndef EVNF_EFWD_STATIONS_H
#define EVNF_EFWD_STATIONS_H

#include <stdbool.h>

#include "common/util/report.h"
#include "efwd/bridge.h"
#include "slowpath/chain.h"

struct stations;

struct stations_options {
	uint32_t limit; /* stations, at most STATIONS_MAX */
	uint32_t age_s; /* seconds without a frame after which one is forgotten */
	bool vlans;
};

/* Adopts what an earlier process learned, as far as the ports still carry it. `ports` has an
 * element for each index of a port, NULL where there is none, and outlives the stations. Returns 0
 * or -errno. */
int stations_open(struct chain *chain, const struct bridge_port *const ports[PORTS_MAX],
		  const struct stations_options *options, struct stations **stations);
void stations_close(struct stations *stations);

/* A frame of VLAN `vid` came from `mac` by port `index`: the station is new there, or moved. A
 * fixed one stays where it is. Returns 0; -EINVAL when the port does not carry the VLAN; -ENOSPC
 * when the table is full; or -errno. */
int stations_learn(struct stations *stations, const uint8_t mac[static 6], uint16_t vid,
		   uint16_t index);

/* The same for a station that is configured: it neither moves nor ages. */
int stations_fix(struct stations *stations, const uint8_t mac[static 6], uint16_t vid,
		 uint16_t index);

/* A flow from the station of this slot is alive. */
void stations_use(struct stations *stations, uint16_t slot);

/* Forgets stations that were silent too long, and all of the ports whose bit is set in `gone`; to
 * be called every second. Returns 0 or -errno. */
int stations_age(struct stations *stations, uint64_t gone);

/* Forgets, through the pins at `pins`, every station that is not fixed; a running slow path finds
 * out by itself. Returns 0 or -errno. */
int stations_flush(const char *pins);

/* Reports the stations. Returns 0 or -errno. */
int stations_show(const char *pins, struct report *report);

#endif
