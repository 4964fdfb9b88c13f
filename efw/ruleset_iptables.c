// SPDX-License-Identifier: BSD-2-Clause
// Judges the text that iptables-save and ip6tables-save write.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "efw/ruleset_walk.h"

#define WORDS_MAX 256
#define RULE_BYTES_MAX 4096

/* What matches do. FIXED: the same for every packet of a connection and direction; VARIES: not so;
 * ACTS: not so, and it remembers, so that even a rule that does not match has an effect. */
enum kind {
	KIND_ALWAYS,
	KIND_FIXED,
	KIND_VARIES,
	KIND_ACTS,
	KIND_CONNTRACK,
	KIND_STATE,
	KIND_TCP,
	KIND_ROUTING,
};

#define MATCHES(X)                                                                   \
	X(comment, ALWAYS, "")                                                       \
	X(addrtype, FIXED, "")                                                       \
	X(dccp, FIXED, "")                                                           \
	X(esp, FIXED, "")                                                            \
	X(helper, FIXED, "") /* of the connection; one with a helper stays anyway */ \
	X(icmp, FIXED, "")                                                           \
	X(icmp6, FIXED, "")                                                          \
	X(icmpv6, FIXED, "")                                                         \
	X(iprange, FIXED, "")                                                        \
	X(mark, FIXED, "") /* 0, for what sets marks is a finding itself */          \
	X(mh, FIXED, "")                                                             \
	X(multiport, FIXED, "")                                                      \
	X(policy, FIXED, "")   /* none, for any IPsec policy is a finding itself */  \
	X(rpfilter, FIXED, "") /* by routes and the port of entry */                 \
	X(sctp, FIXED, "")                                                           \
	X(udp, FIXED, "")                                                            \
	X(udplite, FIXED, "")                                                        \
	X(conntrack, CONNTRACK, "")                                                  \
	X(state, STATE, "")                                                          \
	X(tcp, TCP, "")                                                              \
	X(rt, ROUTING, "extension headers differ from packet to packet")             \
	X(ah, VARIES, "extension headers differ from packet to packet")              \
	X(bpf, VARIES, "decides by the bytes of each packet")                        \
	X(cgroup, VARIES, "decides by the sending process")                          \
	X(connbytes, VARIES, "decides by the bytes carried so far")                  \
	X(connlabel, VARIES, "labels of a connection may change")                    \
	X(connmark, VARIES, "the mark of a connection may change")                   \
	X(cpu, VARIES, "decides by the CPU")                                         \
	X(devgroup, VARIES, "groups of devices change unseen")                       \
	X(dscp, VARIES, "decides by the DSCP of each packet")                        \
	X(dst, VARIES, "extension headers differ from packet to packet")             \
	X(ecn, VARIES, "decides by the ECN bits of each packet")                     \
	X(eui64, VARIES, "decides by the MAC address of each packet")                \
	X(frag, VARIES, "extension headers differ from packet to packet")            \
	X(hbh, VARIES, "extension headers differ from packet to packet")             \
	X(hl, VARIES, "decides by the hop limit of each packet")                     \
	X(ipv6header, VARIES, "extension headers differ from packet to packet")      \
	X(length, VARIES, "decides by the length of each packet")                    \
	X(mac, VARIES, "decides by the MAC address of each packet")                  \
	X(osf, VARIES, "decides by the TCP options of each packet")                  \
	X(owner, VARIES, "decides by the sending process")                           \
	X(physdev, VARIES, "decides by the port of a bridge")                        \
	X(pkttype, VARIES, "decides by how each packet was addressed")               \
	X(realm, VARIES, "decides by routing realms")                                \
	X(set, VARIES, "members of an ipset change unseen")                          \
	X(string, VARIES, "decides by the bytes of each packet")                     \
	X(tcpmss, VARIES, "decides by the TCP options of each packet")               \
	X(time, VARIES, "decides by the time of day")                                \
	X(tos, VARIES, "decides by the TOS of each packet")                          \
	X(ttl, VARIES, "decides by the TTL of each packet")                          \
	X(u32, VARIES, "decides by the bytes of each packet")                        \
	X(connlimit, ACTS, "counts connections over time")                           \
	X(hashlimit, ACTS, "decides by rate over time")                              \
	X(limit, ACTS, "decides by rate over time")                                  \
	X(nfacct, ACTS, "accounts each packet")                                      \
	X(quota, ACTS, "decides by the bytes carried so far")                        \
	X(rateest, ACTS, "decides by rate over time")                                \
	X(recent, ACTS, "remembers addresses over time")                             \
	X(socket, ACTS, "decides by local sockets and may set marks")                \
	X(statistic, ACTS, "decides by chance or count")

static const struct match_kind {
	const char *name;
	enum kind kind;
	const char *why;
} matches[] = {
#define MATCH_ROW(name, kind, why) { #name, KIND_##kind, why },
	MATCHES(MATCH_ROW)
};

static const struct target_kind {
	const char *name;
	enum verdict verdict; /* NEXT: it is a finding */
	const char *why;
} targets[] = {
	{ "ACCEPT", VERDICT_END, NULL },
	{ "DROP", VERDICT_END, NULL },
	{ "REJECT", VERDICT_END, NULL },
	{ "RETURN", VERDICT_RETURN, NULL },
	{ "AUDIT", VERDICT_NEXT, "records each packet" },
	{ "CHECKSUM", VERDICT_NEXT, "changes each packet" },
	{ "CLASSIFY", VERDICT_NEXT, "classifies each packet for a queue" },
	{ "CONNMARK", VERDICT_NEXT, "sets marks that others may read" },
	{ "CONNSECMARK", VERDICT_NEXT, "sets marks that others may read" },
	{ "CT", VERDICT_NEXT, "changes how connections are tracked" },
	{ "DSCP", VERDICT_NEXT, "changes each packet" },
	{ "ECN", VERDICT_NEXT, "changes each packet" },
	{ "HL", VERDICT_NEXT, "changes each packet" },
	{ "HMARK", VERDICT_NEXT, "sets marks that others may read" },
	{ "IDLETIMER", VERDICT_NEXT, "watches for packets over time" },
	{ "LED", VERDICT_NEXT, "shows each packet" },
	{ "LOG", VERDICT_NEXT, "records each packet" },
	{ "MARK", VERDICT_NEXT, "sets marks that others may read" },
	{ "NFLOG", VERDICT_NEXT, "records each packet" },
	{ "NFQUEUE", VERDICT_NEXT, "asks another program about each packet" },
	{ "NOTRACK", VERDICT_NEXT, "changes how connections are tracked" },
	{ "QUEUE", VERDICT_NEXT, "asks another program about each packet" },
	{ "RATEEST", VERDICT_NEXT, "measures rates over time" },
	{ "SECMARK", VERDICT_NEXT, "sets marks that others may read" },
	{ "SET", VERDICT_NEXT, "changes a set by each packet" },
	{ "SYNPROXY", VERDICT_NEXT, "changes sequence numbers" },
	{ "TCPMSS", VERDICT_NEXT, "changes each packet" },
	{ "TCPOPTSTRIP", VERDICT_NEXT, "changes each packet" },
	{ "TEE", VERDICT_NEXT, "copies each packet" },
	{ "TOS", VERDICT_NEXT, "changes each packet" },
	{ "TPROXY", VERDICT_NEXT, "hands packets to local sockets" },
	{ "TRACE", VERDICT_NEXT, "records each packet" },
	{ "TTL", VERDICT_NEXT, "changes each packet" },
};

/* The chains a forwarded packet meets. Those of the table nat see only first packets. */
static const struct base {
	const char *table, *chain;
	bool conntracked;
} bases[] = {
	{ "raw", "PREROUTING", false }, { "mangle", "PREROUTING", true },
	{ "mangle", "FORWARD", true },  { "mangle", "POSTROUTING", true },
	{ "filter", "FORWARD", true },  { "security", "FORWARD", true },
};

/* One saved ruleset. Rules and chains point into `lines`, a copy of the text cut into strings. */
struct saved {
	char *lines;
	struct chains chains;
	const char *table; /* of the line being read, then of the chain being walked; NULL: none */
};

/* A rule's text cut into words. */
struct words {
	unsigned count, next;
	char *list[WORDS_MAX];
	bool quoted[WORDS_MAX]; /* never an option, whatever it looks like */
	char bytes[RULE_BYTES_MAX];
};

/* What is known of a rule. */
struct rule_sense {
	enum match match;
	enum verdict verdict;
	bool acts;            /* does something even where it does not match */
	struct chain *target; /* to JUMP or GOTO */
	const char *why;      /* NULL, or what makes it a finding */
};

static const struct match_kind *match_find(const char *name)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(*matches); i++)
		if (!strcmp(matches[i].name, name))
			return &matches[i];
	return NULL;
}

static const struct target_kind *target_find(const char *name)
{
	for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
		if (!strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

/* Copies one word without its quotes, as xtables_save_string() writes them. Returns behind it, NULL
 * when a quote is not closed. */
static const char *word_copy(const char *text, char **to)
{
	bool quoted = *text == '"';

	for (text += quoted; *text && *text != (quoted ? '"' : ' '); text++) {
		if (quoted && *text == '\\' && text[1])
			text++;
		*(*to)++ = *text;
	}
	*(*to)++ = '\0';
	if (!quoted)
		return text;
	return *text == '"' && (text[1] == ' ' || !text[1]) ? text + 1 : NULL;
}

static int words_split(const char *text, struct words *words)
{
	char *to = words->bytes;

	words->count = words->next = 0;
	if (strlen(text) >= sizeof(words->bytes) / 2) /* a word grows by its end alone */
		return -E2BIG;
	while (*(text += strspn(text, " "))) {
		if (words->count == WORDS_MAX)
			return -E2BIG;
		words->quoted[words->count] = *text == '"';
		words->list[words->count++] = to;
		text = word_copy(text, &to);
		if (!text)
			return -EINVAL;
	}
	return 0;
}

static const char *word_peek(const struct words *words)
{
	return words->next < words->count ? words->list[words->next] : "";
}

/* The next word, "" behind the last. */
static const char *word_take(struct words *words)
{
	const char *word = word_peek(words);

	words->next += words->next < words->count;
	return word;
}

static bool word_is(const char *word, const char *a, const char *b)
{
	return !strcmp(word, a) || !strcmp(word, b);
}

static bool value_follows(const struct words *words)
{
	const char *word = word_peek(words);

	return words->next < words->count &&
	       (words->quoted[words->next] || (*word != '-' && strcmp(word, "!")));
}

/* True where the options of a match end. */
static bool match_ends(const struct words *words)
{
	const char *word = word_peek(words);

	return words->next == words->count ||
	       (!words->quoted[words->next] && (!strcmp(word, "-m") || word_is(word, "-j", "-g")));
}

/* One option of a match, with the words that are its values; an option begins with "--". */
struct option {
	bool inverted;
	const char *name, *value, *second;
};

static bool option_take(struct words *words, struct option *option)
{
	const char *values[2] = { "", "" };
	unsigned n = 0;

	option->inverted = !strcmp(word_peek(words), "!");
	if (option->inverted)
		word_take(words);
	option->name = word_take(words);
	if (strncmp(option->name, "--", 2))
		return false;
	/* A comment may look like anything, also like an option. */
	if (!strcmp(option->name, "--comment") && words->next < words->count)
		values[n++] = word_take(words);
	else
		while (value_follows(words)) {
			const char *value = word_take(words);

			if (n < 2)
				values[n++] = value;
		}
	option->value = values[0];
	option->second = values[1];
	return true;
}

/* A list with commas as the sum of its words' bits. Returns -1 when a word is not known or there
 * is none. */
static int list_parse(const char *list, const struct bit_name *names)
{
	int sum = 0;

	for (;;) {
		size_t length = strcspn(list, ",");
		const struct bit_name *name = names;

		while (name->name &&
		       (strlen(name->name) != length || strncmp(list, name->name, length)))
			name++;
		if (!name->name)
			return -1;
		sum |= name->bits;
		if (!list[length])
			return sum;
		list += length + 1;
	}
}

/* An established packet has this one state. A connection that was RELATED has a master, and such
 * are never offloaded. */
static enum match state_match(const struct option *option, bool conntracked, const char **why)
{
	enum { OTHER = 0, ESTABLISHED = 1, TRANSLATED = 2 };
	static const struct bit_name names[] = { { "NEW", OTHER },
						 { "RELATED", OTHER },
						 { "INVALID", OTHER },
						 { "UNTRACKED", OTHER },
						 { "ESTABLISHED", ESTABLISHED },
						 { "SNAT", TRANSLATED },
						 { "DNAT", TRANSLATED },
						 {} };
	int states = list_parse(option->value, names);
	enum match match = match_of(states & ESTABLISHED);

	if (states < 0) {
		*why = "has a connection state that is not known";
		return MATCH_VARIES;
	}
	if (!conntracked || (states & TRANSLATED && !(states & ESTABLISHED)))
		return MATCH_MAYBE;
	return option->inverted ? match_invert(match) : match;
}

static enum match conntrack_match(const struct option *option, bool conntracked, const char **why)
{
	static const char *const fixed[] = {
		"--ctproto",   "--ctorigsrc",     "--ctorigdst",     "--ctreplsrc",
		"--ctrepldst", "--ctorigsrcport", "--ctorigdstport", "--ctreplsrcport",
		"--ctdir",     "--ctrepldstport",
	};

	if (!strcmp(option->name, "--ctstate"))
		return state_match(option, conntracked, why);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		if (!strcmp(option->name, fixed[i]))
			return MATCH_MAYBE;
	*why = "decides by what changes during a connection";
	return MATCH_VARIES;
}

static int tcp_flags_parse(const char *list)
{
	static const struct bit_name names[] = { { "FIN", TCP_FIN },
						 { "SYN", TCP_SYN },
						 { "RST", TCP_RST },
						 { "PSH", TCP_PSH },
						 { "ACK", TCP_ACK },
						 { "URG", TCP_URG },
						 { "NONE", 0 },
						 /* As the tools define it: without ECE and CWR. */
						 { "ALL", TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH |
								  TCP_ACK | TCP_URG },
						 {} };

	return list_parse(list, names);
}

static enum match tcp_match(const struct option *option, const char **why)
{
	int mask = TCP_SYN | TCP_RST | TCP_ACK | TCP_FIN, value = TCP_SYN;
	enum match match;

	if (word_is(option->name, "--sport", "--dport"))
		return MATCH_MAYBE;
	if (!strcmp(option->name, "--tcp-flags")) {
		mask = tcp_flags_parse(option->value);
		value = tcp_flags_parse(option->second);
	} else if (strcmp(option->name, "--syn")) {
		*why = "decides by the TCP options of each packet";
		return MATCH_VARIES;
	}
	*why = "decides by TCP flags of each packet";
	if (mask < 0 || value < 0)
		return MATCH_VARIES;
	match = tcp_flags_match(mask, value);
	return option->inverted ? match_invert(match) : match;
}

/* Of the extension headers only this: routing headers of type 0 never reach the fast path. */
static enum match routing_match(const struct option *option)
{
	return match_of(strcmp(option->name, "--rt-type") || strcmp(option->value, "0") ||
			option->inverted);
}

static enum match option_match(enum kind kind, const struct option *option, bool conntracked,
			       const char **why)
{
	switch (kind) {
	case KIND_CONNTRACK:
		return conntrack_match(option, conntracked, why);
	case KIND_STATE:
		return state_match(option, conntracked, why);
	case KIND_TCP:
		return tcp_match(option, why);
	case KIND_ROUTING:
		return routing_match(option);
	case KIND_ALWAYS:
		return MATCH_YES;
	default:
		return MATCH_MAYBE;
	}
}

/* "-p": TCP and UDP are the only protocols of the walk. */
static enum match proto_match(const char *proto, uint8_t class)
{
	bool tcp = class & (FINDING_TCP4 | FINDING_TCP6);

	if (word_is(proto, "all", "0"))
		return MATCH_YES;
	if (word_is(proto, "tcp", "6"))
		return match_of(tcp);
	if (word_is(proto, "udp", "17"))
		return match_of(!tcp);
	return MATCH_NO;
}

/* What stands before the first -m: addresses, ports of the machine, protocol. */
static int header_judge(struct words *words, uint8_t class, struct rule_sense *sense)
{
	static const struct bit_name fixed[] = {
		{ "-s", 1 }, { "-d", 1 }, { "-i", 1 }, { "-o", 1 }, {}
	};

	while (!match_ends(words)) {
		bool inverted = !strcmp(word_peek(words), "!");
		const char *name, *value = "";
		enum match match = MATCH_MAYBE;

		if (inverted)
			word_take(words);
		name = word_take(words);
		if (strcmp(name, "-f"))
			value = word_take(words);
		if (!strcmp(name, "-f"))
			match = MATCH_NO; /* a fragment is never offloaded */
		else if (!strcmp(name, "-p") && *value)
			match = proto_match(value, class);
		else if (list_parse(name, fixed) < 0 || !*value)
			return -EINVAL;
		sense->match = match_both(sense->match, inverted ? match_invert(match) : match);
	}
	return 0;
}

static enum match kind_match(enum kind kind)
{
	switch (kind) {
	case KIND_FIXED:
		return MATCH_MAYBE;
	case KIND_VARIES:
	case KIND_ACTS:
	case KIND_ROUTING:
		return MATCH_VARIES;
	default:
		return MATCH_YES;
	}
}

/* One "-m name" and its options. */
static int matches_judge(struct words *words, bool conntracked, struct rule_sense *sense)
{
	static const struct match_kind unknown = { "", KIND_ACTS, "has a match that is not known" };
	const struct match_kind *kind = match_find(word_take(words)) ?: &unknown;
	enum match match = kind_match(kind->kind);
	const char *why = kind->why;

	while (!match_ends(words)) {
		struct option option;

		if (!option_take(words, &option))
			return -EINVAL;
		match = match_both(match, option_match(kind->kind, &option, conntracked, &why));
	}
	if (match == MATCH_VARIES && sense->match != MATCH_NO && !sense->why)
		sense->why = why;
	if (kind->kind == KIND_ACTS && sense->match != MATCH_NO)
		sense->acts = true;
	sense->match = match_both(sense->match, match);
	return 0;
}

/* "-j name" or "-g chain" and what follows. */
/* `CT --helper NAME` and no more: its connections carry a mark of the helper, and conntrack itself
 * says which they are. They stay with netfilter one by one. */
static bool target_is_helper(const struct words *words, const char *name)
{
	return !strcmp(name, "CT") && words->count - words->next == 2 &&
	       !strcmp(words->list[words->next], "--helper");
}

static int target_judge(struct words *words, const struct saved *saved, struct rule_sense *sense)
{
	bool is_goto = !strcmp(word_take(words), "-g");
	const char *name = word_take(words);
	const struct target_kind *kind = is_goto ? NULL : target_find(name);

	if (target_is_helper(words, name)) {
		sense->verdict = VERDICT_NEXT;
		return 0;
	}
	if (kind) {
		sense->verdict = kind->verdict;
		if (kind->why && !sense->why)
			sense->why = kind->why;
		if (kind->why || !strcmp(name, "REJECT"))
			return 0;
	} else {
		sense->verdict = is_goto ? VERDICT_GOTO : VERDICT_JUMP;
		sense->target = chains_find(&saved->chains, "", saved->table, name);
		if (!sense->target) {
			sense->verdict = VERDICT_NEXT;
			sense->why = "has a target that is not known";
			return 0;
		}
	}
	return words->next == words->count ? 0 : -EINVAL;
}

/* Reads a rule, "-A chain …". Returns 0, or -errno when it is not understood. */
static int rule_read(const struct walk *walk, const char *text, struct rule_sense *sense)
{
	struct words words;
	int r = words_split(text, &words);

	words.next = 2;
	r = r ?: header_judge(&words, walk->class, sense);
	while (!r && !strcmp(word_peek(&words), "-m")) {
		word_take(&words);
		r = matches_judge(&words, walk->conntracked, sense);
	}
	if (!r && words.next < words.count)
		r = target_judge(&words, walk->ruleset, sense);
	return r;
}

static void line_judge(struct walk *walk, const struct rule *rule, struct path *path)
{
	const char *text = rule->body, *why = NULL;
	struct rule_sense sense = { .match = MATCH_YES, .verdict = VERDICT_NEXT };
	char where[sizeof(walk->findings->list[0].where)];

	if (rule_read(walk, text, &sense))
		why = "the rule is not understood";
	else if (sense.match != MATCH_NO || sense.acts)
		why = sense.why;
	if (why) {
		text += strlen("-A ");
		snprintf(where, sizeof(where), "%s %.*s:%s", walk->where, (int)strcspn(text, " "),
			 text, text + strcspn(text, " "));
		findings_add(walk->findings, walk->class, where, "%s", why);
	}
	walk_take(walk, path, sense.match, sense.verdict, sense.target);
}

/* ":chain POLICY [packets:bytes]". A chain named like a target could hide it. */
static int chain_line(struct saved *saved, char *line)
{
	size_t length = strcspn(line, " ");

	if (!saved->table || !length || !line[length])
		return -EINVAL;
	line[length] = '\0';
	if (target_find(line) || !chains_add(&saved->chains, "", saved->table, line))
		return -EINVAL;
	return 0;
}

/* "-A chain …" */
static int rule_line(struct saved *saved, char *line)
{
	char *name = line + strlen("-A "), *end = name + strcspn(name, " "), behind = *end;
	struct chain *chain;

	if (!saved->table)
		return -EINVAL;
	*end = '\0';
	chain = chains_find(&saved->chains, "", saved->table, name);
	*end = behind;
	return chain ? chains_append(&saved->chains, chain, line) : -ENOENT;
}

static int line_read(struct saved *saved, char *line)
{
	if (*line == '[') /* counters, as -c writes them */
		line = strstr(line, "] ") ? strstr(line, "] ") + 2 : line;
	if (!*line || *line == '#')
		return 0;
	if (*line == ':')
		return chain_line(saved, line + 1);
	if (!strncmp(line, "-A ", 3))
		return rule_line(saved, line);
	if (*line == '*' && !saved->table) {
		saved->table = line + 1;
		return 0;
	}
	if (strcmp(line, "COMMIT") || !saved->table)
		return -EINVAL;
	saved->table = NULL;
	return 0;
}

/* Cuts the text into lines and reads each. Returns 0 or -errno when one was not understood. */
static int saved_read(struct saved *saved, const char *text)
{
	size_t lines = 0;
	int r;

	for (const char *at = text; *at; at++)
		lines += *at == '\n';
	saved->lines = strdup(text);
	r = saved->lines ? chains_open(&saved->chains, lines) : -ENOMEM;
	for (char *line = saved->lines, *end; !r && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			return -EINVAL;
		*end = '\0';
		r = line_read(saved, line);
	}
	return r ?: saved->table ? -EINVAL : 0;
}

static void saved_close(struct saved *saved)
{
	chains_close(&saved->chains);
	free(saved->lines);
}

/* One chain of the kernel's own, for TCP and for UDP. */
static void base_judge(struct saved *saved, const struct base *base, uint8_t touches,
		       const char *tool, struct findings *findings)
{
	struct chain *chain = chains_find(&saved->chains, "", base->table, base->chain);
	char where[64];

	if (!chain)
		return;
	saved->table = base->table;
	snprintf(where, sizeof(where), "%s %s", tool, base->table);
	for (uint8_t class = 1; class & FINDING_ALL; class <<= 1) {
		struct walk walk = {
			.findings = findings,
			.class = class,
			.conntracked = base->conntracked,
			.where = where,
			.rule_judge = line_judge,
			.ruleset = saved,
		};

		if (touches & class)
			walk_chain(&walk, chain);
	}
}

/* Tables this file does not know could be met anywhere. */
static bool table_is_known(const char *table)
{
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		if (!strcmp(bases[i].table, table))
			return true;
	return !strcmp(table, "nat");
}

void iptables_judge(const char *text, int family, const char *tool, struct findings *findings)
{
	uint8_t touches = family == AF_INET ? FINDING_IP4 : FINDING_IP6;
	__attribute__((cleanup(saved_close))) struct saved saved = {};
	int r = saved_read(&saved, text);

	if (r) {
		findings_add(findings, touches, tool, "the rules cannot be understood: %s",
			     strerror(-r));
		return;
	}
	for (size_t i = 0; i < saved.chains.count; i++)
		if (!table_is_known(saved.chains.list[i].table))
			findings_add(findings, touches, tool, "has a table that is not known");
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		base_judge(&saved, &bases[i], touches, tool, findings);
}
