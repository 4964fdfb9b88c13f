// SPDX-License-Identifier: BSD-2-Clause
// Messages on stderr: level, program name and, under systemd, the priority in front.
#define _GNU_SOURCE
#include "common/util/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A process has one stderr, so it has one level. */
static enum log_level log_max_level = LOG_LEVEL_INFO;

static const struct {
	const char *word;
	int priority; /* syslog(3) */
} log_levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warn", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

void log_set_level(enum log_level level)
{
	log_max_level = level;
}

/* The variable is inherited by children whose stderr is redirected: it must name this very stream.
 */
static bool log_is_to_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat stat;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &stat) && stat.st_dev == device && stat.st_ino == inode;
}

/* Append to the line; what does not fit is cut. Returns the new length, always < size. */
static size_t log_append(char *line, size_t length, size_t size, const char *format, va_list args)
{
	int n = vsnprintf(line + length, size - length, format, args);

	if (n < 0)
		return length;
	return (size_t)n < size - length ? length + n : size - 1;
}

/* One write() per line: lines of several processes on one stderr stay whole. */
static void log_line(enum log_level level, int r, const char *format, va_list args)
{
	char line[2048] = "";
	int saved = errno;
	size_t length, text; /* text: where control characters are no longer ours */
	ssize_t written;

	if (level > log_max_level)
		return;
	if (log_is_to_journal())
		snprintf(line, sizeof(line), "<%d>", log_levels[level].priority);
	text = strlen(line);
	length = text + snprintf(line + text, sizeof(line) - text,
				 "%.64s: %s: ", program_invocation_short_name,
				 log_levels[level].word);
	length = log_append(line, length, sizeof(line), format, args);
	if (r)
		length += snprintf(line + length, sizeof(line) - length, ": %s", strerror(-r));
	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	for (size_t i = text; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = ' ';
	/* Callbacks of libraries (libbpf) end their messages themselves. */
	while (length > text && line[length - 1] == ' ')
		length--;
	line[length++] = '\n';
	/* There is nowhere to complain when stderr itself fails. */
	written = write(STDERR_FILENO, line, length);
	(void)written;
	errno = saved;
}

void log_write(enum log_level level, const char *format, va_list args)
{
	log_line(level, 0, format, args);
}

#define LOG_FUNCTION(name, level)                 \
	void name(const char *format, ...)        \
	{                                         \
		va_list args;                     \
                                                  \
		va_start(args, format);           \
		log_line(level, 0, format, args); \
		va_end(args);                     \
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)

int log_err(int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(LOG_LEVEL_ERROR, r, format, args);
	va_end(args);
	return r;
}
