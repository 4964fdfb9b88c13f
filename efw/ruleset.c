// SPDX-License-Identifier: BSD-2-Clause
// Judges a netfilter ruleset, whichever tools wrote it, and tells whether it is the same as before.
#include <jansson.h>
#include <string.h>
#include <sys/socket.h>
#include "efw/ruleset_walk.h"

#define HASH_SEED 0xcbf29ce484222325ull /* FNV-1a, 64 bits */
#define HASH_PRIME 0x100000001b3ull

void ruleset_judge(const struct ruleset *ruleset, struct findings *findings)
{
	const struct {
		const char *text, *tool;
		int family;
	} saved[] = {
		{ ruleset->legacy4, "iptables-legacy", AF_INET },
		{ ruleset->legacy6, "ip6tables-legacy", AF_INET6 },
		{ ruleset->compat4, "iptables-nft", AF_INET },
		{ ruleset->compat6, "ip6tables-nft", AF_INET6 },
	};

	for (size_t i = 0; i < sizeof(saved) / sizeof(*saved); i++)
		if (saved[i].text)
			iptables_judge(saved[i].text, saved[i].family, saved[i].tool, findings);
	if (ruleset->nft)
		nft_judge(ruleset, findings);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size)
{
	for (const unsigned char *at = bytes; size; size--)
		hash = (hash ^ *at++) * HASH_PRIME;
	return hash;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	return hash_bytes(hash, text, strlen(text) + 1);
}

/* A line of iptables-save without comments (they hold the time) and [packets:bytes]. */
static uint64_t hash_line(uint64_t hash, const char *line, size_t length)
{
	const char *end = line + length, *bracket;

	if (*line == '#')
		return hash;
	if (*line == '[') { /* before a rule */
		bracket = memchr(line, ']', length);
		line = bracket ? bracket + 1 : line;
	} else if (*line == ':') { /* behind a chain */
		bracket = memchr(line, '[', length);
		end = bracket ? bracket : end;
	}
	return hash_bytes(hash_bytes(hash, line, end - line), "\n", 1);
}

static uint64_t hash_saved(uint64_t hash, const char *text)
{
	size_t length;

	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		hash = hash_line(hash, text, length);
	}
	return hash_bytes(hash, "", 1);
}

/* What changes while the policy does not: handles, counts, elements that time out. */
static bool key_is_policy(const char *object, const json_t *value, const char *key)
{
	if (!strcmp(key, "handle") || !strcmp(key, "expires") || !strcmp(key, "metainfo") ||
	    !strcmp(key, "last"))
		return false;
	if (!strcmp(object, "counter"))
		return strcmp(key, "packets") && strcmp(key, "bytes");
	if (!strcmp(object, "quota"))
		return strcmp(key, "used");
	if ((!strcmp(object, "set") || !strcmp(object, "map")) && !strcmp(key, "elem")) {
		const json_t *flag;
		size_t i;

		json_array_foreach(json_object_get(value, "flags"), i, flag)
			if (!strcmp(json_string_value(flag) ?: "", "timeout"))
				return false;
	}
	return true;
}

/* name: the key under which the value stands. */
static uint64_t hash_json(uint64_t hash, const char *name, json_t *value)
{
	uint64_t sum = 0;
	const char *key;
	json_t *item;
	size_t i;

	hash = hash_bytes(hash, &(char){ json_typeof(value) }, 1);
	if (json_is_string(value))
		return hash_text(hash, json_string_value(value));
	if (json_is_integer(value))
		return hash_bytes(hash, &(json_int_t){ json_integer_value(value) },
				  sizeof(json_int_t));
	if (json_is_real(value))
		return hash_bytes(hash, &(double){ json_real_value(value) }, sizeof(double));
	if (!strcmp(name, "elem")) /* the kernel lists the elements of a set in any order */
		json_array_foreach(value, i, item)
			sum += hash_json(HASH_SEED, "", item);
	else
		json_array_foreach(value, i, item)
			hash = hash_json(hash, "", item);
	json_object_foreach(value, key, item)
		if (key_is_policy(name, value, key))
			hash = hash_json(hash_text(hash, key), key, item);
	return hash_bytes(hash_bytes(hash, &sum, sizeof(sum)), "", 1);
}

static uint64_t hash_nft(uint64_t hash, const char *text)
{
	json_t *root = json_loads(text, 0, NULL);

	if (!root)
		return hash_text(hash, text);
	hash = hash_json(hash, "", root);
	json_decref(root);
	return hash;
}

uint64_t ruleset_hash(const struct ruleset *ruleset)
{
	const char *const saved[] = { ruleset->legacy4, ruleset->legacy6, ruleset->compat4,
				      ruleset->compat6 };
	uint64_t hash = HASH_SEED;

	for (size_t i = 0; i < sizeof(saved) / sizeof(*saved); i++)
		hash = hash_saved(hash, saved[i] ? saved[i] : "");
	return ruleset->nft ? hash_nft(hash, ruleset->nft) : hash;
}
