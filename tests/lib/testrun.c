// SPDX-License-Identifier: BSD-2-Clause
// Testrun: runs frames through a loaded chain by BPF_PROG_TEST_RUN and tells where they left.
#include "tests/lib/testrun.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/util/cleanup.h"
#include "slowpath/pins.h"
#include "tests/lib/network.h"

#define NO_PORT 9      /* the number of the link that is no port */
#define JUMBO_MTU 9000 /* of all but SERVER */

static const char *const reason_names[] = {
#define X(name, fate, help) #name,
	REASONS(X)
#undef X
};

void port_mac(int port, uint8_t mac[6])
{
	memcpy(mac, (uint8_t[6]){ 0x02, 0, 0, 0, port, 0x01 }, 6);
}

void host_mac(int port, uint8_t mac[6])
{
	memcpy(mac, (uint8_t[6]){ 0x02, 0, 0, 0, port, 0x02 }, 6);
}

/* A link with its addresses and the host behind it. */
static int link_make(const char *name, const char *peer, int number)
{
	char ip4[2][32], ip6[2][32];
	uint8_t own[6], other[6];
	int r;

	for (int i = 0; i < 2; i++) {
		snprintf(ip4[i], sizeof(ip4[i]), "10.77.%d.%d", number, i + 1);
		snprintf(ip6[i], sizeof(ip6[i]), "fd77:%d::%d", number, i + 1);
	}
	port_mac(number, own);
	host_mac(number, other);
	if ((r = network_add_veth(name, peer, own)) ||
	    (number != SERVER && (r = network_set_mtu(name, JUMBO_MTU))) ||
	    (r = network_add_address(name, ip4[0], 24)) ||
	    (r = network_add_address(name, ip6[0], 64)) ||
	    (r = network_add_neighbor(name, ip4[1], other)))
		return r;
	return network_add_neighbor(name, ip6[1], other);
}

static void port_name(int port, char name[IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "port%d", port);
}

int testrun_network(void)
{
	char name[IFNAMSIZ], peer[IFNAMSIZ];
	int r = network_enter();

	for (int port = 0; !r && port < TESTRUN_PORTS; port++) {
		port_name(port, name);
		snprintf(peer, sizeof(peer), "far%d", port);
		r = link_make(name, peer, port);
	}
	if (r || (r = link_make("lan", "farlan", NO_PORT)) ||
	    (r = network_add_route("0.0.0.0", 0, "10.77.1.2")) ||
	    (r = network_add_route("::", 0, "fd77:1::2")) ||
	    (r = network_add_blackhole("203.0.113.0", 24)))
		return r;
	return network_add_blackhole("fd77:dead::", 32);
}

struct chain_options testrun_options(void)
{
	return (struct chain_options){
		.max_flows4 = 512, .max_flows6 = 512, .inserts_per_s = 1000000, .router = true
	};
}

/* As the slow path does, but at once. */
static void routes_changed(void *arg, enum change change, const char *what)
{
	struct testrun *run = arg;

	(void)change;
	(void)what;
	chain_bump(&run->chain);
}

static int event_take(void *arg, void *data, size_t bytes)
{
	struct testrun *run = arg;
	const struct event *event = data;

	assert_true(bytes >= sizeof(*event) && event->type <= EVENT_OFFLOADED);
	run->n_events[event->type]++;
	run->last = *event;
	if (event->type == EVENT_NEXT_HOP)
		assert_int_equal(neighbors_add(run->neighbors, &event->next_hop), 0);
	if (event->type == EVENT_CONTEXT)
		assert_int_equal(contexts_add(run->contexts, &event->context), 0);
	return 0;
}

void testrun_answer(struct testrun *run)
{
	assert_true(ring_buffer__consume(run->events) >= 0);
	assert_int_equal(neighbors_receive(run->neighbors, 64), 0);
}

static void ports_load(struct testrun *run)
{
	char name[IFNAMSIZ];

	for (int port = 0; port < TESTRUN_PORTS; port++) {
		port_name(port, name);
		assert_int_equal(chain_find_port(&run->chain, name, &run->ports[port]), 0);
		run->entries[port] = chain_load_port(&run->chain, &run->ports[port]);
		assert_true(run->entries[port] >= 0);
	}
}

void testrun_open(struct testrun *run, const struct chain_options *options)
{
	char pins[PINS_PATH_MAX];
	__cleanup_fd int events = -1;

	memset(run, 0, sizeof(*run));
	assert_int_equal(pins_make(PINS_BPFFS, "test", pins), 0);
	assert_int_equal(chain_open(&run->chain, pins, options), 0);
	testrun_set_lease(run, true);
	ports_load(run);
	run->counters = pins_open(pins, "port_counters");
	events = pins_open(pins, "events");
	assert_true(run->counters >= 0 && events >= 0);
	run->events = ring_buffer__new(events, event_take, run, NULL);
	assert_non_null(run->events);
	assert_int_equal(neighbors_open(&run->chain, run->ports, TESTRUN_PORTS, routes_changed, run,
					&run->neighbors),
			 0);
	assert_int_equal(contexts_open(&run->chain, run->ports, TESTRUN_PORTS, &run->contexts), 0);
}

void testrun_close(struct testrun *run)
{
	char pins[PINS_PATH_MAX];

	snprintf(pins, sizeof(pins), "%s", run->chain.pins);
	ring_buffer__free(run->events);
	contexts_close(run->contexts);
	neighbors_close(run->neighbors);
	close(run->counters);
	chain_close(&run->chain);
	assert_int_equal(pins_remove(pins), 0);
}

void testrun_wait_tick(struct testrun *run)
{
	const uint32_t tick = run->chain.state->tick;

	while (run->chain.state->tick == tick)
		usleep(1000);
}

void testrun_set_lease(struct testrun *run, bool held)
{
	if (held)
		chain_renew(&run->chain, 3600);
	else
		run->chain.state->lease_until = run->chain.state->tick;
	for (int tick = 0; tick < 20 && run->chain.state->lease_lost == held; tick++)
		testrun_wait_tick(run);
	assert_int_equal(run->chain.state->lease_lost, !held);
}

void testrun_read_totals(struct testrun *run, struct totals *totals)
{
	int cpus = libbpf_num_possible_cpus();
	__cleanup_free struct port_counters *counters = calloc(cpus, sizeof(*counters));

	assert_non_null(counters);
	memset(totals, 0, sizeof(*totals));
	for (uint32_t port = 0; port < TESTRUN_PORTS; port++) {
		assert_int_equal(bpf_map_lookup_elem(run->counters, &port, counters), 0);
		for (int cpu = 0; cpu < cpus; cpu++)
			for (int reason = 0; reason < REASON_COUNT; reason++) {
				totals->packets[reason] += counters[cpu].packets[reason];
				totals->bytes[reason] += counters[cpu].bytes[reason];
			}
	}
}

/* The one door the frame left by. */
static enum reason door_find(const struct totals *before, const struct totals *after,
			     uint32_t bytes)
{
	enum reason found = REASON_NONE;

	for (int reason = 0; reason < REASON_COUNT; reason++) {
		uint64_t packets = after->packets[reason] - before->packets[reason];

		if (!packets && after->bytes[reason] == before->bytes[reason])
			continue;
		if (packets != 1 || found != REASON_NONE)
			fail_msg("%s counted too", reason_names[reason]);
		if (after->bytes[reason] - before->bytes[reason] != bytes)
			fail_msg("%s counted %llu of %u bytes", reason_names[reason],
				 (unsigned long long)(after->bytes[reason] - before->bytes[reason]),
				 bytes);
		found = reason;
	}
	if (found == REASON_NONE)
		fail_msg("the frame left uncounted");
	return found;
}

void assert_reason(const struct outcome *outcome, enum reason reason)
{
	if (outcome->reason != reason)
		fail_msg("the frame left for %s, not for %s", reason_names[outcome->reason],
			 reason_names[reason]);
}

uint32_t testrun_send_quietly(struct testrun *run, int port, const struct frame *frame,
			      struct frame *out)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data,
		    .data_size_in = frame->bytes, .data_out = out->data,
		    .data_size_out = sizeof(out->data));
	int r;

	r = bpf_prog_test_run_opts(run->entries[port], &options);
	if (r)
		fail_msg("the kernel runs no frame of %u bytes: %s", frame->bytes, strerror(-r));
	out->bytes = options.data_size_out;
	out->l3 = frame->l3;
	out->l4 = frame->l4;
	return options.retval;
}

void testrun_send(struct testrun *run, int port, const struct frame *frame, struct outcome *outcome)
{
	struct totals before, after;

	testrun_read_totals(run, &before);
	outcome->verdict = testrun_send_quietly(run, port, frame, &outcome->frame);
	testrun_read_totals(run, &after);
	outcome->reason = door_find(&before, &after, frame->bytes);
}
