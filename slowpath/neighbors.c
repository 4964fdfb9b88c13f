// SPDX-License-Identifier: BSD-2-Clause
// Neighbors: the next hops of the fast path, kept true by rtnetlink.
#include "slowpath/neighbors.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/util/addr.h"
#include "common/util/cleanup.h"

#define RECEIVE_BYTES (1 << 20)
#define MESSAGE_BYTES 65536

/* Slots are plenty as long as half of them are free, scarce from three quarters on. */
#define SLOTS_PLENTY (NEXT_HOPS_MAX / 2)
#define SLOTS_SCARCE (NEXT_HOPS_MAX / 4 * 3)
#define UNUSED_MAX 4 /* refreshes: longer than two sweeps over the flows */

struct neighbor {
	struct next_hop_key key;
	bool used;
	bool fixed;     /* permanent or without ARP: the kernel keeps it by itself */
	bool leaving;   /* given back; free when no packet under way can hold it any more */
	bool met;       /* in the last dump of all neighbors, or since */
	uint8_t unused; /* refreshes since it was used */
};

struct neighbors {
	struct chain *chain;
	struct port ports[PORTS_MAX];
	unsigned int n_ports;
	unsigned int port_flags[PORTS_MAX]; /* IFF_*, as last seen */
	routes_changed_fn changed;
	void *arg;
	struct mnl_socket *events, *requests;
	struct neighbor slots[NEXT_HOPS_MAX]; /* key.ifindex 0: free */
	unsigned int n_slots;                 /* not free */
	unsigned int n_foreign;               /* keys of interfaces that are no ports */
	uint64_t hash;                        /* being summed up by a dump */
	char buffer[MESSAGE_BYTES];
};

static const struct port *port_find(const struct neighbors *neighbors, uint32_t ifindex)
{
	for (unsigned int i = 0; i < neighbors->n_ports; i++)
		if (neighbors->ports[i].ifindex == ifindex)
			return &neighbors->ports[i];
	return NULL;
}

/* mac NULL: the neighbor cannot be reached now. */
static void slot_set(struct neighbors *neighbors, unsigned int slot, const uint8_t *mac)
{
	const struct port *port = port_find(neighbors, neighbors->slots[slot].key.ifindex);
	struct next_hop hop = { .port = NEXT_HOP_DOWN };

	if (port && mac) {
		memcpy(hop.dst_mac, mac, 6);
		memcpy(hop.src_mac, port->mac, 6);
		hop.port = port->index;
	}
	chain_set_next_hop(neighbors->chain, slot, &hop);
}

/* 0: it has none. */
static unsigned int slot_find(const struct neighbors *neighbors, const struct next_hop_key *key)
{
	uint32_t slot;

	return bpf_map_lookup_elem(neighbors->chain->next_hop_ids, key, &slot) ? 0 : slot;
}

/* Takes a free slot, marked down. Returns -ENOSPC when there is none, or -errno. */
static int slot_take(struct neighbors *neighbors, const struct next_hop_key *key,
		     unsigned int *slot)
{
	unsigned int i = 1;

	while (i < NEXT_HOPS_MAX && neighbors->slots[i].key.ifindex)
		i++;
	if (i == NEXT_HOPS_MAX)
		return -ENOSPC;
	if (bpf_map_update_elem(neighbors->chain->next_hop_ids, key, &i, BPF_ANY))
		return -errno;
	neighbors->slots[i] = (struct neighbor){ .key = *key, .used = true };
	neighbors->n_slots++;
	*slot = i;
	return 0;
}

/* Gives a slot back, down: no walk finds it from now on. Flow entries may still name it: they must
 * be void before it is free. */
static void slot_leave(struct neighbors *neighbors, unsigned int slot)
{
	bpf_map_delete_elem(neighbors->chain->next_hop_ids, &neighbors->slots[slot].key);
	slot_set(neighbors, slot, NULL);
	neighbors->slots[slot].leaving = true;
}

static int attribute_take(const struct nlattr *attribute, void *data)
{
	const struct nlattr **table = data;

	if (mnl_attr_type_valid(attribute, NDA_MAX) > 0)
		table[mnl_attr_get_type(attribute)] = attribute;
	return MNL_CB_OK;
}

/* Reads which next hop a neighbor message is about. Returns false when it is about none. */
static bool neighbor_key(const struct nlmsghdr *message, const struct nlattr **table,
			 struct next_hop_key *key)
{
	const struct ndmsg *neighbor = mnl_nlmsg_get_payload(message);
	size_t bytes = neighbor->ndm_family == AF_INET ? 4 : 16;

	if (neighbor->ndm_family != AF_INET && neighbor->ndm_family != AF_INET6)
		return false;
	mnl_attr_parse(message, sizeof(*neighbor), attribute_take, table);
	if (!table[NDA_DST] || mnl_attr_get_payload_len(table[NDA_DST]) != bytes)
		return false;
	*key = (struct next_hop_key){ .ifindex = neighbor->ndm_ifindex,
				      .family = neighbor->ndm_family };
	memcpy(key->gateway, mnl_attr_get_payload(table[NDA_DST]), bytes);
	return true;
}

#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

/* A usable neighbor of a port gets its slot before the first route to it is looked up, as long as
 * there is plenty; after that, when the fast path asks. */
static void neighbor_take(struct neighbors *neighbors, const struct nlmsghdr *message)
{
	const struct ndmsg *neighbor = mnl_nlmsg_get_payload(message);
	const struct nlattr *table[NDA_MAX + 1] = {};
	struct next_hop_key key;
	unsigned int slot;
	bool usable;

	if (!neighbor_key(message, table, &key) || !port_find(neighbors, key.ifindex))
		return;
	usable = message->nlmsg_type == RTM_NEWNEIGH && neighbor->ndm_state & NUD_USABLE &&
		 table[NDA_LLADDR] && mnl_attr_get_payload_len(table[NDA_LLADDR]) == 6;
	slot = slot_find(neighbors, &key);
	if (!slot && usable && neighbors->n_slots < SLOTS_PLENTY)
		slot_take(neighbors, &key, &slot);
	if (!slot)
		return;
	neighbors->slots[slot].fixed = neighbor->ndm_state & (NUD_PERMANENT | NUD_NOARP);
	neighbors->slots[slot].met = true;
	slot_set(neighbors, slot, usable ? mnl_attr_get_payload(table[NDA_LLADDR]) : NULL);
}

/* A configured port's name on an interface it did not have. */
static bool port_is_back(const struct neighbors *neighbors, const struct nlmsghdr *message,
			 const char *name)
{
	for (unsigned int i = 0; i < neighbors->n_ports; i++)
		if (name && !strcmp(neighbors->ports[i].name, name))
			return message->nlmsg_type == RTM_NEWLINK;
	return false;
}

static unsigned int link_flags(const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);

	return link->ifi_flags & (IFF_UP | IFF_RUNNING | IFF_LOWER_UP);
}

/* How the ports are before anything changes. */
static int flags_take(const struct nlmsghdr *message, void *data)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
	struct neighbors *neighbors = data;
	const struct port *port = port_find(neighbors, link->ifi_index);

	if (port)
		neighbors->port_flags[port->index] = link_flags(message);
	return MNL_CB_OK;
}

/* Links tell of many things; only going up or down, the MTU and the MAC address matter here. */
static void link_take(struct neighbors *neighbors, const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
	struct port *port = (struct port *)port_find(neighbors, link->ifi_index);
	bool changed = message->nlmsg_type == RTM_DELLINK, moved = false;
	const struct nlattr *attribute;
	const char *name = NULL;

	mnl_attr_for_each(attribute, message, sizeof(*link)) {
		const void *value = mnl_attr_get_payload(attribute);

		if (mnl_attr_get_type(attribute) == IFLA_IFNAME) {
			name = value;
			changed |= port && strcmp(port->name, name) != 0;
		} else if (port && mnl_attr_get_type(attribute) == IFLA_MTU) {
			changed |= port->mtu != mnl_attr_get_u32(attribute);
			port->mtu = mnl_attr_get_u32(attribute);
		} else if (port && mnl_attr_get_type(attribute) == IFLA_ADDRESS) {
			moved = memcmp(port->mac, value, sizeof(port->mac)) != 0;
		}
	}
	if (port) {
		changed |= neighbors->port_flags[port->index] != link_flags(message);
		neighbors->port_flags[port->index] = link_flags(message);
	}
	if (moved || (!port && port_is_back(neighbors, message, name)))
		neighbors->changed(neighbors->arg, CHANGE_PORT, name);
	else if (port && changed)
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, port->name);
}

static int event_take(const struct nlmsghdr *message, void *data)
{
	struct neighbors *neighbors = data;
	const struct rtmsg *route;

	if (!neighbors->chain->options.router && message->nlmsg_type != RTM_NEWLINK &&
	    message->nlmsg_type != RTM_DELLINK)
		return MNL_CB_OK; /* a bridge goes by none of it, and its slots are stations' */
	switch (message->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		neighbor_take(neighbors, message);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_take(neighbors, message);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		route = mnl_nlmsg_get_payload(message);
		if (!(route->rtm_flags & RTM_F_CLONED))
			neighbors->changed(neighbors->arg, CHANGE_ROUTES, "route");
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, "address");
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, "rule");
		break;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, "nexthop");
		break;
	case RTM_NEWNETCONF: /* forwarding turned off, for one */
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, "setting");
		break;
	}
	return MNL_CB_OK;
}

/* Sends one request and feeds every answer to take. */
static int request(struct neighbors *neighbors, struct nlmsghdr *message, mnl_cb_t take)
{
	unsigned int seq = message->nlmsg_seq = time(NULL);
	unsigned int port = mnl_socket_get_portid(neighbors->requests);
	ssize_t n;
	int r;

	if (mnl_socket_sendto(neighbors->requests, message, message->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(neighbors->requests, neighbors->buffer, MESSAGE_BYTES);
		if (n < 0)
			return -errno;
		r = mnl_cb_run(neighbors->buffer, n, seq, port, take, neighbors);
	} while (r > 0);
	return r < 0 ? -errno : 0;
}

static int dump(struct neighbors *neighbors, uint16_t type, uint8_t family, size_t header,
		mnl_cb_t take)
{
	char buffer[64] __attribute__((aligned(8))) = {};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	*(uint8_t *)mnl_nlmsg_put_extra_header(message, header) = family;
	return request(neighbors, message, take);
}

/* Reads all anew. What the kernel does not tell of is no more: its end may have come unseen. */
static int neighbors_read(struct neighbors *neighbors)
{
	int r;

	for (unsigned int slot = 1; slot < NEXT_HOPS_MAX; slot++)
		neighbors->slots[slot].met = false;
	r = dump(neighbors, RTM_GETNEIGH, AF_INET, sizeof(struct ndmsg), event_take);
	if (!r)
		r = dump(neighbors, RTM_GETNEIGH, AF_INET6, sizeof(struct ndmsg), event_take);
	for (unsigned int slot = 1; !r && slot < NEXT_HOPS_MAX; slot++)
		if (neighbors->slots[slot].key.ifindex && !neighbors->slots[slot].met)
			slot_set(neighbors, slot, NULL);
	return r;
}

/* Asks for one neighbor; one the kernel does not know stays down until it does. */
static int neighbor_read(struct neighbors *neighbors, const struct next_hop_key *key)
{
	char buffer[128] __attribute__((aligned(8))) = {};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct ndmsg *neighbor;
	int r;

	message->nlmsg_type = RTM_GETNEIGH;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	neighbor = mnl_nlmsg_put_extra_header(message, sizeof(*neighbor));
	neighbor->ndm_family = key->family;
	neighbor->ndm_ifindex = key->ifindex;
	mnl_attr_put(message, NDA_DST, key->family == AF_INET ? 4 : 16, key->gateway);
	r = request(neighbors, message, event_take);
	return r == -ENOENT ? 0 : r;
}

/* Visits every key once and deletes those that keep() refuses. */
static void ids_sift(struct neighbors *neighbors,
		     bool (*keep)(struct neighbors *neighbors, const struct next_hop_key *key,
				  uint32_t slot))
{
	const int ids = neighbors->chain->next_hop_ids;
	struct next_hop_key key, next;
	bool more = !bpf_map_get_next_key(ids, NULL, &key);
	uint32_t slot;

	while (more) {
		more = !bpf_map_get_next_key(ids, &key, &next);
		if (bpf_map_lookup_elem(ids, &key, &slot) || !keep(neighbors, &key, slot))
			bpf_map_delete_elem(ids, &key);
		key = next;
	}
}

/* Slots of an earlier process: those of ports are kept, the rest forgotten. */
static bool slot_adopt(struct neighbors *neighbors, const struct next_hop_key *key, uint32_t slot)
{
	if (!slot || slot >= NEXT_HOPS_MAX || !port_find(neighbors, key->ifindex))
		return false;
	neighbors->slots[slot] = (struct neighbor){ .key = *key, .used = true };
	neighbors->n_slots++;
	return true;
}

static bool id_has_slot(struct neighbors *neighbors, const struct next_hop_key *key, uint32_t slot)
{
	(void)neighbors;
	(void)key;
	return slot != 0;
}

/* A next hop by an interface that is no port has slot 0. They are known for speed only: when there
 * are too many all are forgotten. */
static int foreign_add(struct neighbors *neighbors, const struct next_hop_key *key)
{
	const uint32_t none = 0;

	if (neighbors->n_foreign == FOREIGN_NEXT_HOPS_MAX) {
		ids_sift(neighbors, id_has_slot);
		neighbors->n_foreign = 0;
	}
	if (bpf_map_update_elem(neighbors->chain->next_hop_ids, key, &none, BPF_NOEXIST))
		return errno == EEXIST ? 0 : -errno;
	neighbors->n_foreign++;
	return 0;
}

int neighbors_add(struct neighbors *neighbors, const struct next_hop_key *key)
{
	unsigned int slot;
	int r;

	if (!port_find(neighbors, key->ifindex))
		return foreign_add(neighbors, key);
	if (slot_find(neighbors, key))
		return 0;
	r = slot_take(neighbors, key, &slot);
	return r ? r : neighbor_read(neighbors, key);
}

static int events_open(struct neighbors *neighbors)
{
	const int groups[] = { RTNLGRP_LINK,         RTNLGRP_NEIGH,       RTNLGRP_IPV4_ROUTE,
			       RTNLGRP_IPV6_ROUTE,   RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
			       RTNLGRP_IPV4_RULE,    RTNLGRP_IPV6_RULE,   RTNLGRP_IPV4_NETCONF,
			       RTNLGRP_IPV6_NETCONF, RTNLGRP_NEXTHOP };
	int bytes = RECEIVE_BYTES;

	neighbors->events = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	neighbors->requests = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!neighbors->events || !neighbors->requests ||
	    mnl_socket_bind(neighbors->events, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_bind(neighbors->requests, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	setsockopt(mnl_socket_get_fd(neighbors->events), SOL_SOCKET, SO_RCVBUFFORCE, &bytes,
		   sizeof(bytes));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (mnl_socket_setsockopt(neighbors->events, NETLINK_ADD_MEMBERSHIP,
					  (void *)&groups[i], sizeof(groups[i])))
			return -errno;
	return 0;
}

int neighbors_open(struct chain *chain, const struct port *ports, unsigned int n_ports,
		   routes_changed_fn changed, void *arg, struct neighbors **neighbors)
{
	struct neighbors *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->chain = chain;
	memcpy(new->ports, ports, n_ports * sizeof(*ports));
	new->n_ports = n_ports;
	new->changed = changed;
	new->arg = arg;
	r = events_open(new);
	if (!r)
		r = dump(new, RTM_GETLINK, AF_UNSPEC, sizeof(struct ifinfomsg), flags_take);
	if (!r && chain->options.router) {
		ids_sift(new, slot_adopt);
		for (unsigned int slot = 1; slot < NEXT_HOPS_MAX; slot++)
			if (!new->slots[slot].key.ifindex)
				slot_set(new, slot, NULL);
		r = neighbors_read(new);
	}
	if (r) {
		neighbors_close(new);
		return r;
	}
	*neighbors = new;
	return 0;
}

void neighbors_close(struct neighbors *neighbors)
{
	if (!neighbors)
		return;
	if (neighbors->events)
		mnl_socket_close(neighbors->events);
	if (neighbors->requests)
		mnl_socket_close(neighbors->requests);
	free(neighbors);
}

int neighbors_fd(const struct neighbors *neighbors)
{
	return mnl_socket_get_fd(neighbors->events);
}

int neighbors_receive(struct neighbors *neighbors, unsigned int budget)
{
	while (budget--) {
		ssize_t n =
			mnl_socket_recvfrom(neighbors->events, neighbors->buffer, MESSAGE_BYTES);

		if (n < 0 && errno == ENOBUFS) {
			neighbors->changed(neighbors->arg, CHANGE_ROUTES, "lost events");
			return neighbors_read(neighbors);
		}
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		mnl_cb_run(neighbors->buffer, n, 0, 0, event_take, neighbors);
	}
	return 0;
}

void neighbors_use(struct neighbors *neighbors, uint16_t slot)
{
	if (slot < NEXT_HOPS_MAX)
		neighbors->slots[slot].used = true;
}

/* NTF_USE makes the kernel treat the neighbor as if it had just sent to it: a stale one is probed.
 */
static int neighbor_touch(struct neighbors *neighbors, const struct next_hop_key *key)
{
	char buffer[128] __attribute__((aligned(8))) = {};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct ndmsg *neighbor;

	message->nlmsg_type = RTM_NEWNEIGH;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	neighbor = mnl_nlmsg_put_extra_header(message, sizeof(*neighbor));
	neighbor->ndm_family = key->family;
	neighbor->ndm_ifindex = key->ifindex;
	neighbor->ndm_flags = NTF_USE;
	mnl_attr_put(message, NDA_DST, key->family == AF_INET ? 4 : 16, key->gateway);
	return request(neighbors, message, NULL);
}

/* Those that left last time are free: the flow entries that named them are void since, and no walk
 * lasts as long. When slots are scarce those that no flow uses leave. */
static void slots_reclaim(struct neighbors *neighbors)
{
	const bool scarce = neighbors->n_slots >= SLOTS_SCARCE;
	bool left = false;

	for (unsigned int slot = 1; slot < NEXT_HOPS_MAX; slot++) {
		struct neighbor *neighbor = &neighbors->slots[slot];

		if (neighbor->leaving) {
			*neighbor = (struct neighbor){};
			neighbors->n_slots--;
		} else if (scarce && neighbor->key.ifindex && neighbor->unused >= UNUSED_MAX) {
			slot_leave(neighbors, slot);
			left = true;
		}
	}
	if (left)
		neighbors->changed(neighbors->arg, CHANGE_ROUTES, "next hops in use");
}

int neighbors_refresh(struct neighbors *neighbors)
{
	int r = 0;

	for (unsigned int slot = 1; slot < NEXT_HOPS_MAX; slot++) {
		struct neighbor *neighbor = &neighbors->slots[slot];

		if (!neighbor->key.ifindex || neighbor->leaving)
			continue;
		if (!neighbor->used) {
			neighbor->unused += neighbor->unused < UNUSED_MAX;
			continue;
		}
		neighbor->used = false;
		neighbor->unused = 0;
		if (!neighbor->fixed && !r)
			r = neighbor_touch(neighbors, &neighbor->key);
		r = r == -ENOENT ? 0 : r;
	}
	slots_reclaim(neighbors);
	return r;
}

/* Sums what does not change by itself: the message's body without counters of its cache. */
static int hash_take(const struct nlmsghdr *message, void *data)
{
	struct neighbors *neighbors = data;
	const void *payload = mnl_nlmsg_get_payload(message);
	size_t header = message->nlmsg_type == RTM_NEWADDR ? sizeof(struct ifaddrmsg)
							   : sizeof(struct rtmsg);
	const struct nlattr *attribute;
	uint64_t hash;

	if (message->nlmsg_type == RTM_NEWROUTE &&
	    ((const struct rtmsg *)payload)->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	hash = hash64(payload, header, message->nlmsg_type);
	mnl_attr_for_each(attribute, message, header) {
		unsigned int type = mnl_attr_get_type(attribute);

		if (message->nlmsg_type == RTM_NEWADDR ? type != IFA_CACHEINFO
						       : type != RTA_CACHEINFO)
			hash = hash64(attribute, attribute->nla_len, hash);
	}
	neighbors->hash += hash; /* a sum: the order of a dump means nothing */
	return MNL_CB_OK;
}

uint64_t neighbors_fingerprint(struct neighbors *neighbors)
{
	const uint16_t types[] = { RTM_GETROUTE, RTM_GETRULE, RTM_GETADDR };
	uint64_t hash = 0;

	for (unsigned int i = 0; i < neighbors->n_ports; i++)
		hash = hash64(&neighbors->ports[i].ifindex, sizeof(uint32_t), hash) ^
		       hash64(neighbors->ports[i].mac, 6, neighbors->ports[i].mtu);
	neighbors->hash = hash;
	for (int i = 0; i < 3 && neighbors->chain->options.router; i++) {
		dump(neighbors, types[i], AF_INET, sizeof(struct rtmsg), hash_take);
		dump(neighbors, types[i], AF_INET6, sizeof(struct rtmsg), hash_take);
	}
	return neighbors->hash;
}
