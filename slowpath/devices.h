/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices: which interfaces the ports of a pinned chain are. */
#ifndef EVNF_SLOWPATH_DEVICES_H
#define EVNF_SLOWPATH_DEVICES_H

#include <net/if.h>
#include <stdint.h>

#include "common/state.h"

/* Reads the interfaces by the index of their port; where there is no port, ifindex is 0. pins: the
 * directory of the chain. Returns 0 or -errno. */
int devices_read(const char *pins, struct device_key devices[PORTS_MAX]);

/* What the interface is called in the caller's network namespace; `if` and its number when it is
 * not there, or in another one. */
void device_name(const struct device_key *device, char name[IFNAMSIZ]);

/* How XDP is attached to an interface of the caller's network namespace: XDP_ATTACHED_* of
 * linux/if_link.h, XDP_ATTACHED_NONE also where it cannot be known. */
int device_attach_mode(uint32_t ifindex);

/* The inode number of the caller's network namespace; 0 when it cannot be known. */
uint32_t netns_inode(void);

#endif
