// SPDX-License-Identifier: BSD-2-Clause
// Bridge: loads its hop, configures its ports, and keeps its stations.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/util/addr.h"
#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "efwd/efwd.h"
#include "efwd/stations.h"
#include "efwd/vids.h"
#include "skel/bridge.skel.h"

#define AGE_PERIOD_MS 1000

struct bridge {
	struct slowpath *slowpath;
	struct bridge_bpf *hop;
	struct stations *stations;
	struct bridge_port confs[PORTS_MAX];        /* by port index, */
	const struct bridge_port *ports[PORTS_MAX]; /* NULL where there is none */
	int socket;                                 /* for asking about interfaces */
};

static const struct efwd_conf *conf_of(const struct bridge *bridge)
{
	return bridge->slowpath->own;
}

static uint32_t floods_per_tick(uint32_t storm_pps)
{
	return (storm_pps + TICKS_PER_S - 1) / TICKS_PER_S;
}

/* The check of the configuration has seen that the list of VIDs can be read. */
static int port_configure(struct bridge *bridge, unsigned int i)
{
	const struct efwd_port_conf *conf = &conf_of(bridge)->ports[i];
	const uint32_t index = bridge->slowpath->ports[i].index;
	struct bridge_port *port = &bridge->confs[index];
	int r = vids_parse(conf->trunk, port->vids);

	if (r)
		return r;
	port->pvid = conf_of(bridge)->vlans ? conf->vlan : 0;
	port->floods_per_tick = floods_per_tick(conf->storm_pps);
	if (conf->trunk[0] && port->pvid) /* a native VLAN may come tagged too */
		port->vids[port->pvid / 64] |= 1ULL << port->pvid % 64;
	bridge->ports[index] = port;
	return bpf_map_update_elem(bpf_map__fd(bridge->hop->maps.bridge_ports), &index, port,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

static int flood_port_add(struct bridge *bridge, const struct port *port)
{
	const uint32_t index = port->index;
	const struct bpf_devmap_val out = {
		.ifindex = port->ifindex,
		.bpf_prog.fd = bpf_program__fd(bridge->hop->progs.evnf_bridge_out),
	};

	return bpf_map_update_elem(bpf_map__fd(bridge->hop->maps.flood_ports), &index, &out,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

static int hop_load(struct bridge *bridge)
{
	int r;

	bridge->hop = bridge_bpf__open();
	r = bridge->hop ? chain_prepare(&bridge->slowpath->chain, bridge->hop->obj) : -errno;
	if (r)
		return r;
	bridge->hop->rodata->lifted = efwd_lifted(conf_of(bridge));
	bridge->hop->rodata->vlans = conf_of(bridge)->vlans;
	return bridge_bpf__load(bridge->hop);
}

static int bridge_load(struct slowpath *slowpath)
{
	const struct efwd_conf *conf = slowpath->own;
	const struct stations_options options = { .limit = conf->max_stations,
						  .age_s = conf->station_age_s,
						  .vlans = conf->vlans };
	struct bridge *bridge = calloc(1, sizeof(*bridge));
	int r;

	slowpath->state = bridge;
	if (!bridge)
		return log_err(-ENOMEM, "bridge");
	bridge->slowpath = slowpath;
	bridge->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = bridge->socket < 0 ? -errno : hop_load(bridge);
	if (r)
		return log_err(r, "load the bridge");
	for (unsigned int i = 0; i < slowpath->n_ports; i++)
		if ((r = port_configure(bridge, i)) ||
		    (r = flood_port_add(bridge, &slowpath->ports[i])))
			return log_err(r, "configure port %s", slowpath->ports[i].name);
	r = stations_open(&slowpath->chain, bridge->ports, &options, &bridge->stations);
	if (r)
		return log_err(r, "open the table of stations");
	return bpf_program__fd(bridge->hop->progs.evnf_bridge);
}

static int flags_get(const struct bridge *bridge, const struct port *port, struct ifreq *request)
{
	*request = (struct ifreq){};
	memcpy(request->ifr_name, port->name, sizeof(request->ifr_name));
	return ioctl(bridge->socket, SIOCGIFFLAGS, request) ? -errno : 0;
}

/* A bridge must see the frames to others. Remembers which ports it changed itself. */
static int port_open(struct bridge *bridge, const struct port *port)
{
	const uint32_t one = 1;
	struct ifreq request;
	int r = flags_get(bridge, port, &request);

	if (r || request.ifr_flags & IFF_PROMISC)
		return r;
	request.ifr_flags |= IFF_PROMISC;
	if (ioctl(bridge->socket, SIOCSIFFLAGS, &request) ||
	    bpf_map_update_elem(bpf_map__fd(bridge->hop->maps.promiscuous), &port->ifindex, &one,
				BPF_ANY))
		return -errno;
	return 0;
}

static void port_close(struct bridge *bridge, const struct port *port)
{
	struct ifreq request;
	uint32_t ours;

	if (bpf_map_lookup_elem(bpf_map__fd(bridge->hop->maps.promiscuous), &port->ifindex,
				&ours) ||
	    flags_get(bridge, port, &request))
		return;
	request.ifr_flags &= ~IFF_PROMISC;
	ioctl(bridge->socket, SIOCSIFFLAGS, &request);
}

/* Stations behind a port without a link are to be found elsewhere, if at all. */
static int on_age(void *arg, uint64_t expirations)
{
	struct bridge *bridge = arg;
	uint64_t gone = 0;

	(void)expirations;
	for (unsigned int i = 0; i < bridge->slowpath->n_ports; i++) {
		const struct port *port = &bridge->slowpath->ports[i];
		struct ifreq request;

		if (flags_get(bridge, port, &request) || !(request.ifr_flags & IFF_RUNNING))
			gone |= 1ULL << port->index;
	}
	return stations_age(bridge->stations, gone);
}

static const struct port *port_find(const struct slowpath *slowpath, const char *name)
{
	for (unsigned int i = 0; i < slowpath->n_ports; i++)
		if (!strcmp(slowpath->ports[i].name, name))
			return &slowpath->ports[i];
	return NULL;
}

static int stations_configure(struct bridge *bridge)
{
	const struct efwd_conf *conf = conf_of(bridge);

	for (size_t i = 0; i < conf->n_stations; i++) {
		const struct efwd_station_conf *station = &conf->stations[i];
		const struct port *port = port_find(bridge->slowpath, station->interface);
		uint8_t mac[6];
		int r = port ? addr_parse_mac(station->mac, mac) : -ENODEV;

		if (!r)
			r = stations_fix(bridge->stations, mac, station->vlan, port->index);
		if (r)
			return log_err(r, "station %s of VLAN %u at %s", station->mac,
				       station->vlan, station->interface);
	}
	return 0;
}

/* Where XDP is behind the driver, the copies of a flood share their bytes: none can have a tag that
 * the others have not. */
static bool tags_can_differ(const struct slowpath *slowpath)
{
	const struct efwd_conf *conf = slowpath->own;

	for (unsigned int i = 0; conf->vlans && i < slowpath->n_ports; i++)
		if (!slowpath->ports[i].native)
			return false;
	return true;
}

static int bridge_start(struct slowpath *slowpath)
{
	struct bridge *bridge = slowpath->state;
	int r = stations_configure(bridge);

	if (r)
		return r;
	if (!tags_can_differ(slowpath))
		return log_err(-EOPNOTSUPP, "vlans = true needs native XDP on every port");
	for (unsigned int i = 0; i < slowpath->n_ports; i++) {
		r = port_open(bridge, &slowpath->ports[i]);
		if (r)
			return log_err(r, "make %s promiscuous", slowpath->ports[i].name);
	}
	r = loop_add_timer(slowpath->loop, AGE_PERIOD_MS, on_age, bridge);
	return r ? log_err(r, "event loop") : 0;
}

static void bridge_event(struct slowpath *slowpath, const struct event *event)
{
	struct bridge *bridge = slowpath->state;
	int r;

	if (event->type != EVENT_STATION)
		return;
	r = stations_learn(bridge->stations, event->station.mac, event->station.vid,
			   event->station.port);
	if (r)
		log_debug("station not learned: %s", strerror(-r));
}

static void bridge_flow_alive(struct slowpath *slowpath, const struct flow_head *flow)
{
	stations_use(((struct bridge *)slowpath->state)->stations, flow->source);
}

static void bridge_stop(struct slowpath *slowpath, bool leaving)
{
	struct bridge *bridge = slowpath->state;

	if (!bridge)
		return;
	for (unsigned int i = 0; leaving && bridge->hop && i < slowpath->n_ports; i++)
		port_close(bridge, &slowpath->ports[i]);
	stations_close(bridge->stations);
	bridge_bpf__destroy(bridge->hop);
	if (bridge->socket >= 0)
		close(bridge->socket);
	free(bridge);
}

const struct efwd_mode_ops efwd_bridge = { .load = bridge_load,
					   .start = bridge_start,
					   .event = bridge_event,
					   .flow_alive = bridge_flow_alive,
					   .stop = bridge_stop };
