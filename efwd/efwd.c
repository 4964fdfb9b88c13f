// SPDX-License-Identifier: BSD-2-Clause
// efwd: forwards between its ports, as a router by the kernel's routes or as a learning bridge.
#include "efwd/efwd.h"

#include <string.h>

#include "common/util/addr.h"
#include "efwd/stations.h"
#include "efwd/vids.h"

static const char *const mode_words[] = { "router", "bridge", NULL };
static const char *const allow_words[] = { "drop", "allow", NULL };
static const char *const flags_words[] = { "strict", "loose", NULL };
static const char *const options_words[] = { "drop-source-route", "allow", NULL };

static const struct conf_key port_keys[] = {
	{ .name = "vlan",
	  .type = CONF_INT,
	  CONF_FIELD(struct efwd_port_conf, vlan),
	  .min = 0,
	  .max = 4094,
	  .def = "1",
	  .help = "VLAN of untagged frames (access port), native VLAN (trunk); 0: none" },
	{ .name = "trunk",
	  .type = CONF_STRING,
	  CONF_FIELD(struct efwd_port_conf, trunk),
	  .def = "",
	  .help = "VLANs carried tagged, such as \"10,20-29\" or \"all\"; none: an access port" },
	{ .name = "storm_pps",
	  .type = CONF_INT,
	  CONF_FIELD(struct efwd_port_conf, storm_pps),
	  .min = 0,
	  .max = 100000000,
	  .def = "0",
	  .unit = "packets/s",
	  .help = "frames from the port that may be flooded; 0: no limit" },
};

static const struct conf_key station_keys[] = {
	{ .name = "mac",
	  .type = CONF_STRING,
	  CONF_FIELD(struct efwd_station_conf, mac),
	  .min = 17,
	  .help = "MAC address" },
	{ .name = "interface",
	  .type = CONF_STRING,
	  CONF_FIELD(struct efwd_station_conf, interface),
	  .min = 1,
	  .help = "the port it is at" },
	{ .name = "vlan",
	  .type = CONF_INT,
	  CONF_FIELD(struct efwd_station_conf, vlan),
	  .min = 0,
	  .max = 4094,
	  .def = "0",
	  .help = "its VLAN; 0 without VLANs" },
};

static const struct conf_key efwd_keys[] = {
	{ .name = "mode",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, mode),
	  .words = mode_words,
	  .help = "forward by the kernel's routes, or by MAC addresses and VLANs" },
	{ .name = "malformed",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, malformed),
	  .words = allow_words,
	  .def = "drop",
	  .help = "packets whose headers contradict themselves or the frame" },
	{ .name = "short_fragments",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, short_fragments),
	  .words = allow_words,
	  .def = "drop",
	  .help = "first fragments without the whole TCP or UDP header, TCP fragments at offset "
		  "8" },
	{ .name = "tcp_flags",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, tcp_flags),
	  .words = flags_words,
	  .def = "strict",
	  .help = "TCP flags that no stack sends, such as SYN with FIN: dropped, or let pass" },
	{ .name = "ip_options",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, ip_options),
	  .words = options_words,
	  .def = "drop-source-route",
	  .help = "IPv4 source routes and IPv6 routing headers of type 0" },
	{ .name = "martians",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, martians),
	  .words = allow_words,
	  .def = "drop",
	  .help = "addresses that no packet on a wire may have (router), sources that are no "
		  "station (bridge)" },
	{ .name = "ttl_zero",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, ttl_zero),
	  .words = allow_words,
	  .def = "drop",
	  .help = "packets that arrive with TTL or hop limit 0 (router)" },
	{ .name = "tags",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, tags),
	  .words = allow_words,
	  .def = "drop",
	  .help = "frames with three or more VLAN tags, or one of an old type (bridge)" },
	{ .name = "reserved_macs",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, reserved_macs),
	  .words = allow_words,
	  .def = "drop",
	  .help = "frames to 01:80:c2:00:00:00 to 0f: STP, LLDP, LACP, pause (bridge)" },
	{ .name = "vlans",
	  .type = CONF_BOOL,
	  CONF_FIELD(struct efwd_conf, vlans),
	  .def = "false",
	  .help = "keep VLANs apart; else tags are carried unread (bridge)" },
	{ .name = "max_stations",
	  .type = CONF_INT,
	  CONF_FIELD(struct efwd_conf, max_stations),
	  .min = 1,
	  .max = STATIONS_MAX,
	  .def = "8192",
	  .help = "stations to know; frames to others are flooded (bridge)" },
	{ .name = "station_age_s",
	  .type = CONF_INT,
	  CONF_FIELD(struct efwd_conf, station_age_s),
	  .min = 10,
	  .max = 1000000,
	  .def = "300",
	  .unit = "s",
	  .help = "how long a silent station is remembered (bridge)" },
	{ .name = "ports",
	  .type = CONF_GROUPS,
	  CONF_LIST(struct efwd_conf, ports, n_ports),
	  .min = 1,
	  .keys = port_keys,
	  .n_keys = sizeof(port_keys) / sizeof(port_keys[0]),
	  .help = "what each port may carry (bridge)" },
	{ .name = "stations",
	  .type = CONF_GROUPS,
	  CONF_LIST(struct efwd_conf, stations, n_stations),
	  .keys = station_keys,
	  .n_keys = sizeof(station_keys) / sizeof(station_keys[0]),
	  .help = "stations that neither move nor age (bridge)" },
};

uint64_t efwd_lifted(const struct efwd_conf *conf)
{
	const struct {
		int check;
		enum reason reason;
	} checks[] = { { conf->malformed, REASON_MALFORMED },
		       { conf->short_fragments, REASON_SHORT_FRAGMENT },
		       { conf->tcp_flags, REASON_TCP_FLAGS },
		       { conf->ip_options, REASON_SOURCE_ROUTE },
		       { conf->martians, REASON_MARTIAN },
		       { conf->ttl_zero, REASON_TTL_ZERO },
		       { conf->tags, REASON_TAGS },
		       { conf->reserved_macs, REASON_RESERVED_MAC } };
	uint64_t lifted = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].check == CHECK_LIFT)
			lifted |= 1ULL << checks[i].reason;
	return lifted;
}

/* What only a bridge with VLANs can do must not stand in other configurations. */
static int port_check(const struct efwd_conf *own, size_t i, const struct conf *conf,
		      struct conf_error *error)
{
	const struct efwd_port_conf *port = &own->ports[i];
	__u64 vids[VIDS / 64];
	char key[32];

	snprintf(key, sizeof(key), "ports[%zu].trunk", i);
	if (vids_parse(port->trunk, vids))
		return conf_error_at(conf, error, key,
				     "found \"%s\", expected VLANs from 1 to 4094 such as "
				     "\"10,20-29\", or \"all\"",
				     port->trunk);
	if (port->trunk[0] && !own->vlans)
		return conf_error_at(conf, error, key, "needs vlans = true");
	snprintf(key, sizeof(key), "ports[%zu].vlan", i);
	if (port->vlan != 1 && !own->vlans)
		return conf_error_at(conf, error, key, "needs vlans = true");
	if (!port->vlan && !port->trunk[0])
		return conf_error_at(conf, error, key, "the port would carry nothing");
	snprintf(key, sizeof(key), "ports[%zu].storm_pps", i);
	if (port->storm_pps && own->mode != MODE_BRIDGE)
		return conf_error_at(conf, error, key, "needs mode = \"bridge\"");
	return 0;
}

static int station_check(const struct efwd_conf *own, size_t i, const struct conf *conf,
			 struct conf_error *error)
{
	const struct efwd_station_conf *station = &own->stations[i];
	uint8_t mac[6];
	char key[40];

	snprintf(key, sizeof(key), "stations[%zu].mac", i);
	if (own->mode != MODE_BRIDGE)
		return conf_error_at(conf, error, key, "needs mode = \"bridge\"");
	if (addr_parse_mac(station->mac, mac) || mac[0] & 1)
		return conf_error_at(conf, error, key,
				     "found \"%s\", expected the MAC address of one station",
				     station->mac);
	snprintf(key, sizeof(key), "stations[%zu].vlan", i);
	if (!station->vlan != !own->vlans)
		return conf_error_at(conf, error, key,
				     own->vlans ? "missing, expected an integer from 1 to 4094"
						: "needs vlans = true");
	return 0;
}

static int efwd_check(const void *values, const struct conf *conf, struct conf_error *error)
{
	const struct efwd_conf *own = values;
	int r = 0;

	if (own->vlans && own->mode != MODE_BRIDGE)
		return conf_error_at(conf, error, "vlans", "needs mode = \"bridge\"");
	for (size_t i = 0; !r && i < own->n_ports; i++)
		r = port_check(own, i, conf, error);
	for (size_t i = 0; !r && i < own->n_stations; i++)
		r = station_check(own, i, conf, error);
	return r;
}

static const struct efwd_mode_ops *mode_of(const struct slowpath *slowpath)
{
	const struct efwd_conf *own = slowpath->own;

	return own->mode == MODE_BRIDGE ? &efwd_bridge : &efwd_router;
}

static bool efwd_bridges(const void *own)
{
	return ((const struct efwd_conf *)own)->mode == MODE_BRIDGE;
}

static int efwd_load(struct slowpath *slowpath)
{
	return mode_of(slowpath)->load(slowpath);
}

static int efwd_start(struct slowpath *slowpath)
{
	return mode_of(slowpath)->start ? mode_of(slowpath)->start(slowpath) : 0;
}

static void efwd_event(struct slowpath *slowpath, const struct event *event)
{
	if (mode_of(slowpath)->event)
		mode_of(slowpath)->event(slowpath, event);
}

static void efwd_flow_alive(struct slowpath *slowpath, const struct flow_head *flow)
{
	if (mode_of(slowpath)->flow_alive)
		mode_of(slowpath)->flow_alive(slowpath, flow);
}

static void efwd_stop(struct slowpath *slowpath, bool leaving)
{
	mode_of(slowpath)->stop(slowpath, leaving);
}

static const struct vnf_show efwd_shows[] = {
	{ "stations", "where each station of the bridge is", stations_show },
	{},
};

static const struct vnf efwd = {
	.name = "efwd",
	.summary = "forwards between its ports: a router by the kernel's routes, or a bridge",
	.keys = efwd_keys,
	.n_keys = sizeof(efwd_keys) / sizeof(efwd_keys[0]),
	.conf_size = sizeof(struct efwd_conf),
	.check = efwd_check,
	.doorkeeper = true,
	.bridges = efwd_bridges,
	.load = efwd_load,
	.start = efwd_start,
	.event = efwd_event,
	.flow_alive = efwd_flow_alive,
	.stop = efwd_stop,
	.flush = stations_flush,
	.shows = efwd_shows,
};

int main(int argc, char **argv)
{
	return vnf_main(&efwd, argc, argv);
}
