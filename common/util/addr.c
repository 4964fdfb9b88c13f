// SPDX-License-Identifier: BSD-2-Clause
// Addresses as text and back, and XXH64.
#define _GNU_SOURCE
#include "common/util/addr.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *addr_format_ip4(__be32 address, char text[static ADDR_TEXT_LEN])
{
	return inet_ntop(AF_INET, &address, text, ADDR_TEXT_LEN);
}

const char *addr_format_ip6(const struct in6_addr *address, char text[static ADDR_TEXT_LEN])
{
	return inet_ntop(AF_INET6, address, text, ADDR_TEXT_LEN);
}

const char *addr_format_mac(const uint8_t mac[static 6], char text[static ADDR_TEXT_LEN])
{
	snprintf(text, ADDR_TEXT_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return text;
}

int addr_parse_ip4(const char *text, __be32 *address)
{
	return inet_pton(AF_INET, text, address) == 1 ? 0 : -EINVAL;
}

int addr_parse_ip6(const char *text, struct in6_addr *address)
{
	return inet_pton(AF_INET6, text, address) == 1 ? 0 : -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int addr_parse_mac(const char *text, uint8_t mac[static 6])
{
	uint8_t bytes[6];

	if (strlen(text) != 17)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		const char *pair = text + 3 * i;
		int high = hex_digit(pair[0]), low = hex_digit(pair[1]);

		if (high < 0 || low < 0 || (i < 5 && pair[2] != ':'))
			return -EINVAL;
		bytes[i] = high << 4 | low;
	}
	memcpy(mac, bytes, sizeof(bytes));
	return 0;
}

/* Names and constants as in the specification. */
static const uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F,
		      prime3 = 0x165667B19E3779F9, prime4 = 0x85EBCA77C2B2AE63,
		      prime5 = 0x27D4EB2F165667C5;

static uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static uint64_t read64(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return le64toh(x);
}

static uint64_t read32(const uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	return le32toh(x);
}

static uint64_t round64(uint64_t lane, uint64_t input)
{
	return rotate(lane + input * prime2, 31) * prime1;
}

/* Whole stripes of 32 bytes through four lanes, then the lanes merged. */
static uint64_t hash_stripes(const uint8_t *p, const uint8_t *end, uint64_t seed)
{
	uint64_t lanes[4] = { seed + prime1 + prime2, seed + prime2, seed, seed - prime1 };
	uint64_t hash;

	for (; end - p >= 32; p += 32)
		for (int i = 0; i < 4; i++)
			lanes[i] = round64(lanes[i], read64(p + 8 * i));
	hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
	       rotate(lanes[3], 18);
	for (int i = 0; i < 4; i++)
		hash = (hash ^ round64(0, lanes[i])) * prime1 + prime4;
	return hash;
}

uint64_t hash64(const void *data, size_t length, uint64_t seed)
{
	const uint8_t *p = data, *end = p + length;
	uint64_t hash = length >= 32 ? hash_stripes(p, end, seed) : seed + prime5;

	p += length / 32 * 32;
	hash += length;
	for (; end - p >= 8; p += 8)
		hash = rotate(hash ^ round64(0, read64(p)), 27) * prime1 + prime4;
	for (; end - p >= 4; p += 4)
		hash = rotate(hash ^ read32(p) * prime1, 23) * prime2 + prime3;
	for (; p < end; p++)
		hash = rotate(hash ^ *p * prime5, 11) * prime1;
	hash = (hash ^ hash >> 33) * prime2;
	hash = (hash ^ hash >> 29) * prime3;
	return hash ^ hash >> 32;
}
