// SPDX-License-Identifier: BSD-2-Clause
// efwd by the packet: what it refuses in either mode and why, and what it forwards, to the last
// byte.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "efwd/bridge.h"
#include "efwd/stations.h"
#include "efwd/vids.h"
#include "skel/bridge.skel.h"
#include "skel/router.skel.h"
#include "tests/lib/odds.h"
#include "tests/lib/testrun.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EVERY_CHECK                                                                            \
	(1ULL << REASON_MALFORMED | 1ULL << REASON_SHORT_FRAGMENT | 1ULL << REASON_TCP_FLAGS | \
	 1ULL << REASON_SOURCE_ROUTE | 1ULL << REASON_MARTIAN | 1ULL << REASON_TTL_ZERO |      \
	 1ULL << REASON_TAGS | 1ULL << REASON_RESERVED_MAC)

/* How efwd is configured: the chain is opened anew for each. */
struct setup {
	bool bridge, lenient, vlans;
};

static const struct setup router_strict = {}, router_lenient = { .lenient = true },
			  bridge_strict = { .bridge = true },
			  bridge_lenient = { .bridge = true, .lenient = true },
			  bridge_vlans = { .bridge = true, .vlans = true };

static const struct setup *setup; /* that is open now */
static struct testrun run;
static struct router_bpf *router;
static struct bridge_bpf *bridge;
static struct stations *stations;

/* CLIENT is an access port of VLAN 10; SERVER a trunk of 10 and 20 with native 30; THIRD a trunk
 * of 10 to 19 without. */
static struct bridge_port port_confs[TESTRUN_PORTS];
static const struct bridge_port *ports_by_index[PORTS_MAX];

static int router_load(void)
{
	router = router_bpf__open();
	assert_non_null(router);
	assert_int_equal(chain_prepare(&run.chain, router->obj), 0);
	router->rodata->lifted = setup->lenient ? EVERY_CHECK : 0;
	assert_int_equal(router_bpf__load(router), 0);
	return bpf_program__fd(router->progs.evnf_router);
}

static void port_conf(int port, uint16_t pvid, const char *trunk)
{
	memset(&port_confs[port], 0, sizeof(port_confs[port]));
	if (setup->vlans) {
		port_confs[port].pvid = pvid;
		assert_int_equal(vids_parse(trunk, port_confs[port].vids), 0);
	}
	ports_by_index[run.ports[port].index] = &port_confs[port];
}

static void station_at(int port, uint16_t vid)
{
	uint8_t mac[6];

	host_mac(port, mac);
	assert_int_equal(stations_learn(stations, mac, vid, run.ports[port].index), 0);
}

static int bridge_load(void)
{
	const struct stations_options options = { .limit = 100,
						  .age_s = 300,
						  .vlans = setup->vlans };

	bridge = bridge_bpf__open();
	assert_non_null(bridge);
	assert_int_equal(chain_prepare(&run.chain, bridge->obj), 0);
	bridge->rodata->lifted = setup->lenient ? EVERY_CHECK : 0;
	bridge->rodata->vlans = setup->vlans;
	assert_int_equal(bridge_bpf__load(bridge), 0);
	port_conf(CLIENT, 10, "");
	port_conf(SERVER, 30, "10,20");
	port_conf(THIRD, 0, "10-19");
	for (int port = 0; port < TESTRUN_PORTS; port++) {
		const uint32_t index = run.ports[port].index;

		assert_int_equal(bpf_map_update_elem(bpf_map__fd(bridge->maps.bridge_ports), &index,
						     &port_confs[port], BPF_ANY),
				 0);
	}
	assert_int_equal(stations_open(&run.chain, ports_by_index, &options, &stations), 0);
	for (int port = 0; port < TESTRUN_PORTS; port++)
		station_at(port, setup->vlans ? 10 : 0);
	if (setup->vlans) {
		station_at(SERVER, 20);
		station_at(SERVER, 30);
	}
	return bpf_program__fd(bridge->progs.evnf_bridge);
}

static void setup_close(void)
{
	if (!setup)
		return;
	stations_close(stations);
	bridge_bpf__destroy(bridge);
	router_bpf__destroy(router);
	testrun_close(&run);
	stations = NULL;
	bridge = NULL;
	router = NULL;
	setup = NULL;
}

/* Opens the chain so, unless it is; flow entries of earlier packets are void. */
static void setup_open(const struct setup *wanted)
{
	struct chain_options options = testrun_options();
	int program;

	if (setup != wanted) {
		setup_close();
		setup = wanted;
		options.router = !setup->bridge;
		testrun_open(&run, &options);
		program = setup->bridge ? bridge_load() : router_load();
		assert_int_equal(chain_set_hop(&run.chain, 0, program), 0);
	}
	testrun_answer(&run);
	chain_bump(&run.chain);
}

static int group_teardown(void **state)
{
	(void)state;
	setup_close();
	return 0;
}

/* ---- what is expected of a frame ---- */

static const bool drops[REASON_COUNT] = {
#define X(name, fate, help) [REASON_##name] = FATE_##fate == FATE_DROP,
	REASONS(X)
#undef X
};

static bool leaves(enum reason reason)
{
	return reason == REASON_WALKED || reason == REASON_HIT || reason == REASON_FLOODED;
}

/* A routed packet as it leaves by `port`: both MAC addresses, the TTL and IPv4's checksum. */
static void frame_route(struct frame *frame, int port)
{
	struct iphdr *ip = (struct iphdr *)(frame->data + frame->l3);
	uint32_t sum = 0;

	host_mac(port, frame->data);
	port_mac(port, frame->data + 6);
	if (ip->version == 6) {
		frame->data[frame->l3 + 7]--;
		return;
	}
	ip->ttl--;
	ip->check = 0;
	for (int i = 0; i < ip->ihl * 2; i++)
		sum += ntohs(((const __be16 *)ip)[i]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	ip->check = htons(~sum);
}

/* Sends it by CLIENT; it must leave for the reason, with the verdict that goes with it and as
 * `expected`. */
static void assert_leaves(int port, const struct frame *frame, enum reason reason,
			  const struct frame *expected)
{
	static struct outcome outcome;

	testrun_send(&run, port, frame, &outcome);
	assert_reason(&outcome, reason);
	assert_int_equal(outcome.verdict, leaves(reason)  ? XDP_REDIRECT
					  : drops[reason] ? XDP_DROP
							  : XDP_PASS);
	assert_int_equal(outcome.frame.bytes, expected->bytes);
	assert_memory_equal(outcome.frame.data, expected->data, expected->bytes);
}

static unsigned int flows_count(void)
{
	struct flow6_key key, *previous = NULL, next;
	unsigned int n = 0;

	for (int table = 0; table < 2; table++) {
		int fd = table ? run.chain.flows6 : run.chain.flows4;

		for (previous = NULL; !bpf_map_get_next_key(fd, previous, &next); n++) {
			key = next;
			previous = &key;
		}
	}
	return n;
}

static void flows_clear(void)
{
	struct flow6_key key;

	for (int table = 0; table < 2; table++) {
		int fd = table ? run.chain.flows6 : run.chain.flows4;

		while (!bpf_map_get_next_key(fd, NULL, &key))
			assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	}
}

/* A packet that is not odd: from the host behind CLIENT to the one behind SERVER, by the router or
 * by the bridge. */
static struct frame_spec sound_spec(uint8_t family, uint8_t proto)
{
	struct frame_spec spec = {
		.family = family,
		.proto = proto,
		.src = endpoint_of(family == AF_INET ? "10.77.0.2" : "fd77::2", 40000),
		.dst = endpoint_of(family == AF_INET ? "10.77.1.2" : "fd77:1::2", 443),
		.payload_bytes = 64,
	};

	host_mac(CLIENT, spec.src_mac);
	if (setup->bridge)
		host_mac(SERVER, spec.dst_mac);
	else
		port_mac(CLIENT, spec.dst_mac);
	return spec;
}

/* ---- odd packets ---- */

struct odd_case {
	const struct odd *odd;
	const struct setup *setup;
	uint8_t family;
};

static enum reason odd_reason(const struct odd_case *odd_case)
{
	const struct odd *odd = odd_case->odd;
	const enum reason strict =
		odd_case->setup->bridge ? odd->bridge.strict : odd->router.strict;
	const enum reason lenient =
		odd_case->setup->bridge ? odd->bridge.lenient : odd->router.lenient;

	return odd_case->setup->lenient && lenient ? lenient : strict;
}

static void an_odd_packet_leaves_as_the_table_says(void **state)
{
	const struct odd_case *odd_case = *state;
	const struct odd *odd = odd_case->odd;
	const enum reason reason = odd_reason(odd_case);
	static struct frame frame, expected;
	struct frame_spec sound;

	setup_open(odd_case->setup);
	flows_clear();
	sound = sound_spec(odd_case->family, IPPROTO_TCP);
	if (odd->from)
		memcpy(sound.src.ip, endpoint_of(odd->from, 0).ip, 16);
	if (odd->to)
		memcpy(sound.dst.ip, endpoint_of(odd->to, 0).ip, 16);
	odd_build(odd, &sound, &frame);
	expected = frame;
	if (!odd_case->setup->bridge && leaves(reason))
		frame_route(&expected, odd->to ? THIRD : SERVER); /* THIRD: see the row */
	assert_leaves(CLIENT, &frame, reason, &expected);
	if (!leaves(reason))
		assert_int_equal(flows_count(), 0);
}

/* ---- ordinary packets ---- */

static const struct {
	const char *says;
	struct frame_spec with;
	bool flow; /* gets an entry */
} sounds[] = {
	{ "TCP", { .proto = IPPROTO_TCP }, true },
	{ "UDP", { .proto = IPPROTO_UDP }, true },
	{ "UDP without checksum", { .proto = IPPROTO_UDP, .no_checksum = true }, true },
	{ "padding", { .proto = IPPROTO_UDP, .padding_bytes = 18 }, true },
	{ "the largest packet", { .proto = IPPROTO_TCP, .payload_bytes = 1440 }, true },
	{ "the last hop but one", { .proto = IPPROTO_TCP, .ttl = 2 }, true },
	{ "SYN", { .proto = IPPROTO_TCP, .tcp_flags = TH_SYN }, false },
	{ "FIN", { .proto = IPPROTO_TCP, .tcp_flags = TH_FIN | TH_ACK }, false },
	{ "a fragment",
	  { .proto = IPPROTO_UDP, .fragmented = true, .more_fragments = true },
	  false },
	{ "SCTP", { .proto = IPPROTO_SCTP }, false },
};

static void sound_build(size_t i, uint8_t family, struct frame *frame)
{
	struct frame_spec spec = sounds[i].with, sound = sound_spec(family, spec.proto);

	spec.family = family;
	memcpy(spec.src_mac, sound.src_mac, 6);
	memcpy(spec.dst_mac, sound.dst_mac, 6);
	spec.src = sound.src;
	spec.dst = sound.dst;
	spec.payload_bytes = spec.payload_bytes ? spec.payload_bytes : 64;
	frame_build(&spec, frame);
}

static void ordinary_packets_leave_right_walked_and_by_their_entry(const struct setup *wanted)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };
	static struct frame frame, expected;

	for (size_t i = 0; i < 2 * COUNT(sounds); i++) {
		setup_open(wanted);
		flows_clear();
		sound_build(i / 2, families[i % 2], &frame);
		expected = frame;
		if (!wanted->bridge)
			frame_route(&expected, SERVER);
		print_message("%s\n", sounds[i / 2].says);
		assert_leaves(CLIENT, &frame, REASON_WALKED, &expected);
		assert_leaves(CLIENT, &frame, sounds[i / 2].flow ? REASON_HIT : REASON_WALKED,
			      &expected);
		assert_int_equal(flows_count(), sounds[i / 2].flow);
	}
}

static void a_router_leaves_ordinary_packets_one_hop_less(void **state)
{
	(void)state;
	ordinary_packets_leave_right_walked_and_by_their_entry(&router_strict);
}

static void a_bridge_leaves_ordinary_packets_as_they_are(void **state)
{
	(void)state;
	ordinary_packets_leave_right_walked_and_by_their_entry(&bridge_strict);
}

static void a_router_whose_slow_path_is_dead_leaves_all_to_the_kernel(void **state)
{
	struct frame_spec spec;
	static struct frame frame;

	(void)state;
	setup_open(&router_strict);
	spec = sound_spec(AF_INET, IPPROTO_UDP);
	frame_build(&spec, &frame);
	testrun_set_lease(&run, false);
	assert_leaves(CLIENT, &frame, REASON_LEASE, &frame);
	testrun_set_lease(&run, true);
}

/* ---- the bridge's own ---- */

static void an_entry_is_for_frames_to_its_station_from_elsewhere(void **state)
{
	static struct frame frame, other;
	struct frame_spec spec;

	(void)state;
	setup_open(&bridge_strict);
	flows_clear();
	spec = sound_spec(AF_INET, IPPROTO_UDP);
	frame_build(&spec, &frame);
	host_mac(THIRD, spec.dst_mac);
	frame_build(&spec, &other);
	assert_leaves(CLIENT, &frame, REASON_WALKED, &frame);
	assert_leaves(CLIENT, &frame, REASON_HIT, &frame);
	assert_leaves(CLIENT, &other, REASON_WALKED, &other); /* the same flow, another MAC */
	assert_leaves(CLIENT, &other, REASON_HIT, &other);
	station_at(CLIENT, 0);
	host_mac(SERVER, spec.dst_mac);
	frame_build(&spec, &frame);
	assert_leaves(CLIENT, &frame, REASON_WALKED, &frame);
	assert_leaves(CLIENT, &frame, REASON_HIT, &frame);
	/* The station turns up behind the port of entry: its slot says so, the entry still stands.
	 */
	assert_int_equal(stations_learn(stations, spec.dst_mac, 0, run.ports[CLIENT].index), 0);
	assert_leaves(CLIENT, &frame, REASON_SAME_PORT, &frame);
	station_at(SERVER, 0);
	assert_leaves(CLIENT, &frame, REASON_HIT, &frame);
}

static void a_sender_is_told_of_once_a_tick_until_it_is_known(void **state)
{
	static struct frame frame;
	struct frame_spec spec;
	unsigned int told;

	(void)state;
	setup_open(&bridge_strict);
	spec = sound_spec(AF_INET, IPPROTO_UDP);
	spec.src_mac[3] = 0x77;
	frame_build(&spec, &frame);
	testrun_answer(&run);
	told = run.n_events[EVENT_STATION];
	testrun_wait_tick(&run);
	for (int i = 0; i < 5; i++)
		assert_leaves(CLIENT, &frame, REASON_WALKED, &frame); /* and gets no entry */
	testrun_answer(&run);
	assert_in_range(run.n_events[EVENT_STATION], told + 1, told + 2);
	assert_memory_equal(run.last.station.mac, spec.src_mac, 6);
	assert_int_equal(run.last.station.port, run.ports[CLIENT].index);
	assert_int_equal(stations_learn(stations, spec.src_mac, 0, run.ports[CLIENT].index), 0);
	told = run.n_events[EVENT_STATION];
	testrun_wait_tick(&run);
	assert_leaves(CLIENT, &frame, REASON_WALKED, &frame);
	assert_leaves(CLIENT, &frame, REASON_HIT, &frame);
	testrun_answer(&run);
	assert_int_equal(run.n_events[EVENT_STATION], told);
}

/* A frame of one VLAN, by the tags it has where it arrives and where it leaves; flooded it leaves
 * the walk tagged, whatever the ports then make of it. */
static const struct {
	const char *says;
	int from, to;
	struct {
		uint16_t type, tci;
	} arrives[2], leaves[2], flooded[2];
} tagged[] = {
	{ "access to trunk", CLIENT, SERVER, {}, { { ETH_P_8021Q, 10 } }, { { ETH_P_8021Q, 10 } } },
	{ "a priority tag to trunk",
	  CLIENT,
	  THIRD,
	  { { ETH_P_8021Q, 0xe000 } },
	  { { ETH_P_8021Q, 0xe00a } },
	  { { ETH_P_8021Q, 0xe00a } } },
	{ "trunk to access", SERVER, CLIENT, { { ETH_P_8021Q, 10 } }, {}, { { ETH_P_8021Q, 10 } } },
	{ "trunk to trunk, with priority",
	  SERVER,
	  THIRD,
	  { { ETH_P_8021Q, 0xb00a } },
	  { { ETH_P_8021Q, 0xb00a } },
	  { { ETH_P_8021Q, 0xb00a } } },
	{ "a second tag below is kept",
	  SERVER,
	  CLIENT,
	  { { ETH_P_8021Q, 10 }, { ETH_P_8021Q, 7 } },
	  { { ETH_P_8021Q, 7 } },
	  { { ETH_P_8021Q, 10 }, { ETH_P_8021Q, 7 } } },
	{ "a tag of 802.1ad is payload",
	  CLIENT,
	  SERVER,
	  { { ETH_P_8021AD, 10 } },
	  { { ETH_P_8021Q, 10 }, { ETH_P_8021AD, 10 } },
	  { { ETH_P_8021Q, 10 }, { ETH_P_8021AD, 10 } } },
};

static void tagged_build(size_t i, uint8_t family, const void *tags, bool known,
			 struct frame *frame)
{
	struct frame_spec spec = sound_spec(family, IPPROTO_UDP);

	memcpy(spec.tags, tags, sizeof(tagged[i].arrives));
	host_mac(tagged[i].from, spec.src_mac);
	host_mac(tagged[i].to, spec.dst_mac);
	if (!known)
		spec.dst_mac[3] = 0x99;
	frame_build(&spec, frame);
}

static void tags_are_translated_walked_by_entries_and_for_a_flood(void **state)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };
	static struct frame frame, expected, left;

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(tagged); i++) {
		const size_t row = i / 2;
		const uint8_t family = families[i % 2];

		setup_open(&bridge_vlans);
		flows_clear();
		print_message("%s\n", tagged[row].says);
		tagged_build(row, family, tagged[row].arrives, true, &frame);
		tagged_build(row, family, tagged[row].leaves, true, &expected);
		assert_leaves(tagged[row].from, &frame, REASON_WALKED, &expected);
		testrun_answer(&run); /* its tag stack gets a context */
		testrun_send_quietly(&run, tagged[row].from, &frame, &left); /* and an entry */
		assert_leaves(tagged[row].from, &frame, REASON_HIT, &expected);
		tagged_build(row, family, tagged[row].arrives, false, &frame);
		tagged_build(row, family, tagged[row].flooded, false, &expected);
		assert_leaves(tagged[row].from, &frame, REASON_FLOODED, &expected);
	}
}

static void frames_of_vlans_that_a_port_does_not_carry_are_refused(void **state)
{
	const struct {
		int from;
		uint16_t type, tci;
	} refused[] = { { CLIENT, ETH_P_8021Q, 10 },
			{ CLIENT, ETH_P_8021Q, 20 },
			{ SERVER, ETH_P_8021Q, 40 },
			{ THIRD, ETH_P_8021Q, 20 },
			{ THIRD, 0, 0 },
			{ THIRD, ETH_P_8021Q, 0 },
			{ THIRD, ETH_P_8021AD, 10 },
			{ SERVER, ETH_P_8021Q, 4095 } };
	static struct frame frame;

	(void)state;
	setup_open(&bridge_vlans);
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct frame_spec spec = sound_spec(AF_INET, IPPROTO_UDP);

		host_mac(refused[i].from, spec.src_mac);
		host_mac(refused[i].from == CLIENT ? SERVER : CLIENT, spec.dst_mac);
		spec.tags[0].type = refused[i].type;
		spec.tags[0].tci = refused[i].tci;
		frame_build(&spec, &frame);
		assert_leaves(refused[i].from, &frame, REASON_NOT_MEMBER, &frame);
	}
}

static void a_moved_station_takes_its_flows_along_with_another_tag(void **state)
{
	const struct {
		uint16_t type, tci;
	} none[2] = {}, ten[2] = { { ETH_P_8021Q, 10 } };
	static struct frame frame, expected, left;
	uint8_t mac[6];

	(void)state;
	setup_open(&bridge_vlans);
	flows_clear();
	tagged_build(2, AF_INET, ten, true, &frame); /* SERVER to CLIENT */
	tagged_build(2, AF_INET, none, true, &expected);
	assert_leaves(SERVER, &frame, REASON_WALKED, &expected);
	testrun_answer(&run);
	testrun_send_quietly(&run, SERVER, &frame, &left);
	assert_leaves(SERVER, &frame, REASON_HIT, &expected);
	host_mac(CLIENT, mac);
	assert_int_equal(stations_learn(stations, mac, 10, run.ports[THIRD].index), 0);
	assert_leaves(SERVER, &frame, REASON_HIT, &frame);
	assert_int_equal(stations_learn(stations, mac, 10, run.ports[CLIENT].index), 0);
	assert_leaves(SERVER, &frame, REASON_HIT, &expected);
}

/* ---- the suite: a test for each row, setup and family ---- */

#define SETUPS 4

struct suite {
	struct CMUnitTest tests[2 * SETUPS * ODDS_MAX + 16];
	char names[2 * SETUPS * ODDS_MAX][160];
	struct odd_case cases[2 * SETUPS * ODDS_MAX];
	size_t n;
};

static void suite_fill(struct suite *suite)
{
	static const struct {
		const struct setup *setup;
		const char *name;
	} setups[SETUPS] = { { &router_strict, "router" },
			     { &router_lenient, "lenient router" },
			     { &bridge_strict, "bridge" },
			     { &bridge_lenient, "lenient bridge" } };

	for (size_t i = 0; i < SETUPS * 2 * n_odds; i++) {
		const struct odd *odd = &odds[i / 2 % n_odds];
		const size_t s = i / 2 / n_odds;

		if (!(odd->families & (i % 2 ? IP6 : IP4)))
			continue;
		suite->cases[suite->n] =
			(struct odd_case){ odd, setups[s].setup, i % 2 ? AF_INET6 : AF_INET };
		snprintf(suite->names[suite->n], sizeof(suite->names[0]),
			 "%s, %s: %s leaves as the table says", setups[s].name,
			 i % 2 ? "IPv6" : "IPv4", odd->says);
		suite->tests[suite->n] =
			(struct CMUnitTest){ .name = suite->names[suite->n],
					     .test_func = an_odd_packet_leaves_as_the_table_says,
					     .initial_state = &suite->cases[suite->n] };
		suite->n++;
	}
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(a_router_leaves_ordinary_packets_one_hop_less),
		cmocka_unit_test(a_router_whose_slow_path_is_dead_leaves_all_to_the_kernel),
		cmocka_unit_test(a_bridge_leaves_ordinary_packets_as_they_are),
		cmocka_unit_test(an_entry_is_for_frames_to_its_station_from_elsewhere),
		cmocka_unit_test(a_sender_is_told_of_once_a_tick_until_it_is_known),
		cmocka_unit_test(tags_are_translated_walked_by_entries_and_for_a_flood),
		cmocka_unit_test(frames_of_vlans_that_a_port_does_not_carry_are_refused),
		cmocka_unit_test(a_moved_station_takes_its_flows_along_with_another_tag),
	};
	static struct suite suite;
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	suite_fill(&suite);
	memcpy(&suite.tests[suite.n], others, sizeof(others));
	suite.n += COUNT(others);
	return _cmocka_run_group_tests("efwd", suite.tests, suite.n, NULL, group_teardown);
}
