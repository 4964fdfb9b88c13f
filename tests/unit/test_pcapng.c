// SPDX-License-Identifier: BSD-2-Clause
// Pcapng files: their exact bytes, what libpcap reads back from them, and errors of writing.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slowpath/pcapng.h"
#include "slowpath/source.h"

#define NOON_NS 1732190400123456789ULL

static const uint8_t bytes[70] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0 };

static struct pcapng_frame frame_of(uint32_t captured)
{
	return (struct pcapng_frame){ .timestamp_ns = NOON_NS,
				      .length = 1514,
				      .captured = captured,
				      .data = bytes,
				      .direction = PCAPNG_OUT };
}

/* What the calls of write() put into a file. */
#define assert_written(expected, write)                    \
	do {                                               \
		char *written;                             \
		size_t n;                                  \
		FILE *out = open_memstream(&written, &n);  \
                                                           \
		assert_non_null(out);                      \
		assert_int_equal(write, 0);                \
		fclose(out);                               \
		assert_int_equal(n, sizeof(expected));     \
		assert_memory_equal(written, expected, n); \
		free(written);                             \
	} while (0)

static void a_file_begins_with_a_section_in_host_order(void **state)
{
	const uint32_t words[] = { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, ~0u, ~0u, 28 };

	(void)state;
	assert_written(words, pcapng_begin(out));
}

static void an_interface_has_its_name_and_nanoseconds(void **state)
{
	/* Ethernet; if_name "rl", padded; if_tsresol 9, padded; end of options */
	const uint32_t words[] = { 1,           40, 1, 9216, 2 | 2 << 16, 'r' | 'l' << 8,
				   9 | 1 << 16, 9,  0, 40 };
	const uint32_t long_name[] = { 1,   44,          1,
				       64,  2 | 5 << 16, 'p' | 'o' << 8 | 'r' << 16 | 't' << 24,
				       '0', 9 | 1 << 16, 9,
				       0,   44 };

	(void)state;
	assert_written(words, pcapng_add_interface(out, "rl", 9216));
	assert_written(long_name, pcapng_add_interface(out, "port0", 64));
}

static void a_frame_is_padded_and_has_its_direction(void **state)
{
	const uint32_t four[] = {
		6, 48, 0, (uint32_t)(NOON_NS >> 32), (uint32_t)NOON_NS, 4, 1514, 2, 2 | 4 << 16,
		2, 0,  48
	};
	const uint32_t five[] = {
		6, 52, 0, (uint32_t)(NOON_NS >> 32), (uint32_t)NOON_NS, 5, 1514, 2, 0, 2 | 4 << 16,
		2, 0,  52
	};
	struct pcapng_frame frame = frame_of(4);

	(void)state;
	assert_written(four, pcapng_add_frame(out, &frame));
	frame = frame_of(5);
	assert_written(five, pcapng_add_frame(out, &frame));
}

/* Writes a file of two interfaces, frames of every length up to that of `bytes`. */
static void file_write(const char *path)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(pcapng_begin(out), 0);
	assert_int_equal(pcapng_add_interface(out, "left", 9216), 0);
	for (uint32_t n = 0; n <= sizeof(bytes); n++) {
		struct pcapng_frame frame = frame_of(n);

		if (n == 1)
			assert_int_equal(pcapng_add_interface(out, "right", 9216), 0);
		frame.interface = n % 2;
		frame.timestamp_ns += n;
		assert_int_equal(pcapng_add_frame(out, &frame), 0);
	}
	assert_int_equal(fclose(out), 0);
}

static int frame_check(void *arg, const struct frame *frame)
{
	uint32_t *n = arg;

	assert_int_equal(frame->captured_length, *n);
	assert_int_equal(frame->length, 1514);
	assert_true(frame->timestamp_ns == NOON_NS + *n);
	assert_memory_equal(frame->data, bytes, *n);
	(*n)++;
	return 0;
}

static void libpcap_reads_back_every_frame_as_it_was(void **state)
{
	char path[] = "/tmp/test_pcapng-XXXXXX", spec[64];
	__cleanup_source struct source *source = NULL;
	int fd = mkstemp(path);
	uint32_t n = 0;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	file_write(path);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(source_open(spec, &source), 0);
	while (n <= sizeof(bytes))
		assert_true(source_receive(source, 16, frame_check, &n) > 0);
	assert_int_equal(source_receive(source, 16, frame_check, &n), -ENODATA);
	unlink(path);
}

static void a_full_disk_is_an_error_and_not_silence(void **state)
{
	FILE *full = fopen("/dev/full", "w");
	struct pcapng_frame frame = frame_of(sizeof(bytes));

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_int_equal(pcapng_begin(full), -ENOSPC);
	assert_int_equal(pcapng_add_interface(full, "rl", 64), -ENOSPC);
	assert_int_equal(pcapng_add_frame(full, &frame), -ENOSPC);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_begins_with_a_section_in_host_order),
		cmocka_unit_test(an_interface_has_its_name_and_nanoseconds),
		cmocka_unit_test(a_frame_is_padded_and_has_its_direction),
		cmocka_unit_test(libpcap_reads_back_every_frame_as_it_was),
		cmocka_unit_test(a_full_disk_is_an_error_and_not_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
