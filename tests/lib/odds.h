/* SPDX-License-Identifier: BSD-2-Clause */
/* Odds: the odd packets to which every function has an answer, a row each. */
#ifndef EVNF_TESTS_LIB_ODDS_H
#define EVNF_TESTS_LIB_ODDS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/reasons.h"
#include "tests/lib/frames.h"

enum families { IP4 = 1, IP6 = 2, ANY = IP4 | IP6 };
enum layer { AT_NONE, AT_L3, AT_L4 };

/* A frame, what is odd about it, and why it leaves each function. `with` is completed to a packet
 * that is not odd. Where a second reason is 0 it is the same. */
struct odd {
	const char *says;
	enum families families;
	struct frame_spec with;
	struct {
		enum layer layer;
		uint8_t offset, value;
	} faults[2];
	const char *from, *to; /* other addresses than the sound packet's */
	uint32_t cut;          /* bytes of the frame that remain */
	bool empty;            /* no payload */
	struct {
		enum reason unknown, known; /* of a connection that is not, and that is offloaded */
	} efw;
	struct {
		enum reason strict, lenient; /* by default, and with every check lifted */
	} router, bridge;                    /* efwd; the bridge knows the host the frame is to */
};

extern const struct odd odds[];
extern const size_t n_odds;

/* The most rows there are: for arrays of tests. */
#define ODDS_MAX 160

/* Builds the odd packet out of the sound one, whose addresses are the row's already. */
void odd_build(const struct odd *odd, const struct frame_spec *whole, struct frame *frame);

#endif
