/* SPDX-License-Identifier: BSD-2-Clause */
/* Guard: keeps what may be offloaded true to the ruleset and to the packets' path. */
#ifndef EVNF_EFW_GUARD_H
#define EVNF_EFW_GUARD_H

#include <stdint.h>

#include "slowpath/vnf.h"

struct guard;

/* Begins to listen to changes. Nothing is offloaded until guard_judge(). Returns 0 or -errno. */
int guard_open(struct slowpath *slowpath, struct guard **guard);
void guard_close(struct guard *guard);

/* Reads ruleset and path anew and lets offload what they allow. Returns 0 or -errno, and then
 * nothing is offloaded. */
int guard_judge(struct guard *guard);

/* The ruleset as it was last read, as one number. */
uint64_t guard_fingerprint(const struct guard *guard);

/* Adds its descriptors to the loop, and looks at what cannot announce itself every poll_ms. */
int guard_start(struct guard *guard, unsigned int poll_ms);

#endif
