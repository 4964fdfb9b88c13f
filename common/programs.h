/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs: the configuration that the loader writes into a program before it loads it. */
#ifndef EVNF_COMMON_PROGRAMS_H
#define EVNF_COMMON_PROGRAMS_H

#include <linux/types.h>

/* Of entry, one program per port. */
struct entry_config {
	__u32 ifindex;
	__u32 context;     /* id of untagged frames of this port */
	__u16 port;        /* index of the port */
	__u8 router;       /* 1: tagged frames and those to other MAC addresses walk */
	__u8 multi_buffer; /* 1: the kernel redirects frames of several buffers */
	__u32 mac_high;    /* the port's MAC address as loaded from a frame: first four bytes */
	__u16 mac_low;     /* last two */
	__u16 pad;
};

/* Of finish, one program per chain. */
struct finish_config {
	__u32 inserts_per_tick; /* flow entries a CPU may insert in one tick */
	__u8 doorkeeper;        /* 1: a flow is installed from its second packet */
	__u8 pad[3];
};

#endif
