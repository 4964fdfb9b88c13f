// SPDX-License-Identifier: BSD-2-Clause
// Fuzzes the fast path's two readers of frames: they stay inside the first buffer, and agree.
#include <sanitizer/asan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Both helpers that reading a frame takes, for the frame below. */
static long load_bytes(struct xdp_md *ctx, uint32_t offset, void *to, uint32_t bytes);
static uint64_t get_buff_len(struct xdp_md *ctx);
#define bpf_xdp_load_bytes load_bytes
#define bpf_xdp_get_buff_len get_buff_len

#include "fastpath/plain.bpf.h"

#define FIRST_MAX 4096 /* bytes of the first buffer */
#define REDZONE 64     /* bytes around it that may not be touched */

/* A frame of which the bytes behind the input are the input again. Its first buffer lies below
 * 4 GB, where the 32 bits of an xdp_md point; IP is aligned as the compiler expects it. */
static struct {
	uint8_t *area, *first;
	uint32_t first_bytes, bytes;
	const uint8_t *input;
	uint32_t input_bytes;
} frame;

static uint8_t byte_at(uint32_t offset)
{
	return frame.input[offset % frame.input_bytes];
}

static long load_bytes(struct xdp_md *ctx, uint32_t offset, void *to, uint32_t bytes)
{
	(void)ctx;
	if (offset > frame.bytes || bytes > frame.bytes - offset)
		return -1;
	for (uint32_t i = 0; i < bytes; i++)
		((uint8_t *)to)[i] = byte_at(offset + i);
	return 0;
}

static uint64_t get_buff_len(struct xdp_md *ctx)
{
	(void)ctx;
	return frame.bytes;
}

#define CHECK(condition)                                             \
	do {                                                         \
		if (!(condition)) {                                  \
			fprintf(stderr, "not so: %s\n", #condition); \
			abort();                                     \
		}                                                    \
	} while (0)

static uint32_t word_at(uint32_t offset)
{
	return byte_at(offset) << 8 | byte_at(offset + 1);
}

/* Where the transport of an IPv6 packet begins, found a header at a time. */
static uint32_t transport_find6(const struct packet *packet)
{
	uint32_t at = packet->l3 + 40;
	uint8_t next = byte_at(packet->l3 + 6);

	while (ip6_is_extension(next)) {
		uint32_t bytes = next == IPPROTO_FRAGMENT ? 8
				 : next == IPPROTO_AH     ? (byte_at(at + 1) + 2) * 4
							  : (byte_at(at + 1) + 1) * 8;

		next = byte_at(at);
		at += bytes;
	}
	return at;
}

/* What holds of every packet whose ports were read. */
static void ports_check(const struct packet *packet)
{
	const uint32_t header = packet->proto == IPPROTO_TCP ? 20 : 8;
	const bool ip4 = packet->family == AF_INET;
	const __be16 *ports = ip4 ? &packet->key4.src_port : &packet->key6.src_port;

	CHECK(packet->family == AF_INET || packet->family == AF_INET6);
	CHECK(packet->proto == IPPROTO_TCP || packet->proto == IPPROTO_UDP);
	CHECK(!(packet->flags & PACKET_FRAGMENT));
	CHECK((uint32_t)packet->l3 + packet->l3_bytes <= frame.bytes);
	CHECK(packet->l4 + header <= (uint32_t)packet->l3 + packet->l3_bytes);
	CHECK(packet->l4 + header <= frame.first_bytes);
	CHECK(packet->l4 ==
	      (ip4 ? packet->l3 + (byte_at(packet->l3) & 15) * 4u : transport_find6(packet)));
	CHECK(bpf_ntohs(ports[0]) == word_at(packet->l4));
	CHECK(bpf_ntohs(ports[1]) == word_at(packet->l4 + 2));
}

/* The quick reader calls plain what the other finds nothing special about, and nothing else. */
static void plain_check(struct xdp_md *ctx, const struct packet *packet)
{
	const bool plain = packet->odd == REASON_NONE && packet->flags & PACKET_PORTS &&
			   !(packet->flags & (PACKET_CONTROL | PACKET_OPTIONS));
	struct packet tags = {};
	struct headers h;
	uint32_t bytes = 0;
	__be16 type;

	CHECK(!headers_open(ctx, &h));
	type = packet_parse_tags(&tags, &h);
	CHECK(tags.tags == packet->tags && tags.outer_vid == packet->outer_vid);
	if (type == bpf_htons(ETH_P_IP))
		bytes = ip4_plain(ctx, &h);
	else if (type == bpf_htons(ETH_P_IPV6))
		bytes = ip6_plain(ctx, &h);
	CHECK(plain == (bytes != 0));
	if (plain) {
		CHECK(bytes == packet->l3_bytes);
		CHECK((uint8_t *)h.l4 - frame.first == packet->l4);
	}
}

static void frame_check(void)
{
	struct xdp_md ctx = { .data = (uintptr_t)frame.first,
			      .data_end = (uintptr_t)frame.first + frame.first_bytes };
	struct packet packet = {};
	struct headers h;
	int r = packet_parse(&ctx, &packet, &h);

	CHECK(!r == (frame.first_bytes >= ETH_HLEN));
	if (r)
		return;
	CHECK(packet.tags <= TAGS_MAX && packet.l3 <= ETH_HLEN + 4 * TAGS_MAX);
	CHECK(packet.odd <= REASON_NONE);
	if (packet.flags & PACKET_PORTS)
		ports_check(&packet);
	plain_check(&ctx, &packet);
}

/* Takes over a frame; the bytes behind the input are the input again. */
static void frame_lay(const uint8_t *input, uint32_t input_bytes, uint32_t bytes)
{
	frame.input = input;
	frame.input_bytes = input_bytes;
	frame.bytes = bytes;
	frame.first_bytes = bytes < FIRST_MAX ? bytes : FIRST_MAX;
	ASAN_UNPOISON_MEMORY_REGION(frame.area, FIRST_MAX + 2 * REDZONE);
	for (uint32_t at = 0, n; at < frame.first_bytes; at += n) {
		n = frame.first_bytes - at < input_bytes ? frame.first_bytes - at : input_bytes;
		memcpy(frame.first + at, input, n);
	}
	ASAN_POISON_MEMORY_REGION(frame.area, REDZONE);
	ASAN_POISON_MEMORY_REGION(frame.first + frame.first_bytes,
				  FIRST_MAX + REDZONE - 2 - frame.first_bytes);
}

/* Makes chance find IP sooner: the beginning of a packet of one kind or another. */
static void frame_dress(uint8_t *input, uint32_t bytes, unsigned int kind)
{
	static const struct {
		uint16_t type;
		uint8_t first, proto_at, proto;
	} kinds[] = { { ETH_P_IP, 0x45, 23, IPPROTO_TCP },
		      { ETH_P_IP, 0x45, 23, IPPROTO_UDP },
		      { ETH_P_IPV6, 0x60, 20, IPPROTO_TCP },
		      { ETH_P_IPV6, 0x60, 20, IPPROTO_UDP },
		      { ETH_P_IPV6, 0x60, 20, IPPROTO_HOPOPTS } };

	if (kind >= sizeof(kinds) / sizeof(kinds[0]) || bytes <= kinds[kind].proto_at)
		return;
	input[12] = kinds[kind].type >> 8;
	input[13] = kinds[kind].type & 0xff;
	input[14] = kinds[kind].first;
	input[kinds[kind].proto_at] = kinds[kind].proto;
}

/* Eight extension headers of 2048 bytes: so far away is no transport. What the first one holds
 * looks like TCP. */
static void far_transport_check(void)
{
	static uint8_t bytes[ETH_HLEN + 40 + 8 * 2048 + 20];
	uint8_t *extension = bytes + ETH_HLEN + 40;
	const uint32_t payload = sizeof(bytes) - ETH_HLEN - 40;

	frame_dress(bytes, sizeof(bytes), 4);
	bytes[18] = payload >> 8;
	bytes[19] = payload & 0xff;
	for (int i = 0; i < 8; i++) {
		extension[i * 2048] = i < 7 ? IPPROTO_DSTOPTS : IPPROTO_TCP;
		extension[i * 2048 + 1] = 255;
	}
	extension[12] = extension[8 * 2048 + 12] = 5 << 4;
	extension[13] = extension[8 * 2048 + 13] = 0x10;
	frame_lay(bytes, sizeof(bytes), sizeof(bytes));
	frame_check();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	frame.area = mmap(NULL, FIRST_MAX + 2 * REDZONE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	CHECK(frame.area != MAP_FAILED);
	frame.first = frame.area + REDZONE + 2;
	far_transport_check();
	return 0;
}

/* Three bytes say what kind of packet it is and how long the frame is beyond the rest of the input,
 * which is its beginning. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t input[4096];
	uint32_t bytes = size - 3, more;

	if (size < 4 || bytes > sizeof(input))
		return 0;
	more = data[0] & 0x80 ? (data[1] << 8 | data[2]) >> 1 : 0;
	memcpy(input, data + 3, bytes);
	frame_dress(input, bytes, data[0] & 7);
	frame_lay(input, bytes, bytes + more);
	frame_check();
	return 0;
}
