// SPDX-License-Identifier: BSD-2-Clause
// Traces by the packet: which frames are copied, what the copies hold, and when it ends.
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include <bpf/libbpf.h>

#include "common/trace.h"
#include "common/util/cleanup.h"
#include "slowpath/pins.h"
#include "tests/lib/firewall.h"

#define COPIES_MAX 4 /* kept by a reader; more are counted */

/* The reader of the ring buffer, and what it read last. */
struct reader {
	struct ring_buffer *ring;
	unsigned int n;
	struct {
		struct trace_record record;
		uint8_t bytes[TRACE_BYTES_MAX];
	} copies[COPIES_MAX];
};

static struct firewall firewall;
static struct reader reader;

static int copy_take(void *arg, void *data, size_t bytes)
{
	struct reader *to = arg;
	const struct trace_record *record = data;

	assert_true(bytes >= sizeof(*record) + record->captured);
	assert_true(record->captured <= TRACE_BYTES_MAX);
	if (to->n < COPIES_MAX) {
		to->copies[to->n].record = *record;
		memcpy(to->copies[to->n].bytes, record + 1, record->captured);
	}
	to->n++;
	return 0;
}

/* How many copies came since the last time. */
static unsigned int copies_read(void)
{
	reader.n = 0;
	assert_true(ring_buffer__consume(reader.ring) >= 0);
	return reader.n;
}

static void watch(int ticks)
{
	volatile struct chain_state *state = firewall.run.chain.state;

	state->trace_until = ticks ? (state->tick + ticks) | 1 : 0;
}

/* The copy is of this frame, all of it. */
static void assert_copy(unsigned int i, int port, enum trace_direction direction,
			const struct frame *frame)
{
	const struct trace_record *record = &reader.copies[i].record;

	assert_int_equal(record->port, firewall.run.ports[port].index);
	assert_int_equal(record->direction, direction);
	assert_int_equal(record->length, frame->bytes);
	assert_int_equal(record->captured, frame->bytes);
	assert_memory_equal(reader.copies[i].bytes, frame->data, frame->bytes);
}

static void frame_of(const struct connection *connection, enum direction direction, bool leaving,
		     struct frame *frame)
{
	const struct frame_spec spec = leaving ? connection_leaves(connection, direction)
					       : connection_arrives(connection, direction);

	frame_build(&spec, frame);
}

static int test_begin(void **state)
{
	(void)state;
	firewall_reset(&firewall);
	watch(1000);
	copies_read();
	return 0;
}

static void a_translated_packet_is_seen_as_it_comes_and_as_it_leaves(void **state)
{
	static struct frame arriving, leaving;
	static struct outcome outcome;

	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const struct connection connection =
			connection_translated(ip6 ? AF_INET6 : AF_INET, IPPROTO_TCP);
		enum reason reason = REASON_WALKED;

		firewall_accept(&firewall, &connection);
		frame_of(&connection, ORIGINAL, false, &arriving);
		frame_of(&connection, ORIGINAL, true, &leaving);
		for (int i = 0; i < 3; i++) {
			testrun_send(&firewall.run, CLIENT, &arriving, &outcome);
			assert_reason(&outcome, reason);
			assert_int_equal(copies_read(), 2);
			assert_copy(0, CLIENT, TRACE_IN, &arriving);
			assert_copy(1, SERVER, TRACE_OUT, &leaving);
			assert_true(reader.copies[1].record.timestamp_ns >=
				    reader.copies[0].record.timestamp_ns);
			reason = REASON_HIT;
		}
	}
}

static void a_packet_for_the_kernel_is_seen_as_it_comes(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	struct frame_spec spec = connection_arrives(&connection, REPLY);
	static struct frame frame;
	static struct outcome outcome;

	(void)state;
	firewall_accept(&firewall, &connection);
	spec.tcp_flags = TH_SYN | TH_ACK;
	frame_build(&spec, &frame);
	testrun_send(&firewall.run, SERVER, &frame, &outcome);
	assert_reason(&outcome, REASON_TCP_CONTROL);
	assert_int_equal(copies_read(), 1);
	assert_copy(0, SERVER, TRACE_IN, &frame);
}

static void a_frame_that_is_no_packet_is_seen_too(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	static struct frame frame, left;

	(void)state;
	frame_of(&connection, ORIGINAL, false, &frame);
	frame_cut(&frame, 14);
	testrun_send_quietly(&firewall.run, THIRD, &frame, &left);
	assert_int_equal(copies_read(), 1);
	assert_copy(0, THIRD, TRACE_IN, &frame);
}

static void a_frame_in_several_buffers_is_copied_across_them(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	static struct frame frame, left;

	(void)state;
	spec.payload_bytes = 9000;
	frame_build(&spec, &frame);
	for (uint32_t i = frame.l4 + 8; i < frame.bytes; i++)
		frame.data[i] = i * 7;
	testrun_send_quietly(&firewall.run, CLIENT, &frame, &left);
	assert_int_equal(copies_read(), 1);
	assert_copy(0, CLIENT, TRACE_IN, &frame);
}

static void a_frame_larger_than_any_mtu_is_cut_and_keeps_its_length(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	static struct frame frame, left;

	(void)state;
	spec.payload_bytes = 20000;
	frame_build(&spec, &frame);
	testrun_send_quietly(&firewall.run, CLIENT, &frame, &left);
	assert_int_equal(copies_read(), 1);
	assert_int_equal(reader.copies[0].record.length, frame.bytes);
	assert_int_equal(reader.copies[0].record.captured, TRACE_BYTES_MAX);
	assert_memory_equal(reader.copies[0].bytes, frame.data, TRACE_BYTES_MAX);
}

static void nothing_is_copied_while_nobody_watches(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_TCP);
	static struct frame frame, left;

	(void)state;
	firewall_accept(&firewall, &connection);
	frame_of(&connection, ORIGINAL, false, &frame);
	watch(0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(testrun_send_quietly(&firewall.run, CLIENT, &frame, &left),
				 XDP_REDIRECT);
	assert_int_equal(copies_read(), 0);
}

static void the_kernel_ends_a_watch_that_nobody_renews(void **state)
{
	volatile struct chain_state *chain = firewall.run.chain.state;
	uint32_t until;

	(void)state;
	watch(4);
	until = chain->trace_until;
	while ((int32_t)(chain->tick - until) < 0) {
		assert_int_equal(chain->trace_until, until);
		testrun_wait_tick(&firewall.run);
	}
	for (int i = 0; i < 2; i++)
		testrun_wait_tick(&firewall.run);
	assert_int_equal(chain->trace_until, 0);
}

static void copies_that_find_the_ring_full_are_counted(void **state)
{
	const struct connection connection = connection_plain(AF_INET, IPPROTO_UDP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	volatile struct chain_state *chain = firewall.run.chain.state;
	const uint32_t before = chain->trace_lost;
	unsigned int sent, copied;
	static struct frame frame, left;

	(void)state;
	spec.payload_bytes = 8000;
	frame_build(&spec, &frame);
	for (sent = 0; sent < 200; sent++)
		testrun_send_quietly(&firewall.run, CLIENT, &frame, &left);
	copied = copies_read();
	assert_true(copied > 100 && copied < sent);
	assert_int_equal(chain->trace_lost - before, sent - copied);
	testrun_send_quietly(&firewall.run, CLIENT, &frame, &left);
	assert_int_equal(copies_read(), 1);
}

static int group_begin(void **state)
{
	const struct chain_options options = testrun_options();
	__cleanup_fd int fd = -1;

	(void)state;
	firewall_open(&firewall, &options);
	fd = pins_open(firewall.run.chain.pins, "traces");
	assert_true(fd >= 0);
	reader.ring = ring_buffer__new(fd, copy_take, &reader, NULL);
	assert_non_null(reader.ring);
	return 0;
}

static int group_end(void **state)
{
	(void)state;
	ring_buffer__free(reader.ring);
	firewall_close(&firewall);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, test_begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_translated_packet_is_seen_as_it_comes_and_as_it_leaves),
		TEST(a_packet_for_the_kernel_is_seen_as_it_comes),
		TEST(a_frame_that_is_no_packet_is_seen_too),
		TEST(a_frame_in_several_buffers_is_copied_across_them),
		TEST(a_frame_larger_than_any_mtu_is_cut_and_keeps_its_length),
		TEST(nothing_is_copied_while_nobody_watches),
		TEST(the_kernel_ends_a_watch_that_nobody_renews),
		TEST(copies_that_find_the_ring_full_are_counted),
	};
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	return cmocka_run_group_tests(tests, group_begin, group_end);
}
