/* SPDX-License-Identifier: BSD-2-Clause */
/* efwd: its configuration, and what its two modes are to it. */
#ifndef EVNF_EFWD_EFWD_H
#define EVNF_EFWD_EFWD_H

#include "efwd/bridge.h"
#include "slowpath/vnf.h"

enum efwd_mode { MODE_ROUTER, MODE_BRIDGE };

/* A check of odd packets, as its words are listed: the packet is dropped, or it is let go on. */
enum efwd_check { CHECK_DROP, CHECK_LIFT };

struct efwd_port_conf {
	uint16_t vlan;   /* of untagged frames; 0: none */
	char trunk[256]; /* VIDs carried tagged, see vids_parse() */
	uint32_t storm_pps;
};

struct efwd_station_conf {
	char mac[18];
	char interface[IFNAMSIZ];
	uint16_t vlan;
};

#define FIXED_STATIONS_MAX 256

struct efwd_conf {
	int mode; /* enum efwd_mode */
	/* enum efwd_check each */
	int malformed, short_fragments, tcp_flags, ip_options, martians, ttl_zero, tags,
		reserved_macs;
	/* Of the bridge. */
	bool vlans;
	uint32_t max_stations, station_age_s;
	struct efwd_port_conf ports[PORTS_MAX]; /* as slowpath->conf.ports */
	size_t n_ports;
	struct efwd_station_conf stations[FIXED_STATIONS_MAX];
	size_t n_stations;
};

/* A mode: how its hop is loaded, and what the slow path does for it. All get their own state. */
struct efwd_mode_ops {
	int (*load)(struct slowpath *slowpath); /* as in struct vnf, and so the others */
	int (*start)(struct slowpath *slowpath);
	void (*event)(struct slowpath *slowpath, const struct event *event);
	void (*flow_alive)(struct slowpath *slowpath, const struct flow_head *flow);
	void (*stop)(struct slowpath *slowpath, bool leaving);
};

extern const struct efwd_mode_ops efwd_router, efwd_bridge;

/* The drops that the configuration lifts: a bit per enum reason. */
uint64_t efwd_lifted(const struct efwd_conf *conf);

#endif
