// SPDX-License-Identifier: BSD-2-Clause
// Messages: their exact lines on stderr, levels, and the journal's prefix.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"

/* stderr goes to a file between begin() and assert_logged(). */
struct capture {
	int saved, file;
};

static void begin(struct capture *capture)
{
	char path[] = "/tmp/test_log.XXXXXX";

	capture->file = mkstemp(path);
	assert_true(capture->file >= 0);
	unlink(path);
	capture->saved = dup(STDERR_FILENO);
	dup2(capture->file, STDERR_FILENO);
}

static void assert_logged(struct capture *capture, const char *expected)
{
	char text[8192];
	ssize_t n = pread(capture->file, text, sizeof(text) - 1, 0);

	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	close(capture->file);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

static void a_message_is_one_line_with_name_and_level(void **state)
{
	struct capture capture;

	(void)state;
	begin(&capture);
	log_error("no port %s", "eth0");
	log_warn("slow");
	log_info("%d flows", 3);
	assert_logged(&capture, "test_log: error: no port eth0\ntest_log: warn: slow\n"
				"test_log: info: 3 flows\n");
}

static void log_err_names_the_error_and_returns_it(void **state)
{
	struct capture capture;
	int r;

	(void)state;
	begin(&capture);
	r = log_err(-ENOENT, "attach %s", "eth0");
	assert_logged(&capture, "test_log: error: attach eth0: No such file or directory\n");
	assert_int_equal(r, -ENOENT);
}

static void levels_hide_what_is_less_serious(void **state)
{
	struct capture capture;

	(void)state;
	begin(&capture);
	log_debug("hidden");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("hidden");
	log_error("shown");
	log_set_level(LOG_LEVEL_INFO);
	assert_logged(&capture, "test_log: debug: shown\ntest_log: error: shown\n");
}

static void control_characters_become_spaces(void **state)
{
	struct capture capture;

	(void)state;
	begin(&capture);
	log_info("a\nb\tc\x1b[31m\n\n");
	assert_logged(&capture, "test_log: info: a b c [31m\n");
}

static void a_long_message_is_cut_to_one_line(void **state)
{
	struct capture capture;
	char message[4000], expected[2100];

	(void)state;
	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	begin(&capture);
	log_err(-EIO, "%s", message);
	memset(expected, 'x', sizeof(expected));
	memcpy(expected, "test_log: error: ", 17);
	memcpy(expected + 2046, "\n", 2);
	assert_logged(&capture, expected);
}

static void the_journal_gets_priorities(void **state)
{
	struct capture capture;
	struct stat stat;
	char stream[64];

	(void)state;
	begin(&capture);
	assert_int_equal(fstat(capture.file, &stat), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)stat.st_dev,
		 (unsigned long long)stat.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("e");
	log_warn("w");
	log_info("i");
	/* of another stream: not ours */
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_info("i");
	unsetenv("JOURNAL_STREAM");
	assert_logged(&capture,
		      "<3>test_log: error: e\n<4>test_log: warn: w\n<6>test_log: info: i\n"
		      "test_log: info: i\n");
}

static void errno_is_kept(void **state)
{
	struct capture capture;

	(void)state;
	begin(&capture);
	errno = ENOTTY;
	log_info("x");
	close(STDERR_FILENO);
	log_info("nobody hears this");
	assert_int_equal(errno, ENOTTY);
	assert_logged(&capture, "test_log: info: x\n");
}

static int open_and_fail(int *number)
{
	__cleanup_fd int fd = dup(STDERR_FILENO);

	*number = fd;
	errno = ENOTTY;
	return -errno;
}

static int open_and_give(void)
{
	__cleanup_fd int fd = dup(STDERR_FILENO);

	return fd_take(&fd);
}

static char *text_give(void)
{
	__cleanup_free char *text = strdup("kept");
	__cleanup_free char *none = NULL;
	__cleanup_file FILE *file = fopen("/dev/null", "r");

	assert_non_null(file);
	assert_null(none);
	return ptr_take(text);
}

static void owned_locals_are_released_unless_taken(void **state)
{
	char *text = text_give();
	int number = -1, fd;

	(void)state;
	assert_int_equal(open_and_fail(&number), -ENOTTY);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fcntl(number, F_GETFD), -1);
	fd = open_and_give();
	assert_true(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	assert_string_equal(text, "kept");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_one_line_with_name_and_level),
		cmocka_unit_test(log_err_names_the_error_and_returns_it),
		cmocka_unit_test(levels_hide_what_is_less_serious),
		cmocka_unit_test(control_characters_become_spaces),
		cmocka_unit_test(a_long_message_is_cut_to_one_line),
		cmocka_unit_test(the_journal_gets_priorities),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(owned_locals_are_released_unless_taken),
	};

	unsetenv("JOURNAL_STREAM");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
