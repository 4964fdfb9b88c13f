/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The firewall's own table: connections that netfilter has accepted, one record per direction. */
#ifndef EVNF_EFW_EFW_H
#define EVNF_EFW_EFW_H

#include "common/flow.h"

/* How every record begins. */
struct conn_head {
	/* Slow path, when it installs or refreshes. */
	__u32 ct_id;     /* conntrack's id of the connection */
	__u32 timeout_s; /* conntrack's timeout for an idle connection of this kind */
	__u32 deadline;  /* tick at which the kernel will let the connection die */
	__u32 born;      /* tick of installation */
	__u16 reply;     /* 0: direction of the initiator, 1: the other */
	__u16 stream;    /* UDP: conntrack calls it a stream, or would by now */
	/* Fast path. */
	__u32 accepted_generation; /* the kernel let a packet of this direction out under it, */
	__u32 in_ifindex;          /* in by this port */
	__u32 out_ifindex;         /* and out by this one (witness) */
	__u32 last_seen;           /* tick of the last packet that walked */
	__u32 announced; /* generation under which both directions were last told to pass */
};

/* The key is the tuple as a packet of this direction arrives; `to` is how it leaves. */
struct conn4 {
	struct conn_head head;
	struct flow4_key to;
};
_Static_assert(sizeof(struct conn4) == 56, "conn4 is a map value");

struct conn6 {
	struct conn_head head;
	struct flow6_key to;
};
_Static_assert(sizeof(struct conn6) == 80, "conn6 is a map value");

/* What `show rules` prints of one finding. */
#define FINDINGS_SHOWN 129
struct finding_shown {
	char where[192]; /* empty: the list ends here */
	char why[96];
	__u32 touches; /* enum offload bits it keeps with netfilter */
};
_Static_assert(sizeof(struct finding_shown) == 292, "finding_shown is a map value");

#endif
