// SPDX-License-Identifier: BSD-2-Clause
// Judges a netfilter ruleset: could an established connection meet a rule that decides per packet?
#ifndef EVNF_EFW_RULESET_H
#define EVNF_EFW_RULESET_H

#include <stddef.h>
#include <stdint.h>
#include "efw/finding.h"

/*
 * What is judged: a packet of a forwarded connection that conntrack holds as ESTABLISHED and that
 * is neither SYN, FIN nor RST nor without ACK (those always go to the kernel), nor a fragment. It
 * walks every chain of the hooks prerouting, forward and postrouting, but those of NAT, which only
 * the first packet of a connection meets. A rule that cannot match such a packet is passed over,
 * one that matches every such packet and ends the chain ends the walk of that chain; whatever else
 * it could meet must give the same answer for every packet of the connection, and do nothing but
 * count. What is not known is a finding. The functions here read text only: no files, no programs.
 */

/* Text of one family as iptables-save or ip6tables-save write it, and the JSON of
 * `nft -j list ruleset`. An absent text (NULL) is an absent ruleset. */
struct ruleset {
	const char *legacy4, *legacy6; /* iptables-legacy-save, ip6tables-legacy-save */
	const char *compat4, *compat6; /* iptables-nft-save, ip6tables-nft-save */
	const char *nft; /* tables that compat4 and compat6 tell are judged by those */
};

/* Judges all of it, adds what keeps flows with netfilter. Text that is cut off or cannot be parsed
 * keeps everything it could tell of. Never fails. */
void ruleset_judge(const struct ruleset *ruleset, struct findings *findings);

/* A 64-bit hash of the ruleset that is the same as long as the policy is: counters, handles,
 * comments of the tools and elements that come and go by themselves are left out. Text that cannot
 * be parsed hashes as it is. Not stable between versions of this program. */
uint64_t ruleset_hash(const struct ruleset *ruleset);

#endif
