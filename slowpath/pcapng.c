// SPDX-License-Identifier: BSD-2-Clause
// Pcapng: blocks of 32-bit words, each between two copies of its length.
#include "slowpath/pcapng.h"

#include <errno.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 6, /* "enhanced" */
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	LINKTYPE_ETHERNET = 1,
	OPTION_IF_NAME = 2,
	OPTION_IF_TSRESOL = 9,
	OPTION_EPB_FLAGS = 2,
	NANOSECONDS = 9, /* of if_tsresol: 10^-9 s */
};

struct block_head {
	uint32_t type, length;
};

struct section {
	struct block_head head;
	uint32_t magic;
	uint16_t major, minor;
	int64_t section_length;
	uint32_t length;
} __attribute__((packed));

struct interface {
	struct block_head head;
	uint16_t linktype, reserved;
	uint32_t captured_max;
};

struct packet {
	struct block_head head;
	uint32_t interface;
	uint32_t timestamp_high, timestamp_low;
	uint32_t captured, length;
};

/* Followed by its value, padded; the list ends with one of all zero. */
struct option {
	uint16_t code, length;
};

/* What ends a packet block behind its padded data. */
struct packet_tail {
	struct option flags_head;
	uint32_t flags;
	struct option end;
	uint32_t length;
};

static uint32_t padded(uint32_t bytes)
{
	return (bytes + 3) & ~3u;
}

static int put(FILE *out, const void *data, size_t bytes)
{
	errno = 0;
	if (!bytes || fwrite(data, bytes, 1, out) == 1)
		return 0;
	return errno ? -errno : -EIO;
}

/* data, and zeros up to the next word. */
static int put_padded(FILE *out, const void *data, uint32_t bytes)
{
	const char zeros[4] = {};
	int r = put(out, data, bytes);

	return r ? r : put(out, zeros, padded(bytes) - bytes);
}

int pcapng_begin(FILE *out)
{
	const struct section section = {
		.head = { BLOCK_SECTION, sizeof(section) },
		.magic = BYTE_ORDER_MAGIC,
		.major = 1,
		.section_length = -1, /* not told: it may go into a pipe */
		.length = sizeof(section),
	};

	return put(out, &section, sizeof(section));
}

int pcapng_add_interface(FILE *out, const char *name, uint32_t captured_max)
{
	const uint16_t name_length = strnlen(name, UINT8_MAX);
	const struct option name_head = { OPTION_IF_NAME, name_length };
	const struct {
		struct option resolution_head;
		uint8_t resolution, pad[3];
		struct option end;
		uint32_t length;
	} tail = {
		.resolution_head = { OPTION_IF_TSRESOL, 1 },
		.resolution = NANOSECONDS,
		.length = sizeof(struct interface) + sizeof(name_head) + padded(name_length) +
			  sizeof(tail),
	};
	const struct interface interface = {
		.head = { BLOCK_INTERFACE, tail.length },
		.linktype = LINKTYPE_ETHERNET,
		.captured_max = captured_max,
	};
	int r;

	if ((r = put(out, &interface, sizeof(interface))) ||
	    (r = put(out, &name_head, sizeof(name_head))) ||
	    (r = put_padded(out, name, name_length)))
		return r;
	return put(out, &tail, sizeof(tail));
}

int pcapng_add_frame(FILE *out, const struct pcapng_frame *frame)
{
	const struct packet_tail tail = {
		.flags_head = { OPTION_EPB_FLAGS, sizeof(tail.flags) },
		.flags = frame->direction,
		.length = sizeof(struct packet) + padded(frame->captured) + sizeof(tail),
	};
	const struct packet packet = {
		.head = { BLOCK_PACKET, tail.length },
		.interface = frame->interface,
		.timestamp_high = frame->timestamp_ns >> 32,
		.timestamp_low = (uint32_t)frame->timestamp_ns,
		.captured = frame->captured,
		.length = frame->length,
	};
	int r;

	if ((r = put(out, &packet, sizeof(packet))) ||
	    (r = put_padded(out, frame->data, frame->captured)))
		return r;
	return put(out, &tail, sizeof(tail));
}
