/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of ctnetlink: what passes between the sockets of conntrack.c and the kernel. */
#ifndef EVNF_EFW_CONNTRACK_MESSAGE_H
#define EVNF_EFW_CONNTRACK_MESSAGE_H

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "efw/conntrack.h"

#define CT_MESSAGE_MAX 192 /* bytes that any of the writers below may need */

/* Where the attributes of a message about a connection begin, from its netlink header on. */
#define CT_ATTRS_AT (NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)))

/* What is still to be read of a datagram, or of a message's attributes. */
struct ct_bytes {
	const uint8_t *at, *end;
};

/* The next message of a datagram that begins at a 4-byte aligned place, its length within the
 * bounds; NULL: none, or garbage. (libmnl 1.0.4 takes a length of 2 GiB and more for a small one.)
 */
const struct nlmsghdr *ct_message_next(struct ct_bytes *datagram);

/* Reads a message that ct_message_next() returned into a flow. Returns false when it is not about a
 * connection, not TCP or UDP, or not whole; out is then undefined. */
bool ct_flow_read(const struct nlmsghdr *message, struct ct_flow *out);

/* Each writes one request at a 4-byte aligned place with room for CT_MESSAGE_MAX bytes, and returns
 * its length, a multiple of 4. sequence: comes back in the kernel's answer. family: AF_*. */
size_t ct_refresh_write(void *at, const struct ct_refresh *refresh, uint32_t sequence);
size_t ct_query_write(void *at, const struct ct_tuple *orig);
size_t ct_dump_write(void *at, uint8_t family);

/* Gives the event socket fd a filter that drops events of no interest: what portid (our own
 * refreshes) caused; flows without a reply; TCP not assured; and the steps of a close after its
 * first. So a flood of SYNs does not fill the queue when it times out, and a short TCP connection
 * costs three events instead of six. What it does not understand it lets through. Returns 0 or
 * -errno. */
int ct_filter_attach(int fd, uint32_t portid);

#endif
