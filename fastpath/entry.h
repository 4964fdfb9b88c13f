/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entry's configuration: what the loader writes before it loads the program of one port. */
#ifndef EVNF_FASTPATH_ENTRY_H
#define EVNF_FASTPATH_ENTRY_H

#include <linux/types.h>

struct entry_config {
	__u32 ifindex;
	__u32 context;     /* id of untagged frames of this port */
	__u16 port;        /* index of the port */
	__u8 router;       /* 1: frames to other MAC addresses walk */
	__u8 multi_buffer; /* 1: the kernel redirects frames of several buffers */
	__u32 mac_high;    /* the port's MAC address as loaded from a frame: first four bytes */
	__u16 mac_low;     /* last two */
	__u16 pad;
};

#endif
