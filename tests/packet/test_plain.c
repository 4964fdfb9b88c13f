// SPDX-License-Identifier: BSD-2-Clause
// Plain packets: the quick reader, whose word a hit takes, and the full one never disagree.
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>

#include "skel/plain.skel.h"
#include "tests/lib/frames.h"

#define FAULTY 20000   /* frames made from each sound one */
#define HEADERS_MAX 90 /* bytes that faults go to */

static struct plain_bpf *program;

static int program_load(void **state)
{
	(void)state;
	program = plain_bpf__open_and_load();
	return program ? 0 : -1;
}

static int program_unload(void **state)
{
	(void)state;
	plain_bpf__destroy(program);
	return 0;
}

/* Bytes of the packet if it is plain, else 0; fails the test when the readers disagree. */
static uint32_t bytes_if_plain(struct frame *frame)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame->data,
		    .data_size_in = frame->bytes);

	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(program->progs.readers_compare), &options),
		0);
	if (options.retval == UINT32_MAX)
		for (uint32_t i = 0; i < frame->bytes && i < HEADERS_MAX; i++)
			print_error("%02x%s", frame->data[i], i % 16 == 15 ? "\n" : " ");
	assert_int_not_equal(options.retval, UINT32_MAX);
	return options.retval;
}

static const struct {
	const char *says;
	struct frame_spec spec;
	int plain;
} sound[] = {
	{ "TCP", { .family = AF_INET, .proto = IPPROTO_TCP }, 1 },
	{ "TCP of IPv6", { .family = AF_INET6, .proto = IPPROTO_TCP }, 1 },
	{ "UDP", { .family = AF_INET, .proto = IPPROTO_UDP }, 1 },
	{ "UDP of IPv6", { .family = AF_INET6, .proto = IPPROTO_UDP }, 1 },
	{ "PSH and ACK",
	  { .family = AF_INET, .proto = IPPROTO_TCP, .tcp_flags = TH_PUSH | TH_ACK },
	  1 },
	{ "a padded frame", { .family = AF_INET, .proto = IPPROTO_UDP, .padding_bytes = 18 }, 1 },
	{ "a tag", { .family = AF_INET, .proto = IPPROTO_TCP, .tags = { { ETH_P_8021Q, 5 } } }, 1 },
	{ "two tags",
	  { .family = AF_INET6,
	    .proto = IPPROTO_UDP,
	    .tags = { { ETH_P_8021AD, 5 }, { ETH_P_8021Q, 6 } } },
	  1 },
	{ "several buffers",
	  { .family = AF_INET, .proto = IPPROTO_TCP, .payload_bytes = 8000 },
	  1 },
	{ "three tags",
	  { .family = AF_INET,
	    .proto = IPPROTO_TCP,
	    .tags = { { ETH_P_8021Q, 5 }, { ETH_P_8021Q, 6 }, { ETH_P_8021Q, 7 } } },
	  0 },
	{ "SYN", { .family = AF_INET, .proto = IPPROTO_TCP, .tcp_flags = TH_SYN }, 0 },
	{ "FIN and ACK",
	  { .family = AF_INET6, .proto = IPPROTO_TCP, .tcp_flags = TH_FIN | TH_ACK },
	  0 },
	{ "RST", { .family = AF_INET, .proto = IPPROTO_TCP, .tcp_flags = TH_RST }, 0 },
	{ "options",
	  { .family = AF_INET, .proto = IPPROTO_TCP, .options = "\1\1\1\0", .option_bytes = 4 },
	  0 },
	{ "extension headers",
	  { .family = AF_INET6, .proto = IPPROTO_UDP, .extensions = { IPPROTO_DSTOPTS } },
	  0 },
	{ "a fragment", { .family = AF_INET, .proto = IPPROTO_UDP, .more_fragments = true }, 0 },
	{ "a fragment of IPv6",
	  { .family = AF_INET6, .proto = IPPROTO_TCP, .fragmented = true, .more_fragments = true },
	  0 },
	{ "ICMP", { .family = AF_INET, .proto = IPPROTO_ICMP }, 0 },
	{ "ARP", { .family = AF_INET, .ether_type = ETH_P_ARP, .payload_bytes = 46 }, 0 },
};

static void sound_build(size_t i, struct frame *frame)
{
	struct frame_spec spec = sound[i].spec;

	spec.src = endpoint_of(spec.family == AF_INET ? "10.77.0.2" : "fd77::2", 1024);
	spec.dst = endpoint_of(spec.family == AF_INET ? "10.77.1.2" : "fd77:1::2", 443);
	frame_build(&spec, frame);
}

static void plain_packets_are_known_as_such_and_no_others(void **state)
{
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		sound_build(i, &frame);
		if (!!bytes_if_plain(&frame) != sound[i].plain)
			fail_msg("%s: plain: %d", sound[i].says, !sound[i].plain);
	}
}

/* One to three bytes of the headers changed, sometimes the frame cut. */
static void frame_damage(struct frame *frame, unsigned int *seed)
{
	const uint32_t reach = frame->bytes < HEADERS_MAX ? frame->bytes : HEADERS_MAX;

	for (int n = 1 + rand_r(seed) % 3; n > 0; n--) {
		uint8_t *byte = &frame->data[12 + rand_r(seed) % (reach - 12)];

		*byte = rand_r(seed) & 1 ? rand_r(seed) : *byte ^ 1 << rand_r(seed) % 8;
	}
	if (rand_r(seed) % 8 == 0)
		frame->bytes -= rand_r(seed) % (frame->bytes - ETH_HLEN + 1);
}

static void the_quick_reader_and_the_full_one_agree_on_faulty_frames(void **state)
{
	static struct frame frame, faulty;
	unsigned int seed = 1, plain = 0, others = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		sound_build(i, &frame);
		for (int n = 0; n < FAULTY; n++) {
			faulty.bytes = frame.bytes;
			memcpy(faulty.data, frame.data, frame.bytes);
			frame_damage(&faulty, &seed);
			*(bytes_if_plain(&faulty) ? &plain : &others) += 1;
		}
	}
	assert_true(plain > FAULTY && others > FAULTY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_packets_are_known_as_such_and_no_others),
		cmocka_unit_test(the_quick_reader_and_the_full_one_agree_on_faulty_frames),
	};

	return cmocka_run_group_tests(tests, program_load, program_unload);
}
