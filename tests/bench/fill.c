// SPDX-License-Identifier: BSD-2-Clause
// Fills conntrack of this network namespace with established TCP connections that nobody made.
//
// fill COUNT: those that `gen --proto tcp --src 10.0.0.0 --sport 1024 --ports 16 --dst 192.0.2.1
// --dport 443 --flows COUNT` sends packets of.
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util/log.h"
#include "tests/lib/flows.h"

#define BATCH 4096

int main(int argc, char **argv)
{
	const uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	static struct ct_flow flows[BATCH];

	for (uint32_t at = 0; at < count; at += BATCH) {
		const uint32_t n = count - at < BATCH ? count - at : BATCH;
		int r;

		for (uint32_t i = 0; i < n; i++)
			flows[i] = flow_nth(AF_INET, IPPROTO_TCP, at + i);
		r = flows_make(flows, n);
		if (r)
			return log_err(r, "conntrack entry %u and on", at), 1;
	}
	return count ? 0 : 2;
}
