// SPDX-License-Identifier: BSD-2-Clause
// Reports: the same calls as text and as JSON, and calls that make no report.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util/report.h"

typedef void (*state_fn)(struct report *report);

/* Runs what a test states, and compares what comes of it. */
static void assert_report(state_fn state_all, bool json, int result, const char *expected)
{
	struct report report;
	char *text;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	report_begin(&report, out, json);
	state_all(&report);
	assert_int_equal(report_end(&report), result);
	fclose(out);
	if (expected)
		assert_string_equal(text, expected);
	free(text);
}

static void facts_state(struct report *report)
{
	report_fact(report, "generation", 7);
	report_fact_text(report, "offloaded", "tcp4 udp4");
	report_fact_text(report, "refused", "");
}

static void facts_are_lines_or_members(void **state)
{
	(void)state;
	assert_report(facts_state, false, 0,
		      "generation                7\n"
		      "offloaded                 tcp4 udp4\n"
		      "refused                   -\n");
	assert_report(facts_state, true, 0,
		      "{\"generation\":7,\"offloaded\":\"tcp4 udp4\",\"refused\":\"\"}\n");
}

static const struct report_column flows[] = {
	{ "proto", "proto", TABLE_LEFT },      { "src", "from", TABLE_LEFT },
	{ "idle_s", "idle s", TABLE_RIGHT },   { "current", "current", TABLE_LEFT },
	{ "packets", "packets", TABLE_RIGHT }, { NULL, "meaning", TABLE_LEFT },
};

static void flows_state(struct report *report)
{
	const struct in_addr four = { htonl(0x0a000001) };
	const struct in6_addr six = { .s6_addr = { 0xfd, [15] = 1 } };

	report_fact(report, "tick", 1);
	report_rows(report, "flows", flows, 6);
	for (int i = 0; i < 3; i++) {
		report_row(report, i != 1);
		report_text(report, "tcp");
		if (i)
			report_endpoint(report, AF_INET6, &six, htons(443));
		else
			report_endpoint(report, AF_INET, &four, htons(80));
		report_decimal(report, i + 0.5);
		report_bool(report, i);
		report_number(report, 1000 + i);
		report_text(report, "for people");
	}
}

static void rows_are_a_table_or_objects(void **state)
{
	(void)state;
	assert_report(flows_state, false, 0,
		      "tick                      1\n"
		      "\n"
		      "proto  from           idle s  current  packets  meaning\n"
		      "tcp    10.0.0.1:80       0.5  no          1000  for people\n"
		      "tcp    [fd00::1]:443     2.5  yes         1002  for people\n");
	assert_report(flows_state, true, 0,
		      "{\"tick\":1,\"flows\":["
		      "{\"proto\":\"tcp\",\"src\":\"10.0.0.1\",\"src_port\":80,\"idle_s\":0.5,"
		      "\"current\":false,\"packets\":1000},"
		      "{\"proto\":\"tcp\",\"src\":\"fd00::1\",\"src_port\":443,\"idle_s\":1.5,"
		      "\"current\":true,\"packets\":1001},"
		      "{\"proto\":\"tcp\",\"src\":\"fd00::1\",\"src_port\":443,\"idle_s\":2.5,"
		      "\"current\":true,\"packets\":1002}]}\n");
}

static const struct report_column reasons[] = { { NULL, "reason", TABLE_LEFT },
						{ "packets", "packets", TABLE_RIGHT } };

static void reasons_state(struct report *report)
{
	report_rows(report, NULL, reasons, 2);
	for (int i = 0; i < 2; i++) {
		report_row(report, i);
		report_text(report, i ? "HIT" : "TTL");
		report_number(report, i);
	}
}

static void rows_can_be_members_named_by_their_first_value(void **state)
{
	(void)state;
	assert_report(reasons_state, false, 0, "reason  packets\nHIT           1\n");
	assert_report(reasons_state, true, 0,
		      "{\"TTL\":{\"packets\":0},\"HIT\":{\"packets\":1}}\n");
}

static void no_rows_state(struct report *report)
{
	report_rows(report, "flows", reasons, 2);
}

static void no_rows_are_titles_or_an_empty_array(void **state)
{
	(void)state;
	assert_report(no_rows_state, false, 0, "reason  packets\n");
	assert_report(no_rows_state, true, 0, "{\"flows\":[]}\n");
}

static void fact_behind_rows(struct report *report)
{
	no_rows_state(report);
	report_fact(report, "late", 1);
}

static void row_cut_short(struct report *report)
{
	reasons_state(report);
	report_row(report, true);
	report_text(report, "HIT");
}

static void row_before_the_last_is_whole(struct report *report)
{
	row_cut_short(report);
	report_row(report, true);
}

static void value_too_many(struct report *report)
{
	reasons_state(report);
	report_number(report, 1);
}

static void value_without_rows(struct report *report)
{
	report_number(report, 1);
}

static void calls_out_of_order_are_no_report(void **state)
{
	static const state_fn wrong[] = { fact_behind_rows, row_cut_short,
					  row_before_the_last_is_whole, value_too_many,
					  value_without_rows };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_report(wrong[i / 2], i % 2, -EINVAL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_are_lines_or_members),
		cmocka_unit_test(rows_are_a_table_or_objects),
		cmocka_unit_test(rows_can_be_members_named_by_their_first_value),
		cmocka_unit_test(no_rows_are_titles_or_an_empty_array),
		cmocka_unit_test(calls_out_of_order_are_no_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
