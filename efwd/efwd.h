/* SPDX-License-Identifier: BSD-2-Clause */
/* efwd: its configuration, and what its two modes are to it. */
#ifndef EVNF_EFWD_EFWD_H
#define EVNF_EFWD_EFWD_H

#include "slowpath/vnf.h"

enum efwd_mode { MODE_ROUTER, MODE_BRIDGE };

/* A check of odd packets, as its words are listed: the packet is dropped, or it is let go on. */
enum efwd_check { CHECK_DROP, CHECK_LIFT };

struct efwd_conf {
	int mode; /* enum efwd_mode */
	/* enum efwd_check each */
	int malformed, short_fragments, tcp_flags, ip_options, martians, ttl_zero;
};

/* The drops that the configuration lifts: a bit per enum reason. */
uint64_t efwd_lifted(const struct efwd_conf *conf);

#endif
