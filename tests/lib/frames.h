/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames: builds Ethernet frames from a description, sound or faulty, and checks received ones. */
#ifndef EVNF_TESTS_LIB_FRAMES_H
#define EVNF_TESTS_LIB_FRAMES_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 24576 /* bytes; many buffers of the kernel */
#define FRAME_TAGS_MAX 3
#define FRAME_EXTENSIONS_MAX 12

/* Where a packet comes from or goes to. IPv4 has its address in the first word. */
struct endpoint {
	__be32 ip[4];
	uint16_t port; /* host order; ICMP: type << 8 | code of the source, identifier of the other
			*/
};

/* What a frame shall be. What is zero takes the value in brackets. */
struct frame_spec {
	uint8_t dst_mac[6], src_mac[6];
	struct {
		uint16_t type, tci; /* type 0: no more tags */
	} tags[FRAME_TAGS_MAX];
	uint16_t ether_type; /* [of the family] with another, payload follows at once */
	uint8_t family;      /* AF_INET or AF_INET6 */
	uint8_t proto;       /* IPPROTO_*; without header of ours, payload follows */
	struct endpoint src, dst;
	uint8_t tcp_flags; /* TH_* [TH_ACK]; no flags at all: 0xff */
	uint8_t ttl;       /* [64] */
	bool dont_fragment;
	const char *options; /* IPv4 options, option_bytes of them, a multiple of 4 */
	uint8_t option_bytes;
	bool hop_by_hop;                          /* IPv6: such a header stands first */
	uint8_t extensions[FRAME_EXTENSIONS_MAX]; /* other extension headers, IPPROTO_*; ends at 0
						   */
	uint8_t routing_type;                     /* of a routing header */
	bool fragmented;                          /* IPv6: a fragment header stands last */
	uint16_t fragment_bytes;                  /* offset of this fragment */
	bool more_fragments;
	uint32_t payload_bytes; /* behind the transport header */
	uint32_t padding_bytes; /* behind the packet */
	uint16_t payload_word;  /* the first 16 bits of the payload, to choose a checksum by */
	bool no_checksum;       /* UDP without one */
};

struct frame {
	uint32_t bytes;
	uint32_t l3, l4; /* offsets */
	uint16_t pad;    /* aligns what follows the Ethernet header */
	uint8_t data[FRAME_MAX];
};

/* Builds the frame, all lengths and checksums right. */
void frame_build(const struct frame_spec *spec, struct frame *frame);

/* Cuts the frame, headers keep what they say; or rewrites both checksums after it was changed. */
void frame_cut(struct frame *frame, uint32_t bytes);
void frame_mend(struct frame *frame);

/* Checks lengths and all checksums, each computed anew over all it covers. Returns NULL when the
 * frame is a whole packet of TCP, UDP or ICMP, or what is wrong. */
const char *frame_fault(struct frame *frame);

/* The sums that the checksums of a frame's IP and transport headers make whole: 0xffff each when
 * they are right. What a router or NAT does to a packet keeps them, right or wrong. IPv6 has no sum
 * of IP, UDP without a checksum none of the transport: 0. Returns false when there is no whole TCP,
 * UDP or ICMP packet. */
bool frame_sums(struct frame *frame, uint16_t *ip, uint16_t *transport);

/* A generator of numbers that are the same on every machine. *seed must not be 0. */
uint32_t random_next(uint32_t *seed);

/* Address from text, either family. The text must be right. */
struct endpoint endpoint_of(const char *address, uint16_t port);

#endif
