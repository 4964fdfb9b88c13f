/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the generator's program and its userspace share: the frame template and how flows vary. */
#ifndef TESTS_BENCH_GEN_H
#define TESTS_BENCH_GEN_H

/* Bytes rewritten in every frame: the shortest Ethernet frame; all headers of TCP over IPv6. */
#define GEN_HEAD4 64
#define GEN_HEAD6 80

/* The L4 checksum begins the sum with everything but the source address's last word and the source
 * port, which the program adds for each flow. Host order, not folded below 32 bits. */
struct gen_sums {
	unsigned int ip, l4;
};

#endif
