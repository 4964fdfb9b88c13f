// SPDX-License-Identifier: BSD-2-Clause
// Capture files as frame sources: every format, every kind of damage, and specs that are none.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "slowpath/source.h"

enum { MICRO = 0xa1b2c3d4, NANO = 0xa1b23c4d, ETHERNET = 1, RAW_IP = 101, SECOND = 1700000000 };

/* A capture file being made: pcap of one byte order, see draft-ietf-opsawg-pcap. */
struct capture {
	uint8_t bytes[4096];
	size_t n;
	bool big_endian;
};

static void put(struct capture *capture, uint32_t value, int size)
{
	for (int i = 0; i < size; i++) {
		int shift = 8 * (capture->big_endian ? size - 1 - i : i);

		capture->bytes[capture->n++] = value >> shift;
	}
}

static void put_header(struct capture *capture, uint32_t magic, uint32_t linktype)
{
	put(capture, magic, 4);
	put(capture, 2, 2);
	put(capture, 4, 2);
	put(capture, 0, 4);
	put(capture, 0, 4);
	put(capture, 65535, 4);
	put(capture, linktype, 4);
}

static void put_bytes(struct capture *capture, uint8_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		capture->bytes[capture->n++] = first + i;
}

/* Frame i: data of caplen bytes i, i + 1, ..., at second SECOND + i and the given fraction. */
static void put_frame(struct capture *capture, int i, uint32_t fraction, uint32_t caplen,
		      uint32_t length)
{
	put(capture, SECOND + i, 4);
	put(capture, fraction, 4);
	put(capture, caplen, 4);
	put(capture, length, 4);
	put_bytes(capture, i, caplen);
}

/* pcapng (draft-ietf-opsawg-pcapng): section header, Ethernet interface of ns resolution, packets.
 */
static void put_pcapng(struct capture *capture)
{
	put(capture, 0x0a0d0d0a, 4);
	put(capture, 28, 4);
	put(capture, 0x1a2b3c4d, 4);
	put(capture, 1, 2);
	put(capture, 0, 2);
	put(capture, 0xffffffff, 4);
	put(capture, 0xffffffff, 4);
	put(capture, 28, 4);

	put(capture, 1, 4);
	put(capture, 32, 4);
	put(capture, ETHERNET, 2);
	put(capture, 0, 2);
	put(capture, 65535, 4);
	put(capture, 9, 2); /* if_tsresol: 10^-9 */
	put(capture, 1, 2);
	put(capture, 9, 1);
	put(capture, 0, 3);
	put(capture, 0, 4); /* end of options */
	put(capture, 32, 4);

	for (int i = 0; i < 3; i++) {
		uint64_t time = (SECOND + i) * 1000000000ULL + 123456789;

		put(capture, 6, 4);
		put(capture, 96, 4);
		put(capture, 0, 4);
		put(capture, time >> 32, 4);
		put(capture, time, 4);
		put(capture, 64, 4);
		put(capture, 64, 4);
		put_bytes(capture, i, 64);
		put(capture, 96, 4);
	}
}

/* What the callback saw. */
struct seen {
	unsigned int n;
	struct frame frames[8];
	uint8_t first_bytes[8];
	int fail_at; /* this frame's callback returns -ECANCELED; 0: none */
};

static int see(void *arg, const struct frame *frame)
{
	struct seen *seen = arg;

	assert_true(seen->n < 8);
	seen->frames[seen->n] = *frame;
	/* touches the last byte too, for the sanitizers */
	seen->first_bytes[seen->n] = frame->captured_length ? *(const uint8_t *)frame->data : 0;
	if (frame->captured_length)
		assert_int_equal(
			((const uint8_t *)frame->data)[frame->captured_length - 1],
			(uint8_t)(seen->first_bytes[seen->n] + frame->captured_length - 1));
	seen->n++;
	return (int)seen->n == seen->fail_at ? -ECANCELED : 0;
}

static char path[] = "/tmp/test_source_file.XXXXXX";
static char spec[64];

static int capture_open(const struct capture *capture, struct source **source)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(capture->bytes, 1, capture->n, file), capture->n);
	fclose(file);
	return source_open(spec, source);
}

static const struct {
	const char *says;
	uint32_t magic; /* 0: pcapng */
	bool big_endian;
	uint32_t fraction;
	uint32_t fraction_ns;
} formats[] = {
	{ "pcap", MICRO, false, 123456, 123456000 },
	{ "pcap, big-endian", MICRO, true, 123456, 123456000 },
	{ "pcap with nanoseconds", NANO, false, 123456789, 123456789 },
	{ "pcap with nanoseconds, big-endian", NANO, true, 123456789, 123456789 },
	{ "pcapng", 0, false, 0, 123456789 },
	{ "pcapng, big-endian", 0, true, 0, 123456789 },
};

static void every_format_gives_its_frames_in_order(void **state)
{
	(void)state;
	for (size_t f = 0; f < sizeof(formats) / sizeof(formats[0]); f++) {
		struct capture capture = { .big_endian = formats[f].big_endian };
		struct source_stats stats;
		struct source *source;
		struct seen seen = { 0 };

		print_message("%s\n", formats[f].says);
		if (formats[f].magic) {
			put_header(&capture, formats[f].magic, ETHERNET);
			for (int i = 0; i < 3; i++)
				put_frame(&capture, i, formats[f].fraction, 64, 64);
		} else {
			put_pcapng(&capture);
		}
		assert_int_equal(capture_open(&capture, &source), 0);
		assert_int_equal(source_receive(source, 64, see, &seen), 3);
		assert_int_equal(source_receive(source, 64, see, &seen), -ENODATA);
		assert_int_equal(seen.n, 3);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(seen.first_bytes[i], i);
			assert_int_equal(seen.frames[i].length, 64);
			assert_int_equal(seen.frames[i].captured_length, 64);
			assert_true(seen.frames[i].timestamp_ns ==
				    (SECOND + i) * 1000000000ULL + formats[f].fraction_ns);
			assert_int_equal(seen.frames[i].port, 0);
			assert_int_equal(seen.frames[i].queue, 0);
		}
		assert_int_equal(source_stats(source, &stats), 0);
		assert_int_equal(stats.received, 3);
		assert_int_equal(stats.dropped, 0);
		source_close(source);
	}
}

static void a_capture_without_frames_ends_at_once(void **state)
{
	struct capture capture = { 0 };
	struct source *source;
	struct seen seen = { 0 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_receive(source, 64, see, &seen), -ENODATA);
	assert_int_equal(source_receive(source, 64, see, &seen), -ENODATA);
	assert_int_equal(seen.n, 0);
	source_close(source);
}

static void a_frame_cut_by_the_capture_keeps_its_length(void **state)
{
	struct capture capture = { 0 };
	struct source *source;
	struct seen seen = { 0 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	put_frame(&capture, 0, 0, 60, 1514);
	put_frame(&capture, 1, 0, 0, 1514);
	put_frame(&capture, 2, 0, 60, 40); /* a liar */
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_receive(source, 64, see, &seen), 3);
	assert_int_equal(seen.frames[0].captured_length, 60);
	assert_int_equal(seen.frames[0].length, 1514);
	assert_int_equal(seen.frames[1].captured_length, 0);
	assert_int_equal(seen.frames[1].length, 1514);
	assert_int_equal(seen.frames[2].captured_length, 60);
	assert_int_equal(seen.frames[2].length, 60);
	source_close(source);
}

/* Cut inside the second frame's header, before its data, inside its data. */
static void a_cut_file_gives_what_is_whole_and_then_says_so(void **state)
{
	static const size_t kept[] = { 24 + 16 + 64 + 1, 24 + 16 + 64 + 15, 24 + 16 + 64 + 16,
				       24 + 16 + 64 + 16 + 63 };

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct capture capture = { 0 };
		struct source *source;
		struct seen seen = { 0 };

		put_header(&capture, MICRO, ETHERNET);
		put_frame(&capture, 0, 0, 64, 64);
		put_frame(&capture, 1, 0, 64, 64);
		capture.n = kept[i];
		assert_int_equal(capture_open(&capture, &source), 0);
		assert_int_equal(source_receive(source, 64, see, &seen), 1);
		assert_int_equal(source_receive(source, 64, see, &seen), -EBADMSG);
		assert_int_equal(source_receive(source, 64, see, &seen), -EBADMSG);
		assert_int_equal(seen.n, 1);
		source_close(source);
	}
}

static void a_frame_longer_than_any_is_damage(void **state)
{
	struct capture capture = { 0 };
	struct source *source;
	struct seen seen = { 0 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	put(&capture, SECOND, 4);
	put(&capture, 0, 4);
	put(&capture, 0x7fffffff, 4);
	put(&capture, 0x7fffffff, 4);
	put_bytes(&capture, 0, 64);
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_receive(source, 64, see, &seen), -EBADMSG);
	source_close(source);
}

static void a_budget_is_kept(void **state)
{
	struct capture capture = { 0 };
	struct source *source;
	struct seen seen = { 0 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	for (int i = 0; i < 5; i++)
		put_frame(&capture, i, 0, 64, 64);
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_receive(source, 0, see, &seen), 0);
	assert_int_equal(source_receive(source, 2, see, &seen), 2);
	assert_int_equal(source_receive(source, 2, see, &seen), 2);
	assert_int_equal(source_receive(source, 2, see, &seen), 1);
	assert_int_equal(source_receive(source, 2, see, &seen), -ENODATA);
	assert_int_equal(seen.n, 5);
	assert_int_equal(seen.first_bytes[4], 4);
	source_close(source);
}

static void an_error_of_the_callback_loses_no_frame(void **state)
{
	struct capture capture = { 0 };
	struct source_stats stats;
	struct source *source;
	struct seen seen = { .fail_at = 2 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	for (int i = 0; i < 3; i++)
		put_frame(&capture, i, 0, 64, 64);
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_receive(source, 64, see, &seen), -ECANCELED);
	assert_int_equal(seen.n, 2);
	assert_int_equal(source_stats(source, &stats), 0);
	assert_int_equal(stats.received, 2);
	assert_int_equal(source_receive(source, 64, see, &seen), 1);
	assert_int_equal(seen.first_bytes[2], 2);
	source_close(source);
}

static void a_file_takes_no_frames_and_has_no_fd(void **state)
{
	struct capture capture = { 0 };
	struct source *source;
	uint8_t frame[64] = { 0 };

	(void)state;
	put_header(&capture, MICRO, ETHERNET);
	assert_int_equal(capture_open(&capture, &source), 0);
	assert_int_equal(source_send(source, frame, sizeof(frame)), -EOPNOTSUPP);
	assert_int_equal(source_fd(source), -1);
	assert_int_equal(source_xsk_fd(source), -EOPNOTSUPP);
	source_close(source);
	source_close(NULL);
}

static void what_is_no_ethernet_capture_is_refused(void **state)
{
	struct capture capture = { 0 };
	struct source *source = (void *)&capture;

	(void)state;
	put_header(&capture, MICRO, RAW_IP);
	assert_int_equal(capture_open(&capture, &source), -EMEDIUMTYPE);
	capture.n = 0;
	assert_int_equal(capture_open(&capture, &source), -EINVAL);
	put_header(&capture, MICRO, ETHERNET);
	capture.n = 23;
	assert_int_equal(capture_open(&capture, &source), -EINVAL);
	capture.n = 0;
	put_bytes(&capture, 'a', 64);
	assert_int_equal(capture_open(&capture, &source), -EINVAL);
	assert_int_equal(source_open("file:/nonexistent/x.pcap", &source), -ENOENT);
	assert_ptr_equal(source, &capture);
}

static const struct {
	const char *spec;
	int error;
} bad_specs[] = {
	{ "", -EINVAL },
	{ "file", -EINVAL },
	{ ":", -EINVAL },
	{ "fil:/dev/null", -EINVAL },
	{ "files:/dev/null", -EINVAL },
	{ "xsk:eth0", -EINVAL },
	{ "xsk:eth0:", -EINVAL },
	{ "xsk::0", -EINVAL },
	{ "xsk:eth0:x", -EINVAL },
	{ "xsk:eth0:-1", -EINVAL },
	{ "xsk:eth0: 1", -EINVAL },
	{ "xsk:eth0:0x1", -EINVAL },
	{ "xsk:eth0:65536", -EINVAL },
	{ "xsk:eth0:18446744073709551616", -EINVAL },
	{ "xsk:0123456789abcdef:0", -EINVAL },
	{ "xsk:none0:0", -ENODEV },
	{ "tap:", -EINVAL },
	{ "tap:0123456789abcdef", -EINVAL },
	{ "tap:evnf%d", -EINVAL },
	{ "pcap:", -ENODEV },
	{ "pcap:none0", -ENODEV },
};

static void bad_specs_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_specs) / sizeof(bad_specs[0]); i++) {
		struct source *source = NULL;

		if (source_open(bad_specs[i].spec, &source) != bad_specs[i].error || source)
			fail_msg("%s", bad_specs[i].spec);
	}
}

static int path_setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	snprintf(spec, sizeof(spec), "file:%s", path);
	return fd < 0 || close(fd) ? -1 : 0;
}

static int path_teardown(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_format_gives_its_frames_in_order),
		cmocka_unit_test(a_capture_without_frames_ends_at_once),
		cmocka_unit_test(a_frame_cut_by_the_capture_keeps_its_length),
		cmocka_unit_test(a_cut_file_gives_what_is_whole_and_then_says_so),
		cmocka_unit_test(a_frame_longer_than_any_is_damage),
		cmocka_unit_test(a_budget_is_kept),
		cmocka_unit_test(an_error_of_the_callback_loses_no_frame),
		cmocka_unit_test(a_file_takes_no_frames_and_has_no_fd),
		cmocka_unit_test(what_is_no_ethernet_capture_is_refused),
		cmocka_unit_test(bad_specs_are_refused),
	};

	return cmocka_run_group_tests(tests, path_setup, path_teardown);
}
