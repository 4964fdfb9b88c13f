// SPDX-License-Identifier: BSD-2-Clause
// The witness: which packets that leave the kernel prove that their direction may pass it by.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "common/state.h"
#include "efw/proof.h"
#include "tests/lib/firewall.h"
#include "tests/packet/leave.h"
#include "skel/leave.skel.h"
#include "skel/witness.skel.h"

static struct {
	struct firewall firewall;
	struct witness_bpf *witness;
	struct leave_bpf *leave;
} lab;

static struct testrun *const run = &lab.firewall.run;

/* A frame leaves the kernel by a port, as spec says; it came in by interface `in_ifindex`. */
static void frame_leaves(const struct frame_spec *spec, uint32_t in_ifindex, int out_port)
{
	struct __sk_buff skb = { .ingress_ifindex = in_ifindex,
				 .ifindex = run->ports[out_port].ifindex };
	static struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data, .ctx_in = &skb,
		    .ctx_size_in = sizeof(skb));
	int r;

	frame_build(spec, &frame);
	options.data_size_in = frame.bytes;
	r = bpf_prog_test_run_opts(bpf_program__fd(lab.leave->progs.evnf_leave), &options);
	if (r)
		fail_msg("the kernel runs no such packet: %s", strerror(-r));
	assert_int_equal((int)options.retval, TC_ACT_UNSPEC);
}

static int port_of(const struct connection *connection, enum direction direction)
{
	return direction == ORIGINAL ? connection->client_port : connection->server_port;
}

/* A packet of the connection is forwarded by the kernel. */
static void packet_leaves(const struct connection *connection, enum direction direction)
{
	const struct frame_spec spec = connection_leaves(connection, direction);

	frame_leaves(&spec, run->ports[port_of(connection, direction)].ifindex,
		     port_of(connection, !direction));
}

/* True when the direction's packets may pass the kernel by. */
static bool is_proven(const struct connection *connection, enum direction direction)
{
	const struct frame_spec spec = connection_arrives(connection, direction);
	static struct outcome outcome;
	static struct frame frame;

	frame_build(&spec, &frame);
	testrun_send(run, port_of(connection, direction), &frame, &outcome);
	if (outcome.verdict == XDP_PASS)
		assert_reason(&outcome, REASON_UNPROVEN);
	return outcome.verdict == XDP_REDIRECT;
}

static struct connection connection_nth(int n)
{
	const uint8_t family = n & 1 ? AF_INET6 : AF_INET;
	const uint8_t proto = n & 2 ? IPPROTO_UDP : IPPROTO_TCP;

	return n & 4 ? connection_translated(family, proto) : connection_plain(family, proto);
}

static void each_connection(void (*rule)(const struct connection *connection))
{
	for (int n = 0; n < 8; n++) {
		const struct connection connection = connection_nth(n);

		firewall_reset(&lab.firewall);
		firewall_learn(&lab.firewall, &connection);
		rule(&connection);
	}
}

static int setup(void **state)
{
	(void)state;
	firewall_reset(&lab.firewall);
	lab.leave->bss->acts = 0;
	return 0;
}

static void rule_one_direction(const struct connection *connection)
{
	assert_false(is_proven(connection, ORIGINAL));
	packet_leaves(connection, ORIGINAL);
	assert_true(is_proven(connection, ORIGINAL));
	assert_false(is_proven(connection, REPLY));
	packet_leaves(connection, REPLY);
	assert_true(is_proven(connection, REPLY));
}

static void a_packet_that_leaves_proves_its_own_direction_and_not_the_other(void **state)
{
	(void)state;
	each_connection(rule_one_direction);
}

static void rule_generation(const struct connection *connection)
{
	packet_leaves(connection, ORIGINAL);
	chain_bump(&run->chain);
	assert_false(is_proven(connection, ORIGINAL));
	packet_leaves(connection, ORIGINAL);
	assert_true(is_proven(connection, ORIGINAL));
}

static void a_proof_ends_with_its_generation(void **state)
{
	(void)state;
	each_connection(rule_generation);
}

static void rule_late(const struct connection *connection)
{
	packet_leaves(connection, ORIGINAL);
	assert_false(is_proven(connection, ORIGINAL));
}

static void a_packet_that_came_before_a_change_and_leaves_after_it_proves_nothing(void **state)
{
	(void)state;
	lab.leave->bss->acts = LEAVE_BUMP;
	each_connection(rule_late);
}

static void a_packet_that_came_by_no_port_proves_nothing(void **state)
{
	(void)state;
	lab.leave->bss->acts = LEAVE_UNSTAMPED;
	each_connection(rule_late);
}

static void a_packet_that_leaves_with_a_tag_proves_nothing(void **state)
{
	(void)state;
	lab.leave->bss->acts = LEAVE_TAGGED;
	each_connection(rule_late);
}

static void a_packet_that_came_while_the_lease_was_lost_proves_nothing(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);

	(void)state;
	firewall_learn(&lab.firewall, &connection);
	testrun_set_lease(run, false);
	packet_leaves(&connection, ORIGINAL);
	testrun_set_lease(run, true);
	assert_false(is_proven(&connection, ORIGINAL));
	packet_leaves(&connection, ORIGINAL);
	assert_true(is_proven(&connection, ORIGINAL));
}

static void rule_local(const struct connection *connection)
{
	const struct frame_spec spec = connection_leaves(connection, ORIGINAL);

	frame_leaves(&spec, 0, connection->server_port);
	assert_false(is_proven(connection, ORIGINAL));
	packet_leaves(connection, ORIGINAL);
	frame_leaves(&spec, 0, connection->server_port);
	assert_true(is_proven(connection, ORIGINAL));
}

static void a_packet_of_the_host_itself_proves_and_disproves_nothing(void **state)
{
	(void)state;
	each_connection(rule_local);
}

static void rule_stranger(const struct connection *connection)
{
	struct frame_spec spec = connection_leaves(connection, ORIGINAL);

	spec.src.port++;
	frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	spec = connection_arrives(connection, ORIGINAL); /* as it came: not translated */
	if (connection->service.port != connection->server.port)
		frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	assert_false(is_proven(connection, ORIGINAL));
	assert_false(is_proven(connection, REPLY));
}

static void a_packet_of_another_connection_or_untranslated_proves_nothing(void **state)
{
	(void)state;
	each_connection(rule_stranger);
}

static void a_packet_whose_reply_has_a_stale_record_proves_nothing(void **state)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const uint8_t family = ip6 ? AF_INET6 : AF_INET;
		const struct connection past = connection_translated(family, IPPROTO_UDP);
		struct connection present = past;

		(void)state;
		present.server.port++;
		firewall_learn(&lab.firewall, &past);
		firewall_learn(&lab.firewall, &present);
		packet_leaves(&past, ORIGINAL);
		assert_false(is_proven(&present, ORIGINAL));
		packet_leaves(&present, ORIGINAL);
		assert_true(is_proven(&present, ORIGINAL));
	}
}

static void rule_ports(const struct connection *connection)
{
	const struct frame_spec spec = connection_leaves(connection, ORIGINAL);

	frame_leaves(&spec, run->ports[THIRD].ifindex, SERVER);
	assert_false(is_proven(connection, ORIGINAL));
	frame_leaves(&spec, run->ports[CLIENT].ifindex, THIRD);
	assert_false(is_proven(connection, ORIGINAL));
	frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	assert_true(is_proven(connection, ORIGINAL));
}

static void a_packet_proves_the_ports_it_took_and_no_others(void **state)
{
	(void)state;
	each_connection(rule_ports);
}

static void rule_moved(const struct connection *connection)
{
	const struct frame_spec spec = connection_leaves(connection, ORIGINAL);
	struct flow6 flow;

	packet_leaves(connection, ORIGINAL);
	assert_true(is_proven(connection, ORIGINAL));
	assert_true(firewall_find_flow(&lab.firewall, connection, ORIGINAL, CLIENT, &flow));
	packet_leaves(connection, ORIGINAL);
	assert_true(firewall_find_flow(&lab.firewall, connection, ORIGINAL, CLIENT, &flow));
	frame_leaves(&spec, run->ports[THIRD].ifindex, SERVER);
	assert_int_equal(firewall_count_flows(&lab.firewall), 0);
	assert_false(is_proven(connection, ORIGINAL));
}

/* Or a SYN, FIN or RST, which deletes the entry of the port the record names, would leave it. */
static void a_direction_that_comes_by_another_port_has_no_entry_for_the_first_any_more(void **state)
{
	(void)state;
	each_connection(rule_moved);
}

static void a_fragment_or_a_packet_with_options_proves_nothing(void **state)
{
	(void)state;
	for (int n = 0; n < 8; n++) {
		const struct connection connection = connection_nth(n);
		struct frame_spec spec;

		firewall_learn(&lab.firewall, &connection);
		spec = connection_leaves(&connection, ORIGINAL);
		spec.fragmented = spec.more_fragments = true;
		frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
		spec.fragment_bytes = 64;
		frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
		spec = connection_leaves(&connection, ORIGINAL);
		spec.options = "\1\1\1\0";
		spec.option_bytes = 4;
		spec.extensions[0] = IPPROTO_DSTOPTS;
		frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
		assert_false(is_proven(&connection, ORIGINAL));
	}
}

static void options_are_not_read_as_ports(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_leaves(&connection, ORIGINAL);
	const char ports[4] = { spec.src.port >> 8, spec.src.port, spec.dst.port >> 8,
				spec.dst.port };

	(void)state;
	firewall_learn(&lab.firewall, &connection);
	spec.options = ports;
	spec.option_bytes = sizeof(ports);
	frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	assert_false(is_proven(&connection, ORIGINAL));
}

static void a_syn_fin_or_rst_proves_nothing(void **state)
{
	const uint8_t flags[] = { TH_SYN, TH_SYN | TH_ACK, TH_FIN | TH_ACK, TH_RST };

	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const struct connection connection =
			connection_plain(ip6 ? AF_INET6 : AF_INET, IPPROTO_TCP);
		struct frame_spec spec = connection_leaves(&connection, ORIGINAL);

		firewall_learn(&lab.firewall, &connection);
		for (size_t i = 0; i < sizeof(flags); i++) {
			spec.tcp_flags = flags[i];
			frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
			assert_false(is_proven(&connection, ORIGINAL));
		}
	}
}

static void a_packet_of_another_protocol_proves_nothing(void **state)
{
	const uint8_t others[] = { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_DCCP, IPPROTO_UDPLITE };
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_leaves(&connection, ORIGINAL);

	(void)state;
	firewall_learn(&lab.firewall, &connection);
	for (size_t i = 0; i < sizeof(others); i++) {
		spec.proto = others[i];
		frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	}
	spec = connection_leaves(&connection, ORIGINAL);
	spec.ether_type = 0x88b5;
	frame_leaves(&spec, run->ports[CLIENT].ifindex, SERVER);
	assert_false(is_proven(&connection, ORIGINAL));
}

static void every_generation_can_be_proven_by_what_came_in_under_it(void **state)
{
	const uint32_t generations[] = { 0xfffe,  0xffff,     0x10000,   0x10001,
					 0x20000, 0xffff0000, 0xffffffff };
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	const uint32_t before = run->chain.state->generation;

	(void)state;
	firewall_learn(&lab.firewall, &connection);
	for (size_t i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
		run->chain.state->generation = generations[i];
		lab.leave->bss->acts = LEAVE_UNSTAMPED;
		packet_leaves(&connection, ORIGINAL);
		assert_false(is_proven(&connection, ORIGINAL));
		lab.leave->bss->acts = 0;
		packet_leaves(&connection, ORIGINAL);
		assert_true(is_proven(&connection, ORIGINAL));
	}
	run->chain.state->generation = before;
}

static int open_all(void **state)
{
	const struct chain_options options = testrun_options();
	const uint32_t slot = 0;
	int witness;

	(void)state;
	firewall_open(&lab.firewall, &options);
	assert_int_equal(proof_open(&run->chain, &lab.witness), 0);
	witness = bpf_program__fd(lab.witness->progs.evnf_witness);
	lab.leave = leave_bpf__open();
	assert_non_null(lab.leave);
	assert_int_equal(chain_prepare(&run->chain, lab.leave->obj), 0);
	assert_int_equal(leave_bpf__load(lab.leave), 0);
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(lab.leave->maps.witnesses), &slot,
					     &witness, BPF_ANY),
			 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	leave_bpf__destroy(lab.leave);
	witness_bpf__destroy(lab.witness);
	firewall_close(&lab.firewall);
	return 0;
}

#define RULE(function) cmocka_unit_test_setup(function, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(a_packet_that_leaves_proves_its_own_direction_and_not_the_other),
		RULE(a_proof_ends_with_its_generation),
		RULE(a_packet_that_came_before_a_change_and_leaves_after_it_proves_nothing),
		RULE(a_packet_that_came_by_no_port_proves_nothing),
		RULE(a_packet_that_leaves_with_a_tag_proves_nothing),
		RULE(a_packet_that_came_while_the_lease_was_lost_proves_nothing),
		RULE(a_packet_of_the_host_itself_proves_and_disproves_nothing),
		RULE(a_packet_of_another_connection_or_untranslated_proves_nothing),
		RULE(a_packet_whose_reply_has_a_stale_record_proves_nothing),
		RULE(a_packet_proves_the_ports_it_took_and_no_others),
		RULE(a_direction_that_comes_by_another_port_has_no_entry_for_the_first_any_more),
		RULE(a_fragment_or_a_packet_with_options_proves_nothing),
		RULE(options_are_not_read_as_ports),
		RULE(a_syn_fin_or_rst_proves_nothing),
		RULE(a_packet_of_another_protocol_proves_nothing),
		RULE(every_generation_can_be_proven_by_what_came_in_under_it),
	};
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, open_all, close_all);
}
