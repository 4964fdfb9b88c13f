// SPDX-License-Identifier: BSD-2-Clause
// Judges what beside the rules handles packets between the ports: queues, tc, IPsec, bridges.
#ifndef EVNF_EFW_HOSTPATH_H
#define EVNF_EFW_HOSTPATH_H

#include <stdbool.h>
#include <stdint.h>
#include "efw/finding.h"

struct hostpath;

/* Looks at the ports (ifindex each) in the network namespace of the caller: shaping or classifying
 * qdiscs and foreign tc filters on them (ours begin with evnf_), IPsec policies, routing rules
 * beside the kernel's own, a master (bridge, bond, VRF), forwarding switched off. Adds what keeps
 * flows with netfilter. Returns 0 or -errno (then nothing may be offloaded). */
int hostpath_check(const unsigned *ports, unsigned count, struct findings *findings);

/* Begins to listen for changes of what hostpath_check() looks at. Returns 0 or -errno. */
int hostpath_open(struct hostpath **out);
void hostpath_close(struct hostpath *hostpath); /* NULL is fine */

/* The one descriptor to poll for EPOLLIN. */
int hostpath_event_fd(const struct hostpath *hostpath);

/* Drains the announcements without blocking. changed: call hostpath_check() again; often nothing
 * of weight is different (our own tc filters are announced too). Returns 0 or -errno. */
int hostpath_receive(struct hostpath *hostpath, bool *changed);

#endif
