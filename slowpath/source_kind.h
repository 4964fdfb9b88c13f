// SPDX-License-Identifier: BSD-2-Clause
// What one kind of frame source implements behind slowpath/source.h.
#ifndef SLOWPATH_SOURCE_KIND_H
#define SLOWPATH_SOURCE_KIND_H

#include <time.h>

#include "slowpath/source.h"

/* Contracts as of the functions of source.h with these names; all are set. */
struct source_kind {
	const char *name;                                         /* before the colon of a spec */
	int (*open)(const char *address, struct source **source); /* what follows the colon */
	int (*receive)(struct source *source, unsigned int budget, source_frame_fn fn, void *arg);
	int (*send)(struct source *source, const void *frame, uint32_t n); /* 1 <= n */
	int (*dropped)(const struct source *source, uint64_t *dropped);
	void (*close)(struct source *source);
};

extern const struct source_kind source_xsk, source_tap, source_pcap, source_file;

/* The first member of each kind's own struct. source_open() sets kind. */
struct source {
	const struct source_kind *kind;
	int fd;
	uint64_t received;
};

static inline int source_give(struct source *source, const struct frame *frame, source_frame_fn fn,
			      void *arg)
{
	source->received++;
	return fn(arg, frame);
}

static inline uint64_t source_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

#endif
