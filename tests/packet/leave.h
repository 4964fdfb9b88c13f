/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Leave: what the test can have happen to a packet on its way through the kernel. */
#ifndef EVNF_TESTS_PACKET_LEAVE_H
#define EVNF_TESTS_PACKET_LEAVE_H

#include <linux/types.h>

enum leave_act {
	LEAVE_UNSTAMPED = 1 << 0, /* it came in by an interface that is no port */
	LEAVE_BUMP = 1 << 1,      /* the policy changes while it is on its way */
	LEAVE_TAGGED = 1 << 2,    /* it gets a VLAN tag */
};

#endif
