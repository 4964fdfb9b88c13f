/* SPDX-License-Identifier: BSD-2-Clause */
/* Offloads: turns off what an interface does to frames before XDP sees them. */
#ifndef EVNF_SLOWPATH_OFFLOADS_H
#define EVNF_SLOWPATH_OFFLOADS_H

#include <stdbool.h>

/* Makes the interface leave VLAN tags in the frames: a card that takes them off hands XDP a tagged
 * frame as an untagged one. Sets *changed when it did so until now. Returns 0, also where there is
 * nothing to turn off, or -errno. */
int offloads_prepare(const char *interface, bool *changed);

#endif
