// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Generator: writes the headers of the next frame of the next flow into a live frame and sends it.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "tests/bench/gen.h"

/* Knobs, set before load. */
const volatile __u32 flows = 1;         /* 1: the template as it is */
const volatile __u32 ports = 1;         /* flows per source address */
const volatile __u32 first_address = 0; /* host order; IPv6: the last word */
const volatile __u16 first_port = 0;    /* host order */
const volatile __u64 gap_ns = 0;        /* between two frames; 0: as fast as it goes */
const volatile __u8 ipv6 = 0, udp = 0, random_flows = 0;
const volatile struct gen_sums sums = {};

/* Not const: clang would fold a constant template into byte stores. Written before the first run.
 */
__u64 template[GEN_HEAD6 / 8] = { 1 };

/* Userspace reads and resets; one CPU runs the program at a time. */
__u64 sent = 0;
__u64 next_ns = 0;

/* Whether it is time for the next frame. After a pause of over 1 ms the lost ones are not made up.
 */
static __always_inline int frame_due(void)
{
	__u64 now = bpf_ktime_get_ns();

	if (now < next_ns)
		return 0;
	next_ns = (now - next_ns > 1000000 ? now : next_ns) + gap_ns;
	return 1;
}

static __always_inline __u16 sum_close(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return bpf_htons(~sum);
}

/* Writes source address and port of a flow. l4 is the TCP or UDP header. */
static __always_inline void flow_write(__u32 flow, __be32 *address, void *l4)
{
	__u32 ip = first_address + flow / ports;
	__u16 port = first_port + flow % ports;
	__u32 halves = (ip >> 16) + (ip & 0xffff);
	__u16 l4_sum = sum_close(sums.l4 + halves + port);

	*address = bpf_htonl(ip);
	if (udp) {
		struct udphdr *head = l4;

		head->source = bpf_htons(port);
		head->check = l4_sum ? l4_sum : 0xffff;
	} else {
		struct tcphdr *head = l4;

		head->source = bpf_htons(port);
		head->check = l4_sum;
	}
	if (!ipv6) {
		struct iphdr *head = l4 - sizeof(*head);

		head->check = sum_close(sums.ip + halves);
	}
}

/* Pages come back as the last receiver left them: the whole head is written each time. */
SEC("xdp")
int gen(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 flow;

	if (gap_ns && !frame_due())
		return XDP_DROP;
	if (frame + (ipv6 ? GEN_HEAD6 : GEN_HEAD4) > end)
		return XDP_ABORTED;
	__builtin_memcpy(frame, template, GEN_HEAD4);
	if (ipv6)
		__builtin_memcpy(frame + GEN_HEAD4, (void *)template + GEN_HEAD4,
				 GEN_HEAD6 - GEN_HEAD4);
	if (flows > 1) {
		struct iphdr *ip = frame + ETH_HLEN;
		struct ipv6hdr *ip6 = frame + ETH_HLEN;

		flow = (random_flows ? bpf_get_prandom_u32() : (__u32)sent) % flows;
		if (ipv6)
			flow_write(flow, &ip6->saddr.in6_u.u6_addr32[3], ip6 + 1);
		else
			flow_write(flow, &ip->saddr, ip + 1);
	}
	sent++;
	return XDP_TX; /* in a live-frames run: out of the interface the context names */
}

/* For the first hop when only the generator is to be measured. */
SEC("xdp")
int drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
