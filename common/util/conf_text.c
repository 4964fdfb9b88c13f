// SPDX-License-Identifier: BSD-2-Clause
// Read configuration files and their includes; scan the tokens that libconfig reads wrong.
#define _GNU_SOURCE
#include "common/util/conf_text.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/util/cleanup.h"
#include "common/util/conf.h"

enum { MAX_BYTES = 4 << 20, MAX_INCLUDES = 10, MAX_NESTING = 64 };

enum scan_state { SCAN_CODE, SCAN_STRING, SCAN_COMMENT };

/* A key of a group that is still open. */
struct scan_key {
	struct conf_span name;
	unsigned int line;
	unsigned int depth; /* groups around it */
};

struct scan {
	struct conf_text *text;
	struct conf_error *error;
	enum scan_state state;
	unsigned int line;       /* being scanned, from 1 */
	unsigned int state_line; /* where the string or comment began */
	bool after_string;       /* a string now continues the string before it */
	struct conf_span key;    /* the last one seen */
	struct scan_key *open;   /* the keys of the open groups, innermost last */
	size_t n_open;
	unsigned int depth;
};

/* Make room for one more item in an array whose size doubles at powers of two. NULL without memory.
 */
static void *array_grow(void *array, size_t n, size_t item_size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? 2 * n : 1, item_size);
}

#define ARRAY_PUSH(array, n, item)                                     \
	({                                                             \
		void *grown_ = array_grow(array, n, sizeof(*(array))); \
                                                                       \
		if (grown_) {                                          \
			(array) = grown_;                              \
			(array)[(n)++] = (item);                       \
		}                                                      \
		grown_ ? 0 : -ENOMEM;                                  \
	})

static int __attribute__((format(printf, 3, 4)))
text_error(struct conf_error *error, struct conf_place place, const char *format, ...)
{
	int n = snprintf(error->text, sizeof(error->text), "%s:%u: ", place.file, place.line);
	va_list args;

	va_start(args, format);
	if (n > 0 && (size_t)n < sizeof(error->text))
		vsnprintf(error->text + n, sizeof(error->text) - n, format, args);
	va_end(args);
	return -EINVAL;
}

struct conf_place conf_text_place(const struct conf_text *text, unsigned int line)
{
	if (!line || line > text->n_places)
		return (struct conf_place){ text->files[0], 1 };
	return text->places[line - 1];
}

static struct conf_place scan_place(const struct scan *scan)
{
	return conf_text_place(scan->text, scan->line);
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '*';
}

static bool span_is(const struct scan *scan, struct conf_span a, struct conf_span b)
{
	return a.length == b.length &&
	       !memcmp(scan->text->text + a.start, scan->text->text + b.start, a.length);
}

static int scan_value(struct scan *scan)
{
	return ARRAY_PUSH(scan->text->values, scan->text->n_values, scan->line);
}

/* A name is a key, or true or false, which libconfig does not take for names. Returns its length.
 */
static int scan_name(struct scan *scan, const char *p)
{
	struct conf_span name = { p - scan->text->text, 0 };
	struct scan_key key = { .line = scan->line, .depth = scan->depth };

	while (is_name(p[name.length]))
		name.length++;
	if ((name.length == 4 && !strncasecmp(p, "true", 4)) ||
	    (name.length == 5 && !strncasecmp(p, "false", 5)))
		return scan_value(scan) ? -ENOMEM : (int)name.length;
	for (size_t i = scan->n_open; i && scan->open[i - 1].depth == scan->depth; i--) {
		struct conf_place first = conf_text_place(scan->text, scan->open[i - 1].line);

		if (span_is(scan, scan->open[i - 1].name, name))
			return text_error(scan->error, scan_place(scan),
					  "%.*s: found twice, first at %s:%u", (int)name.length, p,
					  first.file, first.line);
	}
	key.name = scan->key = name;
	return ARRAY_PUSH(scan->open, scan->n_open, key) ? -ENOMEM : (int)name.length;
}

/* Does the integer fit the type libconfig gives it? Hex has no sign in the file, but one in
 * libconfig. */
static bool integer_fits(const char *p, bool hex, bool wide)
{
	long long value;

	errno = 0;
	value = strtoll(p, NULL, hex ? 16 : 10);
	if (errno == ERANGE)
		return false;
	return wide || (value >= INT_MIN && value <= INT_MAX);
}

static const char *skip_digits(const char *p, bool hex)
{
	while (hex ? isxdigit((unsigned char)*p) : isdigit((unsigned char)*p))
		p++;
	return p;
}

/* Behind the digits of a float: its fraction and exponent. Returns end itself if there is neither.
 */
static const char *skip_fraction(const char *end)
{
	if (*end == '.')
		end = skip_digits(end + 1, false);
	if (*end == 'e' || *end == 'E') {
		const char *exponent = end + 1 + (end[1] == '-' || end[1] == '+');

		if (isdigit((unsigned char)*exponent))
			end = skip_digits(exponent, false);
	}
	return end;
}

/* A number, as in libconfig's scanner.l. Returns its length. */
static int scan_number(struct scan *scan, const char *p)
{
	bool hex = p[0] == '0' && (p[1] | 0x20) == 'x' && isxdigit((unsigned char)p[2]);
	const char *end = skip_digits(p + (hex ? 2 : *p == '-' || *p == '+'), hex);
	const char *fraction = hex ? end : skip_fraction(end);
	const struct conf_span key = scan->key;
	int digits = end - p, suffix = *end != 'L' ? 0 : end[1] != 'L' ? 1 : 2;

	if (fraction == end && !integer_fits(p, hex, suffix))
		return text_error(
			scan->error, scan_place(scan),
			suffix ? "%.*s: found %.*s, which does not fit 64 bits"
			       : "%.*s: found %.*s, which does not fit 32 bits: write %.*sL",
			(int)key.length, scan->text->text + key.start, digits, p, digits, p);
	if (scan_value(scan))
		return -ENOMEM;
	return fraction == end ? digits + suffix : fraction - p;
}

static bool is_number(const char *p)
{
	if (*p == '-' || *p == '+')
		p++;
	return *p == '.' || isdigit((unsigned char)*p);
}

/* The rest of a string up to the end of the line or its quote. Returns the bytes taken. */
static int scan_string(struct scan *scan, const char *p, const char *end)
{
	const char *start = p;

	for (; p < end; p++) {
		if (*p == '\\' && p + 1 < end) {
			p++;
		} else if (*p == '"') {
			scan->state = SCAN_CODE;
			scan->after_string = true;
			return p + 1 - start;
		}
	}
	return end - start;
}

static int scan_comment(struct scan *scan, const char *p, const char *end)
{
	const char *close = memmem(p, end - p, "*/", 2);

	if (!close)
		return end - p;
	scan->state = SCAN_CODE;
	return close + 2 - p;
}

static int scan_group(struct scan *scan, char brace)
{
	if (brace == '{') {
		if (++scan->depth > MAX_NESTING)
			return text_error(scan->error, scan_place(scan), "nested too deep");
	} else if (scan->depth) {
		while (scan->n_open && scan->open[scan->n_open - 1].depth == scan->depth)
			scan->n_open--;
		scan->depth--;
	}
	return 1;
}

/* One token, or one byte of what needs no look. Returns the bytes taken or -errno. */
static int scan_code(struct scan *scan, const char *p, const char *end)
{
	bool after_string = scan->after_string;

	if (isspace((unsigned char)*p))
		return 1;
	if (*p == '#' || !strncmp(p, "//", 2))
		return end - p;
	if (!strncmp(p, "/*", 2)) {
		scan->state = SCAN_COMMENT;
		scan->state_line = scan->line;
		return 2;
	}
	scan->after_string = false;
	if (*p == '"') {
		scan->state = SCAN_STRING;
		scan->state_line = scan->line;
		return !after_string && scan_value(scan) ? -ENOMEM : 1;
	}
	if (is_number(p))
		return scan_number(scan, p);
	if (isalpha((unsigned char)*p) || *p == '*')
		return scan_name(scan, p);
	if (*p == '{' || *p == '}')
		return scan_group(scan, *p);
	return 1;
}

/* Scan the bytes from start to the end of the text, part of one line. */
static int scan_line(struct scan *scan, size_t start)
{
	const char *p = scan->text->text + start, *end = scan->text->text + scan->text->length;
	int n = 0;

	for (; p < end; p += n) {
		if (scan->state == SCAN_STRING)
			n = scan_string(scan, p, end);
		else if (scan->state == SCAN_COMMENT)
			n = scan_comment(scan, p, end);
		else
			n = scan_code(scan, p, end);
		if (n < 0)
			return n;
	}
	return 0;
}

static int text_append(struct scan *scan, const char *bytes, size_t n)
{
	struct conf_text *text = scan->text;
	char *grown;

	if (text->length + n > MAX_BYTES)
		return text_error(scan->error, scan_place(scan),
				  "more than 4 MiB with all includes");
	grown = realloc(text->text, text->length + n + 1);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + text->length, bytes, n);
	text->text = grown;
	text->length += n;
	grown[text->length] = '\0';
	return 0;
}

/* One line of a file (or what stands after an include in it) becomes one line of the text. */
static int text_add_line(struct scan *scan, struct conf_place place, const char *line, size_t n)
{
	struct conf_text *text = scan->text;
	size_t start = text->length;
	int r;

	if (ARRAY_PUSH(text->places, text->n_places, place))
		return -ENOMEM;
	scan->line = text->n_places;
	if (memchr(line, '\0', n))
		return text_error(scan->error, place, "a NUL byte");
	r = text_append(scan, line, n);
	if (!r)
		r = scan_line(scan, start);
	/* A last line without newline gets one, since the next file may go on after it. */
	if (!r && (!n || line[n - 1] != '\n'))
		r = text_append(scan, "\n", 1);
	if (r)
		return r;
	return ARRAY_PUSH(text->keys, text->n_keys, scan->key);
}

/*
 * If the line begins with `@include "x"`, put x's path into *path (a relative one starts at the
 * directory of the file) and go on behind it; else *path stays.
 */
static int include_parse(const struct scan *scan, struct conf_place place, const char **line,
			 const char *end, char **path)
{
	const char *p = *line + strspn(*line, " \t"), *slash = strrchr(place.file, '/'), *quote;
	int directory;

	if (strncmp(p, "@include", 8))
		return 0;
	p += 8;
	p += strspn(p, " \t");
	quote = *p == '"' ? memchr(p + 1, '"', end - p - 1) : NULL;
	if (!quote)
		return text_error(scan->error, place, "@include without \"FILE\"");
	p++;
	directory = *p == '/' || !slash ? 0 : slash + 1 - place.file;
	*line = quote + 1;
	return asprintf(path, "%.*s%.*s", directory, place.file, (int)(quote - p), p) < 0 ? -ENOMEM
											  : 0;
}

static int text_add_file(struct scan *scan, const char *path, unsigned int includes);

static int text_add_include(struct scan *scan, struct conf_place place, const char *path,
			    unsigned int includes)
{
	int r;

	if (includes == MAX_INCLUDES)
		return text_error(scan->error, place, "@include \"%s\": nested too deep", path);
	scan->error->text[0] = '\0';
	r = text_add_file(scan, path, includes + 1);
	/* Errors inside the file have been told; what is left is that it cannot be read. */
	if (r && r != -ENOMEM && !scan->error->text[0])
		return text_error(scan->error, place, "@include \"%s\": %s", path, strerror(-r));
	return r;
}

/* The bytes of a file, NUL-terminated: whatever can be read to an end, a pipe too, but not endless
 * ones. */
static int file_read(const char *path, char **bytes, size_t *length)
{
	__cleanup_file FILE *file = fopen(path, "re");
	__cleanup_free char *buffer = NULL;
	size_t n = 0;

	if (!file)
		return -errno;
	for (size_t size = 4096;; size *= 2) {
		char *grown = realloc(buffer, size);

		if (!grown)
			return -ENOMEM;
		buffer = grown;
		n += fread(buffer + n, 1, size - 1 - n, file);
		if (ferror(file))
			return -errno;
		if (n > MAX_BYTES)
			return -EFBIG;
		if (n < size - 1)
			break;
	}
	buffer[n] = '\0';
	*bytes = ptr_take(buffer);
	*length = n;
	return 0;
}

static int text_add_file(struct scan *scan, const char *path, unsigned int includes)
{
	struct conf_place place = { .file = strdup(path), .line = 1 };
	__cleanup_free char *bytes = NULL;
	const char *line, *end;
	size_t length = 0;
	int r;

	if (!place.file || ARRAY_PUSH(scan->text->files, scan->text->n_files, (char *)place.file)) {
		free((char *)place.file);
		return -ENOMEM;
	}
	r = file_read(path, &bytes, &length);
	for (line = bytes; !r && line < bytes + length; line = end, place.line++) {
		__cleanup_free char *included = NULL;

		end = memchr(line, '\n', bytes + length - line);
		end = end ? end + 1 : bytes + length;
		if (scan->state == SCAN_CODE)
			r = include_parse(scan, place, &line, end, &included);
		if (!r && included)
			r = text_add_include(scan, place, included, includes);
		if (!r)
			r = text_add_line(scan, place, line, end - line);
	}
	return r;
}

int conf_text_read(struct conf_text *text, const char *path, struct conf_error *error)
{
	struct scan scan = { .text = text, .error = error };
	int r;

	*text = (struct conf_text){ 0 };
	error->text[0] = '\0';
	r = text_add_file(&scan, path, 0);
	free(scan.open);
	if (!r)
		r = text_append(&scan, "", 0); /* an empty file is an empty string too */
	if (!r && scan.state != SCAN_CODE)
		return text_error(error, conf_text_place(text, scan.state_line), "%s without end",
				  scan.state == SCAN_STRING ? "a string" : "a comment");
	if (r && !error->text[0])
		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(-r));
	return r;
}

void conf_text_free(struct conf_text *text)
{
	for (size_t i = 0; i < text->n_files; i++)
		free(text->files[i]);
	free(text->files);
	free(text->places);
	free(text->keys);
	free(text->values);
	free(text->text);
}
