// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// efwd's hop as a bridge: learns where stations are, sends frames there, and floods what it must.
#include "efwd/bridge.h"
#include "efwd/odd.bpf.h"
#include "fastpath/action.bpf.h"
#include "fastpath/sent.bpf.h"
#include "fastpath/trace.bpf.h"

#define ASKED_CELLS 4096

const volatile __u8 vlans; /* 1: frames belong to the VLAN of their tag or port */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STATIONS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct station_key);
	__type(value, struct station);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} stations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, struct bridge_port);
} bridge_ports SEC(".maps");

/* The ways out of a flood: every port, each with the program below. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} flood_ports SEC(".maps");

/* How many frames from a port were flooded in the tick it names. */
struct storm {
	__u32 tick, floods;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, struct storm);
} storms SEC(".maps");

/* Ports that the slow path made promiscuous, by interface: for itself, to undo it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} promiscuous SEC(".maps");

/* The station that was asked for last, of those that share a cell. */
struct asked {
	struct station_key key;
	__u32 tick;
	__u32 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ASKED_CELLS);
	__type(key, __u32);
	__type(value, struct asked);
} asked_stations SEC(".maps");

/* True when the slow path was told of this station in this tick. */
static __always_inline int station_asked(const struct station_key *key, __u32 port)
{
	const __u32 *words = (const void *)key;
	__u32 tick = chain.tick, cell = (words[0] ^ words[1]) * 0x85ebca6b >> 20;
	struct asked *asked = bpf_map_lookup_elem(&asked_stations, &cell);
	const __u32 *last;

	if (!asked)
		return 1;
	last = (const void *)&asked->key;
	if (last[0] == words[0] && last[1] == words[1] && asked->tick == tick &&
	    asked->port == port)
		return 1;
	asked->key = *key;
	asked->tick = tick;
	asked->port = port;
	return 0;
}

static __always_inline void station_tell(const struct station_key *key, __u16 port)
{
	struct event event = { .type = EVENT_STATION };

	if (station_asked(key, port))
		return;
	__builtin_memcpy(event.station.mac, key->mac, 6);
	event.station.vid = key->vid;
	event.station.port = port;
	event_send(&event);
}

/* The frame shows where its sender is. Without a slow path that could move it, a station that is
 * no longer where it was is forgotten: frames to it are flooded then. */
static __always_inline void station_learn(struct walk *walk, const struct station_key *key)
{
	struct station *station = bpf_map_lookup_elem(&stations, key);
	__u32 tick = chain.tick;

	if (station && station->port == walk->port) {
		if (station->last_seen != tick)
			station->last_seen = tick;
		walk->source = station->slot;
	} else if (!station || !station->fixed) {
		if (!chain.lease_lost)
			station_tell(key, walk->port);
		else if (station)
			bpf_map_delete_elem(&stations, key);
	}
}

/* A bucket for each port, filled every tick: what is above it is dropped. */
static __always_inline int storm_over(__u32 port, __u32 floods_per_tick)
{
	struct storm *storm = bpf_map_lookup_elem(&storms, &port);
	__u32 tick = chain.tick;

	if (!floods_per_tick || !storm)
		return 0;
	if (storm->tick != tick) {
		storm->tick = tick;
		storm->floods = 0;
	}
	return __sync_fetch_and_add(&storm->floods, 1) >= floods_per_tick;
}

/* Sends the frame out of every port but its own. With VLANs it leaves here with a tag in any case,
 * and the program of each port takes it off or withholds the frame. */
static __always_inline int flood(struct xdp_md *ctx, const struct walk *walk, __u16 vid)
{
	if (vlans && frame_retag(ctx, packet_is_tagged(&walk->packet), vid))
		return walk_leave(walk, REASON_INTERNAL, XDP_DROP);
	return walk_leave(
		walk, REASON_FLOODED,
		bpf_redirect_map(&flood_ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS));
}

/* The VLAN of a frame that came in by this port; 0: none that the port may carry. */
static __always_inline __u16 vid_find(const struct bridge_port *port, const struct packet *packet)
{
	__u16 vid = packet->outer_vid & VID_MAX;

	if (!packet_is_tagged(packet) || !vid)
		return port->pvid;
	return bridge_port_tags(port, vid) ? vid : 0;
}

static __always_inline int mac_is_reserved(const __u8 *mac)
{
	return *(const __u32 *)mac == bpf_htonl(0x0180c200) && !mac[4] && mac[5] < 16;
}

static __always_inline int mac_is_no_station(const __u8 *mac)
{
	return mac[0] & 1 || (!*(const __u32 *)mac && !*(const __u16 *)(mac + 4));
}

/* Why the bridge refuses the frame, whatever its VLAN, or REASON_NONE. */
static __always_inline enum reason frame_judge(const struct walk *walk, const struct ethhdr *eth)
{
	if (walk->packet.odd != REASON_NONE && !reason_lifted(walk->packet.odd))
		return walk->packet.odd;
	if (mac_is_no_station(eth->h_source) && !reason_lifted(REASON_MARTIAN))
		return REASON_MARTIAN;
	if (mac_is_reserved(eth->h_dest) && !reason_lifted(REASON_RESERVED_MAC))
		return REASON_RESERVED_MAC;
	return walk->flags & WALK_TO_PORT ? REASON_FOR_HOST : REASON_NONE;
}

/* Sends the frame to where its destination is; floods it if that is not known, or is many. */
static __always_inline int frame_forward(struct xdp_md *ctx, struct walk *walk,
					 const struct station_key *to, __u32 floods_per_tick)
{
	struct station *station = to->mac[0] & 1 ? NULL : bpf_map_lookup_elem(&stations, to);

	if (!station) {
		if (storm_over(walk->port, floods_per_tick))
			return walk_refuse(walk, REASON_STORM);
		return flood(ctx, walk, to->vid);
	}
	if (station->port == walk->port)
		return walk_refuse(walk, REASON_SAME_PORT);
	walk->next_hop = station->slot;
	walk->flags |= WALK_BRIDGED | (vlans ? WALK_RETAG : 0);
	if (!walk->source) /* an entry tells that its sender is alive: of one not known it cannot */
		walk->flags |= WALK_NOT_FINAL;
	return walk_next(ctx, walk);
}

SEC("xdp.frags")
int evnf_bridge(struct xdp_md *ctx)
{
	struct walk *walk = walk_here();
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct station_key from = {}, to = {};
	struct bridge_port *port;
	enum reason reason;
	__u32 index;

	if (!walk)
		return XDP_DROP;
	index = walk->port;
	port = bpf_map_lookup_elem(&bridge_ports, &index);
	if (!port || (void *)(eth + 1) > (void *)(long)ctx->data_end)
		return walk_leave(walk, REASON_INTERNAL, XDP_DROP);
	reason = frame_judge(walk, eth);
	if (reason != REASON_NONE)
		return walk_refuse(walk, reason);
	if (vlans) {
		from.vid = to.vid = vid_find(port, &walk->packet);
		if (!from.vid)
			return walk_refuse(walk, REASON_NOT_MEMBER);
	}
	__builtin_memcpy(from.mac, eth->h_source, 6);
	__builtin_memcpy(to.mac, eth->h_dest, 6);
	if (!mac_is_no_station(from.mac))
		station_learn(walk, &from);
	return frame_forward(ctx, walk, &to, port->floods_per_tick);
}

static __always_inline int flood_withhold(__u32 port)
{
	struct port_sent *sent = bpf_map_lookup_elem(&port_sent, &port);

	if (sent)
		sent->withheld++;
	return XDP_DROP;
}

/* Runs for each port a frame is flooded to. */
SEC("xdp.frags/devmap")
int evnf_bridge_out(struct xdp_md *ctx)
{
	__u32 ifindex = ctx->egress_ifindex, index;
	__u32 *context = bpf_map_lookup_elem(&port_contexts, &ifindex);
	struct bridge_port *port;
	__be16 tci;
	__u16 vid;

	if (!context)
		return XDP_DROP;
	index = *context - 1;
	port = bpf_map_lookup_elem(&bridge_ports, &index);
	if (!port)
		return XDP_DROP;
	if (vlans) {
		if (bpf_xdp_load_bytes(ctx, sizeof(struct ethhdr), &tci, sizeof(tci)))
			return flood_withhold(index);
		vid = bpf_ntohs(tci) & VID_MAX;
		if (!bridge_port_carries(port, vid) ||
		    (vid == port->pvid && frame_retag(ctx, 1, 0)))
			return flood_withhold(index);
	}
	trace(ctx, index, TRACE_OUT);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
