// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Witness: sees a packet leave the kernel and writes into its connection's record that it did.
#include <linux/pkt_cls.h>

#include "efw/conns.bpf.h"
#include "efw/stamp.bpf.h"
#include "fastpath/packet.bpf.h"

#define AF_NONE 0

/* What rules let a SYN, FIN or RST do says nothing about the other packets of its connection. */
static __always_inline int is_control(const void *l4, const void *end)
{
	const struct tcphdr *tcp = l4;

	return (const void *)(tcp + 1) > end || tcp->syn || tcp->fin || tcp->rst;
}

/* Reads the tuple of a packet that the kernel receives or sends: no tags, no options. */
static __always_inline int tuple_read(struct __sk_buff *skb, struct flow4_key *key4,
				      struct flow6_key *key6)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	__be16 *ports;

	if (skb->vlan_present || (void *)(ip + 1) > end)
		return AF_NONE;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		ports = (void *)(ip + 1);
		if (ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff) || (void *)(ports + 2) > end ||
		    (ip->protocol == IPPROTO_TCP ? is_control(ports, end)
						 : ip->protocol != IPPROTO_UDP))
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
	    (ip6->nexthdr == IPPROTO_TCP ? is_control(ports, end) : ip6->nexthdr != IPPROTO_UDP))
		return AF_NONE;
	__builtin_memcpy(key6->src_ip, &ip6->saddr, 16);
	__builtin_memcpy(key6->dst_ip, &ip6->daddr, 16);
	key6->src_port = ports[0];
	key6->dst_port = ports[1];
	key6->proto = ip6->nexthdr;
	return AF_INET6;
}

/* A forwarded packet carries the generation under which it came in the field tc_index, which
 * only queueing disciplines use that forbid offload. So a packet that waited somewhere, for a
 * neighbor say, proves nothing about a policy that changed meanwhile. */
SEC("tc")
int evnf_stamp(struct __sk_buff *skb)
{
	struct flow4_key came4 = {};
	struct flow6_key came6 = {};
	int family = tuple_read(skb, &came4, &came6);
	__u32 stamp = 0; /* takes off what another namespace put on */

	if ((family == AF_INET && proof_is_expected(flow4_bucket(&came4))) ||
	    (family == AF_INET6 && proof_is_expected(flow6_bucket(&came6))))
		stamp = stamp_now();
	skb->tc_index = stamp;
	return TC_ACT_UNSPEC;
}

/* Returns the interface the direction came by until now, when entries for it may exist that this
 * proof has made obsolete; 0 when there are none. */
static __always_inline __u32 proof_write(struct conn_head *conn, struct __sk_buff *skb,
					 __u32 generation)
{
	__u32 in_ifindex = conn->in_ifindex, out_ifindex = conn->out_ifindex;

	if (conn->accepted_generation != generation)
		in_ifindex = 0;
	else if (in_ifindex == skb->ingress_ifindex && out_ifindex == skb->ifindex)
		return 0;
	conn->in_ifindex = skb->ingress_ifindex;
	conn->out_ifindex = skb->ifindex;
	conn->accepted_generation = generation;
	return in_ifindex;
}

/* The packet is seen as it leaves, the record is keyed as it came: the way there leads over the
 * other direction, which arrives as this one leaves and leaves as this one arrives. */
static __always_inline void conn4_prove(struct __sk_buff *skb, const struct flow4_key *left,
					__u32 generation)
{
	struct flow4_key reverse = {}, arrived = {};
	struct conn4 *conn;
	__u32 old_port;

	flow4_reverse(left, &reverse);
	conn = bpf_map_lookup_elem(&conns4, &reverse);
	if (!conn)
		return;
	flow4_reverse(&conn->to, &arrived);
	conn = bpf_map_lookup_elem(&conns4, &arrived);
	if (!conn || !flow4_same(&conn->to, left))
		return;
	old_port = proof_write(&conn->head, skb, generation);
	if (old_port)
		flow4_forget(&arrived, old_port);
}

static __always_inline void conn6_prove(struct __sk_buff *skb, const struct flow6_key *left,
					__u32 generation)
{
	struct flow6_key reverse = {}, arrived = {};
	struct conn6 *conn;
	__u32 old_port;

	flow6_reverse(left, &reverse);
	conn = bpf_map_lookup_elem(&conns6, &reverse);
	if (!conn)
		return;
	flow6_reverse(&conn->to, &arrived);
	conn = bpf_map_lookup_elem(&conns6, &arrived);
	if (!conn || !flow6_same(&conn->to, left))
		return;
	old_port = proof_write(&conn->head, skb, generation);
	if (old_port)
		flow6_forget(&arrived, old_port);
}

SEC("tc")
int evnf_witness(struct __sk_buff *skb)
{
	__u32 generation = chain.generation;
	struct flow4_key left4 = {};
	struct flow6_key left6 = {};
	int family;

	if (!skb->ingress_ifindex || skb->tc_index != stamp_of(generation))
		return TC_ACT_UNSPEC;
	family = tuple_read(skb, &left4, &left6);
	if (family == AF_INET)
		conn4_prove(skb, &left4, generation);
	else if (family == AF_INET6)
		conn6_prove(skb, &left6, generation);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
