// SPDX-License-Identifier: BSD-2-Clause
// Addresses as text and back, and the hash against its published values.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "common/util/addr.h"

static const char *const bad_ip4[] = { "",          "1.2.3",      "1.2.3.4.5", "1.2.3.256",
				       "1.2.3.4 ",  " 1.2.3.4",   "01.2.3.4",  "1.2.3.x",
				       "0x1.2.3.4", "1.2.3.4/24", "1.2.3.-4",  "1..3.4",
				       "1",         "::1" };
static const char *const bad_ip6[] = { "",
				       ":",
				       ":::",
				       "1::2::3",
				       "1:2:3:4:5:6:7",
				       "g::",
				       "1:2:3:4:5:6:7:8:9",
				       "fe80::1%eth0",
				       "::1/64",
				       "::12345",
				       "1.2.3.4",
				       " ::1" };
static const char *const bad_mac[] = { "",
				       "02:00:00:00:00",
				       "02:00:00:00:00:0g",
				       "02-00-00-00-00-01",
				       "02:00:00:00:00:01:",
				       "2:0:0:0:0:1",
				       "020000000001",
				       "02:00:00:00:00:0",
				       "02:00:00:00:00: 1" };

static void ip4_text_and_back(void **state)
{
	char text[ADDR_TEXT_LEN];
	__be32 address;

	(void)state;
	assert_int_equal(addr_parse_ip4("192.168.0.1", &address), 0);
	assert_int_equal(address, htonl(0xc0a80001));
	assert_string_equal(addr_format_ip4(address, text), "192.168.0.1");
	assert_string_equal(addr_format_ip4(0, text), "0.0.0.0");
	assert_string_equal(addr_format_ip4(0xffffffff, text), "255.255.255.255");
}

static void ip6_text_and_back(void **state)
{
	static const char *const same[] = { "::",
					    "::1",
					    "fe80::1",
					    "2001:db8::1:0:0:1",
					    "1:2:3:4:5:6:7:8",
					    "::ffff:10.0.0.1",
					    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" };
	struct in6_addr address;
	char text[ADDR_TEXT_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		assert_int_equal(addr_parse_ip6(same[i], &address), 0);
		assert_string_equal(addr_format_ip6(&address, text), same[i]);
	}
	assert_int_equal(addr_parse_ip6("2001:0DB8:0:0:0:0:0:0001", &address), 0);
	assert_string_equal(addr_format_ip6(&address, text), "2001:db8::1");
}

static void mac_text_and_back(void **state)
{
	static const uint8_t expected[6] = { 0x02, 0x00, 0x5e, 0xab, 0xCD, 0xff };
	char text[ADDR_TEXT_LEN];
	uint8_t mac[6];

	(void)state;
	assert_int_equal(addr_parse_mac("02:00:5e:Ab:cD:ff", mac), 0);
	assert_memory_equal(mac, expected, 6);
	assert_string_equal(addr_format_mac(mac, text), "02:00:5e:ab:cd:ff");
}

static void bad_texts_are_refused_and_nothing_is_written(void **state)
{
	struct in6_addr ip6;
	uint8_t mac[6];
	__be32 ip4 = 0x5a5a5a5a;

	(void)state;
	memset(&ip6, 0x5a, sizeof(ip6));
	memset(mac, 0x5a, sizeof(mac));
	for (size_t i = 0; i < sizeof(bad_ip4) / sizeof(bad_ip4[0]); i++)
		assert_int_equal(addr_parse_ip4(bad_ip4[i], &ip4), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_ip6) / sizeof(bad_ip6[0]); i++)
		assert_int_equal(addr_parse_ip6(bad_ip6[i], &ip6), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_mac) / sizeof(bad_mac[0]); i++)
		assert_int_equal(addr_parse_mac(bad_mac[i], mac), -EINVAL);
	assert_int_equal(ip4, 0x5a5a5a5a);
	assert_int_equal(ip6.s6_addr[0], 0x5a);
	assert_int_equal(ip6.s6_addr[15], 0x5a);
	assert_int_equal(mac[0], 0x5a);
	assert_int_equal(mac[5], 0x5a);
}

/* Values of the reference implementation, for a length in every branch. */
static const struct {
	const char *says, *bytes;
	uint64_t seed, hash;
} hashes[] = {
	{ "nothing", "", 0, 0xef46db3751d8e999 },
	{ "one byte", "a", 0, 0xd24ec4f1a98c6e5b },
	{ "three bytes", "abc", 0, 0x44bc2cf5ad770999 },
	{ "a word and a half", "0123456789abc", 7, 0xb12a292ea8dc4969 },
	{ "a stripe and seven bytes", "Nobody inspects the spammish repetition", 0,
	  0xfbcea83c8a378bf1 },
	{ "a seed", "Nobody inspects the spammish repetition", 123, 0xa8ba45551f24b7ae },
};

static void the_hash_is_xxh64(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
		assert_true(hash64(hashes[i].bytes, strlen(hashes[i].bytes), hashes[i].seed) ==
			    hashes[i].hash);
}

static void every_bit_of_a_key_moves_the_hash(void **state)
{
	uint8_t key[40] = { 0 };
	const uint64_t before = hash64(key, sizeof(key), 1);

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(key); bit++) {
		int changed;

		key[bit / 8] ^= 1 << bit % 8;
		changed = __builtin_popcountll(before ^ hash64(key, sizeof(key), 1));
		assert_in_range(changed, 12, 52);
		key[bit / 8] ^= 1 << bit % 8;
	}
	assert_true(hash64(key, sizeof(key), 2) != before);
	assert_true(hash64(key, sizeof(key) - 1, 1) != before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip4_text_and_back),
		cmocka_unit_test(ip6_text_and_back),
		cmocka_unit_test(mac_text_and_back),
		cmocka_unit_test(bad_texts_are_refused_and_nothing_is_written),
		cmocka_unit_test(the_hash_is_xxh64),
		cmocka_unit_test(every_bit_of_a_key_moves_the_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
