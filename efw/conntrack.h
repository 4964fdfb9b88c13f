/* SPDX-License-Identifier: BSD-2-Clause */
/* Conntrack: the firewall's only contact with ctnetlink: events, dumps, refreshes, sysctls. */
#ifndef EVNF_EFW_CONNTRACK_H
#define EVNF_EFW_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#define CT_RECEIVE_BYTES (32u << 20) /* a good default for ct_open() */

/* One direction of a connection, as its packets arrive. No padding and unused bytes zero: tuples
 * may be compared and hashed byte by byte. */
struct ct_tuple {
	union {
		__be32 ip4;
		__be32 ip6[4];
	} src, dst;
	__be16 src_port, dst_port;
	uint8_t proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t pad[2];
};
_Static_assert(sizeof(struct ct_tuple) == 40, "ct_tuple is compared byte by byte");

/* A connection as one ctnetlink message tells it. An event tells less than a dump: see has_*. */
struct ct_flow {
	struct ct_tuple orig, reply;
	uint32_t id;        /* CTA_ID: a hash of the kernel's object, the same for its whole life */
	uint32_t status;    /* IPS_* of linux/netfilter/nf_conntrack_common.h */
	uint32_t timeout_s; /* until it expires; rounded down, so up to 1 s below what was set */
	uint32_t mark;
	uint16_t zone;                           /* of either direction; 0: none */
	uint8_t tcp_state;                       /* TCP_CONNTRACK_*; valid when has_tcp_state */
	uint8_t tcp_flags_orig, tcp_flags_reply; /* IP_CT_TCP_FLAG_*; valid when has_tcp_state */
	bool has_tcp_state; /* every dump; an event only when the state has just changed */
	bool has_timeout;   /* not in CT_DESTROY */
	bool has_helper, has_master, has_seqadj, has_synproxy, has_labels;
};

enum ct_event {
	CT_UPDATE,  /* something about the flow changed: its state, ASSURED, mark, helper, labels */
	CT_DESTROY, /* the kernel forgot the flow */
	CT_DUMPED,  /* the flow exists: from a dump */
};

/* What to do with one flow. Called from ct_receive() and ct_dump_step() for TCP and UDP only; the
 * flow lives until the callback returns. */
typedef void (*ct_flow_fn)(void *arg, enum ct_event event, const struct ct_flow *flow);

/* What to write into one connection that the fast path carries. */
struct ct_refresh {
	struct ct_tuple orig; /* as the kernel told it, zone 0 */
	uint32_t timeout_s;   /* 0: leave it as it is */
	uint32_t assured; /* UDP: ct_flow.status, to set ASSURED beside it; 0: leave the status */
};

/* A refresh that the kernel refused. index: into the array given to ct_refresh(). error: -ENOENT:
 * the connection is gone; -ETIME: it is dying; -EPERM: its timeout is fixed; -EBUSY: its status is
 * another. In each of them the caller's record is wrong and goes. */
typedef void (*ct_refused_fn)(void *arg, unsigned index, int error);

struct ct;

/* Opens the sockets (events, dumps, requests) in the network namespace of the caller.
 * receive_bytes: the receive buffer of the event socket. Returns 0, -EPERM without CAP_NET_ADMIN,
 * or -errno. */
int ct_open(size_t receive_bytes, struct ct **out);
void ct_close(struct ct *ct); /* NULL is fine */

/* The descriptor to poll for EPOLLIN; EPOLLERR tells of lost events: call ct_receive() for both. */
int ct_event_fd(const struct ct *ct);

/* Reads at most budget events without blocking. Only events of flows that ct_refusal() might allow
 * arrive: TCP once ASSURED, UDP once replied to; of a close only its first step and CT_DESTROY;
 * none that this ct's own refreshes caused; none of the creation of a flow (what another program
 * creates complete is told by the next dump).
 * Returns 0: drained; 1: there may be more; or -errno. -ENOBUFS: events were lost, and more will
 * be until ct_receive() has returned 0: drop what cannot be trusted now, call until 0, then dump.
 */
int ct_receive(struct ct *ct, unsigned budget, ct_flow_fn fn, void *arg);

/* Begins a dump of every TCP and UDP flow that has seen a reply; one that is under way is given up.
 * family: AF_INET, AF_INET6 or AF_UNSPEC for both. Returns 0 or -errno. */
int ct_dump_start(struct ct *ct, int family);

/* Reads the next datagrams (about 100 flows each) of the dump, at most budget. Between two steps
 * the caller may read events, of CT_EVENTS_PER_STEP flows: a flow that an event has told of since
 * the kernel wrote the datagram is left out, for the event is the newer word. A flow may be told
 * twice; one that lives during the whole dump is told at least once, by dump or event, unless the
 * administrator resizes the kernel's hash table meanwhile.
 * Returns 1: there is more; 0: complete; -EINTR or -EOVERFLOW (too many events between two steps):
 * not complete, begin again; or -errno. */
int ct_dump_step(struct ct *ct, unsigned budget, ct_flow_fn fn, void *arg);
#define CT_EVENTS_PER_STEP 65536

/* Asks for one connection, by its original tuple. Returns 0, -ENOENT or -errno. */
int ct_query(struct ct *ct, const struct ct_tuple *orig, struct ct_flow *out);

/* Refreshes count connections: the timeout; for TCP, in both directions, liberal set and the
 * max-ack mark cleared (never the state); for UDP, ASSURED if asked for. Never creates one. The
 * kernel finds a connection by its tuple alone: a new one with the same tuple takes the refresh
 * too. refused is called for each that failed. Returns 0, -ENOBUFS when refusals were lost (dump),
 * or -errno when a batch was not sent. */
int ct_refresh(struct ct *ct, const struct ct_refresh *flows, unsigned count, ct_refused_fn refused,
	       void *arg);

/* Why this flow must stay with netfilter, in words; NULL: it may be offloaded, as far as conntrack
 * can tell (local endpoints are for the caller to judge). ct_tcp_unknown, compared by address, is
 * the one answer that is not a no: the event did not tell the TCP state, which therefore has not
 * changed (a connection picked up midway, a new mark); ct_query() tells it. */
const char *ct_refusal(const struct ct_flow *flow);
extern const char ct_tcp_unknown[];

/* The timeouts configured in the caller's network namespace, seconds; policies (cttimeout) apart.
 */
struct ct_timeouts {
	uint32_t tcp_established_s, udp_s, udp_stream_s;
	uint32_t tcp_unacknowledged_s; /* of an established connection that waits for an ACK */
};
int ct_timeouts_read(struct ct_timeouts *out);

/* Sets nf_conntrack_events of the caller's network namespace to 1: with 2 (auto, the default of
 * Linux 6.1) flows born before the first listener never tell of their end, with 0 none does.
 * before: what it was. Returns 0 or -errno. */
int ct_events_enable(int *before);

#endif
