// SPDX-License-Identifier: BSD-2-Clause
// Wheel: a ring of ticks, each with a list of chunks of keys (Varghese and Lauck 1987, scheme 6).
#include "efw/wheel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHEEL_TICKS 4096 /* once round */
#define CHUNK_KEYS 32

struct chunk {
	struct chunk *next;
	unsigned int n;
	unsigned char keys[];
};

struct wheel {
	size_t key_bytes;
	uint32_t now; /* the tick whose keys have all been called for */
	struct chunk *ticks[WHEEL_TICKS];
	struct chunk *spare; /* one chunk kept, so that a wheel at rest does not allocate */
};

int wheel_open(size_t key_bytes, uint32_t now, struct wheel **wheel)
{
	struct wheel *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->key_bytes = key_bytes;
	new->now = now;
	*wheel = new;
	return 0;
}

void wheel_close(struct wheel *wheel)
{
	if (!wheel)
		return;
	for (unsigned int i = 0; i < WHEEL_TICKS; i++) {
		while (wheel->ticks[i]) {
			struct chunk *chunk = wheel->ticks[i];

			wheel->ticks[i] = chunk->next;
			free(chunk);
		}
	}
	free(wheel->spare);
	free(wheel);
}

static struct chunk *chunk_take(struct wheel *wheel, struct chunk *next)
{
	struct chunk *chunk = wheel->spare;

	wheel->spare = NULL;
	if (!chunk)
		chunk = malloc(sizeof(*chunk) + CHUNK_KEYS * wheel->key_bytes);
	if (chunk)
		*chunk = (struct chunk){ .next = next };
	return chunk;
}

static void chunk_leave(struct wheel *wheel, struct chunk *chunk)
{
	free(wheel->spare);
	wheel->spare = chunk;
}

int wheel_add(struct wheel *wheel, uint32_t due, const void *key)
{
	int32_t ahead = due - wheel->now;
	struct chunk **at, *chunk;

	if (ahead < 1)
		ahead = 1;
	if (ahead > WHEEL_TICKS - 1)
		ahead = WHEEL_TICKS - 1;
	at = &wheel->ticks[(wheel->now + ahead) % WHEEL_TICKS];
	chunk = *at;
	if (!chunk || chunk->n == CHUNK_KEYS) {
		chunk = chunk_take(wheel, *at);
		if (!chunk)
			return -ENOMEM;
		*at = chunk;
	}
	memcpy(chunk->keys + chunk->n++ * wheel->key_bytes, key, wheel->key_bytes);
	return 0;
}

/* Calls for the keys of one tick. Returns 0, or -errno of fn. */
static int tick_call(struct wheel *wheel, struct chunk **at, unsigned int *budget, wheel_fn fn,
		     void *arg)
{
	while (*at && *budget) {
		struct chunk *chunk = *at;
		unsigned char *key = chunk->keys + --chunk->n * wheel->key_bytes;
		int r = fn(arg, key);

		(*budget)--;
		if (!chunk->n) {
			*at = chunk->next;
			chunk_leave(wheel, chunk);
		}
		if (r)
			return r;
	}
	return 0;
}

int wheel_turn(struct wheel *wheel, uint32_t now, unsigned int budget, wheel_fn fn, void *arg)
{
	while ((int32_t)(now - wheel->now) > 0 && budget) {
		struct chunk **at = &wheel->ticks[(wheel->now + 1) % WHEEL_TICKS];
		int r = tick_call(wheel, at, &budget, fn, arg);

		if (r)
			return r;
		if (!*at)
			wheel->now++;
	}
	return 0;
}

int wheel_each(const struct wheel *wheel, unsigned int *at, unsigned int budget, wheel_fn fn,
	       void *arg)
{
	unsigned int visited = 0;

	for (; *at < WHEEL_TICKS && visited < budget; (*at)++) {
		const struct chunk *chunk = wheel->ticks[*at];

		for (; chunk; chunk = chunk->next) {
			for (unsigned int i = 0; i < chunk->n; i++, visited++) {
				int r = fn(arg, chunk->keys + i * wheel->key_bytes);

				if (r)
					return r;
			}
		}
	}
	return *at < WHEEL_TICKS;
}
