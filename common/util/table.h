// SPDX-License-Identifier: BSD-2-Clause
// Aligned text tables, so that every `show` command looks the same.
#ifndef COMMON_UTIL_TABLE_H
#define COMMON_UTIL_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum table_align {
	TABLE_LEFT,
	TABLE_RIGHT, /* for numbers */
};

struct table_column {
	const char *title;
	enum table_align align;
};

struct table;

/* A new table without rows; columns must live as long as the table. NULL without memory. */
struct table *table_new(const struct table_column *columns, size_t n);

/* The next cell, row by row from the left: a row is full after n cells. Cells are held until
 * table_free(). */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Print the titles and the rows: columns two spaces apart and as wide as their widest cell, no
 * spaces at the ends of lines, an empty cell as "-". Returns 0, -ENOMEM when a cell was lost for
 * lack of memory, -EINVAL when the last row is not full (nothing is printed then), -EIO when out
 * failed.
 */
int table_print(const struct table *table, FILE *out);

void table_free(struct table *table);

static inline void cleanup_table(struct table **table)
{
	table_free(*table);
}
#define __cleanup_table __attribute__((cleanup(cleanup_table)))

#endif
