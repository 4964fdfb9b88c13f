// SPDX-License-Identifier: BSD-2-Clause
// Filter: libpcap compiles the expression and runs the result.
#include "slowpath/filter.h"

#include <errno.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>

#define CAPTURED_MAX 262144 /* more than any frame has */

struct filter {
	struct bpf_program program;
};

int filter_compile(const char *expression, struct filter **filter, char error[FILTER_ERROR_MAX])
{
	struct filter *new = calloc(1, sizeof(*new));
	pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, CAPTURED_MAX);
	int r = new &&ethernet ? 0 : -ENOMEM;

	if (!r && pcap_compile(ethernet, &new->program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(error, FILTER_ERROR_MAX, "%s", pcap_geterr(ethernet));
		r = -EINVAL;
	}
	if (ethernet)
		pcap_close(ethernet);
	if (r)
		free(new);
	else
		*filter = new;
	return r;
}

bool filter_match(const struct filter *filter, const void *data, uint32_t captured, uint32_t length)
{
	const struct pcap_pkthdr header = { .caplen = captured, .len = length };

	return pcap_offline_filter(&filter->program, &header, data) != 0;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}
