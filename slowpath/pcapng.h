/* SPDX-License-Identifier: BSD-2-Clause */
/* Pcapng: writes capture files of Ethernet frames that tcpdump and Wireshark read. */
#ifndef EVNF_SLOWPATH_PCAPNG_H
#define EVNF_SLOWPATH_PCAPNG_H

#include <stdint.h>
#include <stdio.h>

/* epb_flags, bits 0 and 1. */
enum pcapng_direction { PCAPNG_IN = 1, PCAPNG_OUT = 2 };

struct pcapng_frame {
	uint32_t interface;    /* in the order they were added, from 0 */
	uint64_t timestamp_ns; /* since 1970-01-01 UTC */
	uint32_t length;       /* of the frame, bytes, without FCS */
	uint32_t captured;     /* bytes of it in data */
	const void *data;      /* from the destination MAC on */
	enum pcapng_direction direction;
};

/* A file is begun once, then interfaces and frames follow; an interface may be added at any time,
 * before its first frame. All in host byte order, as the format allows
 * (draft-ietf-opsawg-pcapng). Each returns 0, or -errno when out failed. */
int pcapng_begin(FILE *out);

/* name: as the kernel calls it; captured_max: frames are cut to so many bytes, the same for all
 * interfaces of a file, or libpcap refuses it. */
int pcapng_add_interface(FILE *out, const char *name, uint32_t captured_max);
int pcapng_add_frame(FILE *out, const struct pcapng_frame *frame);

#endif
