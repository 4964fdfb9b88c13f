// SPDX-License-Identifier: BSD-2-Clause
// Messages for people on stderr, one line each; called by programs, never by library code.
#ifndef COMMON_UTIL_LOG_H
#define COMMON_UTIL_LOG_H

#include <stdarg.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO, /* the default */
	LOG_LEVEL_DEBUG,
};

/* Print messages of this level and of the more serious ones. */
void log_set_level(enum log_level level);

/*
 * Write one line `program: error: message`. Newlines and other control characters in the message
 * become spaces. Under systemd (JOURNAL_STREAM names the stream that stderr is) the line begins
 * with `<N>`, the syslog priority, see sd-daemon(3). errno is kept.
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a va_list, for the print callbacks of libraries. */
void log_write(enum log_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* log_error() with `: strerror(-r)` at the end. Returns r: `return log_err(r, "attach %s", port);`.
 */
int log_err(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
