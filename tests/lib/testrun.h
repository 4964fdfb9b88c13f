/* SPDX-License-Identifier: BSD-2-Clause */
/* Testrun: a chain that is loaded but attached to nothing; frames run through it one by one. */
#ifndef EVNF_TESTS_LIB_TESTRUN_H
#define EVNF_TESTS_LIB_TESTRUN_H

#include <stdint.h>

#include "common/state.h"
#include "slowpath/chain.h"
#include "slowpath/contexts.h"
#include "slowpath/neighbors.h"
#include "tests/lib/frames.h"

/* The ports, and what is behind them. Port n is 10.77.n.1 and fd77:n::1; behind it is the host
 * 10.77.n.2, fd77:n::2. The default routes lead to the host behind SERVER. Beside these:
 *
 *	10.77.0.2 --- CLIENT 0      1 SERVER --- 10.77.1.2 --- everything else
 *	10.77.2.2 --- THIRD  2      lan (no port) --- 10.77.9.2
 *
 *	10.77.1.99, fd77:1::99         behind SERVER, but no neighbor
 *	203.0.113.0/24, fd77:dead::/32 blackholes
 *
 * SERVER's MTU is 1500, all others' 9000. */
enum { CLIENT, SERVER, THIRD, TESTRUN_PORTS };

struct testrun {
	struct chain chain;
	struct port ports[TESTRUN_PORTS];
	int entries[TESTRUN_PORTS]; /* programs */
	int counters;
	struct neighbors *neighbors;
	struct contexts *contexts;
	struct ring_buffer *events;
	unsigned int n_events[EVENT_OFFLOADED + 1]; /* asked for, by type */
	struct event last;                          /* of them */
};

/* How a frame left the fast path. */
struct outcome {
	uint32_t verdict; /* XDP_* */
	enum reason reason;
	struct frame frame;
};

struct totals {
	uint64_t packets[REASON_COUNT], bytes[REASON_COUNT];
};

/* Makes the network above in namespaces of the process's own: once, first. Returns 0 or -errno. */
int testrun_network(void);

/* What tests take when they have no wish of their own. */
struct chain_options testrun_options(void);

/* Loads chain and ports, gives the neighbors their slots, and takes the lease for an hour. The
 * hops are still empty. Fails the test on any error. */
void testrun_open(struct testrun *run, const struct chain_options *options);
void testrun_close(struct testrun *run);

/* Runs one frame. Fails the test unless exactly one reason counted it, with all its bytes. */
void testrun_send(struct testrun *run, int port, const struct frame *frame,
		  struct outcome *outcome);

/* Fails the test, naming both, when the frame left for another reason. */
void assert_reason(const struct outcome *outcome, enum reason reason);

/* Runs one frame without a look at the counters. out takes it as it left. Returns the verdict. */
uint32_t testrun_send_quietly(struct testrun *run, int port, const struct frame *frame,
			      struct frame *out);

/* The counters of all ports and CPUs. */
void testrun_read_totals(struct testrun *run, struct totals *totals);

/* Does what the slow path does with the events that came: next hops get their slots, tag stacks
 * their contexts. */
void testrun_answer(struct testrun *run);

/* Waits until the kernel's timer has run another time. */
void testrun_wait_tick(struct testrun *run);

/* Loses the lease, or takes it for an hour, and waits until the kernel's timer has seen it. */
void testrun_set_lease(struct testrun *run, bool held);

/* MAC addresses of a port and of the host behind it. */
void port_mac(int port, uint8_t mac[6]);
void host_mac(int port, uint8_t mac[6]);

#endif
