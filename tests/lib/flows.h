/* SPDX-License-Identifier: BSD-2-Clause */
/* Flows: makes and removes conntrack entries for tests and measurements, as conntrackd would. */
#ifndef EVNF_TESTS_LIB_FLOWS_H
#define EVNF_TESTS_LIB_FLOWS_H

#include <linux/netlink.h>

#include "efw/conntrack.h"

/* Leaves the network namespace of the process for a fresh one with the loopback up. Returns 0 or
 * -errno (-EPERM without root). */
int flows_namespace_enter(void);

/* An established IPv4 or IPv6 flow, the number-th of many that all differ: 10.x.y.z:1024+ to
 * 192.0.2.1:443, or 2001:db8::x to 2001:db8:1::1. TCP is ASSURED, UDP has seen a reply. */
struct ct_flow flow_nth(uint8_t family, uint8_t proto, uint32_t number);

/* Creates the flows in the kernel's table with their status, timeout_s, mark, zone and, for TCP,
 * tcp_state and tcp_flags_*. Returns 0 or -errno of the first that failed. */
int flows_make(const struct ct_flow *flows, unsigned count);

/* Deletes one flow, or all of the namespace. Returns 0 or -errno. */
int flow_delete(const struct ct_tuple *orig);
int flows_flush(void);

/* Appends a tuple to a message. type: CTA_TUPLE_*; zone: of this direction, 0: none. */
void flow_tuple_put(struct nlmsghdr *message, uint16_t type, const struct ct_tuple *tuple,
		    uint16_t zone);

#endif
