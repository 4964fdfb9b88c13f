// SPDX-License-Identifier: BSD-2-Clause
// Text tables: cells are collected first, since a column is as wide as its widest cell.
#define _GNU_SOURCE
#include "common/util/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct table {
	const struct table_column *columns;
	size_t n_columns;
	char **cells; /* row by row */
	size_t n_cells, capacity;
	bool lost; /* a cell did not fit into memory */
};

struct table *table_new(const struct table_column *columns, size_t n)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->columns = columns;
	table->n_columns = n;
	return table;
}

static int table_grow(struct table *table)
{
	size_t capacity = table->capacity ? 2 * table->capacity : 64;
	char **cells;

	if (table->n_cells < table->capacity)
		return 0;
	cells = reallocarray(table->cells, capacity, sizeof(*cells));
	if (!cells)
		return -ENOMEM;
	table->cells = cells;
	table->capacity = capacity;
	return 0;
}

void table_cell(struct table *table, const char *format, ...)
{
	char *text;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		table->lost = true;
		return;
	}
	if (table_grow(table)) {
		free(text);
		table->lost = true;
		return;
	}
	table->cells[table->n_cells++] = text;
}

/* In characters: continuation bytes of UTF-8 take no room on the screen. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static const char *table_text(const struct table *table, size_t row, size_t column)
{
	const char *text = row ? table->cells[(row - 1) * table->n_columns + column]
			       : table->columns[column].title;

	return *text ? text : "-";
}

static size_t table_column_width(const struct table *table, size_t n_rows, size_t column)
{
	size_t widest = 0;

	for (size_t row = 0; row < n_rows; row++) {
		size_t width = text_width(table_text(table, row, column));

		if (width > widest)
			widest = width;
	}
	return widest;
}

static void table_print_row(const struct table *table, size_t row, const size_t *widths, FILE *out)
{
	for (size_t c = 0; c < table->n_columns; c++) {
		const char *text = table_text(table, row, c);
		int padding = widths[c] - text_width(text);
		bool last = c + 1 == table->n_columns;

		if (table->columns[c].align == TABLE_RIGHT)
			fprintf(out, "%*s%s%s", padding, "", text, last ? "\n" : "  ");
		else if (last)
			fprintf(out, "%s\n", text);
		else
			fprintf(out, "%s%*s", text, padding + 2, "");
	}
}

int table_print(const struct table *table, FILE *out)
{
	size_t n_rows = 1 + table->n_cells / table->n_columns; /* row 0: the titles */
	size_t *widths;

	if (table->lost)
		return -ENOMEM;
	if (table->n_cells % table->n_columns)
		return -EINVAL;
	widths = calloc(table->n_columns, sizeof(*widths));
	if (!widths)
		return -ENOMEM;
	for (size_t c = 0; c < table->n_columns; c++)
		widths[c] = table_column_width(table, n_rows, c);
	for (size_t row = 0; row < n_rows; row++)
		table_print_row(table, row, widths, out);
	free(widths);
	return fflush(out) || ferror(out) ? -EIO : 0;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
