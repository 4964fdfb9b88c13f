// SPDX-License-Identifier: BSD-2-Clause
// The text of a configuration file: includes put in, and what libconfig does not tell about it.
#ifndef COMMON_UTIL_CONF_TEXT_H
#define COMMON_UTIL_CONF_TEXT_H

#include <stddef.h>

/* Where a line of the text came from. */
struct conf_place {
	const char *file;
	unsigned int line; /* from 1 */
};

/* A stretch of the text. */
struct conf_span {
	size_t start, length;
};

/*
 * libconfig 1.5 cuts integers without suffix to 32 bits, takes a file that ends inside a string or
 * comment, looks for includes in the working directory only, does not name the key it found twice,
 * and gives a string the line of the token after it. So the text is read and scanned here, and
 * libconfig gets one string without includes.
 */
struct conf_text {
	char *text; /* NUL-terminated */
	size_t length;

	struct conf_place *places; /* of each line of text */
	size_t n_places;
	struct conf_span
		*keys; /* the last key begun up to the end of each line; length 0: none yet */
	size_t n_keys;
	unsigned int *values; /* the line in text (from 1) of each scalar value, in the order of the
				 text */
	size_t n_values;

	char **files; /* names that places point to; the first is the main file */
	size_t n_files;
};

struct conf_error;

/*
 * Read the file at path and what it includes, relative to the including file's directory. Returns
 * 0, -EINVAL, -ENOMEM or the -errno of opening path; error->text says why. Call conf_text_free() in
 * either case.
 */
int conf_text_read(struct conf_text *text, const char *path, struct conf_error *error);

/* Where line (from 1, as libconfig counts) of the text came from; line 0 is the first line of the
 * main file. */
struct conf_place conf_text_place(const struct conf_text *text, unsigned int line);

void conf_text_free(struct conf_text *text);

#endif
