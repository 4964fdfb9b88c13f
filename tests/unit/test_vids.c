// SPDX-License-Identifier: BSD-2-Clause
// Tests of the lists of VLANs that a trunk carries.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "efwd/vids.h"

static const struct {
	const char *says, *text;
	int result;
	unsigned int count;
	uint16_t in[4], out[4]; /* VIDs that must be there, and must not; 0 ends */
} cases[] = {
	{ "nothing is none", "", 0, 0, {}, { 1, 4094 } },
	{ "one", "10", 0, 1, { 10 }, { 9, 11 } },
	{ "a range holds both its ends", "20-29", 0, 10, { 20, 29 }, { 19, 30 } },
	{ "several, over the edge of a word",
	  "1,62-65,4094",
	  0,
	  6,
	  { 1, 63, 64, 4094 },
	  { 61, 66 } },
	{ "twice is once", "5,1-9,5", 0, 9, { 5 }, { 10 } },
	{ "all are those a tag may name", "all", 0, 4094, { 1, 4094 }, {} },
	{ "a range of one", "7-7", 0, 1, { 7 }, {} },
	{ "0 is no VLAN", "0", -EINVAL, 0, {}, {} },
	{ "4095 is reserved", "4095", -EINVAL, 0, {}, {} },
	{ "a range beyond the last", "4000-5000", -EINVAL, 0, {}, {} },
	{ "a range backwards", "9-5", -EINVAL, 0, {}, {} },
	{ "a range without end", "9-", -EINVAL, 0, {}, {} },
	{ "a range without begin", "-9", -EINVAL, 0, {}, {} },
	{ "a comma too many", "1,", -EINVAL, 0, {}, {} },
	{ "a comma alone", ",", -EINVAL, 0, {}, {} },
	{ "a space", "1, 2", -EINVAL, 0, {}, {} },
	{ "a word", "native", -EINVAL, 0, {}, {} },
	{ "a number that would wrap", "4294967297", -EINVAL, 0, {}, {} },
};

static int has(const __u64 *vids, uint16_t vid)
{
	return vids[vid / 64] >> vid % 64 & 1;
}

static unsigned int count(const __u64 *vids)
{
	unsigned int n = 0;

	for (int vid = 0; vid < VIDS; vid++)
		n += has(vids, vid);
	return n;
}

static void every_list_names_its_vlans_or_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 vids[VIDS / 64], before[VIDS / 64];

		memset(before, 0x5a, sizeof(before));
		memcpy(vids, before, sizeof(before));
		print_message("%s\n", cases[i].says);
		assert_int_equal(vids_parse(cases[i].text, vids), cases[i].result);
		if (cases[i].result) {
			assert_memory_equal(vids, before, sizeof(before));
			continue;
		}
		assert_int_equal(count(vids), cases[i].count);
		for (int v = 0; v < 4 && cases[i].in[v]; v++)
			assert_true(has(vids, cases[i].in[v]));
		for (int v = 0; v < 4 && cases[i].out[v]; v++)
			assert_false(has(vids, cases[i].out[v]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_list_names_its_vlans_or_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
