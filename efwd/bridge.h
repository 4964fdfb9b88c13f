/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The bridge's own tables: where each station is, and what each port may carry. */
#ifndef EVNF_EFWD_BRIDGE_H
#define EVNF_EFWD_BRIDGE_H

#include "common/state.h"

#define STATIONS_MAX (NEXT_HOPS_MAX - 1) /* each has a slot of next_hops */
#define VIDS 4096

/* Names a station: one MAC address in one VLAN. */
struct station_key {
	__u8 mac[6];
	__u16 vid; /* 0: the bridge does not look at tags */
};
_Static_assert(sizeof(struct station_key) == 8, "station_key is a map key");

/* Where a station is. Written by the slow path, but for last_seen. */
struct station {
	__u16 port;      /* index */
	__u16 slot;      /* of next_hops: how frames to it leave */
	__u32 last_seen; /* tick of the last frame from it that walked (fast path) */
	__u8 fixed;      /* 1: configured; never moves nor ages */
	__u8 pad[3];
};
_Static_assert(sizeof(struct station) == 12, "station is a map value");

/* What a port may carry. Written by the slow path. */
struct bridge_port {
	__u16 pvid; /* VID of untagged frames, which leave untagged too; 0: there are none */
	__u16 pad;
	__u32 floods_per_tick; /* frames from it that may be flooded; 0: no limit */
	__u64 vids[VIDS / 64]; /* a bit for each VID it carries tagged */
};

static inline int bridge_port_tags(const struct bridge_port *port, __u16 vid)
{
	return port->vids[vid % VIDS / 64] >> vid % 64 & 1;
}

/* True when frames of the VLAN leave by this port, with a tag or without. */
static inline int bridge_port_carries(const struct bridge_port *port, __u16 vid)
{
	return vid == port->pvid || bridge_port_tags(port, vid);
}

#endif
