// SPDX-License-Identifier: BSD-2-Clause
// Fuzzes the configuration loader: any text, whose includes are what follows its first NUL.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Files that the loader opens, in memory. */
static struct {
	const uint8_t *bytes;
	size_t n, main_n;
} fuzz_input;

static FILE *fuzz_open(const char *path, const char *mode)
{
	size_t start = strcmp(path, "main.conf") ? fuzz_input.main_n : 0;
	size_t n = start ? fuzz_input.n - start : fuzz_input.main_n;

	(void)mode;
	return fmemopen((void *)(fuzz_input.bytes + start), n, "r");
}

#define fopen fuzz_open
#include "common/util/conf_text.c"
#undef fopen
#include "common/util/conf.c"

struct fuzz_item {
	char name[4];
	int8_t number;
};

struct fuzz_values {
	bool flag;
	int64_t large;
	uint16_t small;
	char text[8];
	int word;
	char names[3][4];
	size_t n_names;
	struct fuzz_item items[3];
	size_t n_items;
};

static const char *const fuzz_words[] = { "a", "b", NULL };

#define FIELD(type_, name_, ...) \
	.name = #name_, .type = type_, CONF_FIELD(struct fuzz_values, name_), __VA_ARGS__
#define LIST(type_, name_, ...) \
	.name = #name_, .type = type_, CONF_LIST(struct fuzz_values, name_, n_##name_), __VA_ARGS__

static const struct conf_key fuzz_item_keys[] = {
	{ .name = "name", .type = CONF_STRING, CONF_FIELD(struct fuzz_item, name) },
	{ .name = "number",
	  .type = CONF_INT,
	  CONF_FIELD(struct fuzz_item, number),
	  .min = -9,
	  .max = 9,
	  .def = "0" },
};

static const struct conf_key fuzz_keys[] = {
	{ FIELD(CONF_BOOL, flag, .def = "true") },
	{ FIELD(CONF_INT, large, .min = INT64_MIN, .max = INT64_MAX, .def = "0") },
	{ FIELD(CONF_INT, small, .max = UINT16_MAX, .def = "0") },
	{ FIELD(CONF_STRING, text, .def = "") },
	{ FIELD(CONF_WORD, word, .words = fuzz_words, .def = "a") },
	{ LIST(CONF_STRINGS, names) },
	{ LIST(CONF_GROUPS, items, .keys = fuzz_item_keys, .n_keys = 2) },
};

static int fuzz_check(const void *values, const struct conf *conf, struct conf_error *error)
{
	const struct fuzz_values *filled = values;

	if (!memchr(filled->text, '\0', sizeof(filled->text)) || filled->n_names > 3 ||
	    filled->n_items > 3 || filled->word > 1)
		abort();
	return conf_error_at(conf, error, filled->flag ? "items[1].name" : filled->text, "no");
}

/* libconfig 1.5 forgets the strings next to a syntax error. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_Alignas(struct fuzz_values) uint8_t values[sizeof(struct fuzz_values)],
		before[sizeof(values)];
	const struct conf_section section = { fuzz_keys, sizeof(fuzz_keys) / sizeof(fuzz_keys[0]),
					      values, sizeof(values), fuzz_check };
	const uint8_t *nul = memchr(data, '\0', size);
	struct conf_error error;

	memset(values, 0x5a, sizeof(values));
	memset(before, 0x5a, sizeof(before));
	fuzz_input.bytes = data;
	fuzz_input.n = size;
	fuzz_input.main_n = nul ? (size_t)(nul - data) : size;
	if (!conf_load("main.conf", &section, 1, &error) ||
	    memcmp(values, before, sizeof(before)) || !*error.text)
		abort();
	return 0;
}
