// SPDX-License-Identifier: BSD-2-Clause
// The walk and its shortcut: each rule that makes a flow entry safe, and what holds without it.
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "slowpath/pins.h"
#include "tests/lib/firewall.h"
#include "tests/lib/network.h"
#include "tests/packet/pause.h"
#include "skel/learn.skel.h"
#include "skel/pause.skel.h"

/* efw's hop, and the test's own that goes before it, behind it or in its place. */
static struct {
	struct firewall firewall;
	struct pause_bpf *pause;
} lab;

static struct testrun *const run = &lab.firewall.run;

enum hops { EFW, PAUSE_EFW, EFW_PAUSE, PAUSE };

static void hops_set(enum hops hops, uint32_t acts)
{
	const int efw = firewall_program(&lab.firewall);
	const int pause = bpf_program__fd(lab.pause->progs.evnf_pause);
	const int first = hops == EFW || hops == EFW_PAUSE ? efw : pause;

	lab.pause->bss->orders.acts = acts;
	assert_int_equal(chain_set_hop(&run->chain, 0, first), 0);
	if (hops == PAUSE_EFW || hops == EFW_PAUSE)
		assert_int_equal(chain_set_hop(&run->chain, 1, hops == PAUSE_EFW ? efw : pause), 0);
}

/* Sends what `spec` describes. It must leave for `reason`, and as it came when the kernel gets it.
 */
static void expect_of(const struct frame_spec *spec, int port, enum reason reason)
{
	static struct outcome outcome;
	static struct frame frame;

	frame_build(spec, &frame);
	testrun_send(run, port, &frame, &outcome);
	assert_reason(&outcome, reason);
	if (reason == REASON_HIT || reason == REASON_WALKED) {
		assert_int_equal(outcome.verdict, XDP_REDIRECT);
		return;
	}
	assert_true(outcome.verdict == XDP_PASS || outcome.verdict == XDP_DROP);
	assert_int_equal(outcome.frame.bytes, frame.bytes);
	assert_memory_equal(outcome.frame.data, frame.data, frame.bytes);
}

/* The same for a packet of the connection. */
static void expect(const struct connection *connection, enum direction direction,
		   enum reason reason)
{
	const struct frame_spec spec = connection_arrives(connection, direction);

	expect_of(&spec, direction == ORIGINAL ? connection->client_port : connection->server_port,
		  reason);
}

static bool has_flow(const struct connection *connection, enum direction direction)
{
	struct flow6 flow;
	const int port = direction == ORIGINAL ? connection->client_port : connection->server_port;

	return firewall_find_flow(&lab.firewall, connection, direction, port, &flow);
}

/* Both directions offloaded, their entries hit. */
static void connection_offload(const struct connection *connection)
{
	firewall_accept(&lab.firewall, connection);
	for (int direction = ORIGINAL; direction <= REPLY; direction++) {
		expect(connection, direction, REASON_WALKED);
		expect(connection, direction, REASON_HIT);
	}
}

/* The connections every rule is tried with: both families and protocols, with and without NAT. */
#define CONNECTIONS 8
static struct connection connection_nth(int n)
{
	const uint8_t family = n & 1 ? AF_INET6 : AF_INET;
	const uint8_t proto = n & 2 ? IPPROTO_UDP : IPPROTO_TCP;

	return n & 4 ? connection_translated(family, proto) : connection_plain(family, proto);
}

static void each_connection(void (*rule)(const struct connection *connection))
{
	for (int n = 0; n < CONNECTIONS; n++) {
		const struct connection connection = connection_nth(n);

		firewall_reset(&lab.firewall);
		rule(&connection);
	}
}

static int setup(void **state)
{
	(void)state;
	firewall_reset(&lab.firewall);
	hops_set(EFW, 0);
	return 0;
}

static void rule_second_hits(const struct connection *connection)
{
	expect(connection, ORIGINAL, REASON_NEW_FLOW);
	expect(connection, REPLY, REASON_NEW_FLOW);
	firewall_accept(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_WALKED);
	assert_false(has_flow(connection, REPLY));
	expect(connection, ORIGINAL, REASON_HIT);
	expect(connection, REPLY, REASON_WALKED);
	expect(connection, REPLY, REASON_HIT);
	expect(connection, ORIGINAL, REASON_HIT);
}

static void a_packet_walks_and_the_next_of_its_direction_hits(void **state)
{
	(void)state;
	each_connection(rule_second_hits);
}

static void rule_unproven(const struct connection *connection)
{
	firewall_learn(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_UNPROVEN);
	firewall_prove(&lab.firewall, connection, REPLY);
	expect(connection, ORIGINAL, REASON_UNPROVEN);
	expect(connection, REPLY, REASON_WALKED);
	assert_false(has_flow(connection, ORIGINAL));
}

static void a_direction_the_kernel_let_nothing_through_of_is_the_kernels(void **state)
{
	(void)state;
	each_connection(rule_unproven);
}

static void control_ends_it(uint8_t family, uint8_t flags, enum direction direction)
{
	const struct connection connection = connection_translated(family, IPPROTO_TCP);
	struct frame_spec spec = connection_arrives(&connection, direction);

	firewall_reset(&lab.firewall);
	connection_offload(&connection);
	spec.tcp_flags = flags;
	expect_of(&spec, direction == ORIGINAL ? CLIENT : SERVER, REASON_TCP_CONTROL);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	assert_false(firewall_knows(&lab.firewall, &connection, ORIGINAL));
	assert_false(firewall_knows(&lab.firewall, &connection, REPLY));
	expect(&connection, ORIGINAL, REASON_NEW_FLOW);
	expect(&connection, REPLY, REASON_NEW_FLOW);
}

static void syn_fin_and_rst_go_to_the_kernel_and_end_both_directions(void **state)
{
	const uint8_t flags[] = { TH_SYN, TH_SYN | TH_ACK, TH_FIN | TH_ACK,
				  TH_RST, TH_RST | TH_ACK, TH_FIN | TH_ACK | TH_PUSH };

	(void)state;
	for (size_t i = 0; i < sizeof(flags); i++)
		for (int n = 0; n < 4; n++)
			control_ends_it(n & 1 ? AF_INET : AF_INET6, flags[i],
					n & 2 ? REPLY : ORIGINAL);
}

static void no_walk_installs_an_entry_for_a_syn_fin_or_rst(void **state)
{
	const uint8_t flags[] = { TH_SYN, TH_SYN | TH_ACK, TH_FIN | TH_ACK, TH_RST };
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);

	(void)state;
	hops_set(PAUSE, 0);
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct frame_spec spec = connection_arrives(&connection, ORIGINAL);

		spec.tcp_flags = flags[i];
		expect_of(&spec, CLIENT, REASON_WALKED);
	}
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
}

static void rule_generation(const struct connection *connection)
{
	struct flow6 flow;

	connection_offload(connection);
	chain_bump(&run->chain);
	expect(connection, ORIGINAL, REASON_UNPROVEN);
	expect(connection, REPLY, REASON_UNPROVEN);
	firewall_prove(&lab.firewall, connection, ORIGINAL);
	expect(connection, ORIGINAL, REASON_WALKED);
	expect(connection, ORIGINAL, REASON_HIT);
	expect(connection, REPLY, REASON_UNPROVEN);
	assert_true(firewall_find_flow(&lab.firewall, connection, ORIGINAL, CLIENT, &flow));
	assert_int_equal(flow.head.generation, run->chain.state->generation);
	assert_int_equal(flow.head.packets, 4);
}

static void after_a_bump_every_flow_must_be_let_through_again_and_keeps_its_counts(void **state)
{
	(void)state;
	each_connection(rule_generation);
}

static void rule_bump_race(const struct connection *connection)
{
	firewall_accept(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_WALKED);
	lab.pause->bss->orders.acts = 0;
	expect(connection, ORIGINAL, REASON_UNPROVEN);
	firewall_prove(&lab.firewall, connection, ORIGINAL);
	expect(connection, ORIGINAL, REASON_WALKED);
	expect(connection, ORIGINAL, REASON_HIT);
	lab.pause->bss->orders.acts = PAUSE_BUMP;
}

static void an_install_that_a_change_of_policy_overtakes_is_never_used(void **state)
{
	(void)state;
	hops_set(PAUSE_EFW, PAUSE_BUMP);
	each_connection(rule_bump_race);
	hops_set(EFW_PAUSE, PAUSE_BUMP);
	each_connection(rule_bump_race);
}

static void rule_forget_race(const struct connection *connection)
{
	const uint64_t stale = run->chain.state->install_stale;

	firewall_accept(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_WALKED);
	assert_int_equal(run->chain.state->install_stale, stale + 1);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	expect(connection, ORIGINAL, REASON_NEW_FLOW);
}

static void an_install_that_a_delete_of_its_flow_overtakes_is_undone(void **state)
{
	(void)state;
	hops_set(EFW_PAUSE, PAUSE_FORGET);
	each_connection(rule_forget_race);
}

static void rule_forget_before(const struct connection *connection)
{
	firewall_accept(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_NEW_FLOW);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
}

static void a_flow_deleted_before_its_record_is_read_goes_to_the_kernel(void **state)
{
	(void)state;
	hops_set(PAUSE_EFW, PAUSE_FORGET);
	each_connection(rule_forget_before);
}

static void rule_forget(const struct connection *connection)
{
	connection_offload(connection);
	firewall_forget(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_NEW_FLOW);
	expect(connection, REPLY, REASON_NEW_FLOW);
}

static void a_deleted_connection_goes_to_the_kernel_at_once(void **state)
{
	(void)state;
	each_connection(rule_forget);
}

static void rule_port(const struct connection *connection)
{
	struct frame_spec spec = connection_arrives(connection, ORIGINAL);

	connection_offload(connection);
	port_mac(THIRD, spec.dst_mac);
	expect_of(&spec, THIRD, REASON_UNPROVEN);
	assert_int_equal(firewall_count_flows(&lab.firewall), 2);
	port_mac(SERVER, spec.dst_mac);
	expect_of(&spec, SERVER, REASON_UNPROVEN);
	expect(connection, ORIGINAL, REASON_HIT);
}

static void the_same_tuple_by_another_port_does_not_hit(void **state)
{
	(void)state;
	each_connection(rule_port);
}

static void rule_tag(const struct connection *connection)
{
	const unsigned int asked = run->n_events[EVENT_CONTEXT];
	struct frame_spec spec = connection_arrives(connection, ORIGINAL);

	connection_offload(connection);
	spec.tags[0].type = ETH_P_8021Q;
	spec.tags[0].tci = 7;
	expect_of(&spec, CLIENT, REASON_TAGGED);
	spec.tags[0].tci = 0;
	expect_of(&spec, CLIENT, REASON_TAGGED);
	testrun_answer(run);
	assert_int_equal(run->n_events[EVENT_CONTEXT], asked);
	expect(connection, ORIGINAL, REASON_HIT);
}

static void the_same_tuple_with_a_tag_does_not_hit_and_asks_for_nothing(void **state)
{
	(void)state;
	each_connection(rule_tag);
}

static void rule_mac(const struct connection *connection)
{
	struct frame_spec spec = connection_arrives(connection, ORIGINAL);

	firewall_accept(&lab.firewall, connection);
	for (int i = 0; i < 6; i++) {
		spec.dst_mac[i] ^= 4;
		expect_of(&spec, CLIENT, REASON_NOT_FOR_US);
		spec.dst_mac[i] ^= 4;
	}
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	expect(connection, ORIGINAL, REASON_WALKED);
	for (int i = 0; i < 6; i++) {
		spec.dst_mac[i] ^= 4;
		expect_of(&spec, CLIENT, REASON_NOT_FOR_US);
		spec.dst_mac[i] ^= 4;
	}
	expect(connection, ORIGINAL, REASON_HIT);
}

static void a_frame_to_another_mac_address_neither_hits_nor_walks_through(void **state)
{
	(void)state;
	each_connection(rule_mac);
}

static const char *host_address(uint8_t family, int port)
{
	static const char *const addresses[][2] = { { "10.77.0.2", "fd77:0::2" },
						    { "10.77.1.2", "fd77:1::2" } };

	return addresses[port][family == AF_INET6];
}

static void leaves_to(const struct connection *connection, const uint8_t mac[6])
{
	const struct frame_spec spec = connection_arrives(connection, ORIGINAL);
	static struct outcome outcome;
	static struct frame frame;

	frame_build(&spec, &frame);
	testrun_send(run, CLIENT, &frame, &outcome);
	assert_reason(&outcome, REASON_HIT);
	assert_memory_equal(outcome.frame.data, mac, 6);
}

static void rule_neighbor(const struct connection *connection)
{
	const char *server = host_address(connection->family, SERVER);
	const uint32_t generation = run->chain.state->generation;
	const uint8_t other[6] = { 2, 0x77, 0x77, 0x77, 0x77, 0x77 };
	uint8_t mac[6];

	host_mac(SERVER, mac);
	connection_offload(connection);
	leaves_to(connection, mac);
	assert_int_equal(network_add_neighbor("port1", server, other), 0);
	testrun_answer(run);
	leaves_to(connection, other);
	assert_int_equal(network_add_neighbor("port1", server, mac), 0);
	testrun_answer(run);
	leaves_to(connection, mac);
	assert_int_equal(run->chain.state->generation, generation);
}

static void a_neighbor_with_a_new_mac_address_is_followed_without_a_bump(void **state)
{
	(void)state;
	each_connection(rule_neighbor);
}

static void rule_neighbor_lost(const struct connection *connection)
{
	const char *server = host_address(connection->family, SERVER);
	uint8_t mac[6];

	host_mac(SERVER, mac);
	connection_offload(connection);
	assert_int_equal(network_delete_neighbor("port1", server), 0);
	testrun_answer(run);
	expect(connection, ORIGINAL, REASON_NO_NEIGHBOR);
	expect(connection, REPLY, REASON_HIT);
	assert_int_equal(network_add_neighbor("port1", server, mac), 0);
	testrun_answer(run);
	expect(connection, ORIGINAL, REASON_HIT);
}

static void a_neighbor_that_is_lost_gets_nothing_more(void **state)
{
	(void)state;
	each_connection(rule_neighbor_lost);
}

static void a_next_hop_without_a_slot_is_asked_for_once_and_used_after(void **state)
{
	const uint8_t mac[6] = { 2, 0, 0, 0, 1, 0x50 };
	struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	const unsigned int asked = run->n_events[EVENT_NEXT_HOP];

	(void)state;
	connection.service = connection.server = endpoint_of("10.77.1.80", 443);
	assert_int_equal(network_add_neighbor("port1", "10.77.1.80", mac), 0);
	firewall_accept(&lab.firewall, &connection);
	expect(&connection, ORIGINAL, REASON_NO_NEXT_HOP);
	testrun_answer(run);
	assert_int_equal(run->n_events[EVENT_NEXT_HOP], asked + 1);
	expect(&connection, ORIGINAL, REASON_WALKED);
	leaves_to(&connection, mac);
	assert_int_equal(network_delete_neighbor("port1", "10.77.1.80"), 0);
	testrun_answer(run);
}

static void a_route_by_an_interface_that_is_no_port_is_the_kernels(void **state)
{
	struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);

	(void)state;
	hops_set(PAUSE, 0);
	connection.service = connection.server = endpoint_of("10.77.9.2", 443);
	expect(&connection, ORIGINAL, REASON_NO_NEXT_HOP);
	testrun_answer(run);
	expect(&connection, ORIGINAL, REASON_NOT_A_PORT);
}

static void a_port_that_is_gone_drops_what_was_for_it_and_counts_it(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	const uint32_t index = run->ports[SERVER].index;
	struct bpf_devmap_val out = { .ifindex = run->ports[SERVER].ifindex, .bpf_prog.fd = -1 };
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	static struct outcome outcome;
	static struct frame frame;

	(void)state;
	connection_offload(&connection);
	assert_int_equal(bpf_map_delete_elem(run->chain.tx_ports, &index), 0);
	frame_build(&spec, &frame);
	testrun_send(run, CLIENT, &frame, &outcome);
	assert_reason(&outcome, REASON_INTERNAL);
	assert_int_equal(outcome.verdict, XDP_DROP);
	assert_int_equal(bpf_map_update_elem(run->chain.tx_ports, &index, &out, BPF_ANY), 0);
	expect(&connection, ORIGINAL, REASON_HIT);
}

static void rule_lease(const struct connection *connection)
{
	const uint32_t generation = run->chain.state->generation;

	connection_offload(connection);
	testrun_set_lease(run, false);
	assert_int_equal(run->chain.state->generation, generation + 1);
	expect(connection, ORIGINAL, REASON_LEASE);
	firewall_prove(&lab.firewall, connection, ORIGINAL);
	expect(connection, ORIGINAL, REASON_LEASE);
	testrun_set_lease(run, true);
	expect(connection, REPLY, REASON_UNPROVEN);
	expect(connection, ORIGINAL, REASON_WALKED);
	expect(connection, ORIGINAL, REASON_HIT);
}

static void without_a_lease_the_kernel_decides(void **state)
{
	(void)state;
	each_connection(rule_lease);
}

static void without_a_lease_nothing_is_installed_by_any_function(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);

	(void)state;
	hops_set(PAUSE, 0);
	testrun_set_lease(run, false);
	expect(&connection, ORIGINAL, REASON_WALKED);
	expect(&connection, ORIGINAL, REASON_WALKED);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	testrun_set_lease(run, true);
	expect(&connection, ORIGINAL, REASON_WALKED);
	expect(&connection, ORIGINAL, REASON_HIT);
}

static void what_the_policy_forbids_stays_with_the_kernel(void **state)
{
	const uint32_t all = run->chain.state->offload;

	(void)state;
	for (uint32_t bit = OFFLOAD_TCP4; bit <= OFFLOAD_UDP6; bit <<= 1) {
		run->chain.state->offload = all & ~bit;
		for (int n = 0; n < 4; n++) {
			const struct connection connection = connection_nth(n);
			const uint32_t own = n & 1   ? n & 2 ? OFFLOAD_UDP6 : OFFLOAD_TCP6
					     : n & 2 ? OFFLOAD_UDP4
						     : OFFLOAD_TCP4;

			firewall_accept(&lab.firewall, &connection);
			expect(&connection, ORIGINAL,
			       own == bit ? REASON_NOT_OFFLOADED : REASON_WALKED);
		}
		firewall_reset(&lab.firewall);
	}
}

static void a_walk_that_one_function_wants_to_see_again_installs_nothing(void **state)
{
	const struct connection connection = connection_plain(AF_INET6, IPPROTO_TCP);

	(void)state;
	hops_set(EFW_PAUSE, PAUSE_NOT_FINAL);
	firewall_accept(&lab.firewall, &connection);
	expect(&connection, ORIGINAL, REASON_WALKED);
	expect(&connection, ORIGINAL, REASON_WALKED);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
}

static void a_ttl_of_1_never_leaves_whoever_chose_the_way(void **state)
{
	struct frame_spec spec;

	(void)state;
	for (int n = 0; n < 2; n++) {
		const struct connection connection = connection_nth(n);
		struct flow6 flow;

		connection_offload(&connection);
		assert_true(
			firewall_find_flow(&lab.firewall, &connection, ORIGINAL, CLIENT, &flow));
		firewall_reset(&lab.firewall);
		lab.pause->bss->orders.next_hop = flow.head.next_hop;
		hops_set(PAUSE, PAUSE_CHOOSE);
		spec = connection_arrives(&connection, ORIGINAL);
		spec.ttl = 1;
		expect_of(&spec, CLIENT, REASON_TTL);
		expect(&connection, ORIGINAL, REASON_WALKED);
		expect_of(&spec, CLIENT, REASON_TTL);
		expect(&connection, ORIGINAL, REASON_HIT);
		hops_set(EFW, 0);
	}
}

static void a_hop_that_is_missing_drops_and_counts(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	const uint32_t hop = run->chain.state->bank * HOPS_MAX;

	(void)state;
	assert_int_equal(bpf_map_delete_elem(run->chain.hops, &hop), 0);
	expect(&connection, ORIGINAL, REASON_NO_HOP);
}

static void only_whole_tcp_and_udp_packets_make_entries(void **state)
{
	static const uint8_t others[] = { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_GRE,
					  IPPROTO_ESP,  IPPROTO_DCCP, IPPROTO_UDPLITE };
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);

	(void)state;
	hops_set(PAUSE, 0);
	for (size_t i = 0; i < sizeof(others); i++) {
		spec.proto = others[i];
		expect_of(&spec, CLIENT, REASON_WALKED);
		expect_of(&spec, CLIENT, REASON_WALKED);
	}
	spec.proto = IPPROTO_UDP;
	spec.more_fragments = true;
	expect_of(&spec, CLIENT, REASON_WALKED);
	spec.fragment_bytes = 64;
	expect_of(&spec, CLIENT, REASON_WALKED);
	spec = connection_arrives(&connection, ORIGINAL);
	spec.options = "\1\1\1\0";
	spec.option_bytes = 4;
	expect_of(&spec, CLIENT, REASON_WALKED);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	expect(&connection, ORIGINAL, REASON_WALKED);
	expect_of(&spec, CLIENT, REASON_WALKED);
	assert_int_equal(firewall_count_flows(&lab.firewall), 1);
}

static void an_unknown_flow_that_conntrack_is_asked_for_is_counted_once(void **state)
{
	struct learn_bpf *learn = learn_bpf__open();
	int learners = pins_open(run->chain.pins, "learners"), program;
	const uint32_t slot = 0;

	(void)state;
	assert_non_null(learn);
	assert_true(learners >= 0);
	assert_int_equal(chain_prepare(&run->chain, learn->obj), 0);
	if (learn_bpf__load(learn)) {
		learn_bpf__destroy(learn);
		close(learners);
		print_message("a kernel that lets XDP ask conntrack is missing\n");
		skip();
	}
	program = bpf_program__fd(learn->progs.evnf_learn);
	assert_int_equal(bpf_map_update_elem(learners, &slot, &program, BPF_ANY), 0);
	for (int n = 0; n < CONNECTIONS; n++) {
		const struct connection connection = connection_nth(n);

		expect(&connection, ORIGINAL, REASON_NEW_FLOW);
		expect(&connection, ORIGINAL, REASON_NEW_FLOW);
	}
	assert_int_equal(bpf_map_delete_elem(learners, &slot), 0);
	close(learners);
	learn_bpf__destroy(learn);
}

static void rule_counts(const struct connection *connection)
{
	const struct frame_spec spec = connection_arrives(connection, ORIGINAL);
	static struct frame frame;
	struct flow6 flow;

	frame_build(&spec, &frame);
	firewall_accept(&lab.firewall, connection);
	expect(connection, ORIGINAL, REASON_WALKED);
	testrun_wait_tick(run);
	expect(connection, ORIGINAL, REASON_HIT);
	expect(connection, ORIGINAL, REASON_HIT);
	assert_true(firewall_find_flow(&lab.firewall, connection, ORIGINAL, CLIENT, &flow));
	assert_int_equal(flow.head.packets, 3);
	assert_int_equal(flow.head.bytes, 3 * frame.bytes);
	assert_true(run->chain.state->tick - flow.head.last_seen <= 1);
}

static void an_entry_counts_its_packets_and_bytes_and_when_it_was_last_hit(void **state)
{
	(void)state;
	each_connection(rule_counts);
}

/* One of many UDP flows that need no record: they walk through the test's own hop. */
static struct connection connection_many(int n)
{
	struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);

	connection.client.port = connection.mapped.port = 1000 + n;
	return connection;
}

static void a_full_table_forwards_and_counts_what_it_cannot_take(void **state)
{
	const uint64_t full = run->chain.state->install_full;
	struct connection connection;

	(void)state;
	hops_set(PAUSE, 0);
	for (int n = 0; n < 8; n++) {
		connection = connection_many(n);
		expect(&connection, ORIGINAL, REASON_WALKED);
		expect(&connection, ORIGINAL, n < 4 ? REASON_HIT : REASON_WALKED);
	}
	assert_int_equal(firewall_count_flows(&lab.firewall), 4);
	assert_int_equal(run->chain.state->install_full, full + 8);
	connection = connection_many(0);
	expect(&connection, ORIGINAL, REASON_HIT);
}

static void a_budget_bounds_the_installs_of_a_tick(void **state)
{
	const uint64_t refused = run->chain.state->install_budget;

	(void)state;
	hops_set(PAUSE, 0);
	testrun_wait_tick(run);
	for (int n = 0; n < 40; n++) {
		const struct connection connection = connection_many(n);

		expect(&connection, ORIGINAL, REASON_WALKED);
	}
	/* 40 packets are through in a fraction of a tick, or of two. */
	assert_in_range(firewall_count_flows(&lab.firewall), 3, 6);
	assert_int_equal(run->chain.state->install_budget - refused,
			 40 - firewall_count_flows(&lab.firewall));
}

static void a_flow_is_installed_by_its_second_packet(void **state)
{
	(void)state;
	hops_set(PAUSE, 0);
	for (int n = 0; n < 4; n++) {
		const struct connection connection = connection_nth(n);

		expect(&connection, ORIGINAL, REASON_WALKED);
		assert_int_equal(firewall_count_flows(&lab.firewall), n);
		expect(&connection, ORIGINAL, REASON_WALKED);
		assert_int_equal(firewall_count_flows(&lab.firewall), n + 1);
		expect(&connection, ORIGINAL, REASON_HIT);
	}
}

static void a_flood_of_single_packets_installs_nothing(void **state)
{
	(void)state;
	hops_set(PAUSE, 0);
	for (int n = 0; n < 200; n++) {
		const struct connection connection = connection_many(5000 + n);

		expect(&connection, ORIGINAL, REASON_WALKED);
	}
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
}

static int lab_open(const struct chain_options *options)
{
	firewall_open(&lab.firewall, options);
	lab.pause = pause_bpf__open();
	assert_non_null(lab.pause);
	assert_int_equal(chain_prepare(&run->chain, lab.pause->obj), 0);
	assert_int_equal(pause_bpf__load(lab.pause), 0);
	return 0;
}

static int lab_close(void **state)
{
	(void)state;
	pause_bpf__destroy(lab.pause);
	firewall_close(&lab.firewall);
	return 0;
}

static int lab_ordinary(void **state)
{
	const struct chain_options options = testrun_options();

	(void)state;
	return lab_open(&options);
}

static int lab_doorkeeper(void **state)
{
	struct chain_options options = testrun_options();

	(void)state;
	options.doorkeeper = true;
	return lab_open(&options);
}

static int lab_small(void **state)
{
	struct chain_options options = testrun_options();

	(void)state;
	options.max_flows4 = 2;
	return lab_open(&options);
}

static int lab_thrifty(void **state)
{
	struct chain_options options = testrun_options();

	(void)state;
	options.inserts_per_s = 3 * TICKS_PER_S;
	return lab_open(&options);
}

#define RULE(function) cmocka_unit_test_setup(function, setup)

static int rules_run(void)
{
	const struct CMUnitTest rules[] = {
		RULE(a_packet_walks_and_the_next_of_its_direction_hits),
		RULE(a_direction_the_kernel_let_nothing_through_of_is_the_kernels),
		RULE(syn_fin_and_rst_go_to_the_kernel_and_end_both_directions),
		RULE(no_walk_installs_an_entry_for_a_syn_fin_or_rst),
		RULE(after_a_bump_every_flow_must_be_let_through_again_and_keeps_its_counts),
		RULE(an_install_that_a_change_of_policy_overtakes_is_never_used),
		RULE(an_install_that_a_delete_of_its_flow_overtakes_is_undone),
		RULE(a_flow_deleted_before_its_record_is_read_goes_to_the_kernel),
		RULE(a_deleted_connection_goes_to_the_kernel_at_once),
		RULE(the_same_tuple_by_another_port_does_not_hit),
		RULE(the_same_tuple_with_a_tag_does_not_hit_and_asks_for_nothing),
		RULE(a_frame_to_another_mac_address_neither_hits_nor_walks_through),
		RULE(a_neighbor_with_a_new_mac_address_is_followed_without_a_bump),
		RULE(a_neighbor_that_is_lost_gets_nothing_more),
		RULE(a_next_hop_without_a_slot_is_asked_for_once_and_used_after),
		RULE(a_route_by_an_interface_that_is_no_port_is_the_kernels),
		RULE(a_port_that_is_gone_drops_what_was_for_it_and_counts_it),
		RULE(without_a_lease_the_kernel_decides),
		RULE(without_a_lease_nothing_is_installed_by_any_function),
		RULE(what_the_policy_forbids_stays_with_the_kernel),
		RULE(a_walk_that_one_function_wants_to_see_again_installs_nothing),
		RULE(a_ttl_of_1_never_leaves_whoever_chose_the_way),
		RULE(a_hop_that_is_missing_drops_and_counts),
		RULE(only_whole_tcp_and_udp_packets_make_entries),
		RULE(an_unknown_flow_that_conntrack_is_asked_for_is_counted_once),
		RULE(an_entry_counts_its_packets_and_bytes_and_when_it_was_last_hit),
	};

	return cmocka_run_group_tests(rules, lab_ordinary, lab_close);
}

static int limits_run(void)
{
	const struct CMUnitTest doorkeeper[] = {
		RULE(a_flow_is_installed_by_its_second_packet),
		RULE(a_flood_of_single_packets_installs_nothing),
	};
	const struct CMUnitTest small[] = {
		RULE(a_full_table_forwards_and_counts_what_it_cannot_take),
	};
	const struct CMUnitTest thrifty[] = {
		RULE(a_budget_bounds_the_installs_of_a_tick),
	};
	int failed = cmocka_run_group_tests(doorkeeper, lab_doorkeeper, lab_close);

	failed += cmocka_run_group_tests(small, lab_small, lab_close);
	return failed + cmocka_run_group_tests(thrifty, lab_thrifty, lab_close);
}

/* Budgets and the doorkeeper's memory are per CPU. */
static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

int main(void)
{
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	stay_on_one_cpu();
	r = rules_run();
	return r + limits_run();
}
