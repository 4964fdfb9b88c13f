// SPDX-License-Identifier: BSD-2-Clause
// efw by the packet: what it leaves to the kernel and why, and what it forwards, to the last byte.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <cmocka.h>

#include "tests/lib/firewall.h"
#include "tests/lib/odds.h"

static struct firewall firewall;

/* The family a test runs with, and its row. */
struct odd_case {
	const struct odd *odd;
	uint8_t family;
};

/* The connection the odd packet seems to belong to. */
static struct connection odd_connection(const struct odd *odd, uint8_t family)
{
	const bool udp = odd->with.proto == IPPROTO_UDP;
	struct connection connection = connection_plain(family, udp ? IPPROTO_UDP : IPPROTO_TCP);

	if (odd->from)
		connection.client = endpoint_of(odd->from, connection.client.port);
	if (odd->to)
		connection.service = endpoint_of(odd->to, connection.service.port);
	connection.mapped = connection.client;
	connection.server = connection.service;
	return connection;
}

static void assert_untouched(const struct frame *sent, const struct outcome *outcome)
{
	assert_int_equal(outcome->frame.bytes, sent->bytes);
	assert_memory_equal(outcome->frame.data, sent->data, sent->bytes);
}

static void assert_kept(const struct frame *frame, enum reason reason)
{
	static struct outcome outcome;

	testrun_send(&firewall.run, CLIENT, frame, &outcome);
	assert_reason(&outcome, reason);
	assert_int_equal(outcome.verdict, XDP_PASS);
	assert_untouched(frame, &outcome);
}

static void it_goes_to_the_kernel(void **state)
{
	const struct odd_case *odd_case = *state;
	const struct odd *odd = odd_case->odd;
	const struct connection connection = odd_connection(odd, odd_case->family);
	const struct frame_spec sound = connection_arrives(&connection, ORIGINAL);
	static struct frame frame, ordinary;
	static struct outcome outcome;

	firewall_reset(&firewall);
	odd_build(odd, &sound, &frame);
	assert_kept(&frame, odd->efw.unknown);
	assert_int_equal(firewall_count_flows(&firewall), 0);

	firewall_accept(&firewall, &connection);
	frame_build(&sound, &ordinary);
	testrun_send(&firewall.run, CLIENT, &ordinary, &outcome);
	testrun_answer(&firewall.run);
	testrun_send(&firewall.run, CLIENT, &ordinary, &outcome);
	if (odd->from || odd->to) /* no such packet is ever a fast one */
		assert_int_equal(firewall_count_flows(&firewall), 0);
	else
		assert_reason(&outcome, REASON_HIT);
	assert_kept(&frame, odd->efw.known ? odd->efw.known : odd->efw.unknown);
}

/* A packet that is forwarded: what it is, arriving and leaving. */
struct forwarded {
	const char *says;
	enum families families;
	uint8_t proto;
	struct frame_spec with; /* what both have beside the connection's */
	const char *service;    /* another one than the host behind SERVER */
	enum { PLAIN, TRANSLATED, SOURCE_ONLY, DESTINATION_ONLY, PORTS_ONLY } translation;
};

static const struct forwarded forwards[] = {
	{ "TCP", ANY, .proto = IPPROTO_TCP },
	{ "UDP", ANY, .proto = IPPROTO_UDP },
	{ "TCP, source and destination translated", ANY, .proto = IPPROTO_TCP,
	  .translation = TRANSLATED },
	{ "UDP, source and destination translated", ANY, .proto = IPPROTO_UDP,
	  .translation = TRANSLATED },
	{ "TCP, source translated", ANY, .proto = IPPROTO_TCP, .translation = SOURCE_ONLY },
	{ "UDP, source translated", ANY, .proto = IPPROTO_UDP, .translation = SOURCE_ONLY },
	{ "TCP, destination translated", ANY, .proto = IPPROTO_TCP,
	  .translation = DESTINATION_ONLY },
	{ "UDP, destination translated", ANY, .proto = IPPROTO_UDP,
	  .translation = DESTINATION_ONLY },
	{ "TCP, ports translated", ANY, .proto = IPPROTO_TCP, .translation = PORTS_ONLY },
	{ "UDP, ports translated", ANY, .proto = IPPROTO_UDP, .translation = PORTS_ONLY },
	{ "UDP without checksum", IP4, .proto = IPPROTO_UDP, .with.no_checksum = true },
	{ "UDP without checksum, translated", IP4, .proto = IPPROTO_UDP, .with.no_checksum = true,
	  .translation = TRANSLATED },
	{ "an empty TCP segment with padding", ANY, .proto = IPPROTO_TCP,
	  .with = { .payload_bytes = 1, .padding_bytes = 9 }, .translation = TRANSLATED },
	{ "an empty UDP datagram with padding", ANY, .proto = IPPROTO_UDP,
	  .with = { .payload_bytes = 1, .padding_bytes = 17 }, .translation = TRANSLATED },
	{ "PSH, URG and the ECN flags", ANY, .proto = IPPROTO_TCP,
	  .with.tcp_flags = TH_ACK | TH_PUSH | TH_URG | 0xc0, .translation = TRANSLATED },
	{ "a packet as large as the MTU", ANY, .proto = IPPROTO_TCP, .with.payload_bytes = 1440 },
	{ "a packet as large as the MTU, not to be fragmented", IP4, .proto = IPPROTO_TCP,
	  .with = { .payload_bytes = 1460, .dont_fragment = true }, .translation = TRANSLATED },
	{ "a packet through a gateway", IP4, .proto = IPPROTO_TCP, .service = "198.51.100.7" },
	{ "a packet through a gateway", IP6, .proto = IPPROTO_UDP, .service = "2001:db8:7::7" },
};

struct forwarded_case {
	const struct forwarded *forwarded;
	uint8_t family;
};

static struct connection forwarded_connection(const struct forwarded *forwarded, uint8_t family)
{
	const struct connection plain = connection_plain(family, forwarded->proto);
	struct connection connection = connection_translated(family, forwarded->proto);

	switch (forwarded->translation) {
	case PLAIN:
		connection = plain;
		break;
	case TRANSLATED:
		break;
	case SOURCE_ONLY:
		connection.service = connection.server;
		break;
	case DESTINATION_ONLY:
		connection.mapped = connection.client;
		break;
	case PORTS_ONLY:
		memcpy(connection.service.ip, plain.service.ip, 16);
		memcpy(connection.mapped.ip, plain.mapped.ip, 16);
		break;
	}
	if (forwarded->service)
		connection.service = connection.server = endpoint_of(forwarded->service, 443);
	return connection;
}

/* Puts into the description of a packet what the test wants of it. */
static struct frame_spec spec_with(struct frame_spec spec, const struct frame_spec *with)
{
	if (with->payload_bytes)
		spec.payload_bytes = with->payload_bytes == 1 ? 0 : with->payload_bytes;
	spec.padding_bytes = with->padding_bytes;
	spec.tcp_flags = with->tcp_flags;
	spec.dont_fragment = with->dont_fragment;
	spec.no_checksum = with->no_checksum;
	spec.payload_word = with->payload_word;
	return spec;
}

/* Sends one packet of the connection. It must leave for `reason`, and as if built by its receiver.
 */
static void assert_forwarded(const struct connection *connection, enum direction direction,
			     const struct frame_spec *with, enum reason reason)
{
	const int port = direction == ORIGINAL ? connection->client_port : connection->server_port;
	static struct frame arriving, leaving;
	static struct outcome outcome;
	struct frame_spec spec;

	spec = spec_with(connection_arrives(connection, direction), with);
	frame_build(&spec, &arriving);
	spec = spec_with(connection_leaves(connection, direction), with);
	frame_build(&spec, &leaving);
	assert_null(frame_fault(&leaving));
	testrun_send(&firewall.run, port, &arriving, &outcome);
	assert_reason(&outcome, reason);
	assert_int_equal(outcome.verdict, XDP_REDIRECT);
	assert_null(frame_fault(&outcome.frame));
	assert_int_equal(outcome.frame.bytes, leaving.bytes);
	assert_memory_equal(outcome.frame.data, leaving.data, leaving.bytes);
}

static void it_leaves_as_the_kernel_would_send_it(void **state)
{
	const struct forwarded_case *forwarded_case = *state;
	const struct forwarded *forwarded = forwarded_case->forwarded;
	const struct connection connection =
		forwarded_connection(forwarded, forwarded_case->family);

	firewall_reset(&firewall);
	firewall_accept(&firewall, &connection);
	for (int direction = ORIGINAL; direction <= REPLY; direction++) {
		assert_forwarded(&connection, direction, &forwarded->with, REASON_WALKED);
		assert_forwarded(&connection, direction, &forwarded->with, REASON_HIT);
		assert_forwarded(&connection, direction, &forwarded->with, REASON_HIT);
	}
	assert_int_equal(firewall_count_flows(&firewall), 2);
}

/* A word of payload that makes the checksum of the leaving packet come out as nothing. */
static uint16_t word_for_no_sum(const struct connection *connection)
{
	struct frame_spec spec = connection_leaves(connection, ORIGINAL);
	static struct frame frame;
	uint32_t check;

	spec.payload_word = 1;
	frame_build(&spec, &frame);
	check = frame.data[frame.l4 + 6] << 8 | frame.data[frame.l4 + 7];
	check += spec.payload_word;
	return (check & 0xffff) + (check >> 16);
}

static void a_udp_checksum_that_comes_out_as_0_is_sent_as_ffff(void **state)
{
	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const struct connection connection =
			connection_translated(ip6 ? AF_INET6 : AF_INET, IPPROTO_UDP);
		const struct frame_spec with = { .payload_word = word_for_no_sum(&connection) };
		struct frame_spec spec = connection_leaves(&connection, ORIGINAL);
		static struct frame frame;

		firewall_reset(&firewall);
		firewall_accept(&firewall, &connection);
		spec.payload_word = with.payload_word;
		frame_build(&spec, &frame);
		assert_int_equal(frame.data[frame.l4 + 6], 0xff);
		assert_int_equal(frame.data[frame.l4 + 7], 0xff);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
	}
}

/* An endpoint whose last 16 bits of address and whose port are random. */
static void endpoint_shake(struct endpoint *endpoint, uint8_t family, uint32_t *seed)
{
	endpoint->ip[family == AF_INET ? 0 : 3] ^= htonl(random_next(seed) & 0xffff);
	endpoint->port = random_next(seed);
}

static void a_thousand_random_translations_leave_all_checksums_right(void **state)
{
	uint32_t seed = 20240817;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const uint8_t family = i % 2 ? AF_INET : AF_INET6;
		struct frame_spec with = { .payload_word = random_next(&seed) };
		struct connection connection =
			connection_translated(family, i % 4 < 2 ? IPPROTO_TCP : IPPROTO_UDP);

		firewall_reset(&firewall);
		connection.client.port = random_next(&seed);
		connection.server.port = random_next(&seed);
		endpoint_shake(&connection.service, family, &seed);
		endpoint_shake(&connection.mapped, family, &seed);
		firewall_accept(&firewall, &connection);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
	}
}

static bool kernel_redirects_buffers(void)
{
	struct utsname name;
	unsigned int major, minor;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 3));
}

static struct connection connection_jumbo(uint8_t family, uint8_t proto)
{
	struct connection connection = connection_plain(family, proto);

	connection.server_port = THIRD;
	connection.server =
		endpoint_of(family == AF_INET ? "10.77.2.2" : "fd77:2::2", connection.server.port);
	connection.service = connection.server;
	connection.service.port = 80;
	return connection;
}

/* Builds a packet of 8000 bytes of payload as it arrives. */
static void jumbo_build(const struct connection *connection, struct frame *frame)
{
	struct frame_spec spec = connection_arrives(connection, ORIGINAL);

	spec.payload_bytes = 8000;
	frame_build(&spec, frame);
}

static void a_frame_in_several_buffers_is_forwarded_where_the_kernel_can(void **state)
{
	const struct frame_spec with = { .payload_bytes = 8000 }, small = {};
	static struct frame frame;

	(void)state;
	for (int i = 0; i < 4; i++) {
		const struct connection connection = connection_jumbo(
			i % 2 ? AF_INET : AF_INET6, i / 2 ? IPPROTO_TCP : IPPROTO_UDP);

		firewall_reset(&firewall);
		firewall_accept(&firewall, &connection);
		if (kernel_redirects_buffers()) {
			assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
			assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
			continue;
		}
		jumbo_build(&connection, &frame);
		assert_kept(&frame, REASON_MULTI_BUFFER);
		assert_forwarded(&connection, ORIGINAL, &small, REASON_WALKED);
		assert_kept(&frame, REASON_MULTI_BUFFER);
	}
}

static void a_large_frame_of_another_protocol_is_counted_whole(void **state)
{
	struct frame_spec spec = connection_arrives(&(struct connection){ .family = AF_INET }, 0);
	static struct frame frame;

	(void)state;
	spec.ether_type = ETH_P_ARP;
	spec.payload_bytes = 8000;
	frame_build(&spec, &frame);
	assert_kept(&frame, REASON_NOT_IP);
}

static void a_small_packet_in_a_large_frame_is_counted_whole(void **state)
{
	const struct connection connection = connection_jumbo(AF_INET, IPPROTO_TCP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	static struct frame frame;

	(void)state;
	firewall_reset(&firewall);
	spec.padding_bytes = 8000;
	frame_build(&spec, &frame);
	assert_kept(&frame, REASON_NEW_FLOW);
}

static int group_setup(void **state)
{
	const struct chain_options options = testrun_options();

	(void)state;
	firewall_open(&firewall, &options);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	firewall_close(&firewall);
	return 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One test per row and family. */
struct suite {
	struct CMUnitTest tests[2 * (ODDS_MAX + COUNT(forwards)) + 16];
	char names[2 * (ODDS_MAX + COUNT(forwards))][160];
	struct odd_case odd_cases[2 * ODDS_MAX];
	struct forwarded_case forwarded_cases[2 * COUNT(forwards)];
	size_t n;
};

static void suite_add(struct suite *suite, const char *format, uint8_t family, const char *says,
		      CMUnitTestFunction function, void *state)
{
	snprintf(suite->names[suite->n], sizeof(suite->names[0]), format,
		 family == AF_INET ? "IPv4" : "IPv6", says);
	suite->tests[suite->n] = (struct CMUnitTest){ .name = suite->names[suite->n],
						      .test_func = function,
						      .initial_state = state };
	suite->n++;
}

static void suite_fill(struct suite *suite)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < 2 * n_odds; i++) {
		struct odd_case *odd = &suite->odd_cases[i];

		*odd = (struct odd_case){ &odds[i / 2], families[i % 2] };
		if (odds[i / 2].families & (i % 2 ? IP6 : IP4))
			suite_add(suite, "%s: %s goes to the kernel untouched", odd->family,
				  odds[i / 2].says, it_goes_to_the_kernel, odd);
	}
	for (size_t i = 0; i < 2 * COUNT(forwards); i++) {
		struct forwarded_case *forwarded = &suite->forwarded_cases[i];

		*forwarded = (struct forwarded_case){ &forwards[i / 2], families[i % 2] };
		if (forwards[i / 2].families & (i % 2 ? IP6 : IP4))
			suite_add(suite, "%s: %s leaves as the kernel would send it",
				  forwarded->family, forwards[i / 2].says,
				  it_leaves_as_the_kernel_would_send_it, forwarded);
	}
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(a_udp_checksum_that_comes_out_as_0_is_sent_as_ffff),
		cmocka_unit_test(a_thousand_random_translations_leave_all_checksums_right),
		cmocka_unit_test(a_frame_in_several_buffers_is_forwarded_where_the_kernel_can),
		cmocka_unit_test(a_large_frame_of_another_protocol_is_counted_whole),
		cmocka_unit_test(a_small_packet_in_a_large_frame_is_counted_whole),
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
	return _cmocka_run_group_tests("efw", suite.tests, suite.n, group_setup, group_teardown);
}
