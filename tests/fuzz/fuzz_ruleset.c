// SPDX-License-Identifier: BSD-2-Clause
// Fuzzes the judge of rulesets: saved text, then behind the first NUL the JSON; garbage never
// offloads.
#define _GNU_SOURCE
#include "efw/finding.c"
#include "efw/ruleset_walk.c"
#include "efw/ruleset_iptables.c"
#include "efw/ruleset_nft.c"
#include "efw/ruleset.c"

static char *fuzz_text(const uint8_t *data, size_t size, const char *behind)
{
	char *text = calloc(1, size + strlen(behind) + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	strcpy(text + strlen(text), behind);
	return text;
}

static uint8_t fuzz_touches(const struct ruleset *ruleset)
{
	struct findings first = {}, second = {};
	uint64_t hash = ruleset_hash(ruleset);

	ruleset_judge(ruleset, &first);
	ruleset_judge(ruleset, &second);
	if (first.count != second.count || first.touches != second.touches ||
	    ruleset_hash(ruleset) != hash)
		abort();
	for (unsigned i = 0; i < first.count; i++)
		if (first.list[i].touches & ~first.touches)
			abort();
	return first.touches;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, '\0', size);
	size_t saved = nul ? (size_t)(nul - data) : size, rest = nul ? size - saved - 1 : 0;
	char *text = fuzz_text(data, saved, ""), *bad_text = fuzz_text(data, saved, "\nx\n");
	char *json = fuzz_text(data + size - rest, rest, "");
	char *bad_json = fuzz_text(data + size - rest, rest, "x");

	fuzz_touches(&(struct ruleset){ .legacy4 = text, .compat6 = text });
	fuzz_touches(&(struct ruleset){ .compat4 = text, .nft = json });
	if (fuzz_touches(&(struct ruleset){ .legacy4 = bad_text }) != FINDING_IP4 ||
	    fuzz_touches(&(struct ruleset){ .nft = bad_json }) != FINDING_ALL)
		abort();
	free(text);
	free(bad_text);
	free(json);
	free(bad_json);
	return 0;
}
