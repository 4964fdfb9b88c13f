// SPDX-License-Identifier: BSD-2-Clause
// Stations: who is where, as the fast path's map has it, and which slots of next hops they hold.
#include "efwd/stations.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/util/addr.h"
#include "common/util/cleanup.h"
#include "common/util/report.h"
#include "slowpath/batch.h"
#include "slowpath/devices.h"

/* A slot that was given back rests: flow entries still name it, until the next bump. */
enum slot_state { SLOT_FREE, SLOT_TAKEN, SLOT_RESTING };

struct slot {
	enum slot_state state;
	uint32_t seen;  /* tick of the last sign of life of a flow from its station */
	uint32_t round; /* in which its station was met in the map */
};

struct stations {
	struct chain *chain;
	const struct bridge_port *const *ports;
	struct stations_options options;
	int map;
	struct batch batch;
	uint32_t n, round;
	uint64_t gone; /* ports whose stations this round forgets */
	struct slot slots[NEXT_HOPS_MAX];
};

static uint32_t tick_now(const struct stations *stations)
{
	return stations->chain->state->tick;
}

static bool place_is_valid(const struct stations *stations, uint16_t vid, uint16_t index)
{
	const struct bridge_port *port = index < PORTS_MAX ? stations->ports[index] : NULL;

	if (!port)
		return false;
	return stations->options.vlans ? vid && bridge_port_carries(port, vid) : !vid;
}

/* Frames to a station of the VLAN leave so by this port: one store, so that a move never mixes. */
static void slot_write(struct stations *stations, uint16_t slot, uint16_t vid, uint16_t index)
{
	struct next_hop hop = { .port = index };

	if (stations->options.vlans && vid != stations->ports[index]->pvid)
		hop.vid = vid;
	chain_set_next_hop(stations->chain, slot, &hop);
}

static void slot_give_back(struct stations *stations, uint16_t slot)
{
	const struct next_hop down = { .port = NEXT_HOP_DOWN };

	chain_set_next_hop(stations->chain, slot, &down);
	stations->slots[slot].state = SLOT_RESTING;
	stations->n--;
}

static uint16_t slot_find(const struct stations *stations, enum slot_state state)
{
	for (unsigned int slot = 1; slot < NEXT_HOPS_MAX; slot++)
		if (stations->slots[slot].state == state)
			return slot;
	return 0;
}

static void slot_hold(struct stations *stations, uint16_t slot)
{
	stations->slots[slot] = (struct slot){ .state = SLOT_TAKEN,
					       .seen = tick_now(stations),
					       .round = stations->round };
	stations->n++;
}

/* A slot for a new station, or 0. */
static uint16_t slot_take(struct stations *stations)
{
	uint16_t slot;

	if (stations->n >= stations->options.limit)
		return 0;
	slot = slot_find(stations, SLOT_FREE);
	if (!slot) {
		chain_bump(stations->chain);
		for (unsigned int i = 1; i < NEXT_HOPS_MAX; i++)
			if (stations->slots[i].state == SLOT_RESTING)
				stations->slots[i].state = SLOT_FREE;
		slot = slot_find(stations, SLOT_FREE);
	}
	if (slot)
		slot_hold(stations, slot);
	return slot;
}

/* What was learned before is kept where it still makes sense; fixed ones are fixed anew. */
static int station_adopt(void *arg, const void *key_seen, void *value)
{
	struct stations *stations = arg;
	const struct station_key *key = key_seen;
	struct station *station = value;

	if (!place_is_valid(stations, key->vid, station->port) || !station->slot ||
	    station->slot >= NEXT_HOPS_MAX || stations->n >= stations->options.limit ||
	    stations->slots[station->slot].state != SLOT_FREE) {
		bpf_map_delete_elem(stations->map, key);
		return 0;
	}
	slot_hold(stations, station->slot);
	slot_write(stations, station->slot, key->vid, station->port);
	if (station->fixed) {
		station->fixed = 0;
		station->last_seen = tick_now(stations);
		bpf_map_update_elem(stations->map, key, station, BPF_EXIST);
	}
	return 0;
}

static int map_visit(struct batch *batch, batch_fn visit, void *arg)
{
	int r;

	do {
		r = batch_step(batch, BATCH_MAX, visit, arg);
	} while (r == 1);
	return r;
}

int stations_open(struct chain *chain, const struct bridge_port *const ports[PORTS_MAX],
		  const struct stations_options *options, struct stations **stations)
{
	struct stations *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->chain = chain;
	new->ports = ports;
	new->options = *options;
	new->map = pins_open(chain->pins, "stations");
	r = new->map < 0 ? new->map : batch_open(new->map, &new->batch);
	if (!r)
		r = map_visit(&new->batch, station_adopt, new);
	if (r) {
		stations_close(new);
		return r;
	}
	*stations = new;
	return 0;
}

void stations_close(struct stations *stations)
{
	if (!stations)
		return;
	batch_close(&stations->batch);
	if (stations->map >= 0)
		close(stations->map);
	free(stations);
}

/* Puts a station in its place: the slot first, so that whoever finds the station can use it. */
static int station_put(struct stations *stations, const struct station_key *key,
		       struct station *station, uint16_t index, bool fixed)
{
	station->port = index;
	station->fixed = fixed;
	station->last_seen = tick_now(stations);
	slot_write(stations, station->slot, key->vid, index);
	return bpf_map_update_elem(stations->map, key, station, BPF_ANY) ? -errno : 0;
}

static int station_set(struct stations *stations, const uint8_t mac[static 6], uint16_t vid,
		       uint16_t index, bool fixed)
{
	struct station_key key = { .vid = vid };
	struct station station = {};
	int r;

	if (!place_is_valid(stations, vid, index))
		return -EINVAL;
	memcpy(key.mac, mac, sizeof(key.mac));
	if (!bpf_map_lookup_elem(stations->map, &key, &station)) {
		if (!fixed && (station.fixed || station.port == index))
			return 0;
		return station_put(stations, &key, &station, index, fixed);
	}
	station.slot = slot_take(stations);
	if (!station.slot)
		return -ENOSPC;
	r = station_put(stations, &key, &station, index, fixed);
	if (r)
		slot_give_back(stations, station.slot);
	return r;
}

int stations_learn(struct stations *stations, const uint8_t mac[static 6], uint16_t vid,
		   uint16_t index)
{
	return station_set(stations, mac, vid, index, false);
}

int stations_fix(struct stations *stations, const uint8_t mac[static 6], uint16_t vid,
		 uint16_t index)
{
	return station_set(stations, mac, vid, index, true);
}

void stations_use(struct stations *stations, uint16_t slot)
{
	if (slot < NEXT_HOPS_MAX)
		stations->slots[slot].seen = tick_now(stations);
}

static bool station_is_over(const struct stations *stations, const struct station *station)
{
	const int32_t age = stations->options.age_s * TICKS_PER_S;
	const uint32_t tick = tick_now(stations);

	if (station->fixed)
		return false;
	if (stations->gone >> station->port & 1)
		return true;
	return (int32_t)(tick - station->last_seen) > age &&
	       (int32_t)(tick - stations->slots[station->slot].seen) > age;
}

static int station_visit(void *arg, const void *key, void *value)
{
	struct stations *stations = arg;
	const struct station *station = value;

	if (station->slot >= NEXT_HOPS_MAX)
		return 0;
	if (station_is_over(stations, station))
		bpf_map_delete_elem(stations->map, key);
	else
		stations->slots[station->slot].round = stations->round;
	return 0;
}

int stations_age(struct stations *stations, uint64_t gone)
{
	int r;

	stations->round++;
	stations->gone = gone;
	r = map_visit(&stations->batch, station_visit, stations);
	/* What is not in the map any more, whoever deleted it, gives its slot back. */
	for (unsigned int slot = 1; !r && slot < NEXT_HOPS_MAX; slot++)
		if (stations->slots[slot].state == SLOT_TAKEN &&
		    stations->slots[slot].round != stations->round)
			slot_give_back(stations, slot);
	return r;
}

/* Opens the pinned map for reading all of it. Returns 0 or -errno; close the descriptor and the
 * batch afterwards. */
static int pinned_open(const char *pins, int *fd, struct batch *batch)
{
	*fd = pins_open(pins, "stations");
	return *fd < 0 ? *fd : batch_open(*fd, batch);
}

static int station_drop(void *arg, const void *key, void *value)
{
	const int *fd = arg;

	if (!((struct station *)value)->fixed)
		bpf_map_delete_elem(*fd, key);
	return 0;
}

int stations_flush(const char *pins)
{
	__cleanup_fd int fd = -1;
	struct batch batch;
	int r = pinned_open(pins, &fd, &batch);

	if (r)
		return r == -ENOENT ? 0 : r; /* a router has none */
	r = map_visit(&batch, station_drop, &fd);
	batch_close(&batch);
	return r;
}

struct station_reporter {
	struct report *report;
	struct device_key devices[PORTS_MAX];
	uint32_t tick;
};

static int station_report(void *arg, const void *key_seen, void *value)
{
	struct station_reporter *reporter = arg;
	const struct station_key *key = key_seen;
	const struct station *station = value;
	const int32_t silent_ticks = reporter->tick - station->last_seen;
	struct report *report = reporter->report;
	char mac[ADDR_TEXT_LEN], name[IFNAMSIZ];

	device_name(&reporter->devices[station->port % PORTS_MAX], name);
	report_row(report, true);
	report_text(report, addr_format_mac(key->mac, mac));
	report_number(report, key->vid);
	report_text(report, name);
	report_bool(report, station->fixed);
	report_decimal(report, (double)silent_ticks * TICK_MS / 1000);
	return 0;
}

static int tick_read(const char *pins, uint32_t *tick)
{
	volatile struct chain_state *state = pins_map(pins, "chain", sizeof(*state));

	if (!state)
		return -errno;
	*tick = state->tick;
	munmap((void *)state, sizeof(*state));
	return 0;
}

int stations_show(const char *pins, struct report *report)
{
	static const struct report_column columns[] = {
		{ "mac", "station", TABLE_LEFT },
		{ "vlan", "VLAN", TABLE_RIGHT },
		{ "port", "port", TABLE_LEFT },
		{ "static", "static", TABLE_LEFT },
		{ "walked_s", "walked s ago", TABLE_RIGHT },
	};
	struct station_reporter reporter = { .report = report };
	__cleanup_fd int fd = -1;
	struct batch batch;
	int r = pinned_open(pins, &fd, &batch);

	if (r)
		return r;
	report_rows(report, "stations", columns, sizeof(columns) / sizeof(columns[0]));
	r = devices_read(pins, reporter.devices);
	if (!r)
		r = tick_read(pins, &reporter.tick);
	if (!r)
		r = map_visit(&batch, station_report, &reporter);
	batch_close(&batch);
	return r;
}
