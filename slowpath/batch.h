/* SPDX-License-Identifier: BSD-2-Clause */
/* Batch: reads a hash map a part at a time, so that a large table never stalls the loop. */
#ifndef EVNF_SLOWPATH_BATCH_H
#define EVNF_SLOWPATH_BATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATCH_MAX 4096 /* elements of one read */

struct batch {
	int fd;
	uint32_t entries; /* the map can hold */
	size_t key_bytes, value_bytes;
	uint32_t cursor; /* opaque to all but the kernel */
	bool begun;
	uint8_t *keys, *values; /* of the last read */
	pthread_mutex_t
		*lock; /* held while callbacks run, not while the kernel reads; NULL: none */
};

/* Called for each element; key and value live until the callback returns. */
typedef int (*batch_fn)(void *arg, const void *key, void *value);

/* Prepares to read the hash map behind fd. Returns 0, -ENOMEM or -errno. */
int batch_open(int fd, struct batch *batch);
void batch_close(struct batch *batch);

/* Reads on from where the last call ended, about `want` elements; deleting them meanwhile is fine.
 * Returns 1: there is more; 0: that was the end, the next call begins anew; or the first -errno of
 * reading or of fn. */
int batch_step(struct batch *batch, uint32_t want, batch_fn fn, void *arg);

#endif
