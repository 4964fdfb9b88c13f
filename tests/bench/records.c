// SPDX-License-Identifier: BSD-2-Clause
// Records: prints how many IPv4 records efw has of connections, two of each.
//
// records PINS
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "efw/efw.h"
#include "slowpath/pins.h"

#define BATCH 4096

int main(int argc, char **argv)
{
	__cleanup_fd int fd = argc == 2 ? pins_open(argv[1], "conns4") : -EINVAL;
	__cleanup_free struct flow4_key *keys = calloc(BATCH, sizeof(*keys));
	__cleanup_free struct conn4 *conns = calloc(BATCH, sizeof(*conns));
	uint32_t position, count = BATCH;
	uint64_t total = 0;
	void *from = NULL;
	int r = 0;

	if (fd < 0 || !keys || !conns)
		return log_err(fd < 0 ? fd : -ENOMEM, "open the records"), 1;
	for (; !r; count = BATCH, from = &position) {
		if (bpf_map_lookup_batch(fd, from, &position, keys, conns, &count, NULL))
			r = -errno;
		if (!r || r == -ENOENT)
			total += count;
	}
	printf("%llu\n", (unsigned long long)total);
	return r == -ENOENT ? 0 : 1;
}
