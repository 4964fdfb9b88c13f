// SPDX-License-Identifier: BSD-2-Clause
// The wheel: every key comes once, at its tick, however far ahead and however many.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "efw/wheel.h"

#define KEYS 100000

struct seen {
	struct wheel *wheel;
	uint32_t now;
	unsigned int calls;
	unsigned char times[KEYS];
	uint32_t due[KEYS];
	int answer;
};

static int key_come(void *arg, const void *key)
{
	struct seen *seen = arg;
	uint32_t number = *(const uint32_t *)key;

	seen->calls++;
	if ((int32_t)(seen->due[number] - seen->now) > 0) /* further ahead than once round */
		return wheel_add(seen->wheel, seen->due[number], key);
	assert_int_equal(seen->due[number], seen->now);
	seen->times[number]++;
	return seen->answer;
}

static void keys_come_once_at_their_tick(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	uint32_t start = UINT32_MAX - 2000; /* ticks wrap round on the way */

	(void)state;
	assert_int_equal(wheel_open(4, start, &seen->wheel), 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		seen->due[i] = start + 1 + i * 7919 % 9000;
		assert_int_equal(wheel_add(seen->wheel, seen->due[i], &i), 0);
	}
	for (seen->now = start + 1; seen->now != start + 9001; seen->now++)
		assert_int_equal(wheel_turn(seen->wheel, seen->now, KEYS, key_come, seen), 0);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_int_equal(seen->times[i], 1);
	wheel_close(seen->wheel);
	free(seen);
}

static void a_key_of_the_past_comes_with_the_next_turn(void **state)
{
	struct seen seen = { .now = 101 };
	uint32_t key = 0;

	(void)state;
	seen.due[0] = 101;
	assert_int_equal(wheel_open(4, 100, &seen.wheel), 0);
	assert_int_equal(wheel_add(seen.wheel, 7, &key), 0);
	assert_int_equal(wheel_turn(seen.wheel, 100, 10, key_come, &seen), 0);
	assert_int_equal(seen.calls, 0);
	assert_int_equal(wheel_turn(seen.wheel, 101, 10, key_come, &seen), 0);
	assert_int_equal(seen.times[0], 1);
	wheel_close(seen.wheel);
}

static void what_the_budget_leaves_comes_with_the_next_turn(void **state)
{
	struct seen seen = { .now = 1 };

	(void)state;
	assert_int_equal(wheel_open(4, 0, &seen.wheel), 0);
	for (uint32_t i = 0; i < 100; i++) {
		seen.due[i] = 1;
		assert_int_equal(wheel_add(seen.wheel, 1, &i), 0);
	}
	assert_int_equal(wheel_turn(seen.wheel, 1, 60, key_come, &seen), 0);
	assert_int_equal(seen.calls, 60);
	assert_int_equal(wheel_turn(seen.wheel, 1, 60, key_come, &seen), 0);
	assert_int_equal(seen.calls, 100);
	wheel_close(seen.wheel);
}

static int key_count(void *arg, const void *key)
{
	((struct seen *)arg)->times[*(const uint32_t *)key]++;
	return 0;
}

static void all_that_wait_can_be_visited_in_parts(void **state)
{
	struct seen *seen = calloc(1, sizeof(*seen));
	unsigned int at = 0, parts = 0;

	(void)state;
	assert_int_equal(wheel_open(4, 7, &seen->wheel), 0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(wheel_add(seen->wheel, 8 + i * 7919 % 4000, &i), 0);
	while (wheel_each(seen->wheel, &at, 100, key_count, seen) == 1)
		parts++;
	assert_in_range(parts, 5, 12);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(seen->times[i], 1);
	wheel_close(seen->wheel);
	free(seen);
}

static void an_error_of_the_callback_is_returned(void **state)
{
	struct seen seen = { .now = 1, .answer = -EIO };
	uint32_t key = 0;

	(void)state;
	seen.due[0] = 1;
	assert_int_equal(wheel_open(4, 0, &seen.wheel), 0);
	assert_int_equal(wheel_add(seen.wheel, 1, &key), 0);
	assert_int_equal(wheel_turn(seen.wheel, 1, 60, key_come, &seen), -EIO);
	assert_int_equal(wheel_turn(seen.wheel, 1, 60, key_come, &seen), 0);
	assert_int_equal(seen.calls, 1);
	wheel_close(seen.wheel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_come_once_at_their_tick),
		cmocka_unit_test(a_key_of_the_past_comes_with_the_next_turn),
		cmocka_unit_test(what_the_budget_leaves_comes_with_the_next_turn),
		cmocka_unit_test(all_that_wait_can_be_visited_in_parts),
		cmocka_unit_test(an_error_of_the_callback_is_returned),
	};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
