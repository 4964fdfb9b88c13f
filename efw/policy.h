// SPDX-License-Identifier: BSD-2-Clause
// Reads the machine's netfilter rules, in the caller's network namespace, and tells when they
// change.
#ifndef EVNF_EFW_POLICY_H
#define EVNF_EFW_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "efw/finding.h"

struct policy;

/* Begins to listen for changes, in the network namespace of the caller. Returns 0 or -errno. */
int policy_open(struct policy **out);
void policy_close(struct policy *policy); /* NULL is fine */

/* Reads every rule and judges it: findings get what keeps flows with netfilter, hash the
 * ruleset_hash() of what was read. Changes no rule and creates no table. What cannot be read is a
 * finding. Blocks while the tools run: about 0.1 s per 1000 rules. A change during the read is told
 * by policy_receive() or policy_poll() after it. Returns 0 or -errno (then nothing may be
 * offloaded). */
int policy_read(struct policy *policy, struct findings *findings, uint64_t *hash);

/* The descriptor to poll for EPOLLIN: nftables (and iptables-nft) announce each change. */
int policy_event_fd(const struct policy *policy);

/* Drains the announcements without blocking. changed: there was one, or some were lost. Returns 0
 * or -errno. */
int policy_receive(struct policy *policy, bool *changed);

/* Looks at what announces nothing, the rules of iptables-legacy; call it every ruleset_poll_ms. It
 * costs about 2 ms per 1000 of them. changed: they are not what the last policy_read() read.
 * Returns 0 or -errno. */
int policy_poll(struct policy *policy, bool *changed);

/* A hash of all rules of iptables-legacy and ip6tables-legacy without their counters, read from the
 * kernel by getsockopt(). Creates no table. Returns 0 or -errno. */
int policy_legacy_fingerprint(uint64_t *out);

#endif
