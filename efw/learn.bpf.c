// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Learn: on the walk, asks conntrack whether an unknown flow is assured, and tells the slow path.
#include <bpf/bpf_core_read.h>

#include "fastpath/walk.bpf.h"

#define CURRENT_NETNS (-1)
#define SEEN_REPLY (1 << 1) /* IPS_SEEN_REPLY, IPS_ASSURED of nf_conntrack_common.h */
#define ASSURED (1 << 2)

/* 1: this is how connections are learned, and every unknown flow is looked up until it is assured.
 * 0: events do that, and a flow is looked up once a second, to find again what was given back to
 * the kernel (a forged RST, an idle time) and came to life. */
const volatile __u8 eager = 1;

/* Kernel types, only what is used here; in nf_conntrack's own BTF since Linux 5.18. */
struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct bpf_ct_opts___evnf {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *ctx, struct bpf_sock_tuple *tuple,
				  __u32 tuple_bytes, struct bpf_ct_opts___evnf *options,
				  __u32 options_bytes) __ksym;
void bpf_ct_release(struct nf_conn *conn) __ksym;

/* The second in which a bucket's flow last asked: once a second is enough, for a flow that stays
 * with the kernel as well. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EPOCH_BUCKETS);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} asked SEC(".maps");

static __always_inline int asked_lately(__u32 bucket)
{
	__u32 second = chain.tick / TICKS_PER_S + 1;
	__u32 *last = bpf_map_lookup_elem(&asked, &bucket);

	if (!last || *last == second)
		return 1;
	*last = second;
	return 0;
}

/* Returns the status conntrack has for the packet's flow, 0 for none. */
static __always_inline unsigned long status_find(struct xdp_md *ctx, const struct packet *packet)
{
	struct bpf_ct_opts___evnf options = { .netns_id = CURRENT_NETNS, .l4proto = packet->proto };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *conn;
	unsigned long status;

	if (packet->family == AF_INET) {
		tuple.ipv4.saddr = packet->key4.src_ip;
		tuple.ipv4.daddr = packet->key4.dst_ip;
		tuple.ipv4.sport = packet->key4.src_port;
		tuple.ipv4.dport = packet->key4.dst_port;
		conn = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &options,
					 sizeof(options));
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, packet->key6.src_ip, 16);
		__builtin_memcpy(tuple.ipv6.daddr, packet->key6.dst_ip, 16);
		tuple.ipv6.sport = packet->key6.src_port;
		tuple.ipv6.dport = packet->key6.dst_port;
		conn = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv6), &options,
					 sizeof(options));
	}
	if (!conn)
		return 0;
	status = conn->status;
	bpf_ct_release(conn);
	return status;
}

static __always_inline void conn_tell(const struct packet *packet)
{
	struct event event = { .type = EVENT_CONNECTION, .connection.family = packet->family };

	if (packet->family == AF_INET)
		event.connection.key4 = packet->key4;
	else
		event.connection.key6 = packet->key6;
	event_send(&event);
}

SEC("xdp.frags")
int evnf_learn(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	unsigned long enough;

	if (!walk)
		return XDP_PASS;
	enough = walk->packet.proto == IPPROTO_TCP ? ASSURED : SEEN_REPLY;
	if ((eager || !asked_lately(walk->bucket)) && status_find(ctx, &walk->packet) & enough &&
	    !(eager && asked_lately(walk->bucket)))
		conn_tell(&walk->packet);
	return walk_leave(walk, REASON_NEW_FLOW, XDP_PASS);
}

char _license[] SEC("license") = "Dual BSD/GPL";
