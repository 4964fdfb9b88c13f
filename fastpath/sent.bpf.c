// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Sent: counts what the drivers took and refused, so that no redirected packet is lost uncounted.
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "fastpath/sent.bpf.h"

/* Kernel types, only the fields read here; relocated at load. */
struct ns_common {
	unsigned int inum;
} __attribute__((preserve_access_index));

struct net {
	struct ns_common ns;
} __attribute__((preserve_access_index));

struct net_device {
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PORTS_MAX);
	__type(key, struct device_key);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} devices SEC(".maps");

static struct port_sent *sent_find(const struct net_device *device)
{
	struct device_key key = {
		.netns = BPF_CORE_READ(device, nd_net.net, ns.inum),
		.ifindex = BPF_CORE_READ(device, ifindex),
	};
	__u32 *port = bpf_map_lookup_elem(&devices, &key);

	return port ? bpf_map_lookup_elem(&port_sent, port) : NULL;
}

SEC("raw_tp/xdp_devmap_xmit")
int BPF_PROG(evnf_sent, const struct net_device *from, const struct net_device *to, int sent,
	     int drops, int error)
{
	struct port_sent *counts = sent_find(to);

	if (counts) {
		counts->packets += sent > 0 ? sent : 0;
		counts->lost += drops > 0 ? drops : 0;
	}
	return 0;
}

SEC("raw_tp/xdp_redirect_err")
int BPF_PROG(evnf_redirect_failed, const struct net_device *from)
{
	struct port_sent *counts = sent_find(from);

	if (counts)
		counts->redirect++;
	return 0;
}

SEC("raw_tp/xdp_exception")
int BPF_PROG(evnf_aborted, const struct net_device *from)
{
	struct port_sent *counts = sent_find(from);

	if (counts)
		counts->aborted++;
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
