// SPDX-License-Identifier: BSD-2-Clause
// What the firewall's dealings with conntrack cost: refreshes, a dump, and events, in nanoseconds
// each.
//
// conntrack [FLOWS]: 100000 unless given; above net.netfilter.nf_conntrack_max the kernel refuses.
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "efw/conntrack.h"
#include "tests/lib/flows.h"

#define ROUNDS 5
#define CHUNK 512 /* refreshes per call, as a slow path does between other work */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void say(const char *name, double value, const char *unit)
{
	printf("%-34s %10.0f %s\n", name, value, unit);
}

static void count(void *arg, enum ct_event event, const struct ct_flow *flow)
{
	(void)event;
	(void)flow;
	++*(unsigned *)arg;
}

static void refused_count(void *arg, unsigned index, int error)
{
	(void)index;
	(void)error;
	++*(unsigned *)arg;
}

static int compare(const void *one, const void *other)
{
	const double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

static double refresh_all(struct ct *ct, const struct ct_refresh *refreshes, unsigned flows)
{
	const uint64_t began_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	unsigned refused = 0;
	int error = 0;

	for (unsigned at = 0; at < flows && !error; at += CHUNK)
		error = ct_refresh(ct, refreshes + at, flows - at < CHUNK ? flows - at : CHUNK,
				   refused_count, &refused);
	if (error || refused)
		fprintf(stderr, "refresh: %s, %u refused\n", strerror(-error), refused);
	return (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / flows;
}

/* CPU of one refresh, the median of rounds; proto: IPPROTO_TCP, or else IPPROTO_UDP. */
static double refresh_measure(struct ct *ct, uint8_t proto, unsigned flows)
{
	__cleanup_free struct ct_refresh *refreshes = calloc(flows, sizeof(*refreshes));
	double ns[ROUNDS];

	for (unsigned i = 0; refreshes && i < flows; i++)
		refreshes[i] = (struct ct_refresh){ .orig = flow_nth(AF_INET, proto, i).orig,
						    .timeout_s = 600 };
	for (unsigned round = 0; refreshes && round < ROUNDS; round++)
		ns[round] = refresh_all(ct, refreshes, flows);
	qsort(ns, ROUNDS, sizeof(*ns), compare);
	return ns[ROUNDS / 2];
}

static void dump_measure(struct ct *ct)
{
	uint64_t step_ns, longest_ns = 0, total_ns = 0;
	unsigned told = 0;
	int result = ct_dump_start(ct, AF_UNSPEC);

	for (result = result ? result : 1; result > 0;) {
		step_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		result = ct_dump_step(ct, 1, count, &told);
		step_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - step_ns;
		total_ns += step_ns;
		longest_ns = step_ns > longest_ns ? step_ns : longest_ns;
	}
	if (result || !told) {
		fprintf(stderr, "dump: %s, %u flows\n", strerror(-result), told);
		return;
	}
	say("dump, per flow", (double)total_ns / told, "ns");
	say("dump, whole", (double)total_ns / 1e6, "ms");
	say("dump, longest step of 1 datagram", (double)longest_ns / 1e3, "us");
}

static int flows_fill(uint8_t proto, unsigned flows)
{
	__cleanup_free struct ct_flow *made = calloc(flows, sizeof(*made));

	if (!made)
		return -ENOMEM;
	for (unsigned i = 0; i < flows; i++)
		made[i] = flow_nth(AF_INET, proto, i);
	return flows_make(made, flows);
}

/* How many events the queue holds, and what reading one costs. */
static void queue_measure(void)
{
	unsigned told = 0;
	uint64_t began_ns;
	struct ct *ct;
	int result;

	if (ct_open(CT_RECEIVE_BYTES, &ct))
		return;
	(void)flows_flush();
	began_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	do
		result = ct_receive(ct, 256, count, &told);
	while (result == 1 || result == -ENOBUFS);
	say("events, read", (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns) / told, "ns");
	say("events, held by 8 MiB", told, "events");
	ct_close(ct);
}

/* The other process: events without end, one for each refresh. */
static void events_make(unsigned flows)
{
	struct ct *ct;

	if (ct_open(0, &ct))
		_exit(1);
	for (;;)
		(void)refresh_measure(ct, IPPROTO_UDP, flows);
}

/* Events that another CPU makes as fast as it can, read while they come. */
static void stream_measure(unsigned flows)
{
	unsigned told = 0, lost = 0;
	struct ct *ct;
	struct pollfd ready = { .events = POLLIN };
	const pid_t child = fork();
	uint64_t began_ns, cpu_ns;

	if (child == 0)
		events_make(flows);
	if (child < 0 || ct_open(CT_RECEIVE_BYTES, &ct))
		return;
	ready.fd = ct_event_fd(ct);
	began_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	while (clock_ns(CLOCK_MONOTONIC) - began_ns < 2000000000) {
		(void)poll(&ready, 1, 100);
		lost += ct_receive(ct, 256, count, &told) == -ENOBUFS;
	}
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	ct_close(ct);
	say("stream, events per second", told / 2.0, "/s");
	say("stream, CPU of the reader", (double)cpu_ns / told, "ns/event");
	say("stream, times events were lost", lost, "");
}

int main(int argc, char **argv)
{
	const unsigned flows = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	struct ct *ct = NULL;
	int error = flows_namespace_enter(), before;
	double ns;

	if (!error)
		error = ct_events_enable(&before);
	if (!error)
		error = flows_fill(IPPROTO_TCP, flows);
	if (!error)
		error = ct_open(CT_RECEIVE_BYTES, &ct);
	if (error) {
		fprintf(stderr, "conntrack: %s\n", strerror(-error));
		return 1;
	}
	say("flows", flows, "");
	ns = refresh_measure(ct, IPPROTO_TCP, flows);
	say("refresh TCP, CPU", ns, "ns");
	say("1 M flows, each once in 60 s", ns * 1e6 / 60e9 * 1e3, "/1000 of a core");
	dump_measure(ct);
	ct_close(ct);
	queue_measure();
	(void)flows_fill(IPPROTO_UDP, flows);
	if (ct_open(0, &ct) == 0)
		say("refresh UDP, CPU", refresh_measure(ct, IPPROTO_UDP, flows), "ns");
	ct_close(ct);
	stream_measure(flows < 20000 ? flows : 20000);
	return 0;
}
