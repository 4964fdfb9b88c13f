// SPDX-License-Identifier: BSD-2-Clause
// Filters: a frame against expressions in tcpdump's language, and expressions that are none.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "slowpath/filter.h"

/* TCP from 10.1.0.2:40000 to 10.2.0.2:80, flags ACK; captured whole, 54 bytes. */
static const uint8_t plain[] = { 2,    0, 0,  0,  1,    1,    2,    0,    0,  0,  1, 2, 8,  0,
				 0x45, 0, 0,  40, 0,    0,    0,    0,    64, 6,  0, 0, 10, 1,
				 0,    2, 10, 2,  0,    2,    0x9c, 0x40, 0,  80, 0, 0, 0,  1,
				 0,    0, 0,  1,  0x50, 0x10, 1,    0xf4, 0,  0,  0, 0 };

/* The same in VLAN 7. */
static uint8_t tagged[sizeof(plain) + 4];

static const struct {
	const char *says, *expression;
	bool plain, tagged;
} cases[] = {
	{ "the empty filter takes all", "", true, true },
	{ "a host is either end", "host 10.2.0.2", true, false },
	{ "another host is not", "host 10.2.0.3", false, false },
	{ "several conditions", "tcp and src host 10.1.0.2 and dst port 80", true, false },
	{ "the other direction", "src port 80", false, false },
	{ "not", "not udp", true, true },
	{ "flags by name", "tcp[tcpflags] & tcp-ack != 0", true, false },
	{ "a MAC address", "ether src 02:00:00:00:01:02", true, true },
	{ "only the VLAN", "vlan 7", false, true },
	{ "inside a VLAN", "vlan and tcp port 80", false, true },
	{ "lengths are those of the whole frame", "greater 1400", true, true },
	{ "and not of what was captured", "less 100", false, false },
};

static bool matches(const char *expression, const uint8_t *data, uint32_t captured)
{
	__cleanup_filter struct filter *filter = NULL;
	char error[FILTER_ERROR_MAX] = "";

	if (filter_compile(expression, &filter, error))
		fail_msg("%s: %s", expression, error);
	return filter_match(filter, data, captured, 1500, false);
}

static void frames_match_as_in_tcpdump(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (matches(cases[i].expression, plain, sizeof(plain)) != cases[i].plain)
			fail_msg("%s: untagged", cases[i].says);
		if (matches(cases[i].expression, tagged, sizeof(tagged)) != cases[i].tagged)
			fail_msg("%s: tagged", cases[i].says);
	}
}

static void a_direction_can_be_asked_for(void **state)
{
	__cleanup_filter struct filter *in = NULL, *out = NULL, *both = NULL;
	char error[FILTER_ERROR_MAX];

	(void)state;
	assert_int_equal(filter_compile("inbound and port 80", &in, error), 0);
	assert_int_equal(filter_compile("outbound", &out, error), 0);
	assert_int_equal(filter_compile("port 80", &both, error), 0);
	for (int sent = 0; sent < 2; sent++) {
		assert_int_equal(filter_match(in, plain, sizeof(plain), 1500, sent), !sent);
		assert_int_equal(filter_match(out, plain, sizeof(plain), 1500, sent), sent);
		assert_true(filter_match(both, plain, sizeof(plain), 1500, sent));
	}
}

static void bytes_not_captured_do_not_match(void **state)
{
	(void)state;
	assert_true(matches("ip", plain, 14));
	assert_false(matches("tcp port 80", plain, 34));
	assert_false(matches("ip", plain, 0));
}

static void what_is_no_expression_is_refused_and_told(void **state)
{
	static const char *const wrong[] = { "tcp port",           "prot tcp",  "host 10.1.0.300",
					     "port 70000",         "ifname rl", "(tcp or udp",
					     "tcp port 80 garbage" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct filter *filter = (struct filter *)wrong;
		char error[FILTER_ERROR_MAX] = "";

		assert_int_equal(filter_compile(wrong[i], &filter, error), -EINVAL);
		assert_ptr_equal(filter, wrong);
		assert_true(strlen(error) > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_match_as_in_tcpdump),
		cmocka_unit_test(a_direction_can_be_asked_for),
		cmocka_unit_test(bytes_not_captured_do_not_match),
		cmocka_unit_test(what_is_no_expression_is_refused_and_told),
	};

	memcpy(tagged, plain, 12);
	memcpy(tagged + 12, (uint8_t[]){ 0x81, 0, 0, 7 }, 4);
	memcpy(tagged + 16, plain + 12, sizeof(plain) - 12);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
