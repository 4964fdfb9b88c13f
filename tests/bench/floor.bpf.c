// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Floor: the least a program must do to route a known flow, and the wrapper it and entry run
// behind.
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>

#include "fastpath/maps.bpf.h"
#include "tests/bench/floor.h"

const volatile __u32 context = 0; /* of the port whose entry program is the other subject */

/* Written by userspace before a run. Not const: clang would fold them into the code. */
__u64 template[FLOOR_HEAD6 / 8] = { 1 };
__u32 flows_mask = 0; /* frames take flows 0 to this at random: a power of two less one */

__u64 random_state = 88172645463325252ULL;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} subject SEC(".maps");

/* Xorshift64 (Marsaglia 2003), period 2^64 - 1: every flow comes, in no order. */
static __always_inline __u32 flow_draw(void)
{
	__u64 x = random_state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	random_state = x;
	return (__u32)(x >> 16) & flows_mask;
}

/* A test run passes the same frame again and again, as the last run left it. So the whole head is
 * restored each time, with the next flow's address, and the program measured takes over. Checksums
 * are those of flow 0: nobody here verifies them. */
static __always_inline int frame_restore(struct xdp_md *ctx, __u32 head, __u32 address)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *words = frame;

	if (frame + head > end)
		return XDP_ABORTED;
	for (__u32 i = 0; i < head / 8; i++) /* in words: bytes would stall the loads that follow */
		words[i] = template[i];
	*(__be32 *)(frame + address) = bpf_htonl(FLOOR_FIRST_ADDRESS + flow_draw());
	bpf_tail_call(ctx, &subject, 0);
	return XDP_ABORTED;
}

SEC("xdp.frags")
int restore4(struct xdp_md *ctx)
{
	return frame_restore(ctx, FLOOR_HEAD4, ETH_HLEN + __builtin_offsetof(struct iphdr, saddr));
}

SEC("xdp.frags")
int restore6(struct xdp_md *ctx)
{
	return frame_restore(ctx, FLOOR_HEAD6,
			     ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr) + 12);
}

/* The exit: the next hop's MAC addresses, and the port it is at. */
static __always_inline int leave(void *frame, const struct flow_head *flow)
{
	__u32 index = flow->next_hop;
	const __u64 *hop = bpf_map_lookup_elem(&next_hops, &index);

	if (!hop)
		return XDP_ABORTED;
	*(__u64 *)frame = (hop[0] & 0xffffffffffffULL) | hop[1] << 48;
	*(__u32 *)(frame + 8) = hop[1] >> 16;
	return bpf_redirect_map(&tx_ports, hop[0] >> 48, 0);
}

/* The last eight bytes of either key. */
static __always_inline __u64 key_tail(const struct tcphdr *tcp, __u8 proto)
{
	return *(const __u32 *)tcp | (__u64)(proto | context << 8) << 32;
}

/* No check but the end of the frame: it takes every frame for IPv4 without options and TCP. The
 * key is written in the words that the lookup reads. */
SEC("xdp.frags")
int floor4(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = frame + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct flow4 *flow;
	__u64 key[2];
	__u32 sum;

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	key[0] = ip->saddr | (__u64)ip->daddr << 32;
	key[1] = key_tail(tcp, ip->protocol);
	flow = bpf_map_lookup_elem(&flows4, key);
	if (!flow)
		return XDP_ABORTED;
	ip->ttl--;
	sum = ip->check + bpf_htons(0x0100); /* RFC 1141 */
	ip->check = sum + (sum >> 16);
	return leave(frame, &flow->head);
}

SEC("xdp.frags")
int floor6(struct xdp_md *ctx)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = frame + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct flow6 *flow;
	__u64 key[5];

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	for (int i = 0; i < 2; i++) {
		key[i] = ip->saddr.in6_u.u6_addr32[2 * i] |
			 (__u64)ip->saddr.in6_u.u6_addr32[2 * i + 1] << 32;
		key[2 + i] = ip->daddr.in6_u.u6_addr32[2 * i] |
			     (__u64)ip->daddr.in6_u.u6_addr32[2 * i + 1] << 32;
	}
	key[4] = key_tail(tcp, ip->nexthdr);
	flow = bpf_map_lookup_elem(&flows6, key);
	if (!flow)
		return XDP_ABORTED;
	ip->hop_limit--;
	return leave(frame, &flow->head);
}

char _license[] SEC("license") = "Dual BSD/GPL";
