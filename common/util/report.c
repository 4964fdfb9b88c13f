// SPDX-License-Identifier: BSD-2-Clause
// Reports: the same calls write JSON at once, or collect the cells of a table.
#include "common/util/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>

#define FACT_WIDTH 24

void report_begin(struct report *report, FILE *out, bool json)
{
	*report = (struct report){ .out = out, .json = json };
	if (json) {
		json_begin(&report->writer, out);
		json_object_begin(&report->writer);
	}
}

static bool fact_begin(struct report *report, const char *key)
{
	if (report->n)
		report->failed = true;
	if (report->failed)
		return false;
	report->facts = true;
	if (report->json)
		json_key(&report->writer, key);
	else
		fprintf(report->out, "%-*s  ", FACT_WIDTH, key);
	return true;
}

void report_fact(struct report *report, const char *key, uint64_t value)
{
	if (!fact_begin(report, key))
		return;
	if (report->json)
		json_u64(&report->writer, value);
	else
		fprintf(report->out, "%" PRIu64 "\n", value);
}

void report_fact_text(struct report *report, const char *key, const char *value)
{
	if (!fact_begin(report, key))
		return;
	if (report->json)
		json_string(&report->writer, value);
	else
		fprintf(report->out, "%s\n", *value ? value : "-");
}

void report_rows(struct report *report, const char *key, const struct report_column *columns,
		 size_t n)
{
	if (report->n || !n || n > REPORT_COLUMNS_MAX) {
		report->failed = true;
		return;
	}
	report->columns = columns;
	report->n = report->at = n;
	report->named = !key;
	for (size_t i = 0; i < n; i++)
		report->titles[i] = (struct table_column){ columns[i].title, columns[i].align };
	if (!report->json) {
		report->table = table_new(report->titles, n);
		if (report->facts)
			fputc('\n', report->out);
	} else if (key) {
		json_key(&report->writer, key);
		json_array_begin(&report->writer);
	}
}

void report_row(struct report *report, bool shown)
{
	if (!report->n || report->at != report->n)
		report->failed = true;
	report->at = 0;
	report->shown = shown;
	if (report->json && !report->named)
		json_object_begin(&report->writer);
}

enum cell { CELL_NONE, CELL_JSON, CELL_TABLE };

/* Goes to the next value of the row and tells where it belongs; in JSON its key is written. */
static enum cell cell_begin(struct report *report)
{
	if (report->at >= report->n || (!report->json && !report->table))
		report->failed = true;
	if (report->failed)
		return CELL_NONE;
	if (!report->json)
		return report->shown ? CELL_TABLE : CELL_NONE;
	if (!report->columns[report->at].key)
		return CELL_NONE;
	json_key(&report->writer, report->columns[report->at].key);
	return CELL_JSON;
}

/* The row ends with its last column. */
static void cell_end(struct report *report)
{
	if (!report->failed && ++report->at == report->n && report->json)
		json_object_end(&report->writer);
}

void report_text(struct report *report, const char *value)
{
	enum cell cell = cell_begin(report);

	if (cell == CELL_JSON) {
		json_string(&report->writer, value);
	} else if (cell == CELL_TABLE) {
		table_cell(report->table, "%s", value);
	} else if (report->json && report->named && !report->at) {
		json_key(&report->writer, value);
		json_object_begin(&report->writer);
	}
	cell_end(report);
}

void report_number(struct report *report, uint64_t value)
{
	enum cell cell = cell_begin(report);

	if (cell == CELL_JSON)
		json_u64(&report->writer, value);
	else if (cell == CELL_TABLE)
		table_cell(report->table, "%" PRIu64, value);
	cell_end(report);
}

void report_decimal(struct report *report, double value)
{
	enum cell cell = cell_begin(report);

	if (cell == CELL_JSON)
		json_double(&report->writer, value);
	else if (cell == CELL_TABLE)
		table_cell(report->table, "%.1f", value);
	cell_end(report);
}

void report_bool(struct report *report, bool value)
{
	enum cell cell = cell_begin(report);

	if (cell == CELL_JSON)
		json_bool(&report->writer, value);
	else if (cell == CELL_TABLE)
		table_cell(report->table, "%s", value ? "yes" : "no");
	cell_end(report);
}

void report_endpoint(struct report *report, int family, const void *address, in_port_t port)
{
	enum cell cell = cell_begin(report);
	char text[INET6_ADDRSTRLEN] = "", key[64];

	inet_ntop(family, address, text, sizeof(text));
	if (cell == CELL_JSON) {
		json_string(&report->writer, text);
		snprintf(key, sizeof(key), "%s_port", report->columns[report->at].key);
		json_key(&report->writer, key);
		json_u64(&report->writer, ntohs(port));
	} else if (cell == CELL_TABLE && family == AF_INET6) {
		table_cell(report->table, "[%s]:%u", text, ntohs(port));
	} else if (cell == CELL_TABLE) {
		table_cell(report->table, "%s:%u", text, ntohs(port));
	}
	cell_end(report);
}

int report_end(struct report *report)
{
	bool whole = !report->failed && report->at == report->n;
	int r = 0;

	if (report->json) {
		if (report->n && !report->named)
			json_array_end(&report->writer);
		json_object_end(&report->writer);
		r = json_end(&report->writer);
	} else if (report->table) {
		r = table_print(report->table, report->out);
	} else if (report->n) {
		r = -ENOMEM;
	} else if (fflush(report->out) || ferror(report->out)) {
		r = -EIO;
	}
	table_free(report->table);
	return r || whole ? r : -EINVAL;
}
