// SPDX-License-Identifier: BSD-2-Clause
// Text tables: the exact text of small tables, and the errors.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/table.h"

static const struct table_column columns[] = {
	{ "PORT", TABLE_LEFT },
	{ "PACKETS", TABLE_RIGHT },
	{ "STATE", TABLE_LEFT },
};

static void assert_printed(const struct table *table, const char *expected)
{
	char *text;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	assert_non_null(file);
	assert_int_equal(table_print(table, file), 0);
	fclose(file);
	assert_string_equal(text, expected);
	free(text);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);

	(void)state;
	table_cell(table, "eth0");
	table_cell(table, "%d", 5);
	table_cell(table, "up");
	table_cell(table, "wlan-long0");
	table_cell(table, "%llu", 123456789012ULL);
	table_cell(table, "down");
	assert_printed(table, "PORT             PACKETS  STATE\n"
			      "eth0                   5  up\n"
			      "wlan-long0  123456789012  down\n");
}

static void titles_alone_are_a_table(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);

	(void)state;
	assert_printed(table, "PORT  PACKETS  STATE\n");
}

static void an_empty_cell_is_a_dash(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);

	(void)state;
	for (int i = 0; i < 3; i++)
		table_cell(table, "%s", "");
	assert_printed(table, "PORT  PACKETS  STATE\n"
			      "-           -  -\n");
}

static void the_last_column_may_be_right_aligned(void **state)
{
	static const struct table_column two[] = { { "A", TABLE_LEFT }, { "N", TABLE_RIGHT } };
	__cleanup_table struct table *table = table_new(two, 2);

	(void)state;
	table_cell(table, "x");
	table_cell(table, "100");
	assert_printed(table, "A    N\n"
			      "x  100\n");
}

static void width_counts_characters_not_bytes(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);

	(void)state;
	table_cell(table, "\u00b5\u00b5\u00b5\u00b5\u00b5");
	table_cell(table, "1");
	table_cell(table, "up");
	assert_printed(table, "PORT   PACKETS  STATE\n"
			      "\u00b5\u00b5\u00b5\u00b5\u00b5        1  up\n");
}

static void many_rows_are_kept(void **state)
{
	static const struct table_column one[] = { { "N", TABLE_LEFT } };
	__cleanup_table struct table *table = table_new(one, 1);
	char *text, line[16];
	size_t length, at = 2;
	FILE *file = open_memstream(&text, &length);

	(void)state;
	for (int i = 0; i < 1000; i++)
		table_cell(table, "%d", i);
	assert_int_equal(table_print(table, file), 0);
	fclose(file);
	for (int i = 0; i < 1000; i++) {
		int n = snprintf(line, sizeof(line), "%d\n", i);

		assert_memory_equal(text + at, line, n);
		at += n;
	}
	assert_int_equal(at, length);
	free(text);
}

static void a_row_that_is_not_full_is_refused(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);
	char *text;
	size_t length;
	FILE *file = open_memstream(&text, &length);

	(void)state;
	table_cell(table, "eth0");
	assert_int_equal(table_print(table, file), -EINVAL);
	fclose(file);
	assert_int_equal(length, 0);
	free(text);
}

static void a_full_disk_is_told(void **state)
{
	__cleanup_table struct table *table = table_new(columns, 3);
	FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	assert_int_equal(table_print(table, full), -EIO);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(titles_alone_are_a_table),
		cmocka_unit_test(an_empty_cell_is_a_dash),
		cmocka_unit_test(the_last_column_may_be_right_aligned),
		cmocka_unit_test(width_counts_characters_not_bytes),
		cmocka_unit_test(many_rows_are_kept),
		cmocka_unit_test(a_row_that_is_not_full_is_refused),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
