// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Leave: a packet's way through the kernel, from efw's stamp to efw's witness.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "efw/stamp.bpf.h"
#include "tests/packet/leave.h"

volatile __u32 acts; /* enum leave_act */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} witnesses SEC(".maps");

SEC("tc")
int evnf_leave(struct __sk_buff *skb)
{
	if (!(acts & LEAVE_UNSTAMPED))
		skb->tc_index = stamp_now();
	if (acts & LEAVE_BUMP)
		__sync_fetch_and_add(&chain.generation, 1);
	if (acts & LEAVE_TAGGED && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 5))
		return TC_ACT_SHOT;
	bpf_tail_call(skb, &witnesses, 0);
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
