// SPDX-License-Identifier: BSD-2-Clause
// Frames out of libpcap, live or from a file.
#include "slowpath/source_capture.h"

int source_capture_receive(struct source_capture *capture, unsigned int budget, source_frame_fn fn,
			   void *arg, int *status)
{
	unsigned int n = 0;

	*status = 1;
	while (n < budget) {
		struct pcap_pkthdr *header;
		const u_char *data;
		struct frame frame;
		int r;

		*status = pcap_next_ex(capture->pcap, &header, &data);
		if (*status != 1)
			break;
		frame = (struct frame){
			.data = data,
			.length = header->len > header->caplen ? header->len : header->caplen,
			.captured_length = header->caplen,
			/* tv_usec holds nanoseconds, as asked for */
			.timestamp_ns = header->ts.tv_sec * 1000000000ULL + header->ts.tv_usec,
			.port = capture->port,
		};
		n++;
		r = source_give(&capture->source, &frame, fn, arg);
		if (r)
			return r;
	}
	return n;
}
