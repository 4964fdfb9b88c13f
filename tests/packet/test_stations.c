// SPDX-License-Identifier: BSD-2-Clause
// Stations and contexts by the map: what the slow path gives, moves, ages and takes back.
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "efwd/bridge.h"
#include "efwd/stations.h"
#include "efwd/vids.h"
#include "slowpath/contexts.h"
#include "slowpath/pins.h"
#include "tests/lib/network.h"

#define AGE_S 20
#define ACCESS 3 /* indexes of ports: VLAN 10, */
#define TRUNK 5  /* 10 and 20, native 30 */
#define NO_PORT 7

/* A chain of maps and memory only: its tick is the test's. */
static struct chain chain;
static struct chain_state state;
static struct bridge_port confs[PORTS_MAX];
static const struct bridge_port *ports[PORTS_MAX];
static struct stations *stations;
static int map;

static void stations_begin(uint32_t limit)
{
	const struct stations_options options = { .limit = limit, .age_s = AGE_S, .vlans = true };

	assert_int_equal(stations_open(&chain, ports, &options, &stations), 0);
}

static int chain_setup(void **test_state)
{
	char path[PINS_PATH_MAX + 16];

	(void)test_state;
	memset(&chain, 0, sizeof(chain));
	state = (struct chain_state){ .generation = 1, .tick = 1000 };
	chain.state = &state;
	chain.next_hops = calloc(NEXT_HOPS_MAX, sizeof(*chain.next_hops));
	if (!chain.next_hops || pins_make(PINS_BPFFS, "stations", chain.pins))
		return -1;
	map = bpf_map_create(BPF_MAP_TYPE_HASH, "stations", sizeof(struct station_key),
			     sizeof(struct station), STATIONS_MAX, NULL);
	chain.contexts = bpf_map_create(BPF_MAP_TYPE_HASH, "contexts", sizeof(struct context_key),
					sizeof(uint32_t), CONTEXTS_MAX, NULL);
	snprintf(path, sizeof(path), "%s/stations", chain.pins);
	if (map < 0 || chain.contexts < 0 || bpf_obj_pin(map, path))
		return -1;
	memset(confs, 0, sizeof(confs));
	memset(ports, 0, sizeof(ports));
	confs[ACCESS].pvid = 10;
	confs[TRUNK].pvid = 30;
	vids_parse("10,20", confs[TRUNK].vids);
	ports[ACCESS] = &confs[ACCESS];
	ports[TRUNK] = &confs[TRUNK];
	return 0;
}

static int chain_teardown(void **test_state)
{
	(void)test_state;
	stations_close(stations);
	stations = NULL;
	free(chain.next_hops);
	close(map);
	close(chain.contexts);
	return pins_remove(chain.pins);
}

static struct station_key key_of(uint32_t number, uint16_t vid)
{
	return (struct station_key){ .mac = { 2, 0, number >> 16, number >> 8, number, 1 },
				     .vid = vid };
}

static int learn(uint32_t number, uint16_t vid, uint16_t port)
{
	const struct station_key key = key_of(number, vid);

	return stations_learn(stations, key.mac, vid, port);
}

static bool find(uint32_t number, uint16_t vid, struct station *station)
{
	const struct station_key key = key_of(number, vid);

	return !bpf_map_lookup_elem(map, &key, station);
}

static bool is_known(uint32_t number, uint16_t vid)
{
	struct station station;

	return find(number, vid, &station);
}

static void assert_slot(uint16_t slot, uint16_t port, uint16_t vid)
{
	assert_in_range(slot, 1, NEXT_HOPS_MAX - 1);
	assert_int_equal(chain.next_hops[slot].port, port);
	assert_int_equal(chain.next_hops[slot].vid, vid);
}

static void pass_s(unsigned int seconds)
{
	state.tick += seconds * TICKS_PER_S;
}

static void a_station_gets_a_slot_that_says_port_and_tag(void **test_state)
{
	struct station station;

	(void)test_state;
	stations_begin(10);
	assert_int_equal(learn(1, 10, ACCESS), 0);
	assert_true(find(1, 10, &station));
	assert_slot(station.slot, ACCESS, 0);
	assert_int_equal(learn(2, 10, TRUNK), 0);
	assert_true(find(2, 10, &station));
	assert_slot(station.slot, TRUNK, 10);
	assert_int_equal(learn(2, 30, TRUNK), 0); /* its native VLAN */
	assert_true(find(2, 30, &station));
	assert_slot(station.slot, TRUNK, 0);
}

static void a_station_is_learned_only_where_its_vlan_is_carried(void **test_state)
{
	(void)test_state;
	stations_begin(10);
	assert_int_equal(learn(1, 20, ACCESS), -EINVAL);
	assert_int_equal(learn(1, 11, TRUNK), -EINVAL);
	assert_int_equal(learn(1, 0, TRUNK), -EINVAL);
	assert_int_equal(learn(1, 10, NO_PORT), -EINVAL);
	assert_int_equal(learn(1, 10, 0xffff), -EINVAL);
	assert_false(is_known(1, 10));
}

static void a_move_rewrites_the_slot_and_bumps_nothing(void **test_state)
{
	struct station before, after;

	(void)test_state;
	stations_begin(10);
	learn(1, 10, ACCESS);
	assert_true(find(1, 10, &before));
	assert_int_equal(learn(1, 10, TRUNK), 0);
	assert_true(find(1, 10, &after));
	assert_int_equal(after.slot, before.slot);
	assert_int_equal(after.port, TRUNK);
	assert_slot(after.slot, TRUNK, 10);
	assert_int_equal(state.generation, 1);
}

static void a_fixed_station_stays(void **test_state)
{
	const struct station_key key = key_of(1, 10);
	struct station station;

	(void)test_state;
	stations_begin(10);
	learn(1, 10, ACCESS);
	assert_int_equal(stations_fix(stations, key.mac, 10, TRUNK), 0);
	assert_int_equal(learn(1, 10, ACCESS), 0);
	pass_s(10 * AGE_S);
	assert_int_equal(stations_age(stations, 1ULL << TRUNK), 0);
	assert_int_equal(stations_flush(chain.pins), 0);
	assert_true(find(1, 10, &station));
	assert_int_equal(station.port, TRUNK);
	assert_slot(station.slot, TRUNK, 10);
}

static void a_full_table_takes_no_more(void **test_state)
{
	(void)test_state;
	stations_begin(2);
	assert_int_equal(learn(1, 10, ACCESS), 0);
	assert_int_equal(learn(2, 10, ACCESS), 0);
	assert_int_equal(learn(3, 10, ACCESS), -ENOSPC);
	assert_int_equal(learn(1, 10, TRUNK), 0); /* moves need no room */
}

static void what_is_silent_is_forgotten_unless_its_flows_are_not(void **test_state)
{
	struct station station, used;

	(void)test_state;
	stations_begin(10);
	learn(1, 10, ACCESS);
	learn(2, 10, ACCESS);
	assert_true(find(1, 10, &station) && find(2, 10, &used));
	pass_s(AGE_S - 1);
	stations_use(stations, used.slot);
	assert_int_equal(stations_age(stations, 0), 0);
	assert_true(is_known(1, 10) && is_known(2, 10));
	pass_s(2);
	assert_int_equal(stations_age(stations, 0), 0);
	assert_false(is_known(1, 10));
	assert_true(is_known(2, 10));
	assert_int_equal(chain.next_hops[station.slot].port, NEXT_HOP_DOWN);
	pass_s(AGE_S);
	assert_int_equal(stations_age(stations, 0), 0);
	assert_false(is_known(2, 10));
}

static void stations_of_a_port_without_link_are_forgotten(void **test_state)
{
	(void)test_state;
	stations_begin(10);
	learn(1, 10, ACCESS);
	learn(2, 10, TRUNK);
	assert_int_equal(stations_age(stations, 1ULL << ACCESS), 0);
	assert_false(is_known(1, 10));
	assert_true(is_known(2, 10));
}

static void a_slot_names_another_station_only_after_a_bump(void **test_state)
{
	struct station first, last;

	(void)test_state;
	stations_begin(STATIONS_MAX);
	assert_int_equal(learn(0, 10, ACCESS), 0);
	assert_true(find(0, 10, &first));
	assert_int_equal(stations_flush(chain.pins), 0);
	assert_int_equal(stations_age(stations, 0), 0); /* finds out, and takes the slot back */
	for (uint32_t number = 1; number < STATIONS_MAX; number++) {
		assert_int_equal(learn(number, 10, ACCESS), 0);
		assert_int_equal(state.generation, 1);
	}
	assert_int_equal(chain.next_hops[first.slot].port, NEXT_HOP_DOWN);
	assert_int_equal(learn(STATIONS_MAX, 10, ACCESS), 0);
	assert_int_equal(state.generation, 2);
	assert_true(find(STATIONS_MAX, 10, &last));
	assert_int_equal(last.slot, first.slot);
	assert_int_equal(learn(STATIONS_MAX + 1, 10, ACCESS), -ENOSPC);
}

static void a_restart_keeps_what_the_ports_still_carry(void **test_state)
{
	struct station before, after;

	(void)test_state;
	stations_begin(10);
	learn(1, 10, ACCESS);
	learn(2, 10, TRUNK);
	learn(3, 20, TRUNK);
	assert_true(find(2, 10, &before));
	stations_close(stations);
	ports[ACCESS] = NULL;
	confs[TRUNK].pvid = 10; /* was tagged, is native now; and no 20 */
	vids_parse("", confs[TRUNK].vids);
	stations_begin(10);
	assert_false(is_known(1, 10) || is_known(3, 20));
	assert_true(find(2, 10, &after));
	assert_int_equal(after.slot, before.slot);
	assert_slot(after.slot, TRUNK, 0);
	assert_int_equal(learn(4, 10, TRUNK), 0);
	assert_true(find(4, 10, &before));
	assert_int_not_equal(before.slot, after.slot);
}

/* ---- contexts ---- */

static struct context_key stack_of(uint16_t port, uint32_t number)
{
	return (struct context_key){
		.port = port, .outer_vid = 1 + number / 64, .inner_vid = 1 + number % 64, .shape = 2
	};
}

static uint32_t context_of(uint16_t port, uint32_t number)
{
	const struct context_key key = stack_of(port, number);
	uint32_t id;

	return bpf_map_lookup_elem(chain.contexts, &key, &id) ? 0 : id;
}

static int context_add(struct contexts *contexts, uint16_t port, uint32_t number)
{
	const struct context_key key = stack_of(port, number);

	return contexts_add(contexts, &key);
}

static void contexts_unused_for_long_come_back_with_a_bump(void **test_state)
{
	const struct port port = { .index = TRUNK };
	struct contexts *contexts;
	uint32_t kept;

	(void)test_state;
	assert_int_equal(contexts_open(&chain, &port, 1, &contexts), 0);
	for (uint32_t number = 0; number < CONTEXTS_MAX; number++)
		assert_int_equal(context_add(contexts, TRUNK, number), 0);
	kept = context_of(TRUNK, 5);
	assert_int_equal(context_add(contexts, TRUNK, 5), 0);
	assert_int_equal(context_of(TRUNK, 5), kept); /* asked for twice */
	assert_true(kept > PORTS_MAX);                /* below are the ports' own */
	assert_int_equal(context_add(contexts, TRUNK, CONTEXTS_MAX), -ENOSPC);
	assert_int_equal(state.generation, 1);
	pass_s(31);
	contexts_use(contexts, kept);
	assert_int_equal(context_add(contexts, TRUNK, CONTEXTS_MAX), 0);
	assert_int_equal(state.generation, 2);
	assert_int_equal(context_of(TRUNK, 5), kept);
	assert_int_equal(context_of(TRUNK, 6), 0);
	assert_int_not_equal(context_of(TRUNK, CONTEXTS_MAX), kept);
	contexts_close(contexts);
}

static void a_restart_keeps_the_contexts_of_its_ports(void **test_state)
{
	const struct port both[] = { { .index = TRUNK }, { .index = ACCESS } };
	struct contexts *contexts;
	uint32_t kept;

	(void)test_state;
	assert_int_equal(contexts_open(&chain, both, 2, &contexts), 0);
	assert_int_equal(context_add(contexts, ACCESS, 1), 0);
	assert_int_equal(context_add(contexts, TRUNK, 1), 0);
	kept = context_of(TRUNK, 1);
	contexts_close(contexts);
	assert_int_equal(contexts_open(&chain, both, 1, &contexts), 0);
	assert_int_equal(context_of(TRUNK, 1), kept);
	assert_int_equal(context_of(ACCESS, 1), 0);
	assert_int_equal(context_add(contexts, TRUNK, 2), 0);
	assert_int_not_equal(context_of(TRUNK, 2), kept);
	contexts_close(contexts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, chain_setup, chain_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_station_gets_a_slot_that_says_port_and_tag),
		TEST(a_station_is_learned_only_where_its_vlan_is_carried),
		TEST(a_move_rewrites_the_slot_and_bumps_nothing),
		TEST(a_fixed_station_stays),
		TEST(a_full_table_takes_no_more),
		TEST(what_is_silent_is_forgotten_unless_its_flows_are_not),
		TEST(stations_of_a_port_without_link_are_forgotten),
		TEST(a_slot_names_another_station_only_after_a_bump),
		TEST(a_restart_keeps_what_the_ports_still_carry),
		TEST(contexts_unused_for_long_come_back_with_a_bump),
		TEST(a_restart_keeps_the_contexts_of_its_ports),
	};
	int r = network_enter();

	if (r) {
		printf("Bail out! no namespace of its own: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
