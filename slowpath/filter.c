// SPDX-License-Identifier: BSD-2-Clause
// Filter: libpcap compiles the expression and runs the result.
#include "slowpath/filter.h"

#include <errno.h>
#include <pcap.h>
#include <stdio.h>
#include <stdlib.h>

#define CAPTURED_MAX 262144 /* more than any frame has */

/* Where a live capture has the kind of packet: libpcap compiles `inbound` and `outbound` to a load
 * from there, which finds nothing in a frame by itself (SKF_AD_PKTTYPE, linux/filter.h). */
#define PACKET_KIND ((bpf_u_int32)-0x1000 + 4)
enum { PACKET_RECEIVED = 0, PACKET_SENT = 4 }; /* PACKET_HOST, PACKET_OUTGOING */

struct filter {
	struct bpf_program programs[2]; /* for frames received, and sent */
};

/* Makes the kind of packet, known beforehand, a constant of the program. */
static void kind_set(struct bpf_program *program, bpf_u_int32 kind)
{
	for (unsigned int i = 0; i < program->bf_len; i++) {
		struct bpf_insn *insn = &program->bf_insns[i];

		if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
		    insn->k == PACKET_KIND)
			*insn = (struct bpf_insn){ .code = BPF_LD | BPF_IMM, .k = kind };
	}
}

int filter_compile(const char *expression, struct filter **filter, char error[FILTER_ERROR_MAX])
{
	struct filter *new = calloc(1, sizeof(*new));
	pcap_t *ethernet = pcap_open_dead(DLT_EN10MB, CAPTURED_MAX);
	int r = new &&ethernet ? 0 : -ENOMEM;

	for (int sent = 0; !r && sent < 2; sent++) {
		if (pcap_compile(ethernet, &new->programs[sent], expression, 1,
				 PCAP_NETMASK_UNKNOWN)) {
			snprintf(error, FILTER_ERROR_MAX, "%s", pcap_geterr(ethernet));
			r = -EINVAL;
		} else {
			kind_set(&new->programs[sent], sent ? PACKET_SENT : PACKET_RECEIVED);
		}
	}
	if (ethernet)
		pcap_close(ethernet);
	if (r)
		filter_free(new);
	else
		*filter = new;
	return r;
}

bool filter_match(const struct filter *filter, const void *data, uint32_t captured, uint32_t length,
		  bool sent)
{
	const struct pcap_pkthdr header = { .caplen = captured, .len = length };

	return pcap_offline_filter(&filter->programs[sent], &header, data) != 0;
}

void filter_free(struct filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->programs[0]);
	pcap_freecode(&filter->programs[1]);
	free(filter);
}
