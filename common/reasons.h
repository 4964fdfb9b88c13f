/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reasons: why a packet left the fast path; every exit counts exactly one of them. */
#ifndef EVNF_COMMON_REASONS_H
#define EVNF_COMMON_REASONS_H

/* Where a packet of that reason is now. The law of conservation adds these up. */
enum fate {
	FATE_LEFT,   /* sent to a port by the fast path */
	FATE_KERNEL, /* given to the kernel (or the slow path behind it) */
	FATE_DROP,   /* dropped */
};

/* X(name, fate, help) */
#define REASONS(X)                                                                              \
	X(HIT, LEFT, "flow entry")                                                              \
	X(WALKED, LEFT, "walked, then forwarded")                                               \
	X(FLOODED, LEFT, "flooded to the ports of its VLAN")                                    \
	X(NEW_FLOW, KERNEL, "no connection known: the kernel decides")                          \
	X(UNPROVEN, KERNEL, "connection not yet let through on these ports by the kernel")      \
	X(NOT_OFFLOADED, KERNEL, "the ruleset or the path forbids offload")                     \
	X(LEASE, KERNEL, "the slow path is dead: the kernel decides")                           \
	X(TCP_CONTROL, KERNEL, "TCP SYN, FIN or RST")                                           \
	X(FRAGMENT, KERNEL, "IP fragment")                                                      \
	X(TAGGED, KERNEL, "VLAN-tagged frame")                                                  \
	X(NOT_IP, KERNEL, "ARP, LLDP, STP or other non-IP")                                     \
	X(OTHER_PROTOCOL, KERNEL, "neither TCP nor UDP")                                        \
	X(ODD, KERNEL, "odd packet: the kernel decides")                                        \
	X(FOR_HOST, KERNEL, "addressed to this host, or nothing to route by")                   \
	X(NO_ROUTE, KERNEL, "no route")                                                         \
	X(NO_NEIGHBOR, KERNEL, "next hop not resolved yet")                                     \
	X(NO_NEXT_HOP, KERNEL, "next hop not known to the fast path yet")                       \
	X(NOT_A_PORT, KERNEL, "route leaves by an interface that is not a port")                \
	X(TTL, KERNEL, "TTL or hop limit 1")                                                    \
	X(TOO_BIG, KERNEL, "larger than the MTU of the way out")                                \
	X(MULTI_BUFFER, KERNEL, "frame in several buffers where the kernel cannot redirect it") \
	X(NOT_FOR_US, KERNEL, "destination MAC is not this port's")                             \
	X(MULTICAST, KERNEL, "broadcast or multicast")                                          \
	X(MALFORMED, DROP, "malformed headers")                                                 \
	X(SHORT_FRAGMENT, DROP, "fragment too short")                                           \
	X(TCP_FLAGS, DROP, "impossible TCP flags")                                              \
	X(SOURCE_ROUTE, DROP, "IP source route option or routing header type 0")                \
	X(MARTIAN, DROP, "martian source or destination address")                               \
	X(TTL_ZERO, DROP, "TTL or hop limit 0")                                                 \
	X(TAGS, DROP, "three or more VLAN tags, or an unknown tag")                             \
	X(NOT_MEMBER, DROP, "VLAN not allowed on the port")                                     \
	X(STORM, DROP, "storm limit of the port")                                               \
	X(RESERVED_MAC, DROP, "link-local destination MAC (STP, LLDP, pause)")                  \
	X(SAME_PORT, DROP, "destination is on the port of entry")                               \
	X(NO_HOP, DROP, "no program at the next hop of the chain")                              \
	X(INTERNAL, DROP, "map lookup or header room failed")

enum reason {
#define X(name, fate, help) REASON_##name,
	REASONS(X)
#undef X
		REASON_COUNT,
	REASON_NONE = REASON_COUNT,
};

#endif
