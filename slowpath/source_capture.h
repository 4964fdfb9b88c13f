// SPDX-License-Identifier: BSD-2-Clause
// What live captures and capture files share: frames by libpcap. Not beside libbpf: the headers
// clash.
#ifndef SLOWPATH_SOURCE_CAPTURE_H
#define SLOWPATH_SOURCE_CAPTURE_H

#include <pcap/pcap.h>

#include "slowpath/source_kind.h"

struct source_capture {
	struct source source;
	pcap_t *pcap; /* with nanosecond timestamps */
	uint32_t port;
};

/*
 * Give up to budget frames to fn. Returns the number given or fn's error; *status is what
 * pcap_next_ex() said last: 1 the budget is used up, 0 nothing is waiting, PCAP_ERROR,
 * PCAP_ERROR_BREAK at the end of a file.
 */
int source_capture_receive(struct source_capture *capture, unsigned int budget, source_frame_fn fn,
			   void *arg, int *status);

#endif
