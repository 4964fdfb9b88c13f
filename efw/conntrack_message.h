/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of ctnetlink: what passes between the sockets of conntrack.c and the kernel. */
#ifndef EVNF_EFW_CONNTRACK_MESSAGE_H
#define EVNF_EFW_CONNTRACK_MESSAGE_H

#include <libmnl/libmnl.h>

#include "efw/conntrack.h"

#define CT_MESSAGE_MAX 192 /* bytes that any of the writers below may need */

/* Reads one netlink message, whose length mnl_nlmsg_ok() has checked, into a flow. Returns false
 * when it is not about a connection, not TCP or UDP, or not whole; out is then undefined. */
bool ct_flow_read(const struct nlmsghdr *message, struct ct_flow *out);

/* Each writes one request at a 4-byte aligned place with room for CT_MESSAGE_MAX bytes, and returns
 * its length, a multiple of 4. sequence: comes back in the kernel's answer. family: AF_*. */
size_t ct_refresh_write(void *at, const struct ct_refresh *refresh, uint32_t sequence);
size_t ct_query_write(void *at, const struct ct_tuple *orig);
size_t ct_dump_write(void *at, uint8_t family);

#endif
