// SPDX-License-Identifier: BSD-2-Clause
// The JSON writer: documents byte by byte, and misuse that is refused.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/json.h"

/* Begin a document in memory; written() ends it. */
struct document {
	struct json json;
	FILE *file;
	char *text;
	size_t length;
};

static struct json *begin(struct document *document)
{
	document->file = open_memstream(&document->text, &document->length);
	assert_non_null(document->file);
	json_begin(&document->json, document->file);
	return &document->json;
}

static void assert_written(struct document *document, const char *expected)
{
	assert_int_equal(json_end(&document->json), 0);
	fclose(document->file);
	assert_string_equal(document->text, expected);
	free(document->text);
}

static void assert_refused(struct document *document)
{
	assert_int_equal(json_end(&document->json), -EINVAL);
	fclose(document->file);
	free(document->text);
}

static void objects_and_arrays_get_their_commas(void **state)
{
	struct document document;
	struct json *json = begin(&document);

	(void)state;
	json_object_begin(json);
	json_key(json, "ports");
	json_array_begin(json);
	for (int i = 0; i < 2; i++) {
		json_object_begin(json);
		json_key(json, "index");
		json_i64(json, i);
		json_key(json, "up");
		json_bool(json, i);
		json_object_end(json);
	}
	json_array_end(json);
	json_key(json, "none");
	json_array_begin(json);
	json_array_end(json);
	json_key(json, "empty");
	json_object_begin(json);
	json_object_end(json);
	json_object_end(json);
	assert_written(&document,
		       "{\"ports\":[{\"index\":0,\"up\":false},{\"index\":1,\"up\":true}],"
		       "\"none\":[],\"empty\":{}}\n");
}

static void numbers_keep_their_extremes(void **state)
{
	struct document document;
	struct json *json = begin(&document);

	(void)state;
	json_array_begin(json);
	json_u64(json, UINT64_MAX);
	json_i64(json, INT64_MIN);
	json_double(json, 0.1);
	json_double(json, -1e300);
	json_double(json, 3);
	json_array_end(json);
	assert_written(&document, "[18446744073709551615,-9223372036854775808,0.1,-1e+300,3]\n");
}

static void numbers_that_are_none_become_null(void **state)
{
	struct document document;
	struct json *json = begin(&document);

	(void)state;
	json_array_begin(json);
	json_double(json, NAN);
	json_double(json, INFINITY);
	json_double(json, -INFINITY);
	json_array_end(json);
	assert_written(&document, "[null,null,null]\n");
}

static const struct {
	const char *says, *value, *written;
} strings[] = {
	{ "the empty string", "", "\"\"" },
	{ "quotes and backslashes", "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
	{ "control characters", "\n\t\x01\x1f\x7f", "\"\\u000a\\u0009\\u0001\\u001f\\u007f\"" },
	{ "UTF-8 of 2, 3 and 4 bytes", "\u00e9\u20ac\U0001f600", "\"\u00e9\u20ac\U0001f600\"" },
	{ "the last character", "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
	{ "a stray continuation byte", "a\x80z", "\"a\\ufffdz\"" },
	{ "a sequence that is cut", "\xe2\x82", "\"\\ufffd\\ufffd\"" },
	{ "a sequence cut by a letter", "\xe2z", "\"\\ufffdz\"" },
	{ "an overlong slash", "\xc0\xaf", "\"\\ufffd\\ufffd\"" },
	{ "an overlong slash in 3 bytes", "\xe0\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\"" },
	{ "an overlong slash in 4 bytes", "\xf0\x80\x80\xaf", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ "a surrogate", "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
	{ "above U+10FFFF", "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	{ "no such lead byte", "\xff", "\"\\ufffd\"" },
};

static void strings_are_escaped_and_always_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct document document;
		char expected[64];

		print_message("%s\n", strings[i].says);
		json_string(begin(&document), strings[i].value);
		snprintf(expected, sizeof(expected), "%s\n", strings[i].written);
		assert_written(&document, expected);
	}
}

static void keys_are_escaped_too(void **state)
{
	struct document document;
	struct json *json = begin(&document);

	(void)state;
	json_object_begin(json);
	json_key(json, "a\"\n");
	json_bool(json, true);
	json_object_end(json);
	assert_written(&document, "{\"a\\\"\\u000a\":true}\n");
}

static void value_without_key(struct json *json)
{
	json_object_begin(json);
	json_u64(json, 1);
	json_object_end(json);
}

static void key_without_value(struct json *json)
{
	json_object_begin(json);
	json_key(json, "a");
	json_object_end(json);
}

static void two_keys(struct json *json)
{
	json_object_begin(json);
	json_key(json, "a");
	json_key(json, "b");
	json_u64(json, 1);
	json_object_end(json);
}

static void key_in_array(struct json *json)
{
	json_array_begin(json);
	json_key(json, "a");
	json_array_end(json);
}

static void wrong_end(struct json *json)
{
	json_array_begin(json);
	json_object_end(json);
}

static void end_too_many(struct json *json)
{
	json_array_begin(json);
	json_array_end(json);
	json_array_end(json);
}

static void left_open(struct json *json)
{
	json_array_begin(json);
}

static void nothing(struct json *json)
{
	(void)json;
}

static void two_values(struct json *json)
{
	json_u64(json, 1);
	json_u64(json, 2);
}

static void too_deep(struct json *json)
{
	for (int i = 0; i < 65; i++)
		json_array_begin(json);
	for (int i = 0; i < 65; i++)
		json_array_end(json);
}

static void calls_that_break_the_document_are_told_at_the_end(void **state)
{
	void (*const misuses[])(struct json *) = {
		value_without_key, key_without_value, two_keys, key_in_array, wrong_end,
		end_too_many,      left_open,         nothing,  two_values,   too_deep
	};

	(void)state;
	for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
		struct document document;

		misuses[i](begin(&document));
		assert_refused(&document);
	}
}

static void sixty_four_levels_are_fine(void **state)
{
	struct document document;
	struct json *json = begin(&document);
	char expected[130] = "";

	(void)state;
	for (int i = 0; i < 64; i++)
		json_array_begin(json);
	for (int i = 0; i < 64; i++)
		json_array_end(json);
	memset(expected, '[', 64);
	memset(expected + 64, ']', 64);
	expected[128] = '\n';
	assert_written(&document, expected);
}

static void a_full_disk_is_told(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct json json;

	(void)state;
	assert_non_null(full);
	json_begin(&json, full);
	json_u64(&json, 1);
	assert_int_equal(json_end(&json), -EIO);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_and_arrays_get_their_commas),
		cmocka_unit_test(numbers_keep_their_extremes),
		cmocka_unit_test(numbers_that_are_none_become_null),
		cmocka_unit_test(strings_are_escaped_and_always_utf8),
		cmocka_unit_test(keys_are_escaped_too),
		cmocka_unit_test(calls_that_break_the_document_are_told_at_the_end),
		cmocka_unit_test(sixty_four_levels_are_fine),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
