// SPDX-License-Identifier: BSD-2-Clause
// Findings: what on this machine keeps flows with netfilter, where it stands and why.
#ifndef EVNF_EFW_FINDING_H
#define EVNF_EFW_FINDING_H

#include <stdbool.h>
#include <stdint.h>

/* Which flows a finding keeps with netfilter. */
enum {
	FINDING_TCP4 = 1,
	FINDING_UDP4 = 2,
	FINDING_TCP6 = 4,
	FINDING_UDP6 = 8,
	FINDING_IP4 = FINDING_TCP4 | FINDING_UDP4,
	FINDING_IP6 = FINDING_TCP6 | FINDING_UDP6,
	FINDING_ALL = FINDING_IP4 | FINDING_IP6,
};

struct finding {
	char where[192]; /* the place: "iptables-legacy filter FORWARD: -m limit …" */
	char why[96];    /* one clause without a full stop */
	uint8_t touches; /* FINDING_*; 0: worth telling, keeps nothing back */
};

#define FINDINGS_MAX 64

/* Start with all zero. A full list still gathers `touches`: nothing is ever offloaded for want of
 * room. */
struct findings {
	struct finding list[FINDINGS_MAX];
	unsigned count;
	bool more;       /* there are more than fit */
	uint8_t touches; /* of all, also of those that did not fit */
};

/* Adds one finding; the same one twice is kept once, its touches joined. Texts too long are cut,
 * control characters in `where` become '?'. */
void findings_add(struct findings *findings, uint8_t touches, const char *where, const char *why,
		  ...) __attribute__((format(printf, 4, 5)));

/* Whether both tell the same, in the same order. */
bool findings_same(const struct findings *a, const struct findings *b);

/* Whether flows of this family (AF_INET, AF_INET6) and protocol (IPPROTO_TCP, IPPROTO_UDP) may be
 * offloaded: nothing found touches them. */
bool findings_allow(const struct findings *findings, int family, int proto);

#endif
