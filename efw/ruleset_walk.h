// SPDX-License-Identifier: BSD-2-Clause
// The walk of an established packet through chains, whatever language their rules are written in.
#ifndef EVNF_EFW_RULESET_WALK_H
#define EVNF_EFW_RULESET_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "efw/finding.h"
#include "efw/ruleset.h"

/* Does a rule, or a part of it, match the packet? In this order: two parts together are the lesser.
 */
enum match {
	MATCH_NO,     /* never */
	MATCH_VARIES, /* depends on the packet, on time or on what is not known */
	MATCH_MAYBE,  /* not known, but the same for every packet of a connection */
	MATCH_YES,    /* always */
};

static inline enum match match_of(bool matches)
{
	return matches ? MATCH_YES : MATCH_NO;
}

static inline enum match match_invert(enum match match)
{
	return match == MATCH_YES ? MATCH_NO : match == MATCH_NO ? MATCH_YES : match;
}

static inline enum match match_both(enum match a, enum match b)
{
	return a < b ? a : b;
}

/* The bits of the TCP header's flags. */
enum {
	TCP_FIN = 1,
	TCP_SYN = 2,
	TCP_RST = 4,
	TCP_PSH = 8,
	TCP_ACK = 16,
	TCP_URG = 32,
	TCP_ECE = 64,
	TCP_CWR = 128,
	TCP_ALL = 255,
};

/* A word and the bits it stands for; tables of them end with an empty one. */
struct bit_name {
	const char *name;
	int bits;
};

/* Whether flags & mask == value, of a packet with ACK and without SYN, FIN and RST. */
enum match tcp_flags_match(unsigned mask, unsigned value);

enum verdict {
	VERDICT_NEXT,   /* go on with the next rule */
	VERDICT_END,    /* accepted or dropped: no more rules of this base chain */
	VERDICT_RETURN, /* back to the calling chain */
	VERDICT_JUMP,
	VERDICT_GOTO,
};

struct rule {
	const void *body; /* the language's own */
	struct rule *next;
};

/* Bits of classes (FINDING_*) stand apart for walks before and after conntrack saw the packet. */
struct chain {
	const char *family, *table, *name;
	struct rule *first, **last; /* last: where the next rule is hung */
	uint8_t open[2];            /* being walked: met again it is a loop */
	uint8_t walked[2];
	uint8_t returns[2]; /* the packet may come out at the end */
};

/* All chains of a ruleset. They and their rules stay where they are. */
struct chains {
	struct chain *list;
	struct rule *rules;
	size_t count, rule_count, room;
	void *names; /* tsearch() */
};

/* Room for so many chains and as many rules. Returns 0 or -ENOMEM. */
int chains_open(struct chains *chains, size_t room);
void chains_close(struct chains *chains);

/* The texts must live as long as the chains. Returns NULL when there is one of that name, or no
 * room or memory. */
struct chain *chains_add(struct chains *chains, const char *family, const char *table,
			 const char *name);
struct chain *chains_find(const struct chains *chains, const char *family, const char *table,
			  const char *name);

/* Appends a rule. Returns 0 or -ENOMEM. */
int chains_append(struct chains *chains, struct chain *chain, const void *body);

/* What became of the packet in one chain so far. */
struct path {
	bool over;       /* it certainly is not here any more */
	bool may_return; /* it may have left for the calling chain */
};

struct walk {
	struct findings *findings;
	uint8_t class;     /* the one FINDING_* bit of the packet */
	bool conntracked;  /* conntrack has seen the packet */
	const char *where; /* the ruleset, for findings about chains */
	unsigned depth;
	/* Judges one rule: adds findings and calls walk_take(). */
	void (*rule_judge)(struct walk *walk, const struct rule *rule, struct path *path);
	const void *ruleset; /* the language's own */
};

/* Sends the packet through a chain. Returns whether it may come out at the end. */
bool walk_chain(struct walk *walk, struct chain *chain);

/* Sends the packet, if the rule matches, where the verdict says. chain: for JUMP and GOTO. */
void walk_take(struct walk *walk, struct path *path, enum match match, enum verdict verdict,
	       struct chain *chain);

/* The judges of each language: add findings. */
void iptables_judge(const char *text, int family, const char *tool, struct findings *findings);
void nft_judge(const struct ruleset *ruleset, struct findings *findings);

#endif
