// SPDX-License-Identifier: BSD-2-Clause
// The walk of an established packet through chains, whatever language their rules are written in.
#define _GNU_SOURCE /* tdestroy() */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include "efw/ruleset_walk.h"

#define CHAIN_DEPTH_MAX 64

enum match tcp_flags_match(unsigned mask, unsigned value)
{
	const unsigned known = TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK;

	if (value & ~mask || ((value ^ TCP_ACK) & mask & known))
		return MATCH_NO;
	return mask & ~known ? MATCH_VARIES : MATCH_YES;
}

static int chain_compare(const void *a, const void *b)
{
	const struct chain *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	r = r ? r : strcmp(x->table, y->table);
	return r ? r : strcmp(x->family, y->family);
}

int chains_open(struct chains *chains, size_t room)
{
	struct chains new = { .room = room };

	new.list = calloc(room + 1, sizeof(*new.list));
	new.rules = calloc(room + 1, sizeof(*new.rules));
	if (!new.list || !new.rules) {
		free(new.list);
		free(new.rules);
		return -ENOMEM;
	}
	*chains = new;
	return 0;
}

static void node_keep(void *chain)
{
	(void)chain;
}

void chains_close(struct chains *chains)
{
	tdestroy(chains->names, node_keep);
	free(chains->list);
	free(chains->rules);
}

struct chain *chains_add(struct chains *chains, const char *family, const char *table,
			 const char *name)
{
	struct chain *new, **found;

	if (chains->count == chains->room)
		return NULL;
	new = &chains->list[chains->count];
	*new = (struct chain){ .family = family, .table = table, .name = name };
	found = tsearch(new, &chains->names, chain_compare);
	if (!found || *found != new)
		return NULL;
	chains->count++;
	return new;
}

struct chain *chains_find(const struct chains *chains, const char *family, const char *table,
			  const char *name)
{
	struct chain wanted = { .family = family, .table = table, .name = name };
	struct chain **found = tfind(&wanted, &chains->names, chain_compare);

	return found ? *found : NULL;
}

int chains_append(struct chains *chains, struct chain *chain, const void *body)
{
	struct rule *rule;

	if (chains->rule_count == chains->room)
		return -ENOMEM;
	rule = &chains->rules[chains->rule_count++];
	rule->body = body;
	if (!chain->first)
		chain->last = &chain->first;
	*chain->last = rule;
	chain->last = &rule->next;
	return 0;
}

bool walk_chain(struct walk *walk, struct chain *chain)
{
	bool known = walk->conntracked;
	struct path path = {};

	if (chain->walked[known] & walk->class)
		return chain->returns[known] & walk->class;
	if (chain->open[known] & walk->class || walk->depth == CHAIN_DEPTH_MAX) {
		findings_add(walk->findings, walk->class, walk->where,
			     "chains call each other in a loop or too deep");
		return true;
	}
	chain->open[known] |= walk->class;
	walk->depth++;
	for (const struct rule *rule = chain->first; rule && !path.over; rule = rule->next)
		walk->rule_judge(walk, rule, &path);
	walk->depth--;
	chain->walked[known] |= walk->class;
	if (!path.may_return && path.over)
		return false;
	chain->returns[known] |= walk->class;
	return true;
}

void walk_take(struct walk *walk, struct path *path, enum match match, enum verdict verdict,
	       struct chain *chain)
{
	bool back = false;

	if (match == MATCH_NO || verdict == VERDICT_NEXT)
		return;
	if (verdict == VERDICT_JUMP || verdict == VERDICT_GOTO)
		back = walk_chain(walk, chain);
	if (verdict == VERDICT_RETURN || (verdict == VERDICT_GOTO && back))
		path->may_return = true;
	if (match == MATCH_YES && !(verdict == VERDICT_JUMP && back))
		path->over = true;
}
