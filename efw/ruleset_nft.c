// SPDX-License-Identifier: BSD-2-Clause
// Judges the JSON that `nft -j list ruleset` writes (libnftables-json(5)).
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "efw/ruleset_walk.h"

#define CONNTRACK_PRIORITY (-200) /* NF_IP_PRI_CONNTRACK */
#define EXPRESSION_DEPTH_MAX 32

/* An nftables ruleset, and what is looked up by name. A set is kept as a chain of the objects that
 * tell of it: itself, then a rule that changes it. */
struct tables {
	json_t *root, *objects;
	struct chains chains, sets;
};

/* The rule being judged. */
struct sense {
	const struct tables *tables;
	struct walk *walk;
	const json_t *rule;
	char varies[64]; /* why an expression of it is not the same each time; empty: it is */
	bool told;       /* it is a finding already */
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The one key of an object, and its value; "" and NULL for anything else. */
static const char *only_key(json_t *object, json_t **value)
{
	void *at = json_object_iter(object);

	*value = NULL;
	if (!at || json_object_iter_next(object, at))
		return "";
	*value = json_object_iter_value(at);
	return json_object_iter_key(at);
}

static bool word_among(const char *word, const char *const *list)
{
	while (*list && strcmp(*list, word))
		list++;
	return *list;
}

static uint8_t family_touches(const char *family)
{
	if (!strcmp(family, "ip"))
		return FINDING_IP4;
	return strcmp(family, "ip6") ? FINDING_ALL : FINDING_IP6;
}

static bool class_is_tcp(uint8_t class)
{
	return class & (FINDING_TCP4 | FINDING_TCP6);
}

static enum match varies(struct sense *sense, const char *why, ...)
	__attribute__((format(printf, 2, 3)));

/* Notes why, and is the answer. */
static enum match varies(struct sense *sense, const char *why, ...)
{
	va_list args;

	va_start(args, why);
	if (!*sense->varies)
		vsnprintf(sense->varies, sizeof(sense->varies), why, args);
	va_end(args);
	return MATCH_VARIES;
}

/* Elements may carry counters and comments, nothing that decides. */
static bool element_is_fixed(json_t *element)
{
	static const char *const harmless[] = { "val", "comment", "counter", NULL };
	json_t *value = NULL;
	const char *key;

	if (json_is_array(element)) /* of a map: key and value */
		element = json_array_get(element, 0);
	json_object_foreach(json_object_get(element, "elem"), key, value)
		if (!word_among(key, harmless))
			return false;
	return true;
}

/* A list of words, or one alone: are all of them among these? */
static bool words_among(json_t *words, const char *const *list)
{
	json_t *word;
	size_t i;

	if (json_is_string(words))
		return word_among(json_string_value(words), list);
	json_array_foreach(words, i, word)
		if (!json_is_string(word) || !word_among(json_string_value(word), list))
			return false;
	return !words || json_is_array(words);
}

static bool set_is_fixed(json_t *set)
{
	static const char *const harmless[] = { "family", "table",   "name",       "handle", "type",
						"map",    "flags",   "elem",       "policy", "size",
						"stmt",   "comment", "auto-merge", NULL };
	static const char *const flags[] = { "interval", "constant", NULL };
	json_t *value, *ignored;
	const char *key;
	size_t i;

	json_object_foreach(set, key, value)
		if (!word_among(key, harmless))
			return false;
	json_array_foreach(json_object_get(set, "stmt"), i, value) {
		if (strcmp(only_key(value, &ignored), "counter"))
			return false;
	}
	json_array_foreach(json_object_get(set, "elem"), i, value)
		if (!element_is_fixed(value))
			return false;
	return words_among(json_object_get(set, "flags"), flags);
}

/* A set by its "@name". What people change is announced; what changes by itself is not. */
static enum match set_match(struct sense *sense, const char *name)
{
	const struct chain *set = chains_find(&sense->tables->sets, text_of(sense->rule, "family"),
					      text_of(sense->rule, "table"), name + 1);

	if (!set)
		return varies(sense, "names a set that is not there");
	if (set->first->next)
		return varies(sense, "decides by a set that rules change");
	if (!set_is_fixed((json_t *)set->first->body))
		return varies(sense, "decides by a set that changes by itself");
	return MATCH_MAYBE;
}

static enum match payload_match(struct sense *sense, json_t *payload)
{
	static const struct {
		const char *proto;
		uint8_t classes;
		const char *fields[4];
	} known[] = {
		{ "ip", FINDING_IP4, { "saddr", "daddr", "protocol" } },
		{ "ip6", FINDING_IP6, { "saddr", "daddr", "nexthdr" } },
		{ "tcp", FINDING_TCP4 | FINDING_TCP6, { "sport", "dport" } },
		{ "udp", FINDING_UDP4 | FINDING_UDP6, { "sport", "dport" } },
		{ "th", FINDING_ALL, { "sport", "dport" } },
		{ "icmp", 0, {} },
		{ "icmpv6", 0, {} },
		{ "igmp", 0, {} },
		{ "sctp", 0, {} },
		{ "dccp", 0, {} },
		{ "esp", 0, {} },
		{ "comp", 0, {} },
		{ "udplite", 0, {} },
		{ "arp", 0, {} },
	};
	const char *proto = text_of(payload, "protocol"), *field = text_of(payload, "field");

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].proto, proto))
			continue;
		if (!(known[i].classes & sense->walk->class))
			return MATCH_NO;
		if (word_among(field, known[i].fields))
			return MATCH_MAYBE;
	}
	return varies(sense, "decides by %s %s of each packet", *proto ? proto : "the bytes",
		      field);
}

/* {"meta": {"key": …}} and the like, whose keys are fixed for a connection or are not. */
static enum match key_match(struct sense *sense, const char *kind, json_t *value)
{
	static const char *const meta[] = { "iif", "iifname", "iiftype", "iifkind", "oif",
					    "oifname", "oiftype", "oifkind", "nfproto", "l4proto",
					    "protocol",
					    /* 0, for what sets marks is a finding itself; none, for
					     * any IPsec policy is. */
					    "mark", "ipsec", "secpath", NULL };
	static const char *const ct[] = { "state",     "direction", "l3proto",   "protocol",
					  "saddr",     "daddr",     "ip saddr",  "ip daddr",
					  "ip6 saddr", "ip6 daddr", "proto-src", "proto-dst",
					  "zone",      "id",        "helper",    NULL };
	const char *key = text_of(value, "key");

	if (word_among(key, !strcmp(kind, "ct") ? ct : meta))
		return MATCH_MAYBE;
	return varies(sense, "decides by %s %s", kind, key);
}

/* What routes say of addresses. Changed routes are seen elsewhere. */
static enum match fib_match(struct sense *sense, json_t *fib)
{
	static const char *const results[] = { "oif", "oifname", "type", NULL };
	static const char *const flags[] = { "saddr", "daddr", "iif", "oif", "mark", NULL };

	if (word_among(text_of(fib, "result"), results) &&
	    words_among(json_object_get(fib, "flags"), flags))
		return MATCH_MAYBE;
	return varies(sense, "has a fib expression that is not known");
}

/* Any expression: NO when the packet has no such thing, VARIES, or MAYBE. */
static enum match expression_match(struct sense *sense, json_t *expression, unsigned depth)
{
	static const char *const composed[] = { "concat", "&",   "|",     "^", "<<",
						">>",     "set", "range", NULL };
	enum match match = MATCH_MAYBE;
	const char *key;
	json_t *value = NULL;
	size_t i;

	if (json_is_string(expression) && *json_string_value(expression) == '@')
		return set_match(sense, json_string_value(expression));
	if (depth == EXPRESSION_DEPTH_MAX || !expression)
		return varies(sense, "has an expression that is not known");
	json_array_foreach(expression, i, value)
		match = match_both(match, expression_match(sense, value, depth + 1));
	if (!json_is_object(expression))
		return match;
	key = only_key(expression, &value);
	if (word_among(key, composed))
		return expression_match(sense, value, depth + 1);
	if (!strcmp(key, "prefix"))
		return MATCH_MAYBE;
	if (!strcmp(key, "elem") && element_is_fixed(expression))
		return expression_match(sense, json_object_get(value, "val"), depth + 1);
	if (!strcmp(key, "payload"))
		return payload_match(sense, value);
	if (!strcmp(key, "meta") || !strcmp(key, "ct"))
		return key_match(sense, key, value);
	if (!strcmp(key, "fib"))
		return fib_match(sense, value);
	return varies(sense, "has an expression that is not known: %s", key);
}

/* True for {kind: {a: b, c: d}}. */
static bool expression_is(json_t *expression, const char *kind, const char *a, const char *b,
			  const char *c, const char *d)
{
	json_t *value = json_object_get(expression, kind);

	return value && !strcmp(text_of(value, a), b) && (!c || !strcmp(text_of(value, c), d));
}

/* A value, a list or a sum of names as bits. Returns -1 when one is not known. */
static int bits_of(json_t *value, const struct bit_name *names, unsigned depth)
{
	json_t *part, *parts = json_object_get(value, "|") ?: value;
	int bits, sum = 0;
	size_t i;

	if (json_is_integer(value))
		return json_integer_value(value) >= 0 && json_integer_value(value) <= TCP_ALL
			       ? (int)json_integer_value(value)
			       : -1;
	if (json_is_string(value)) {
		while (names->name && strcmp(names->name, json_string_value(value)))
			names++;
		return names->name ? names->bits : -1;
	}
	if (!json_is_array(parts) || depth == EXPRESSION_DEPTH_MAX)
		return -1;
	json_array_foreach(parts, i, part) {
		bits = bits_of(part, names, depth + 1);
		if (bits < 0)
			return -1;
		sum |= bits;
	}
	return sum;
}

static const struct bit_name tcp_flag_names[] = {
	{ "fin", TCP_FIN }, { "syn", TCP_SYN }, { "rst", TCP_RST },
	{ "psh", TCP_PSH }, { "ack", TCP_ACK }, { "urg", TCP_URG },
	{ "ecn", TCP_ECE }, { "cwr", TCP_CWR }, {}
};

/* Flags & mask are one of the values: the best answer of them. */
static enum match tcp_flags_among(int mask, json_t *values)
{
	enum match best = MATCH_NO;
	json_t *value = NULL;
	size_t i;

	json_array_foreach(values, i, value) {
		int bits = bits_of(value, tcp_flag_names, 0);
		enum match match = bits < 0 ? MATCH_VARIES : tcp_flags_match(mask, bits);

		best = match > best ? match : best;
	}
	return best;
}

/* `mask`: NULL for all flags. The kinds of `op` as nft(8) has them: "in" is "any of". */
static enum match tcp_flags_judge(struct sense *sense, const char *op, json_t *mask, json_t *right)
{
	int mask_bits = mask ? bits_of(mask, tcp_flag_names, 0) : TCP_ALL;
	int value = bits_of(right, tcp_flag_names, 0);
	bool inverted = *op == '!';
	json_t *set = json_object_get(right, "set");
	enum match match = MATCH_VARIES;

	if (!class_is_tcp(sense->walk->class))
		return MATCH_NO;
	if (!strcmp(op, "==") || !strcmp(op, "!=")) {
		if (mask_bits >= 0 && set)
			match = tcp_flags_among(mask_bits, set);
		else if (mask_bits >= 0 && value >= 0)
			match = tcp_flags_match(mask_bits, value);
	} else if (value >= 0 && !mask && (!strcmp(op, "in") || !strcmp(op, "!"))) {
		match = match_invert(tcp_flags_match(value, 0));
	}
	if (match == MATCH_VARIES)
		return varies(sense, "decides by TCP flags of each packet");
	return inverted ? match_invert(match) : match;
}

/* How a connection is translated is decided once; the rest of its status is not. */
static enum match ct_status_judge(struct sense *sense, const char *op, json_t *mask, json_t *right)
{
	static const struct bit_name names[] = { { "snat", 1 }, { "dnat", 2 }, {} };
	bool any = !strcmp(op, "in") || !strcmp(op, "!");

	if (!json_is_integer(mask) && bits_of(right, names, 0) >= 0 &&
	    (mask ? bits_of(mask, names, 0) >= 0 : any && !json_is_integer(right)))
		return MATCH_MAYBE;
	return varies(sense, "decides by ct status");
}

/* Is `own` (or the number it stands for; -1: none) among the values: one, a list of alternatives or
 * a set? MAYBE: cannot be told. */
static enum match value_among(json_t *values, const char *own, int number, bool alternatives)
{
	json_t *list = json_object_get(values, "set"), *value = NULL;
	enum match match, best = MATCH_NO;
	size_t i;

	if (json_is_integer(values) && number >= 0)
		return match_of(json_integer_value(values) == number);
	if (json_is_string(values) && !strchr("@*", *json_string_value(values)))
		return match_of(!strcmp(json_string_value(values), own));
	if (!list && alternatives && json_is_array(values))
		list = values;
	if (!list)
		return MATCH_MAYBE;
	json_array_foreach(list, i, value) {
		match = json_is_array(value) || json_object_get(value, "set")
				? MATCH_MAYBE
				: value_among(value, own, number, false);
		best = match > best ? match : best;
	}
	return best;
}

/* What is the same for every established packet of the class; NULL: `left` is none of that. */
static const char *constant_of(const struct walk *walk, json_t *left, int *number)
{
	bool tcp = class_is_tcp(walk->class), ip4 = walk->class & FINDING_IP4;

	*number = -1;
	if (expression_is(left, "ct", "key", "state", NULL, NULL))
		return walk->conntracked ? "established" : NULL;
	if (expression_is(left, "meta", "key", "l4proto", NULL, NULL) ||
	    expression_is(left, "payload", "protocol", "ip", "field", "protocol") ||
	    expression_is(left, "payload", "protocol", "ip6", "field", "nexthdr")) {
		*number = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		return tcp ? "tcp" : "udp";
	}
	if (expression_is(left, "meta", "key", "nfproto", NULL, NULL))
		return ip4 ? "ipv4" : "ipv6";
	if (expression_is(left, "meta", "key", "protocol", NULL, NULL))
		return ip4 ? "ip" : "ip6";
	return NULL;
}

/* `left op right`, both known to be the same for every packet of a connection. */
static enum match constant_judge(const struct walk *walk, const char *op, json_t *left,
				 json_t *right)
{
	bool any = !strcmp(op, "in") || !strcmp(op, "!"), inverted = *op == '!';
	enum match match;
	int number;
	const char *own = constant_of(walk, left, &number);

	if (!own || (!any && strcmp(op, "==") && strcmp(op, "!=")))
		return MATCH_MAYBE;
	match = value_among(right, own, number, any);
	return inverted ? match_invert(match) : match;
}

static enum match match_judge(struct sense *sense, json_t *stmt)
{
	json_t *left = json_object_get(stmt, "left"), *right = json_object_get(stmt, "right");
	json_t *masked = json_object_get(left, "&"), *mask = json_array_get(masked, 1);
	json_t *core = masked ? json_array_get(masked, 0) : left;
	const char *op = text_of(stmt, "op");
	enum match match;

	if (expression_is(core, "payload", "protocol", "tcp", "field", "flags"))
		return tcp_flags_judge(sense, op, mask, right);
	if (expression_is(core, "ct", "key", "status", NULL, NULL))
		return ct_status_judge(sense, op, mask, right);
	match = expression_match(sense, left, 0);
	if (match != MATCH_NO)
		match = match_both(match, expression_match(sense, right, 0));
	return match == MATCH_MAYBE ? constant_judge(sense->walk, op, left, right) : match;
}

static void rule_tell(struct sense *sense, const char *why)
{
	char where[sizeof(sense->walk->findings->list[0].where)];

	if (sense->told)
		return;
	sense->told = true;
	snprintf(where, sizeof(where), "nft %s %s %s handle %lld", text_of(sense->rule, "family"),
		 text_of(sense->rule, "table"), text_of(sense->rule, "chain"),
		 (long long)json_integer_value(json_object_get(sense->rule, "handle")));
	findings_add(sense->walk->findings, sense->walk->class, where, "%s", why);
}

/* {"accept": null}, {"jump": {"target": …}}. Returns -ENOENT for what is no verdict. */
static int verdict_judge(struct sense *sense, struct path *path, enum match match, json_t *stmt)
{
	static const struct {
		const char *key;
		enum verdict verdict;
	} verdicts[] = {
		{ "accept", VERDICT_END },    { "drop", VERDICT_END },
		{ "reject", VERDICT_END },    { "return", VERDICT_RETURN },
		{ "continue", VERDICT_NEXT }, { "jump", VERDICT_JUMP },
		{ "goto", VERDICT_GOTO },
	};
	size_t i = 0, n = sizeof(verdicts) / sizeof(*verdicts);
	struct chain *chain = NULL;
	json_t *value = NULL;
	const char *key = only_key(stmt, &value);

	while (i < n && strcmp(verdicts[i].key, key))
		i++;
	if (i == n)
		return -ENOENT;
	if (match != MATCH_NO && *sense->varies)
		rule_tell(sense, sense->varies);
	if (verdicts[i].verdict == VERDICT_JUMP || verdicts[i].verdict == VERDICT_GOTO) {
		chain = chains_find(&sense->tables->chains, text_of(sense->rule, "family"),
				    text_of(sense->rule, "table"), text_of(value, "target"));
		if (!chain) {
			rule_tell(sense, "jumps to a chain that is not there");
			return 0;
		}
	}
	walk_take(sense->walk, path, match, verdicts[i].verdict, chain);
	return 0;
}

/* The elements of a verdict map: in place, or of the map of that name. */
static json_t *vmap_elements(const struct sense *sense, json_t *data)
{
	const char *name = json_string_value(data);
	struct chain *map;

	if (!name)
		return json_object_get(data, "set");
	map = chains_find(&sense->tables->sets, text_of(sense->rule, "family"),
			  text_of(sense->rule, "table"), name + !!*name);
	return map ? json_object_get((json_t *)map->first->body, "elem") : NULL;
}

/* A verdict map: every element that may match takes its way; the one that certainly does ends it.
 */
static void vmap_judge(struct sense *sense, struct path *path, enum match match, json_t *vmap)
{
	json_t *key = json_object_get(vmap, "key"), *data = json_object_get(vmap, "data"), *element;
	enum match known = expression_match(sense, key, 0);
	size_t i;

	if (known != MATCH_NO && json_is_string(data))
		known = match_both(known, expression_match(sense, data, 0));
	if (known == MATCH_NO)
		return;
	if (*sense->varies) /* even where the map is empty now */
		rule_tell(sense, sense->varies);
	json_array_foreach(vmap_elements(sense, data), i, element) {
		enum match one = known == MATCH_MAYBE ? constant_judge(sense->walk, "==", key,
								       json_array_get(element, 0))
						      : known;
		if (verdict_judge(sense, path, match_both(one, match), json_array_get(element, 1)))
			rule_tell(sense, "has a verdict map that is not known");
	}
}

static const char *statement_why(const char *key)
{
	static const struct {
		const char *key, *why;
	} known[] = {
		{ "ct count", "counts connections over time" },
		{ "ct expectation", "changes how connections are tracked" },
		{ "ct helper", "changes how connections are tracked" },
		{ "ct timeout", "changes how connections are tracked" },
		{ "dup", "copies each packet" },
		{ "flow", "hands connections to a flowtable" },
		{ "fwd", "sends packets another way" },
		{ "limit", "decides by rate over time" },
		{ "log", "records each packet" },
		{ "mangle", "changes each packet or its marks" },
		{ "map", "changes a map by each packet" },
		{ "meter", "decides by rate over time" },
		{ "notrack", "changes how connections are tracked" },
		{ "queue", "asks another program about each packet" },
		{ "quota", "decides by the bytes carried so far" },
		{ "secmark", "sets marks that others may read" },
		{ "set", "changes a set by each packet" },
		{ "synproxy", "changes sequence numbers" },
		{ "tproxy", "hands packets to local sockets" },
		{ "xt", "has a part that only iptables can tell" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(known[i].key, key))
			return known[i].why;
	return "has a statement that is not known";
}

/* Statement by statement, as the kernel does: one that does not match ends the rule. */
static void rule_judge(struct walk *walk, const struct rule *rule, struct path *path)
{
	struct sense sense = { .tables = walk->ruleset, .walk = walk, .rule = rule->body };
	enum match match = MATCH_YES;
	json_t *stmt, *value = NULL;
	size_t i;

	json_array_foreach(json_object_get(sense.rule, "expr"), i, stmt) {
		const char *key = only_key(stmt, &value);

		if (!strcmp(key, "counter"))
			continue;
		if (!strcmp(key, "vmap")) {
			vmap_judge(&sense, path, match, value);
			return;
		}
		if (!verdict_judge(&sense, path, match, stmt))
			return;
		if (strcmp(key, "match")) {
			rule_tell(&sense, statement_why(key));
			match = match_both(match, MATCH_VARIES);
			continue;
		}
		match = match_both(match, match_judge(&sense, value));
		if (match == MATCH_NO)
			return;
	}
	if (*sense.varies)
		rule_tell(&sense, sense.varies);
}

/* Does text that iptables-nft-save wrote tell of this table? */
static bool text_has_table(const char *text, const char *table)
{
	size_t length = strlen(table);

	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (*text == '*' && !strncmp(text + 1, table, length) && text[length + 1] == '\n')
			return true;
	return false;
}

/* Expressions that iptables has words for, so that its text tells them. */
static bool match_is_told(json_t *match)
{
	static const char *const fields[] = { "saddr", "daddr", "protocol", "nexthdr",
					      "sport", "dport", "flags",    NULL };
	static const char *const keys[] = { "iifname", "oifname", "iif", "oif",
					    "l4proto", "mark",    NULL };
	json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
	json_t *core = json_array_get(json_object_get(left, "&"), 0) ?: left;
	json_t *payload = json_object_get(core, "payload"), *meta = json_object_get(core, "meta");

	if (json_object_get(right, "set") ||
	    (json_is_string(right) && *json_string_value(right) == '@'))
		return false;
	return word_among(text_of(payload, "field"), fields) ||
	       word_among(text_of(meta, "key"), keys);
}

/* iptables writes addresses, devices and the protocol before everything else; a rule in which they
 * stand behind something that acts was not written by it. */
static bool rule_is_told(const json_t *rule)
{
	static const char *const plain[] = { "counter", "accept", "drop", "return",
					     "jump",    "goto",   NULL };
	static const char *const acting[] = { "xt", "limit", "log", NULL };
	static const char *const late[] = { "sport", "dport", "flags", NULL };
	bool acted = false;
	json_t *stmt, *value = NULL;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, stmt) {
		const char *key = only_key(stmt, &value);

		if (word_among(key, acting)) {
			acted = true;
		} else if (!strcmp(key, "match")) {
			json_t *left = json_object_get(value, "left");
			json_t *core = json_array_get(json_object_get(left, "&"), 0) ?: left;
			const char *field = text_of(json_object_get(core, "payload"), "field");
			bool mark = expression_is(core, "meta", "key", "mark", NULL, NULL);

			if (!match_is_told(value) || (acted && !mark && !word_among(field, late)))
				return false;
		} else if (!word_among(key, plain)) {
			return false;
		}
	}
	return true;
}

static bool base_is_told(const json_t *chain)
{
	static const char *const names[][2] = {
		{ "PREROUTING", "prerouting" },   { "INPUT", "input" },
		{ "FORWARD", "forward" },         { "OUTPUT", "output" },
		{ "POSTROUTING", "postrouting" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i][0], text_of(chain, "name")))
			return !strcmp(names[i][1], text_of(chain, "hook"));
	return false;
}

/* A table that iptables-nft made and nobody else touched is judged by its text, where `xt` parts
 * are in full; in JSON they have but a name. */
static bool table_is_told(const struct tables *tables, const struct ruleset *ruleset,
			  const json_t *base)
{
	const char *family = text_of(base, "family"), *table = text_of(base, "table");
	const char *text = !strcmp(family, "ip")    ? ruleset->compat4
			   : !strcmp(family, "ip6") ? ruleset->compat6
						    : NULL;
	json_t *object, *value = NULL;
	size_t i;

	if (!text || !text_has_table(text, table))
		return false;
	json_array_foreach(tables->objects, i, object) {
		const char *key = only_key(object, &value);

		if (strcmp(text_of(value, "family"), family) ||
		    strcmp(text_of(value, "table"), table))
			continue;
		if (!strcmp(key, "rule")
			    ? !rule_is_told(value)
			    : strcmp(key, "chain") ||
				      (json_object_get(value, "hook") && !base_is_told(value)))
			return false;
	}
	return true;
}

static void base_walk(const struct tables *tables, struct chain *chain, bool conntracked,
		      uint8_t touches, struct findings *findings)
{
	for (uint8_t class = 1; class & FINDING_ALL; class <<= 1) {
		struct walk walk = {
			.findings = findings,
			.class = class,
			.conntracked = conntracked,
			.where = "nft",
			.rule_judge = rule_judge,
			.ruleset = tables,
		};

		if (touches & class)
			walk_chain(&walk, chain);
	}
}

/* A chain that the kernel itself calls. */
static void hook_judge(const struct tables *tables, const struct ruleset *ruleset,
		       const json_t *base, struct findings *findings)
{
	static const char *const met[] = { "prerouting", "forward", "postrouting", NULL };
	static const char *const local[] = { "input", "output", NULL };
	static const char *const layer3[] = { "ip", "ip6", "inet", NULL };
	const char *family = text_of(base, "family"), *hook = text_of(base, "hook");
	const char *type = text_of(base, "type");
	bool ip = word_among(family, layer3);
	struct chain *chain =
		chains_find(&tables->chains, family, text_of(base, "table"), text_of(base, "name"));
	char where[sizeof(findings->list[0].where)];

	if (!strcmp(family, "arp") || (ip && (word_among(hook, local) || !strcmp(type, "nat"))))
		return;
	if (ip && word_among(hook, met) && (!strcmp(type, "filter") || !strcmp(type, "route"))) {
		json_t *priority = json_object_get(base, "prio");
		bool conntracked = json_integer_value(priority) > CONNTRACK_PRIORITY &&
				   json_is_integer(priority);

		if (!table_is_told(tables, ruleset, base))
			base_walk(tables, chain, conntracked, family_touches(family), findings);
		return;
	}
	if (ip || !strcmp(family, "netdev") || chain->first ||
	    strcmp(text_of(base, "policy"), "accept")) {
		snprintf(where, sizeof(where), "nft %s %s %s", family, text_of(base, "table"),
			 text_of(base, "name"));
		findings_add(findings, FINDING_ALL, where, "filters at the hook %s", hook);
	}
}

/* A rule goes to its chain; a set it changes gets to know of it. */
static int rule_add(struct tables *tables, json_t *rule)
{
	const char *family = text_of(rule, "family"), *table = text_of(rule, "table");
	struct chain *chain = chains_find(&tables->chains, family, table, text_of(rule, "chain"));
	json_t *stmt, *value = NULL;
	size_t i;

	if (!chain || !json_is_array(json_object_get(rule, "expr")))
		return -EINVAL;
	json_array_foreach(json_object_get(rule, "expr"), i, stmt) {
		const char *key = only_key(stmt, &value), *name = text_of(value, key);
		struct chain *set;

		if ((strcmp(key, "set") && strcmp(key, "map")) || *name != '@')
			continue;
		set = chains_find(&tables->sets, family, table, name + 1);
		if (set && !set->first->next && chains_append(&tables->sets, set, rule))
			return -ENOMEM;
	}
	return chains_append(&tables->chains, chain, rule);
}

/* First pass: what has a name. */
static int object_add(struct tables *tables, const char *key, json_t *value,
		      struct findings *findings)
{
	static const char *const passive[] = { "metainfo",  "table",      "rule",
					       "counter",   "quota",      "limit",
					       "ct helper", "ct timeout", "ct expectation",
					       "synproxy",  "secmark",    NULL };
	const char *family = text_of(value, "family"), *table = text_of(value, "table");
	const char *name = text_of(value, "name");
	char where[sizeof(findings->list[0].where)];
	struct chain *set;

	if (word_among(key, passive))
		return 0;
	if (!strcmp(key, "chain"))
		return chains_add(&tables->chains, family, table, name) ? 0 : -EINVAL;
	if (!strcmp(key, "set") || !strcmp(key, "map")) {
		set = chains_add(&tables->sets, family, table, name);
		return set ? chains_append(&tables->sets, set, value) : -EINVAL;
	}
	snprintf(where, sizeof(where), "nft %s %s %s", family, table, name);
	findings_add(findings, FINDING_ALL, where,
		     strcmp(key, "flowtable") ? "is of a kind that is not known: %s"
					      : "connections may pass the rules by: %s",
		     key);
	return 0;
}

static int tables_read(struct tables *tables, const char *text, struct findings *findings)
{
	json_t *object, *value = NULL;
	const char *key;
	size_t i;
	int r;

	tables->root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	tables->objects = json_object_get(tables->root, "nftables");
	if (!json_is_array(tables->objects))
		return -EINVAL;
	r = chains_open(&tables->chains, json_array_size(tables->objects));
	r = r ?: chains_open(&tables->sets, 2 * json_array_size(tables->objects));
	json_array_foreach(tables->objects, i, object) {
		key = only_key(object, &value);
		if (!r)
			r = *key ? object_add(tables, key, value, findings) : -EINVAL;
	}
	json_array_foreach(tables->objects, i, object)
		if (!r && (value = json_object_get(object, "rule")))
			r = rule_add(tables, value);
	return r;
}

static void tables_close(struct tables *tables)
{
	chains_close(&tables->chains);
	chains_close(&tables->sets);
	json_decref(tables->root);
}

void nft_judge(const struct ruleset *ruleset, struct findings *findings)
{
	__attribute__((cleanup(tables_close))) struct tables tables = {};
	int r = tables_read(&tables, ruleset->nft, findings);
	json_t *object, *chain;
	size_t i;

	if (r) {
		findings_add(findings, FINDING_ALL, "nft", "the rules cannot be understood: %s",
			     strerror(-r));
		return;
	}
	json_array_foreach(tables.objects, i, object) {
		chain = json_object_get(object, "chain");
		if (chain && json_object_get(chain, "hook"))
			hook_judge(&tables, ruleset, chain, findings);
	}
}
