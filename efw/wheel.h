/* SPDX-License-Identifier: BSD-2-Clause */
/* Wheel: keys that wait for their tick, a million of them at a few bytes each (hashed timing
 * wheel). */
#ifndef EVNF_EFW_WHEEL_H
#define EVNF_EFW_WHEEL_H

#include <stddef.h>
#include <stdint.h>

struct wheel;

/* key_bytes: of every key. now: the tick to begin at. Returns 0 or -ENOMEM. */
int wheel_open(size_t key_bytes, uint32_t now, struct wheel **wheel);
void wheel_close(struct wheel *wheel); /* NULL is fine */

/* Lets a key, copied, wait until tick `due`; one in the past comes with the next turn. A key
 * further ahead than the wheel is round comes early, and must then be added again. Returns 0 or
 * -ENOMEM. */
int wheel_add(struct wheel *wheel, uint32_t due, const void *key);

/* Called for each key that is due; it lives until the callback returns. Returns 0 or -errno. */
typedef int (*wheel_fn)(void *arg, const void *key);

/* Turns on to tick `now` and calls fn for all keys passed, at most `budget` of them: the others
 * come with the next turn. fn may add keys. Returns 0 or the first -errno of fn, whose key is gone.
 */
int wheel_turn(struct wheel *wheel, uint32_t now, unsigned int budget, wheel_fn fn, void *arg);

/* Calls fn for keys that wait, whenever they are due, from cell *at on (0 to begin with) until
 * about `budget` were visited; *at is moved on. fn may not add keys. Returns 1: there are more; 0:
 * that was the end; or -errno of fn. Keys added or called for meanwhile may be left out. */
int wheel_each(const struct wheel *wheel, unsigned int *at, unsigned int budget, wheel_fn fn,
	       void *arg);

#endif
