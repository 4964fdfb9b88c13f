// SPDX-License-Identifier: BSD-2-Clause
// Batch: BPF_MAP_LOOKUP_BATCH over a hash map, resumable.
#include "slowpath/batch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int batch_open(int fd, struct batch *batch)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	*batch = (struct batch){ .fd = fd,
				 .entries = info.max_entries,
				 .key_bytes = info.key_size,
				 .value_bytes = info.value_size,
				 .keys = calloc(BATCH_MAX, info.key_size),
				 .values = calloc(BATCH_MAX, info.value_size) };
	if (batch->keys && batch->values)
		return 0;
	batch_close(batch);
	return -ENOMEM;
}

void batch_close(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
	batch->keys = batch->values = NULL;
}

/* One read of at most *n elements. Returns 1, 0 at the end, or -errno. */
static int batch_read(struct batch *batch, uint32_t *n)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	int r = bpf_map_lookup_batch(batch->fd, batch->begun ? &batch->cursor : NULL,
				     &batch->cursor, batch->keys, batch->values, n, &options);

	if (r && errno == ENOSPC) { /* the next bucket alone holds more: the full buffer takes it */
		*n = BATCH_MAX;
		r = bpf_map_lookup_batch(batch->fd, batch->begun ? &batch->cursor : NULL,
					 &batch->cursor, batch->keys, batch->values, n, &options);
	}
	if (r && errno != ENOENT)
		return -errno;
	batch->begun = !r;
	return batch->begun;
}

/* Calls fn for the n elements read. */
static int elements_call(struct batch *batch, uint32_t n, batch_fn fn, void *arg)
{
	int r = 0;

	if (batch->lock)
		pthread_mutex_lock(batch->lock);
	for (uint32_t i = 0; !r && i < n; i++)
		r = fn(arg, batch->keys + i * batch->key_bytes,
		       batch->values + i * batch->value_bytes);
	if (batch->lock)
		pthread_mutex_unlock(batch->lock);
	return r;
}

int batch_step(struct batch *batch, uint32_t want, batch_fn fn, void *arg)
{
	int more = 1;

	for (uint32_t done = 0; more == 1 && done < want;) {
		uint32_t n = want - done < BATCH_MAX ? want - done : BATCH_MAX;
		int r;

		n = n < 64 ? 64 : n;
		more = batch_read(batch, &n);
		if (more < 0)
			return more;
		r = elements_call(batch, n, fn, arg);
		if (r)
			return r;
		done += n ? n : 1;
	}
	return more;
}
