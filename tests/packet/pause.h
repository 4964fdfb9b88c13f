/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pause: what the test's own hop can be told to do. */
#ifndef EVNF_TESTS_PACKET_PAUSE_H
#define EVNF_TESTS_PACKET_PAUSE_H

#include <linux/types.h>

enum pause_act {
	PAUSE_BUMP = 1 << 0,   /* bump the generation, as after a change of policy */
	PAUSE_FORGET = 1 << 1, /* delete this direction's record and entry, as the slow path does */
	PAUSE_NOT_FINAL = 1 << 2, /* ask to see the next packet too */
	PAUSE_CHOOSE = 1 << 3,    /* choose the way out: next_hop */
};

struct pause_orders {
	__u32 acts;     /* enum pause_act */
	__u32 next_hop; /* slot */
};

#endif
