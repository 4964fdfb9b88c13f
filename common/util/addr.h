// SPDX-License-Identifier: BSD-2-Clause
// Addresses as text and back, and a 64-bit hash for userspace tables.
#ifndef COMMON_UTIL_ADDR_H
#define COMMON_UTIL_ADDR_H

#include <linux/types.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define ADDR_TEXT_LEN INET6_ADDRSTRLEN /* holds any of the texts below */

/* Write the address into text and return text, for use as a printf argument. */
const char *addr_format_ip4(__be32 address, char text[static ADDR_TEXT_LEN]);
const char *addr_format_ip6(const struct in6_addr *address,
			    char text[static ADDR_TEXT_LEN]); /* RFC 5952 */
const char *addr_format_mac(const uint8_t mac[static 6],
			    char text[static ADDR_TEXT_LEN]); /* 02:00:00:00:00:0a */

/* Read the whole text: nothing may stand before or after. Return 0, or -EINVAL with the output
 * untouched. */
int addr_parse_ip4(const char *text, __be32 *address); /* four decimal numbers, no leading zeros */
int addr_parse_ip6(const char *text, struct in6_addr *address);
int addr_parse_mac(const char *text,
		   uint8_t mac[static 6]); /* six pairs of hex digits with colons */

/*
 * XXH64 of length bytes: fast and well mixed, the same on every machine for the same seed. Not for
 * keys that an attacker picks, unless the seed is secret. github.com/Cyan4973/xxHash,
 * doc/xxhash_spec.md.
 */
uint64_t hash64(const void *data, size_t length, uint64_t seed);

#endif
