// SPDX-License-Identifier: BSD-2-Clause
// Conntrack against the running kernel, in a network namespace of its own: events, dumps,
// refreshes.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "common/util/cleanup.h"
#include "efw/conntrack.h"
#include "tests/lib/flows.h"

/* What the callbacks saw: the last flow of each event, and how many there were. */
struct seen {
	unsigned count[3];
	struct ct_flow last[3];
	const char *refusal[3];
	uint32_t wanted_mark; /* 0: every flow */
};

static void see(void *arg, enum ct_event event, const struct ct_flow *flow)
{
	struct seen *seen = arg;

	if (seen->wanted_mark && flow->mark != seen->wanted_mark)
		return;
	seen->count[event]++;
	seen->last[event] = *flow;
	seen->refusal[event] = ct_refusal(flow);
}

struct refusals {
	unsigned count, index;
	int error;
};

static void refused_note(void *arg, unsigned index, int error)
{
	struct refusals *refusals = arg;

	refusals->count++;
	refusals->index = index;
	refusals->error = error;
}

static struct seen receive_all(struct ct *ct)
{
	struct seen seen = { 0 };
	struct pollfd ready = { .fd = ct_event_fd(ct), .events = POLLIN };
	int result = 1;

	(void)poll(&ready, 1, 100);
	while (result > 0)
		result = ct_receive(ct, 64, see, &seen);
	assert_int_equal(result, 0);
	return seen;
}

static struct seen dump_all(struct ct *ct, int family)
{
	struct seen seen = { 0 };
	int result = 1;

	assert_int_equal(ct_dump_start(ct, family), 0);
	while (result > 0)
		result = ct_dump_step(ct, 1, see, &seen);
	assert_int_equal(result, 0);
	return seen;
}

static struct ct_refresh refresh_of(const struct ct_flow *flow, uint32_t timeout_s)
{
	return (struct ct_refresh){ .orig = flow->orig, .timeout_s = timeout_s };
}

static int refresh_one(struct ct *ct, const struct ct_flow *flow, uint32_t timeout_s)
{
	const struct ct_refresh refresh = refresh_of(flow, timeout_s);
	struct refusals refusals = { 0 };

	assert_int_equal(ct_refresh(ct, &refresh, 1, refused_note, &refusals), 0);
	return refusals.error;
}

static int setup(void **state)
{
	struct ct *ct = NULL;

	assert_int_equal(flows_flush(), 0);
	assert_int_equal(ct_open(CT_RECEIVE_BYTES, &ct), 0);
	*state = ct;
	return 0;
}

static int teardown(void **state)
{
	ct_close(*state);
	return 0;
}

static void a_dump_tells_each_replied_flow_once_with_all_it_has(void **state)
{
	struct ct_flow flows[6] = {
		flow_nth(AF_INET, IPPROTO_TCP, 1),  flow_nth(AF_INET, IPPROTO_UDP, 2),
		flow_nth(AF_INET6, IPPROTO_TCP, 3), flow_nth(AF_INET6, IPPROTO_UDP, 4),
		flow_nth(AF_INET, IPPROTO_UDP, 5),  flow_nth(AF_INET, IPPROTO_TCP, 6),
	};
	struct seen seen;

	flows[4].status = IPS_CONFIRMED; /* no reply yet */
	flows[5].zone = 7;
	flows[5].mark = 0x55;
	assert_int_equal(flows_make(flows, 6), 0);
	seen = dump_all(*state, AF_UNSPEC);
	assert_int_equal(seen.count[CT_DUMPED], 5);
	assert_int_equal(dump_all(*state, AF_INET).count[CT_DUMPED], 3);
	seen = dump_all(*state, AF_INET6);
	assert_int_equal(seen.count[CT_DUMPED], 2);
	assert_null(seen.refusal[CT_DUMPED]);
	assert_true(seen.last[CT_DUMPED].has_timeout);
}

static void a_query_tells_tuples_state_flags_timeout_and_mark(void **state)
{
	struct ct_flow made = flow_nth(AF_INET6, IPPROTO_TCP, 9), told;

	made.mark = 0xabcdef01;
	made.reply.dst_port = htons(4242); /* as after a source NAT */
	assert_int_equal(flows_make(&made, 1), 0);
	assert_int_equal(ct_query(*state, &made.orig, &told), 0);
	assert_memory_equal(&told.orig, &made.orig, sizeof(made.orig));
	assert_memory_equal(&told.reply, &made.reply, sizeof(made.reply));
	assert_in_range(told.timeout_s, made.timeout_s - 2, made.timeout_s);
	assert_int_equal(told.mark, made.mark);
	assert_int_equal(told.tcp_state, TCP_CONNTRACK_ESTABLISHED);
	assert_int_equal(told.tcp_flags_orig, IP_CT_TCP_FLAG_MAXACK_SET);
	assert_int_not_equal(told.id, 0);
	assert_null(ct_refusal(&told));
	made.orig.src_port = 1;
	assert_int_equal(ct_query(*state, &made.orig, &told), -ENOENT);
}

static void a_flow_of_another_zone_is_refused(void **state)
{
	struct ct_flow made = flow_nth(AF_INET, IPPROTO_TCP, 1);
	struct seen seen;

	made.zone = 7;
	assert_int_equal(flows_make(&made, 1), 0);
	seen = dump_all(*state, AF_UNSPEC);
	assert_int_equal(seen.last[CT_DUMPED].zone, 7);
	assert_string_equal(seen.refusal[CT_DUMPED], "conntrack zone");
}

static void a_refresh_sets_timeout_and_flags_and_not_the_state(void **state)
{
	struct ct_flow made = flow_nth(AF_INET, IPPROTO_TCP, 1), told;

	made.tcp_state = TCP_CONNTRACK_FIN_WAIT;
	made.tcp_flags_orig |= IP_CT_TCP_FLAG_WINDOW_SCALE;
	assert_int_equal(flows_make(&made, 1), 0);
	assert_int_equal(refresh_one(*state, &made, 432000), 0);
	assert_int_equal(ct_query(*state, &made.orig, &told), 0);
	assert_in_range(told.timeout_s, 431998, 432000);
	assert_int_equal(told.tcp_state, TCP_CONNTRACK_FIN_WAIT);
	assert_int_equal(told.tcp_flags_orig,
			 IP_CT_TCP_FLAG_BE_LIBERAL | IP_CT_TCP_FLAG_WINDOW_SCALE);
	assert_int_equal(told.tcp_flags_reply, IP_CT_TCP_FLAG_BE_LIBERAL);
}

static void a_refresh_makes_a_udp_flow_assured_only_when_asked(void **state)
{
	struct ct_flow made = flow_nth(AF_INET6, IPPROTO_UDP, 1), told;
	struct ct_refresh refresh = refresh_of(&made, 120);
	struct refusals refusals = { 0 };

	assert_int_equal(flows_make(&made, 1), 0);
	assert_int_equal(refresh_one(*state, &made, 90), 0);
	assert_int_equal(ct_query(*state, &made.orig, &told), 0);
	assert_int_equal(told.status & IPS_ASSURED, 0);
	assert_in_range(told.timeout_s, 88, 90);
	refresh.assured = told.status;
	assert_int_equal(ct_refresh(*state, &refresh, 1, refused_note, &refusals), 0);
	assert_int_equal(refusals.count, 0);
	assert_int_equal(ct_query(*state, &made.orig, &told), 0);
	assert_int_equal(told.status, refresh.assured | IPS_ASSURED);
}

static void a_refresh_of_a_vanished_flow_is_refused_by_its_index_and_makes_none(void **state)
{
	enum { COUNT = 2000, GONE = 1234 };
	__cleanup_free struct ct_flow *flows = calloc(COUNT, sizeof(*flows));
	__cleanup_free struct ct_refresh *refreshes = calloc(COUNT, sizeof(*refreshes));
	struct refusals refusals = { 0 };
	struct ct_flow told;

	for (unsigned i = 0; i < COUNT; i++) {
		flows[i] = flow_nth(AF_INET, i & 1 ? IPPROTO_TCP : IPPROTO_UDP, i);
		refreshes[i] = refresh_of(&flows[i], 300);
	}
	assert_int_equal(flows_make(flows, COUNT), 0);
	assert_int_equal(flow_delete(&flows[GONE].orig), 0);
	assert_int_equal(ct_refresh(*state, refreshes, COUNT, refused_note, &refusals), 0);
	assert_int_equal(refusals.count, 1);
	assert_int_equal(refusals.index, GONE);
	assert_int_equal(refusals.error, -ENOENT);
	assert_int_equal(ct_query(*state, &flows[GONE].orig, &told), -ENOENT);
	assert_int_equal(ct_query(*state, &flows[COUNT - 1].orig, &told), 0);
	assert_in_range(told.timeout_s, 298, 300);
}

static void refusals_of_whole_batches_are_all_told(void **state)
{
	enum { COUNT = 3000 };
	__cleanup_free struct ct_refresh *refreshes = calloc(COUNT, sizeof(*refreshes));
	struct refusals refusals = { 0 };

	for (unsigned i = 0; i < COUNT; i++) {
		const struct ct_flow flow = flow_nth(AF_INET6, IPPROTO_TCP, i);

		refreshes[i] = refresh_of(&flow, 300);
	}
	assert_int_equal(ct_refresh(*state, refreshes, COUNT, refused_note, &refusals), 0);
	assert_int_equal(refusals.count, COUNT);
	assert_int_equal(refusals.index, COUNT - 1);
}

static void a_deleted_flow_is_told_as_destroyed(void **state)
{
	struct ct_flow flows[2] = { flow_nth(AF_INET, IPPROTO_TCP, 1),
				    flow_nth(AF_INET6, IPPROTO_UDP, 2) };
	struct ct_flow told;
	struct seen seen;

	assert_int_equal(flows_make(flows, 2), 0);
	assert_int_equal(ct_query(*state, &flows[0].orig, &told), 0);
	assert_int_equal(flow_delete(&flows[0].orig), 0);
	seen = receive_all(*state);
	assert_int_equal(seen.count[CT_DESTROY], 1);
	assert_int_equal(seen.count[CT_UPDATE], 0);
	assert_memory_equal(&seen.last[CT_DESTROY].orig, &flows[0].orig, sizeof(flows[0].orig));
	assert_int_equal(seen.last[CT_DESTROY].id, told.id);
	assert_int_equal(flows_flush(), 0);
	assert_int_equal(receive_all(*state).count[CT_DESTROY], 1);
}

static void the_end_of_a_half_open_flow_is_not_told(void **state)
{
	struct ct_flow flows[3] = { flow_nth(AF_INET, IPPROTO_TCP, 1),
				    flow_nth(AF_INET, IPPROTO_UDP, 2),
				    flow_nth(AF_INET, IPPROTO_UDP, 3) };
	struct seen seen;

	flows[0].status &= ~IPS_ASSURED;
	flows[1].status &= ~IPS_SEEN_REPLY;
	assert_int_equal(flows_make(flows, 3), 0);
	assert_int_equal(flows_flush(), 0);
	seen = receive_all(*state);
	assert_int_equal(seen.count[CT_DESTROY], 1);
	assert_memory_equal(&seen.last[CT_DESTROY].orig, &flows[2].orig, sizeof(flows[2].orig));
}

static void refreshes_by_others_are_told_and_our_own_are_not(void **state)
{
	const struct ct_flow made = flow_nth(AF_INET, IPPROTO_TCP, 1);
	struct ct *other;
	struct seen seen;

	assert_int_equal(ct_open(CT_RECEIVE_BYTES, &other), 0);
	assert_int_equal(flows_make(&made, 1), 0);
	assert_int_equal(refresh_one(*state, &made, 300), 0);
	assert_int_equal(receive_all(*state).count[CT_UPDATE], 0);
	seen = receive_all(other);
	assert_int_equal(seen.count[CT_UPDATE], 1);
	assert_null(seen.refusal[CT_UPDATE]);
	ct_close(other);
}

static void lost_events_are_told_once_and_reading_goes_on(void **state)
{
	enum { COUNT = 4000 };
	__cleanup_free struct ct_flow *flows = calloc(COUNT, sizeof(*flows));
	struct seen seen = { 0 };
	struct ct *small;
	int result;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++)
		flows[i] = flow_nth(AF_INET, IPPROTO_TCP, i);
	assert_int_equal(ct_open(16 << 10, &small), 0);
	assert_int_equal(flows_make(flows, COUNT), 0);
	assert_int_equal(flows_flush(), 0);
	assert_int_equal(ct_receive(small, COUNT, see, &seen), -ENOBUFS);
	do
		result = ct_receive(small, COUNT, see, &seen);
	while (result > 0);
	assert_int_equal(result, 0);
	assert_in_range(seen.count[CT_DESTROY], 1, COUNT - 1);
	seen.count[CT_DESTROY] = 0;
	assert_int_equal(flows_make(flows, 1), 0);
	assert_int_equal(flows_flush(), 0);
	assert_int_equal(ct_receive(small, COUNT, see, &seen), 0);
	assert_int_equal(seen.count[CT_DESTROY], 1);
	ct_close(small);
}

static void a_flow_destroyed_during_a_dump_is_not_told_after_its_end(void **state)
{
	enum { COUNT = 3000 };
	__cleanup_free struct ct_flow *flows = calloc(COUNT, sizeof(*flows));
	struct seen seen = { 0 };
	unsigned destroyed;

	for (unsigned i = 0; i < COUNT; i++)
		flows[i] = flow_nth(AF_INET, IPPROTO_UDP, i);
	assert_int_equal(flows_make(flows, COUNT), 0);
	assert_int_equal(ct_dump_start(*state, AF_UNSPEC), 0);
	assert_int_equal(ct_dump_step(*state, 1, see, &seen), 1);
	/* The kernel holds the next datagram ready. */
	assert_int_equal(flows_flush(), 0);
	destroyed = receive_all(*state).count[CT_DESTROY];
	assert_int_equal(destroyed, COUNT);
	seen.count[CT_DUMPED] = 0;
	assert_int_equal(ct_dump_step(*state, 1000, see, &seen), 0);
	assert_int_equal(seen.count[CT_DUMPED], 0);
}

static void too_many_events_between_two_steps_void_the_dump(void **state)
{
	enum { COUNT = 2048, ROUNDS = CT_EVENTS_PER_STEP / COUNT };
	__cleanup_free struct ct_flow *flows = calloc(COUNT, sizeof(*flows));
	struct seen seen = { 0 };

	assert_int_equal(ct_dump_start(*state, AF_UNSPEC), 0);
	for (unsigned round = 0; round <= ROUNDS; round++) {
		/* Ids are hashes of 32 bits: of so many flows a few may share one. */
		const unsigned count = round < ROUNDS ? COUNT : 64;

		for (unsigned i = 0; i < count; i++)
			flows[i] = flow_nth(AF_INET, IPPROTO_UDP, round * COUNT + i);
		assert_int_equal(flows_make(flows, count), 0);
		assert_int_equal(flows_flush(), 0);
		assert_int_equal(receive_all(*state).count[CT_DESTROY], count);
	}
	assert_int_equal(ct_dump_step(*state, 1, see, &seen), -EOVERFLOW);
	assert_int_equal(ct_dump_step(*state, 1, see, &seen), -EINVAL);
}

static void the_sysctls_are_those_of_this_namespace(void **state)
{
	struct ct_timeouts timeouts;
	int before = -1;

	(void)state;
	assert_int_equal(ct_timeouts_read(&timeouts), 0);
	assert_int_equal(timeouts.tcp_established_s, 432000);
	assert_int_equal(timeouts.udp_s, 30);
	assert_int_equal(timeouts.udp_stream_s, 120);
	assert_int_equal(ct_events_enable(&before), 0);
	assert_int_equal(before, 2);
	assert_int_equal(ct_events_enable(&before), 0);
	assert_int_equal(before, 1);
}

/* ---- Real packets, over the loopback of the namespace. ---- */

static void tracking_start(void)
{
	if (system("nft 'add table t; add chain t c { type filter hook output priority 0; };"
		   " add rule t c ct state established counter' 2>/dev/null") != 0) {
		print_message("needs nft and ct rules in the kernel\n");
		skip();
	}
}

static int socket_bound(int type, uint16_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (const void *)&address, sizeof(address)), 0);
	return fd;
}

static void socket_connect(int fd, uint16_t port)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(connect(fd, (const void *)&address, sizeof(address)), 0);
}

static void an_established_tcp_connection_is_told_ready_to_offload(void **state)
{
	__cleanup_fd int server = socket_bound(SOCK_STREAM, 5001);
	__cleanup_fd int client = socket_bound(SOCK_STREAM, 6001);
	struct ct_timeouts timeouts;
	struct ct_flow told;
	struct seen seen;

	tracking_start();
	assert_int_equal(listen(server, 1), 0);
	socket_connect(client, 5001);
	seen = receive_all(*state);
	assert_int_equal(seen.count[CT_UPDATE], 1); /* not SYN_RECV */
	assert_null(seen.refusal[CT_UPDATE]);
	told = seen.last[CT_UPDATE];
	assert_int_equal(ntohs(told.orig.src_port), 6001);
	assert_int_equal(ntohs(told.reply.src_port), 5001);
	assert_int_equal(ct_timeouts_read(&timeouts), 0);
	assert_in_range(told.timeout_s, timeouts.tcp_established_s - 1, timeouts.tcp_established_s);
}

static void closing_a_tcp_connection_is_told_as_not_established(void **state)
{
	__cleanup_fd int server = socket_bound(SOCK_STREAM, 5002);
	__cleanup_fd int client = socket_bound(SOCK_STREAM, 6002);
	struct seen seen;

	tracking_start();
	assert_int_equal(listen(server, 1), 0);
	socket_connect(client, 5002);
	(void)receive_all(*state);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	seen = receive_all(*state);
	assert_true(seen.count[CT_UPDATE] >= 1);
	assert_string_equal(seen.refusal[CT_UPDATE], "TCP not established");
}

static void a_udp_flow_is_told_at_its_first_reply(void **state)
{
	__cleanup_fd int server = socket_bound(SOCK_DGRAM, 5003);
	__cleanup_fd int client = socket_bound(SOCK_DGRAM, 6003);
	struct seen seen;

	tracking_start();
	socket_connect(client, 5003);
	socket_connect(server, 6003);
	assert_int_equal(send(client, "?", 1, 0), 1);
	assert_int_equal(receive_all(*state).count[CT_UPDATE], 0);
	assert_int_equal(send(server, "!", 1, 0), 1);
	seen = receive_all(*state);
	assert_int_equal(seen.count[CT_UPDATE], 1);
	assert_null(seen.refusal[CT_UPDATE]);
	assert_in_range(seen.last[CT_UPDATE].timeout_s, 29, 30);
}

static void a_connection_picked_up_midway_is_told_without_its_state(void **state)
{
	__cleanup_fd int server = socket_bound(SOCK_STREAM, 5004);
	__cleanup_fd int client = socket_bound(SOCK_STREAM, 6004);
	__cleanup_fd int accepted = -1;
	struct ct_flow told;
	struct seen seen;

	tracking_start();
	assert_int_equal(listen(server, 1), 0);
	socket_connect(client, 5004);
	accepted = accept(server, NULL, NULL);
	assert_int_equal(flows_flush(), 0);
	(void)receive_all(*state);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(send(accepted, "y", 1, 0), 1);
	seen = receive_all(*state);
	assert_true(seen.count[CT_UPDATE] >= 1);
	assert_ptr_equal(seen.refusal[CT_UPDATE], ct_tcp_unknown);
	assert_int_equal(ct_query(*state, &seen.last[CT_UPDATE].orig, &told), 0);
	assert_null(ct_refusal(&told));
}

static void a_whole_short_tcp_connection_costs_three_events(void **state)
{
	__cleanup_fd int server = socket_bound(SOCK_STREAM, 5005);
	__cleanup_fd int client = socket_bound(SOCK_STREAM, 6005);
	__cleanup_fd int accepted = -1;
	struct seen seen;

	tracking_start();
	assert_int_equal(listen(server, 1), 0);
	socket_connect(client, 5005);
	accepted = accept(server, NULL, NULL);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(shutdown(accepted, SHUT_WR), 0);
	assert_int_equal(flows_flush(), 0);
	seen = receive_all(*state);
	assert_int_equal(seen.count[CT_UPDATE], 2);
	assert_int_equal(seen.last[CT_UPDATE].tcp_state, TCP_CONNTRACK_FIN_WAIT);
	assert_int_equal(seen.count[CT_DESTROY], 1);
}

static void the_event_queue_is_as_large_as_asked(void **state)
{
	int bytes = 0;
	socklen_t length = sizeof(bytes);

	assert_int_equal(getsockopt(ct_event_fd(*state), SOL_SOCKET, SO_RCVBUF, &bytes, &length),
			 0);
	assert_int_equal(bytes, 2 * CT_RECEIVE_BYTES); /* the kernel doubles it */
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORY(the_sysctls_are_those_of_this_namespace),
		STORY(a_dump_tells_each_replied_flow_once_with_all_it_has),
		STORY(a_query_tells_tuples_state_flags_timeout_and_mark),
		STORY(a_flow_of_another_zone_is_refused),
		STORY(a_refresh_sets_timeout_and_flags_and_not_the_state),
		STORY(a_refresh_makes_a_udp_flow_assured_only_when_asked),
		STORY(a_refresh_of_a_vanished_flow_is_refused_by_its_index_and_makes_none),
		STORY(refusals_of_whole_batches_are_all_told),
		STORY(a_deleted_flow_is_told_as_destroyed),
		STORY(the_end_of_a_half_open_flow_is_not_told),
		STORY(refreshes_by_others_are_told_and_our_own_are_not),
		STORY(lost_events_are_told_once_and_reading_goes_on),
		STORY(a_flow_destroyed_during_a_dump_is_not_told_after_its_end),
		STORY(too_many_events_between_two_steps_void_the_dump),
		STORY(an_established_tcp_connection_is_told_ready_to_offload),
		STORY(closing_a_tcp_connection_is_told_as_not_established),
		STORY(a_udp_flow_is_told_at_its_first_reply),
		STORY(a_connection_picked_up_midway_is_told_without_its_state),
		STORY(a_whole_short_tcp_connection_costs_three_events),
		STORY(the_event_queue_is_as_large_as_asked),
	};
	const int error = flows_namespace_enter();

	if (error) {
		fprintf(stderr, "no network namespace: %s\n", strerror(-error));
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
