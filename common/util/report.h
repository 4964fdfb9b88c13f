// SPDX-License-Identifier: BSD-2-Clause
// A report states its facts and rows once, and prints them as text for people or as JSON.
#ifndef COMMON_UTIL_REPORT_H
#define COMMON_UTIL_REPORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/util/json.h"
#include "common/util/table.h"

#define REPORT_COLUMNS_MAX 16

struct report_column {
	const char *key;   /* of the value in JSON; NULL: for people only */
	const char *title; /* above the value in text */
	enum table_align align;
};

/*
 * In JSON a report is one object: of facts by their keys, then its rows, each an object of values
 * by their columns' keys. In text facts are lines and rows a table, which is held until
 * report_end(). Calls out of order make report_end() fail.
 */
struct report {
	FILE *out;
	bool json;
	struct json writer;
	struct table *table;
	const struct report_column *columns;
	struct table_column titles[REPORT_COLUMNS_MAX];
	size_t n;   /* columns; 0: the rows have not begun */
	size_t at;  /* the column whose value is next; n: a row must begin */
	bool facts; /* some were stated */
	bool named; /* rows are members of the report, named by their first value */
	bool shown; /* text has the row too */
	bool failed;
};

void report_begin(struct report *report, FILE *out, bool json);

/* Prints what is left and gives the memory back. Returns 0, -EINVAL after a misuse, -ENOMEM, or
 * -EIO when out failed. */
int report_end(struct report *report);

/* Facts about the whole; before the rows. */
void report_fact(struct report *report, const char *key, uint64_t value);
void report_fact_text(struct report *report, const char *key, const char *value);

/* The rows follow, an array called `key`; key NULL: each is a member of the report, and its first
 * value names it. columns must live as long as the report. */
void report_rows(struct report *report, const char *key, const struct report_column *columns,
		 size_t n);

/* Begins a row; shown false: for machines only. Then come the values of all columns, in order. */
void report_row(struct report *report, bool shown);
void report_text(struct report *report, const char *value);
void report_number(struct report *report, uint64_t value);
void report_decimal(struct report *report, double value); /* text has one decimal place */
void report_bool(struct report *report, bool value);

/* An address of a family with its port, network order. JSON has two members, KEY and KEY_port. */
void report_endpoint(struct report *report, int family, const void *address, in_port_t port);

#endif
