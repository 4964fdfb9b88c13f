// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Witness: sees a packet leave the kernel and writes into its connection's record that it did.
#include <linux/pkt_cls.h>

#include "efw/conns.bpf.h"
#include "fastpath/packet.bpf.h"

#define AF_NONE 0

/* A forwarded packet carries the generation under which it came in the field tc_index, which
 * only queueing disciplines use that forbid offload. So a packet that waited somewhere, for a
 * neighbor say, proves nothing about a policy that changed meanwhile. 0 is no stamp. */
SEC("tc")
int evnf_stamp(struct __sk_buff *skb)
{
	skb->tc_index = chain.generation & 0xffff;
	return TC_ACT_UNSPEC;
}

/* Reads what the lookup needs from a packet that the kernel sends: no tags, no options. */
static __always_inline int tuple_read(struct __sk_buff *skb, struct flow4_key *key4,
				      struct flow6_key *key6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	__be16 *ports;

	if ((void *)(ip + 1) > end)
		return AF_NONE;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		ports = (void *)(ip + 1);
		if (ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff) || (void *)(ports + 2) > end ||
		    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
			return AF_NONE;
		key4->src_ip = ip->saddr;
		key4->dst_ip = ip->daddr;
		key4->src_port = ports[0];
		key4->dst_port = ports[1];
		key4->proto = ip->protocol;
		return AF_INET;
	}
	ports = (void *)(ip6 + 1);
	if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ports + 2) > end ||
	    (ip6->nexthdr != IPPROTO_TCP && ip6->nexthdr != IPPROTO_UDP))
		return AF_NONE;
	__builtin_memcpy(key6->src_ip, &ip6->saddr, 16);
	__builtin_memcpy(key6->dst_ip, &ip6->daddr, 16);
	key6->src_port = ports[0];
	key6->dst_port = ports[1];
	key6->proto = ip6->nexthdr;
	return AF_INET6;
}

/* Another way in or out than before needs no delete: entries of the old port are keyed by its
 * context and were proven themselves. */
static __always_inline void proof_write(struct conn_head *conn, struct __sk_buff *skb,
					__u32 generation)
{
	if (conn->accepted_generation == generation && conn->in_ifindex == skb->ingress_ifindex &&
	    conn->out_ifindex == skb->ifindex)
		return;
	conn->in_ifindex = skb->ingress_ifindex;
	conn->out_ifindex = skb->ifindex;
	conn->accepted_generation = generation;
}

/* The packet is seen as it leaves, the record is keyed as it came: the way there leads over the
 * other direction, which arrives as this one leaves and leaves as this one arrives. */
static __always_inline void conn4_prove(struct __sk_buff *skb, const struct flow4_key *left,
					__u32 generation)
{
	struct flow4_key reverse = {}, arrived = {};
	struct conn4 *conn;

	flow4_reverse(left, &reverse);
	conn = bpf_map_lookup_elem(&conns4, &reverse);
	if (!conn)
		return;
	flow4_reverse(&conn->to, &arrived);
	conn = bpf_map_lookup_elem(&conns4, &arrived);
	if (conn && flow4_same(&conn->to, left))
		proof_write(&conn->head, skb, generation);
}

static __always_inline void conn6_prove(struct __sk_buff *skb, const struct flow6_key *left,
					__u32 generation)
{
	struct flow6_key reverse = {}, arrived = {};
	struct conn6 *conn;

	flow6_reverse(left, &reverse);
	conn = bpf_map_lookup_elem(&conns6, &reverse);
	if (!conn)
		return;
	flow6_reverse(&conn->to, &arrived);
	conn = bpf_map_lookup_elem(&conns6, &arrived);
	if (conn && flow6_same(&conn->to, left))
		proof_write(&conn->head, skb, generation);
}

SEC("tc")
int evnf_witness(struct __sk_buff *skb)
{
	__u32 generation = chain.generation;
	struct flow4_key left4 = {};
	struct flow6_key left6 = {};
	int family;

	if (!skb->ingress_ifindex || !skb->tc_index || skb->tc_index != (generation & 0xffff))
		return TC_ACT_UNSPEC;
	family = tuple_read(skb, &left4, &left6);
	if (family == AF_INET)
		conn4_prove(skb, &left4, generation);
	else if (family == AF_INET6)
		conn6_prove(skb, &left6, generation);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
