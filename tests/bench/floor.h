/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the floor and its userspace share: the frame template and which flows there are. */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#define FLOOR_HEAD4 56 /* bytes restored: Ethernet, IPv4 and TCP headers, rounded up to words */
#define FLOOR_HEAD6 80 /* the same for IPv6 */

/* Flow n comes from this address plus n, host order; IPv6: in the last word. */
#define FLOOR_FIRST_ADDRESS 0x0a000000u

#endif
