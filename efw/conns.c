// SPDX-License-Identifier: BSD-2-Clause
// Conns: records of accepted connections, kept in step with conntrack.
#include "efw/conns.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "efw/wheel.h"
#include "slowpath/batch.h"

#define DUE_BUDGET 20000                   /* connections looked at in one tick */
#define UDP_STREAM_TICKS (2 * TICKS_PER_S) /* after this the kernel calls a UDP flow a stream */
#define REFRESH_BATCH 512
#define OFFLOADED_MAX 65536
#define OFFLOADED_DELAY 2 /* ticks: packets under way in the kernel have passed by then */

/* A record of either family, and what it is keyed by. */
union conn_key {
	struct flow4_key key4;
	struct flow6_key key6;
};

union conn {
	struct conn_head head;
	struct conn4 conn4;
	struct conn6 conn6;
};

/* A connection that waits to be looked at, by the key of its initiator's direction. Born at another
 * tick than its record, it waits for one that is gone. */
struct waiting {
	uint32_t born;
	union conn_key key;
};
#define WAITING4_BYTES (offsetof(struct waiting, key) + sizeof(struct flow4_key))
#define WAITING6_BYTES (offsetof(struct waiting, key) + sizeof(struct flow6_key))

/* Connections that conntrack told of during a dump: an open-addressed set of their ids. */
struct id_set {
	uint32_t *cells; /* id + 1, 0 free */
	size_t size, used;
};

struct conns {
	struct chain *chain;
	struct ct *ct;
	struct ct_timeouts timeouts;
	uint32_t lease_ticks;
	int fds[2];              /* conns4, conns6 */
	struct wheel *wheels[2]; /* of struct waiting: IPv4, IPv6 */
	int visiting;            /* the family being visited: 0 IPv4, 1 IPv6 */
	struct ct_refresh refreshes[REFRESH_BATCH];
	union conn_key refresh_keys[REFRESH_BATCH];
	uint8_t refresh_families[REFRESH_BATCH];
	unsigned int n_refreshes;
	struct ct_flow arrivals[REFRESH_BATCH]; /* accepted, their records not yet installed */
	enum ct_event arrival_events[REFRESH_BATCH];
	bool arrival_refused[REFRESH_BATCH];
	unsigned int n_arrivals;
	unsigned int
		liberal_of[REFRESH_BATCH]; /* the arrival that a TCP connection's refresh is for */
	struct {
		union conn_key key;
		uint32_t tick;
		int family;
	} offloaded[OFFLOADED_MAX]; /* a ring of those told of, oldest at `offloaded_first` */
	unsigned int offloaded_first, n_offloaded;
	struct id_set told;
	bool resyncing;             /* what conntrack tells is remembered */
	bool confirming;            /* records are compared with it */
	unsigned int confirm_at[2]; /* how far, in each wheel */
	bool on_demand;             /* only connections asked for get records */
	bool asking;
};

static int set_grow(struct id_set *set)
{
	struct id_set old = *set;

	set->size = old.size ? 2 * old.size : 4096;
	set->cells = calloc(set->size, sizeof(*set->cells));
	if (!set->cells) {
		*set = old;
		return -ENOMEM;
	}
	for (size_t i = 0; i < old.size; i++) {
		size_t at = old.cells[i] * 0x9e3779b1u & (set->size - 1);

		if (!old.cells[i])
			continue;
		while (set->cells[at])
			at = (at + 1) & (set->size - 1);
		set->cells[at] = old.cells[i];
	}
	free(old.cells);
	return 0;
}

/* The cell of an id, or the free one it would take. */
static uint32_t *set_cell(const struct id_set *set, uint32_t id)
{
	uint32_t cell = id + 1 ? id + 1 : 1;
	size_t at = cell * 0x9e3779b1u & (set->size - 1);

	while (set->cells[at] && set->cells[at] != cell)
		at = (at + 1) & (set->size - 1);
	return &set->cells[at];
}

static int set_add(struct id_set *set, uint32_t id)
{
	uint32_t *cell;
	int r = 2 * (set->used + 1) > set->size ? set_grow(set) : 0;

	if (r)
		return r;
	cell = set_cell(set, id);
	if (!*cell)
		set->used++;
	*cell = id + 1 ? id + 1 : 1;
	return 0;
}

static void set_free(struct id_set *set)
{
	free(set->cells);
	*set = (struct id_set){};
}

int conns_open(struct chain *chain, struct ct *ct, unsigned int lease_s, bool on_demand,
	       struct conns **conns)
{
	struct conns *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->chain = chain;
	new->ct = ct;
	new->on_demand = on_demand;
	new->lease_ticks = (lease_s + 1) * TICKS_PER_S;
	new->fds[0] = pins_open(chain->pins, "conns4");
	new->fds[1] = pins_open(chain->pins, "conns6");
	r = new->fds[0] < 0 ? new->fds[0] : new->fds[1] < 0 ? new->fds[1] : 0;
	if (r || (r = wheel_open(WAITING4_BYTES, chain->state->tick, &new->wheels[0])) ||
	    (r = wheel_open(WAITING6_BYTES, chain->state->tick, &new->wheels[1])) ||
	    (r = ct_timeouts_read(&new->timeouts))) {
		conns_close(new);
		return r;
	}
	*conns = new;
	return 0;
}

void conns_close(struct conns *conns)
{
	if (!conns)
		return;
	for (int i = 0; i < 2; i++) {
		wheel_close(conns->wheels[i]);
		if (conns->fds[i] >= 0)
			close(conns->fds[i]);
	}
	set_free(&conns->told);
	free(conns);
}

static void key_make(const struct ct_tuple *tuple, bool reverse, union conn_key *key)
{
	const bool ip6 = tuple->family == AF_INET6;

	memset(key, 0, sizeof(*key));
	if (ip6) {
		memcpy(key->key6.src_ip, reverse ? &tuple->dst : &tuple->src, 16);
		memcpy(key->key6.dst_ip, reverse ? &tuple->src : &tuple->dst, 16);
		key->key6.src_port = reverse ? tuple->dst_port : tuple->src_port;
		key->key6.dst_port = reverse ? tuple->src_port : tuple->dst_port;
		key->key6.proto = tuple->proto;
	} else {
		key->key4.src_ip = reverse ? tuple->dst.ip4 : tuple->src.ip4;
		key->key4.dst_ip = reverse ? tuple->src.ip4 : tuple->dst.ip4;
		key->key4.src_port = reverse ? tuple->dst_port : tuple->src_port;
		key->key4.dst_port = reverse ? tuple->src_port : tuple->dst_port;
		key->key4.proto = tuple->proto;
	}
}

/* The key of the other direction: it arrives as this one leaves, turned round. */
static void key_other(int family, const union conn *conn, union conn_key *other)
{
	struct ct_tuple to = { .family = family };

	if (family == AF_INET6) {
		memcpy(&to.src, conn->conn6.to.src_ip, 16);
		memcpy(&to.dst, conn->conn6.to.dst_ip, 16);
		to.src_port = conn->conn6.to.src_port;
		to.dst_port = conn->conn6.to.dst_port;
		to.proto = conn->conn6.to.proto;
	} else {
		to.src.ip4 = conn->conn4.to.src_ip;
		to.dst.ip4 = conn->conn4.to.dst_ip;
		to.src_port = conn->conn4.to.src_port;
		to.dst_port = conn->conn4.to.dst_port;
		to.proto = conn->conn4.to.proto;
	}
	key_make(&to, true, other);
}

static int family_fd(const struct conns *conns, int family)
{
	return conns->fds[family == AF_INET6];
}

/* The flow entry of one direction has the context of the port it came by. */
static int entry_key(struct conns *conns, int family, const union conn_key *key, uint32_t ifindex,
		     union conn_key *entry)
{
	uint32_t context;

	*entry = *key;
	if (bpf_map_lookup_elem(conns->chain->port_contexts, &ifindex, &context))
		return -errno;
	flow_set_context(family == AF_INET6 ? entry->key6.context : entry->key4.context, context);
	return 0;
}

/* Voids installs under way, then deletes the entry. The record is gone already. */
static void entry_forget(struct conns *conns, int family, const union conn_key *key,
			 uint32_t in_ifindex)
{
	union conn_key entry;

	if (family == AF_INET6)
		chain_bump_flow6(conns->chain, &key->key6);
	else
		chain_bump_flow4(conns->chain, &key->key4);
	if (!entry_key(conns, family, key, in_ifindex, &entry))
		bpf_map_delete_elem(
			family == AF_INET6 ? conns->chain->flows6 : conns->chain->flows4, &entry);
}

/* Both directions of the connection that `key` belongs to. */
static void conn_forget(struct conns *conns, int family, const union conn_key *key)
{
	int fd = family_fd(conns, family);
	union conn conn, other = {};
	union conn_key other_key;

	if (bpf_map_lookup_elem(fd, key, &conn))
		return;
	key_other(family, &conn, &other_key);
	bpf_map_lookup_elem(fd, &other_key, &other);
	bpf_map_delete_elem(fd, key);
	bpf_map_delete_elem(fd, &other_key);
	entry_forget(conns, family, key, conn.head.in_ifindex);
	entry_forget(conns, family, &other_key, other.head.in_ifindex);
}

/* How long the kernel lets a connection idle. */
static uint32_t conn_timeout_s(const struct conns *conns, const struct conn_head *conn, bool udp)
{
	if (conn->timeout_s)
		return conn->timeout_s;
	if (!udp)
		return conns->timeouts.tcp_established_s;
	return conn->stream ? conns->timeouts.udp_stream_s : conns->timeouts.udp_s;
}

/* An event comes with a timeout just set. If that is none of those configured, rounded down, the
 * connection has a policy of its own (cttimeout); a dump cannot tell. */
static uint32_t timeout_of_policy_s(const struct conns *conns, enum ct_event event,
				    const struct ct_flow *flow)
{
	const uint32_t configured[] = { conns->timeouts.tcp_established_s,
					conns->timeouts.tcp_unacknowledged_s, conns->timeouts.udp_s,
					conns->timeouts.udp_stream_s };
	const int first = flow->orig.proto == IPPROTO_UDP ? 2 : 0;

	if (event == CT_DUMPED)
		return 0;
	for (int i = first; i < first + 2; i++)
		if (flow->timeout_s == configured[i] || flow->timeout_s + 1 == configured[i])
			return 0;
	return flow->timeout_s + 1;
}

static void conn_fill(union conn *conn, int family, const struct conn_head *head,
		      const struct ct_tuple *leaves)
{
	union conn_key to;

	memset(conn, 0, sizeof(*conn));
	key_make(leaves, true, &to);
	if (family == AF_INET6)
		conn->conn6.to = to.key6;
	else
		conn->conn4.to = to.key4;
	conn->head = *head;
}

static bool conn_known(struct conns *conns, int family, const union conn_key *key,
		       const union conn *wanted)
{
	union conn conn;

	if (bpf_map_lookup_elem(family_fd(conns, family), key, &conn) ||
	    conn.head.ct_id != wanted->head.ct_id)
		return false;
	return family == AF_INET6 ? flow6_same(&conn.conn6.to, &wanted->conn6.to)
				  : flow4_same(&conn.conn4.to, &wanted->conn4.to);
}

/* Fills both records of a connection and their keys. */
static void conn_make(struct conns *conns, enum ct_event event, const struct ct_flow *flow,
		      union conn_key keys[2], union conn records[2])
{
	const uint32_t tick = conns->chain->state->tick;
	struct conn_head head = {
		.ct_id = flow->id,
		.timeout_s = timeout_of_policy_s(conns, event, flow),
		.stream = flow->orig.proto == IPPROTO_UDP && flow->status & IPS_ASSURED,
		.deadline = tick + flow->timeout_s * TICKS_PER_S,
		.born = tick,
		.last_seen = tick,
	};

	key_make(&flow->orig, false, &keys[0]);
	key_make(&flow->reply, false, &keys[1]);
	conn_fill(&records[0], flow->orig.family, &head, &flow->reply);
	head.reply = 1;
	conn_fill(&records[1], flow->orig.family, &head, &flow->orig);
}

/* Looked at again when a dead slow path's entries could outlive what the kernel lets it idle. */
static int conn_wait(struct conns *conns, int family, const union conn_key *key,
		     const struct conn_head *conn)
{
	struct waiting waiting = { .born = conn->born, .key = *key };

	return wheel_add(conns->wheels[family == AF_INET6], conn->deadline - conns->lease_ticks,
			 &waiting);
}

/* The reply's record is written first: the witness finds a direction by way of the other. */
static int conn_install(struct conns *conns, enum ct_event event, const struct ct_flow *flow)
{
	const int family = flow->orig.family, fd = family_fd(conns, family);
	union conn_key keys[2];
	union conn records[2];
	uint32_t timeout_s;

	conn_make(conns, event, flow, keys, records);
	conn_forget(conns, family, &keys[0]);
	conn_forget(conns, family, &keys[1]);
	timeout_s = conn_timeout_s(conns, &records[0].head, flow->orig.proto == IPPROTO_UDP);
	if ((uint64_t)timeout_s * TICKS_PER_S <= conns->lease_ticks) {
		return 0;
	}
	if (bpf_map_update_elem(fd, &keys[1], &records[1], BPF_NOEXIST) ||
	    bpf_map_update_elem(fd, &keys[0], &records[0], BPF_NOEXIST)) {
		int r = -errno;

		bpf_map_delete_elem(fd, &keys[1]);
		if (r != -E2BIG)
			return r;
		__atomic_fetch_add(&conns->chain->state->install_full, 1, __ATOMIC_RELAXED);
		return 0;
	}
	return conn_wait(conns, family, &keys[0], &records[0].head);
}

static void arrival_refuse(void *arg, unsigned int index, int error)
{
	struct conns *conns = arg;

	(void)error;
	conns->arrival_refused[conns->liberal_of[index]] = true;
}

int conns_settle(struct conns *conns)
{
	struct ct_refresh liberal[REFRESH_BATCH];
	const unsigned int n = conns->n_arrivals;
	unsigned int n_liberal = 0;
	int r;

	conns->n_arrivals = 0;
	for (unsigned int i = 0; i < n; i++) {
		conns->arrival_refused[i] = false;
		if (conns->arrivals[i].orig.proto != IPPROTO_TCP)
			continue;
		conns->liberal_of[n_liberal] = i;
		liberal[n_liberal++] = (struct ct_refresh){ .orig = conns->arrivals[i].orig };
	}
	r = n_liberal ? ct_refresh(conns->ct, liberal, n_liberal, arrival_refuse, conns) : 0;
	for (unsigned int i = 0; !r && i < n; i++)
		if (!conns->arrival_refused[i])
			r = conn_install(conns, conns->arrival_events[i], &conns->arrivals[i]);
	return r;
}

/* Before a connection may pass the kernel by, the kernel must take what it will see of it later: a
 * FIN or RST far beyond the window it knows. So it waits for the others of its batch. */
static int conn_arrive(struct conns *conns, enum ct_event event, const struct ct_flow *flow)
{
	union conn_key keys[2];
	union conn records[2];

	conn_make(conns, event, flow, keys, records);
	if (conn_known(conns, flow->orig.family, &keys[0], &records[0]))
		return 0;
	if (conns->on_demand && !conns->asking)
		return 0;
	conns->arrival_events[conns->n_arrivals] = event;
	conns->arrivals[conns->n_arrivals++] = *flow;
	return conns->n_arrivals == REFRESH_BATCH ? conns_settle(conns) : 0;
}

/* An event that does not tell the TCP state leaves it as it was: ask. */
static const char *refusal_find(struct conns *conns, struct ct_flow *flow)
{
	const char *refusal = ct_refusal(flow);
	struct ct_flow asked;

	if (refusal != ct_tcp_unknown || ct_query(conns->ct, &flow->orig, &asked))
		return refusal;
	*flow = asked;
	return ct_refusal(flow);
}

int conns_take(struct conns *conns, enum ct_event event, const struct ct_flow *told)
{
	struct ct_flow flow = *told;
	union conn_key key;
	int r;

	key_make(&flow.orig, false, &key);
	if (event == CT_DESTROY || refusal_find(conns, &flow)) {
		r = conns_settle(conns); /* its arrival may be waiting */
		conn_forget(conns, flow.orig.family, &key);
		return r;
	}
	if (conns->resyncing && (r = set_add(&conns->told, flow.id)))
		return r;
	return conn_arrive(conns, event, &flow);
}

static void tuple_make(int family, const union conn_key *key, struct ct_tuple *tuple)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->family = family;
	if (family == AF_INET6) {
		memcpy(&tuple->src, key->key6.src_ip, 16);
		memcpy(&tuple->dst, key->key6.dst_ip, 16);
		tuple->src_port = key->key6.src_port;
		tuple->dst_port = key->key6.dst_port;
		tuple->proto = key->key6.proto;
	} else {
		tuple->src.ip4 = key->key4.src_ip;
		tuple->dst.ip4 = key->key4.dst_ip;
		tuple->src_port = key->key4.src_port;
		tuple->dst_port = key->key4.dst_port;
		tuple->proto = key->key4.proto;
	}
}

void conns_find(struct conns *conns, int family, const void *arrived)
{
	union conn_key key = {};
	struct ct_tuple tuple;
	struct ct_flow flow;

	memcpy(&key, arrived, family == AF_INET6 ? sizeof(key.key6) : sizeof(key.key4));
	tuple_make(family, &key, &tuple);
	conns->asking = true;
	if (!ct_query(conns->ct, &tuple, &flow) && !conns_take(conns, CT_DUMPED, &flow))
		conns_settle(conns);
	conns->asking = false;
}

/* ---- refreshing ---- */

static uint32_t later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0 ? a : b;
}

/* The last packet of a direction: of its walks, and of its flow entry. */
static uint32_t direction_seen(struct conns *conns, int family, const union conn_key *key,
			       const struct conn_head *head)
{
	union {
		struct flow_head head;
		struct flow4 flow4;
		struct flow6 flow6;
	} flow;
	union conn_key entry;

	if (entry_key(conns, family, key, head->in_ifindex, &entry) ||
	    bpf_map_lookup_elem(family == AF_INET6 ? conns->chain->flows6 : conns->chain->flows4,
				&entry, &flow))
		return head->last_seen;
	return later(head->last_seen, flow.head.last_seen);
}

static void refresh_refused(void *arg, unsigned int index, int error)
{
	struct conns *conns = arg;

	(void)error;
	conn_forget(conns, conns->refresh_families[index], &conns->refresh_keys[index]);
}

static int refreshes_send(struct conns *conns)
{
	unsigned int n = conns->n_refreshes;

	conns->n_refreshes = 0;
	if (!n)
		return 0;
	return ct_refresh(conns->ct, conns->refreshes, n, refresh_refused, conns);
}

/* What ct_refresh() shall do with one connection, told with others. */
static int refresh_queue(struct conns *conns, int family, const union conn_key *orig,
			 uint32_t timeout_s, uint32_t assured)
{
	const unsigned int at = conns->n_refreshes++;

	tuple_make(family, orig, &conns->refreshes[at].orig);
	conns->refreshes[at].timeout_s = timeout_s;
	conns->refreshes[at].assured = assured;
	conns->refresh_keys[at] = *orig;
	conns->refresh_families[at] = family;
	return conns->n_refreshes == REFRESH_BATCH ? refreshes_send(conns) : 0;
}

static bool key_is_udp(int family, const union conn_key *key)
{
	return (family == AF_INET6 ? key->key6.proto : key->key4.proto) == IPPROTO_UDP;
}

/* Tells the kernel when the connection, last seen at tick `seen`, shall expire, and notes it in the
 * record. The update never revives a record that the fast path deleted meanwhile. */
static int conn_refresh(struct conns *conns, int family, const union conn_key *key,
			union conn *conn, uint32_t seen)
{
	const uint32_t tick = conns->chain->state->tick;
	const bool udp = key_is_udp(family, key);
	uint32_t timeout_s;
	int64_t left;
	int r;

	if (udp && (int32_t)(seen - conn->head.born) > UDP_STREAM_TICKS)
		conn->head.stream = 1;
	left = (int64_t)conn_timeout_s(conns, &conn->head, udp) * TICKS_PER_S -
	       (int32_t)(tick - seen);
	if (left < TICKS_PER_S)
		left = TICKS_PER_S;
	timeout_s = (left + TICKS_PER_S - 1) / TICKS_PER_S;
	conn->head.deadline = tick + timeout_s * TICKS_PER_S;
	if (bpf_map_update_elem(family_fd(conns, family), key, conn, BPF_EXIST))
		return errno == ENOENT ? 0 : -errno;
	r = conn_wait(conns, family, key, &conn->head);
	if (r)
		return r;
	return refresh_queue(conns, family, key, timeout_s,
			     udp && conn->head.stream ? IPS_CONFIRMED | IPS_SEEN_REPLY : 0);
}

/* The last packet of either direction. */
static uint32_t conn_seen(struct conns *conns, int family, const union conn_key *key,
			  const union conn *conn)
{
	uint32_t seen = direction_seen(conns, family, key, &conn->head);
	union conn_key other_key;
	union conn other;

	key_other(family, conn, &other_key);
	if (bpf_map_lookup_elem(family_fd(conns, family), &other_key, &other))
		return seen;
	return later(seen, direction_seen(conns, family, &other_key, &other.head));
}

/* The kernel's deadline comes near: a connection with traffic that moves it gets a new one. One
 * without goes back to the kernel, which ends it or sees its next packet. */
static int conn_due(struct conns *conns, int family, const union conn_key *key, union conn *conn)
{
	const uint32_t timeout_s = conn_timeout_s(conns, &conn->head, key_is_udp(family, key));
	const uint32_t seen = conn_seen(conns, family, key, conn);

	if ((int32_t)(seen + timeout_s * TICKS_PER_S - conn->head.deadline) > 0)
		return conn_refresh(conns, family, key, conn, seen);
	conn_forget(conns, family, key);
	return 0;
}

static int conn_visit(void *arg, const void *key)
{
	struct conns *conns = arg;
	const int family = conns->visiting ? AF_INET6 : AF_INET;
	struct waiting waiting = {};
	union conn conn = {};
	int32_t early;

	memcpy(&waiting, key, conns->visiting ? WAITING6_BYTES : WAITING4_BYTES);
	if (bpf_map_lookup_elem(family_fd(conns, family), &waiting.key, &conn) ||
	    conn.head.born != waiting.born)
		return 0;
	early = conn.head.deadline - conns->lease_ticks - conns->chain->state->tick;
	if (early > 0) /* further ahead than the wheel is round */
		return conn_wait(conns, family, &waiting.key, &conn.head);
	return conn_due(conns, family, &waiting.key, &conn);
}

/* ---- connections that have just begun to pass the kernel by ---- */

void conns_offloaded(struct conns *conns, int family, const void *key)
{
	unsigned int at = (conns->offloaded_first + conns->n_offloaded) % OFFLOADED_MAX;

	if (conns->n_offloaded == OFFLOADED_MAX) /* the refresh before its deadline does it too */
		return;
	conns->n_offloaded++;
	memset(&conns->offloaded[at], 0, sizeof(conns->offloaded[at]));
	memcpy(&conns->offloaded[at].key, key,
	       family == AF_INET6 ? sizeof(struct flow6_key) : sizeof(struct flow4_key));
	conns->offloaded[at].family = family;
	conns->offloaded[at].tick = conns->chain->state->tick;
}

/* Liberal, and the max-ack mark cleared; timeout and status stay. */
static int conn_unmark(struct conns *conns, int family, const union conn_key *key)
{
	union conn_key orig = *key;
	union conn conn;

	if (bpf_map_lookup_elem(family_fd(conns, family), key, &conn))
		return 0; /* it ended meanwhile */
	if (conn.head.reply)
		key_other(family, &conn, &orig);
	return refresh_queue(conns, family, &orig, 0, 0);
}

static int offloaded_step(struct conns *conns)
{
	const uint32_t tick = conns->chain->state->tick;
	int r = 0;

	while (!r && conns->n_offloaded) {
		unsigned int at = conns->offloaded_first;

		if ((int32_t)(tick - conns->offloaded[at].tick) < OFFLOADED_DELAY)
			break;
		conns->offloaded_first = (at + 1) % OFFLOADED_MAX;
		conns->n_offloaded--;
		r = conn_unmark(conns, conns->offloaded[at].family, &conns->offloaded[at].key);
	}
	return r;
}

/* ---- resynchronising ---- */

int conns_resync_begin(struct conns *conns)
{
	int r = ct_timeouts_read(&conns->timeouts);

	if (r)
		return r;
	set_free(&conns->told);
	conns->confirming = false;
	conns->resyncing = true;
	return set_grow(&conns->told);
}

static int conn_confirm(void *arg, const void *key)
{
	struct conns *conns = arg;
	const int family = conns->visiting ? AF_INET6 : AF_INET;
	struct waiting waiting = {};
	union conn conn = {};

	memcpy(&waiting, key, conns->visiting ? WAITING6_BYTES : WAITING4_BYTES);
	if (!bpf_map_lookup_elem(family_fd(conns, family), &waiting.key, &conn) &&
	    conn.head.born == waiting.born && !*set_cell(&conns->told, conn.head.ct_id))
		conn_forget(conns, family, &waiting.key);
	return 0;
}

int conns_resync_end(struct conns *conns)
{
	conns->confirming = true;
	conns->confirm_at[0] = conns->confirm_at[1] = 0;
	return 0;
}

/* A part of the comparison. A record that is moved in its wheel meanwhile is left for the next. */
static int confirm_step(struct conns *conns)
{
	int more = 0;

	if (!conns->confirming)
		return 0;
	for (conns->visiting = 0; !more && conns->visiting < 2; conns->visiting++)
		more = wheel_each(conns->wheels[conns->visiting],
				  &conns->confirm_at[conns->visiting], DUE_BUDGET, conn_confirm,
				  conns);
	if (more)
		return more < 0 ? more : 0;
	conns->confirming = conns->resyncing = false;
	set_free(&conns->told);
	return 0;
}

/* Calls fn for every record. Takes its time on a large table. */
static int conns_each(struct conns *conns, batch_fn fn)
{
	int r = 0;

	for (conns->visiting = 0; !r && conns->visiting < 2; conns->visiting++) {
		struct batch batch;

		r = batch_open(conns->fds[conns->visiting], &batch);
		if (r)
			break;
		while ((r = batch_step(&batch, BATCH_MAX, fn, conns)) == 1)
			;
		batch_close(&batch);
	}
	return r;
}

/* A record of an earlier process waits like one of our own. */
static int conn_adopt(void *arg, const void *key, void *value)
{
	struct conns *conns = arg;
	const union conn *conn = value;
	const int family = conns->visiting ? AF_INET6 : AF_INET;
	union conn_key own = {};

	if (conn->head.reply)
		return 0;
	memcpy(&own, key, family == AF_INET6 ? sizeof(own.key6) : sizeof(own.key4));
	return conn_wait(conns, family, &own, &conn->head);
}

int conns_adopt(struct conns *conns)
{
	return conns_each(conns, conn_adopt);
}

int conns_step(struct conns *conns)
{
	const uint32_t tick = conns->chain->state->tick;
	int r = offloaded_step(conns);

	if (!r)
		r = confirm_step(conns);
	for (conns->visiting = 0; !r && conns->visiting < 2; conns->visiting++)
		r = wheel_turn(conns->wheels[conns->visiting], tick, DUE_BUDGET, conn_visit, conns);
	return r ? r : refreshes_send(conns);
}

/* ---- flushing, without a slow path ---- */

struct flush {
	int fd;
};

static int conn_flush(void *arg, const void *key, void *value)
{
	(void)value;
	bpf_map_delete_elem(((struct flush *)arg)->fd, key);
	return 0;
}

int conns_flush(const char *pins)
{
	const char *const leaves[] = { "conns4", "conns6" };

	for (int i = 0; i < 2; i++) {
		__cleanup_fd int fd = pins_open(pins, leaves[i]);
		struct flush flush = { fd };
		struct batch batch;
		int r = fd < 0 ? fd : batch_open(fd, &batch);

		if (r)
			return r;
		while ((r = batch_step(&batch, BATCH_MAX, conn_flush, &flush)) == 1)
			;
		batch_close(&batch);
		if (r)
			return r;
	}
	return 0;
}
