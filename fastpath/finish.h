/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finish's configuration: what the loader writes before it loads the program of a chain. */
#ifndef EVNF_FASTPATH_FINISH_H
#define EVNF_FASTPATH_FINISH_H

#include <linux/types.h>

struct finish_config {
	__u32 inserts_per_tick; /* flow entries a CPU may insert in one tick */
	__u8 doorkeeper;        /* 1: a flow is installed from its second packet */
	__u8 pad[3];
};

#endif
