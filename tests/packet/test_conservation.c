// SPDX-License-Identifier: BSD-2-Clause
// Conservation: whatever comes in leaves once, counted, and forwarded only if it is sound.
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
#include <cmocka.h>

#include "tests/lib/firewall.h"

#define FRAMES 100000
#define CONNECTIONS 8
#define ROUND 64 /* frames between two times that all connections are accepted anew */

static struct firewall firewall;

static struct connection connection_nth(unsigned int n)
{
	const uint8_t family = n & 1 ? AF_INET6 : AF_INET;
	const uint8_t proto = n & 2 ? IPPROTO_UDP : IPPROTO_TCP;

	return n & 4 ? connection_translated(family, proto) : connection_plain(family, proto);
}

/* A sound frame of one of many shapes. Returns the port it comes by. */
static int frame_pick(uint32_t *seed, struct frame *frame)
{
	const struct connection connection = connection_nth(random_next(seed) % CONNECTIONS);
	const enum direction direction = random_next(seed) & 1;
	struct frame_spec spec = connection_arrives(&connection, direction);

	spec.payload_bytes = random_next(seed) % 64;
	switch (random_next(seed) % 16) {
	case 0:
		spec.tags[random_next(seed) & 1].type = ETH_P_8021Q;
		spec.tags[0].type = ETH_P_8021AD;
		break;
	case 1:
		spec.options = "\7\7\4\0\0\0\0\0\1\1\1\0";
		spec.option_bytes = 4 * (random_next(seed) % 4);
		spec.extensions[0] = random_next(seed) & 1 ? IPPROTO_DSTOPTS : IPPROTO_AH;
		break;
	case 2:
		spec.fragmented = true;
		spec.more_fragments = random_next(seed) & 1;
		spec.fragment_bytes = 8 * (random_next(seed) % 4);
		break;
	case 3:
		spec.proto = connection.family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		break;
	case 4:
		spec.tcp_flags = random_next(seed);
		break;
	case 5:
		spec.no_checksum = true;
		spec.padding_bytes = random_next(seed) % 64;
		break;
	}
	frame_build(&spec, frame);
	return direction == ORIGINAL ? CLIENT : SERVER;
}

/* Changes a byte among the headers, or the length. */
static void frame_mutate(uint32_t *seed, struct frame *frame)
{
	static const uint8_t telling[] = {
		0, 1, 4, 5, 6, 8, 17, 43, 44, 59, 0x45, 0x60, 0x7f, 0xff
	};
	const uint32_t headers = frame->bytes < 100 ? frame->bytes : 100;
	uint8_t *byte = &frame->data[random_next(seed) % headers];

	switch (random_next(seed) % 8) {
	case 0:
		frame_cut(frame, ETH_HLEN + random_next(seed) % (frame->bytes - ETH_HLEN + 1));
		break;
	case 1:
		*byte = random_next(seed);
		break;
	case 2:
	case 3:
		*byte = telling[random_next(seed) % sizeof(telling)];
		break;
	default:
		*byte ^= 1 << random_next(seed) % 8;
		break;
	}
}

static bool leaves_by(const struct frame *out, int port)
{
	uint8_t macs[12];

	host_mac(port, macs);
	port_mac(port, macs + 6);
	return !memcmp(out->data, macs, sizeof(macs));
}

/* A forwarded frame: what made it fit to be, and that the rest is as it was. */
static void assert_sound(struct frame *in, struct frame *out, int port)
{
	const bool ip4 = in->data[12] == 8;
	const uint32_t l4 = ip4 ? 34 : 54;
	const int ttl = ip4 ? 22 : 21, proto = ip4 ? 23 : 20;
	uint16_t ip[2], transport[2];
	uint8_t mac[6];

	port_mac(port, mac);
	assert_memory_equal(in->data, mac, 6);
	assert_true(leaves_by(out, CLIENT) || leaves_by(out, SERVER));
	assert_int_equal(in->data[12] << 8 | in->data[13], ip4 ? ETH_P_IP : ETH_P_IPV6);
	if (ip4) {
		assert_int_equal(in->data[14], 0x45);
		assert_int_equal((in->data[20] << 8 | in->data[21]) & 0x3fff, 0);
	}
	assert_in_range(in->data[ttl], 2, 255);
	assert_int_equal(out->data[ttl], in->data[ttl] - 1);
	assert_true(frame_sums(in, &ip[0], &transport[0]));
	assert_true(frame_sums(out, &ip[1], &transport[1]));
	assert_int_equal(ip[0], ip[1]);
	assert_int_equal(transport[0], transport[1]);
	assert_int_equal(in->bytes, out->bytes);
	if (in->data[proto] == IPPROTO_TCP) {
		assert_int_equal(in->data[l4 + 13] & (TH_SYN | TH_FIN | TH_RST | TH_ACK), TH_ACK);
		assert_memory_equal(in->data + l4 + 4, out->data + l4 + 4, 12);
	} else {
		assert_int_equal(in->data[proto], IPPROTO_UDP);
		assert_memory_equal(in->data + l4 + 4, out->data + l4 + 4, 2);
		assert_memory_equal(in->data + l4 + 8, out->data + l4 + 8, in->bytes - l4 - 8);
	}
}

/* The state of a run through many frames. */
struct tally {
	uint64_t verdicts[XDP_REDIRECT + 1], bytes;
};

static void frame_run(uint32_t *seed, struct tally *tally)
{
	static struct frame in, out;
	const int port = frame_pick(seed, &in);
	uint32_t verdict;

	for (uint32_t n = random_next(seed) % 4; n; n--)
		frame_mutate(seed, &in);
	verdict = testrun_send_quietly(&firewall.run, port, &in, &out);
	assert_true(verdict == XDP_DROP || verdict == XDP_PASS || verdict == XDP_REDIRECT);
	tally->verdicts[verdict]++;
	tally->bytes += in.bytes;
	if (verdict == XDP_REDIRECT) {
		assert_sound(&in, &out, port);
	} else {
		assert_int_equal(in.bytes, out.bytes);
		assert_memory_equal(in.data, out.data, in.bytes);
	}
}

static void connections_accept(void)
{
	for (unsigned int n = 0; n < CONNECTIONS; n++) {
		const struct connection connection = connection_nth(n);

		firewall_accept(&firewall, &connection);
	}
}

static uint64_t total_of_fate(const struct totals *before, const struct totals *after,
			      enum fate fate)
{
	static const enum fate fates[] = {
#define X(name, fate, help) FATE_##fate,
		REASONS(X)
#undef X
	};
	uint64_t packets = 0;

	for (int reason = 0; reason < REASON_COUNT; reason++)
		if (fates[reason] == fate)
			packets += after->packets[reason] - before->packets[reason];
	return packets;
}

static void
a_hundred_thousand_mutated_frames_leave_once_each_and_only_sound_ones_by_a_port(void **state)
{
	struct totals before, after;
	struct tally tally = {};
	uint32_t seed = 1;
	uint64_t bytes = 0;

	(void)state;
	testrun_read_totals(&firewall.run, &before);
	for (int n = 0; n < FRAMES; n++) {
		if (n % ROUND == 0)
			connections_accept();
		frame_run(&seed, &tally);
	}
	testrun_read_totals(&firewall.run, &after);
	for (int reason = 0; reason < REASON_COUNT; reason++)
		bytes += after.bytes[reason] - before.bytes[reason];
	assert_int_equal(total_of_fate(&before, &after, FATE_LEFT), tally.verdicts[XDP_REDIRECT]);
	assert_int_equal(total_of_fate(&before, &after, FATE_KERNEL), tally.verdicts[XDP_PASS]);
	assert_int_equal(total_of_fate(&before, &after, FATE_DROP), tally.verdicts[XDP_DROP]);
	assert_int_equal(bytes, tally.bytes);
	/* Enough of both for the test to mean something. */
	assert_in_range(tally.verdicts[XDP_REDIRECT], FRAMES / 10, FRAMES / 2);
	assert_int_equal(tally.verdicts[XDP_DROP], 0);
}

static int open_all(void **state)
{
	const struct chain_options options = testrun_options();

	(void)state;
	firewall_open(&firewall, &options);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	firewall_close(&firewall);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_hundred_thousand_mutated_frames_leave_once_each_and_only_sound_ones_by_a_port),
	};
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, open_all, close_all);
}
