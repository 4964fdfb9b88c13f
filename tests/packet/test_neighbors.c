// SPDX-License-Identifier: BSD-2-Clause
// Next hops' slots: who gets one, and how those nobody uses come back when there are too few.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "tests/lib/firewall.h"

#define REFRESHES 5 /* after so many without a flow a slot is given back */

static struct firewall firewall;
static struct testrun *const run = &firewall.run;

/* The number-th of many hosts behind a port; one that is no port has ifindex 1, the loopback. */
static struct next_hop_key host(int port, uint32_t number)
{
	return (struct next_hop_key){
		.ifindex = port < TESTRUN_PORTS ? run->ports[port].ifindex : 1,
		.family = AF_INET,
		.gateway = { htonl(0x0a800000 + number) },
	};
}

/* The slot of a next hop; -1 when it is not known. */
static int slot_of(const struct next_hop_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(run->chain.next_hop_ids, key, &slot) ? -1 : (int)slot;
}

/* Gives slots to hosts behind SERVER until there are none left. Returns the number of hosts. */
static uint32_t slots_fill(void)
{
	uint32_t number = 0;
	int r = 0;

	while (!r) {
		const struct next_hop_key key = host(SERVER, number);

		r = neighbors_add(run->neighbors, &key);
		number += !r;
	}
	assert_int_equal(r, -ENOSPC);
	return number;
}

static void refresh(int times)
{
	for (int i = 0; i < times; i++)
		assert_int_equal(neighbors_refresh(run->neighbors), 0);
}

static void use_all_but(int spared)
{
	for (int slot = 1; slot < NEXT_HOPS_MAX; slot++)
		if (slot != spared)
			neighbors_use(run->neighbors, slot);
}

static void slots_that_no_flow_uses_come_back_when_there_are_too_few(void **state)
{
	const struct next_hop_key used = host(SERVER, 7), unused = host(SERVER, 8);
	const struct next_hop_key other = host(SERVER, 1 << 20);
	const uint32_t generation = run->chain.state->generation;
	int slot, given_back;

	(void)state;
	assert_int_equal(neighbors_add(run->neighbors, &used), 0);
	slot = slot_of(&used);
	for (int i = 0; i < REFRESHES; i++) { /* long unused when it comes to use */
		use_all_but(slot);
		refresh(1);
	}
	assert_true(slots_fill() > NEXT_HOPS_MAX - 100);
	use_all_but(slot);
	given_back = slot_of(&unused);
	assert_true(slot > 0 && given_back > 0);
	for (int i = 0; i < REFRESHES; i++) {
		assert_int_equal(run->chain.state->generation, generation);
		assert_int_equal(slot_of(&unused), given_back);
		neighbors_use(run->neighbors, slot);
		refresh(1);
	}
	/* Entries that name it are void; walks under way may still hold it, so nobody gets it. */
	assert_int_equal(run->chain.state->generation, generation + 1);
	assert_int_equal(slot_of(&unused), -1);
	assert_int_equal(run->chain.next_hops[given_back].port, NEXT_HOP_DOWN);
	assert_int_equal(neighbors_add(run->neighbors, &other), -ENOSPC);
	refresh(1);
	assert_int_equal(neighbors_add(run->neighbors, &other), 0);
	assert_int_equal(slot_of(&used), slot);
	assert_int_equal(run->chain.state->generation, generation + 1);
}

static void slots_stay_while_there_are_enough(void **state)
{
	const struct next_hop_key key = host(SERVER, 0);
	const uint32_t generation = run->chain.state->generation;
	int slot;

	(void)state;
	assert_int_equal(neighbors_add(run->neighbors, &key), 0);
	slot = slot_of(&key);
	refresh(4 * REFRESHES);
	assert_int_equal(slot_of(&key), slot);
	assert_int_equal(run->chain.state->generation, generation);
}

static void next_hops_by_no_port_leave_the_room_to_others(void **state)
{
	const struct next_hop_key last = host(TESTRUN_PORTS, 5 * FOREIGN_NEXT_HOPS_MAX);

	(void)state;
	for (uint32_t number = 0; number <= 5 * FOREIGN_NEXT_HOPS_MAX; number++) {
		const struct next_hop_key key = host(TESTRUN_PORTS, number);

		assert_int_equal(neighbors_add(run->neighbors, &key), 0);
		assert_int_equal(neighbors_add(run->neighbors, &key), 0);
		assert_int_equal(slot_of(&key), 0);
	}
	assert_true(slots_fill() > NEXT_HOPS_MAX - 100);
	assert_int_equal(slot_of(&last), 0);
}

static void a_next_hop_that_does_not_answer_takes_no_slot(void **state)
{
	static const char *const nobody[] = { "10.77.1.99", "fd77:1::99" };

	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const uint8_t family = ip6 ? AF_INET6 : AF_INET;
		struct connection connection = connection_plain(family, IPPROTO_TCP);
		struct frame_spec spec;
		static struct frame frame;
		static struct outcome outcome;

		connection.service = connection.server = endpoint_of(nobody[ip6], 443);
		firewall_accept(&firewall, &connection);
		spec = connection_arrives(&connection, ORIGINAL);
		frame_build(&spec, &frame);
		testrun_send(run, CLIENT, &frame, &outcome);
		assert_reason(&outcome, REASON_NO_NEIGHBOR);
		testrun_answer(run);
		assert_int_equal(run->n_events[EVENT_NEXT_HOP], 0);
	}
}

static int test_begin(void **state)
{
	const struct chain_options options = testrun_options();

	(void)state;
	firewall_open(&firewall, &options);
	return 0;
}

static int test_end(void **state)
{
	(void)state;
	firewall_close(&firewall);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_begin, test_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slots_that_no_flow_uses_come_back_when_there_are_too_few),
		TEST(slots_stay_while_there_are_enough),
		TEST(next_hops_by_no_port_leave_the_room_to_others),
		TEST(a_next_hop_that_does_not_answer_takes_no_slot),
	};
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
