// SPDX-License-Identifier: BSD-2-Clause
// Firewall: writes efw's tables as its slow path and its witness would.
#include "tests/lib/firewall.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "skel/efw.skel.h"

void firewall_open(struct firewall *firewall, const struct chain_options *options)
{
	struct testrun *run = &firewall->run;

	testrun_open(run, options);
	firewall->hop = efw_bpf__open();
	assert_non_null(firewall->hop);
	assert_int_equal(chain_prepare(&run->chain, firewall->hop->obj), 0);
	assert_int_equal(efw_bpf__load(firewall->hop), 0);
	assert_int_equal(chain_set_hop(&run->chain, 0, firewall_program(firewall)), 0);
	firewall->conns4 = bpf_map__fd(firewall->hop->maps.conns4);
	firewall->conns6 = bpf_map__fd(firewall->hop->maps.conns6);
	firewall_reset(firewall);
}

int firewall_program(const struct firewall *firewall)
{
	return bpf_program__fd(firewall->hop->progs.evnf_efw);
}

static void map_clear(int fd)
{
	struct flow6_key key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
}

void firewall_reset(struct firewall *firewall)
{
	struct chain *chain = &firewall->run.chain;

	map_clear(firewall->conns4);
	map_clear(firewall->conns6);
	map_clear(chain->flows4);
	map_clear(chain->flows6);
	chain->state->offload = OFFLOAD_TCP4 | OFFLOAD_UDP4 | OFFLOAD_TCP6 | OFFLOAD_UDP6;
}

void firewall_close(struct firewall *firewall)
{
	efw_bpf__destroy(firewall->hop);
	testrun_close(&firewall->run);
}

struct connection connection_plain(uint8_t family, uint8_t proto)
{
	bool ip4 = family == AF_INET;
	struct connection connection = {
		.family = family,
		.proto = proto,
		.client = endpoint_of(ip4 ? "10.77.0.2" : "fd77:0::2", 40000),
		.service = endpoint_of(ip4 ? "10.77.1.2" : "fd77:1::2", 443),
		.client_port = CLIENT,
		.server_port = SERVER,
	};

	connection.server = connection.service;
	connection.mapped = connection.client;
	return connection;
}

struct connection connection_translated(uint8_t family, uint8_t proto)
{
	bool ip4 = family == AF_INET;
	struct connection connection = connection_plain(family, proto);

	connection.service = endpoint_of(ip4 ? "192.0.2.80" : "2001:db8::80", 80);
	connection.server = endpoint_of(ip4 ? "10.77.1.2" : "fd77:1::2", 8080);
	connection.mapped = endpoint_of(ip4 ? "10.77.1.1" : "fd77:1::1", 61000);
	return connection;
}

/* The endpoints of a packet as it arrives: source, then destination. */
static void arrival(const struct connection *connection, enum direction direction,
		    struct endpoint ends[2])
{
	ends[0] = direction == ORIGINAL ? connection->client : connection->server;
	ends[1] = direction == ORIGINAL ? connection->service : connection->mapped;
}

/* A packet leaves as one of the other direction arrives, turned round. */
static void departure(const struct connection *connection, enum direction direction,
		      struct endpoint ends[2])
{
	ends[0] = direction == ORIGINAL ? connection->mapped : connection->service;
	ends[1] = direction == ORIGINAL ? connection->server : connection->client;
}

static int arrival_port(const struct connection *connection, enum direction direction)
{
	return direction == ORIGINAL ? connection->client_port : connection->server_port;
}

static struct flow4_key key4_of(const struct endpoint ends[2], uint8_t proto)
{
	return (struct flow4_key){ .src_ip = ends[0].ip[0],
				   .dst_ip = ends[1].ip[0],
				   .src_port = htons(ends[0].port),
				   .dst_port = htons(ends[1].port),
				   .proto = proto };
}

static struct flow6_key key6_of(const struct endpoint ends[2], uint8_t proto)
{
	struct flow6_key key = { .src_port = htons(ends[0].port),
				 .dst_port = htons(ends[1].port),
				 .proto = proto };

	memcpy(key.src_ip, ends[0].ip, 16);
	memcpy(key.dst_ip, ends[1].ip, 16);
	return key;
}

struct flow4_key connection_key4(const struct connection *connection, enum direction direction)
{
	struct endpoint ends[2];

	arrival(connection, direction, ends);
	return key4_of(ends, connection->proto);
}

struct flow6_key connection_key6(const struct connection *connection, enum direction direction)
{
	struct endpoint ends[2];

	arrival(connection, direction, ends);
	return key6_of(ends, connection->proto);
}

/* Either family's record and its key. */
struct record {
	union {
		struct flow4_key key4;
		struct flow6_key key6;
	};
	union {
		struct conn_head head;
		struct conn4 conn4;
		struct conn6 conn6;
	};
};

static int conns_fd(const struct firewall *firewall, const struct connection *connection)
{
	return connection->family == AF_INET ? firewall->conns4 : firewall->conns6;
}

static void record_begin(const struct connection *connection, enum direction direction,
			 struct record *record)
{
	memset(record, 0, sizeof(*record));
	if (connection->family == AF_INET)
		record->key4 = connection_key4(connection, direction);
	else
		record->key6 = connection_key6(connection, direction);
}

static bool record_read(struct firewall *firewall, const struct connection *connection,
			enum direction direction, struct record *record)
{
	record_begin(connection, direction, record);
	return !bpf_map_lookup_elem(conns_fd(firewall, connection), &record->key6, &record->head);
}

static void record_write(struct firewall *firewall, const struct connection *connection,
			 const struct record *record)
{
	assert_int_equal(bpf_map_update_elem(conns_fd(firewall, connection), &record->key6,
					     &record->head, BPF_ANY),
			 0);
}

void firewall_learn(struct firewall *firewall, const struct connection *connection)
{
	for (int direction = REPLY; direction >= ORIGINAL; direction--) {
		struct record record;
		struct endpoint ends[2];

		record_begin(connection, direction, &record);
		departure(connection, direction, ends);
		if (connection->family == AF_INET)
			record.conn4.to = key4_of(ends, connection->proto);
		else
			record.conn6.to = key6_of(ends, connection->proto);
		record.head.ct_id = 77;
		record.head.reply = direction;
		record_write(firewall, connection, &record);
	}
}

void firewall_prove(struct firewall *firewall, const struct connection *connection,
		    enum direction direction)
{
	const struct port *ports = firewall->run.ports;
	struct record record;

	assert_true(record_read(firewall, connection, direction, &record));
	record.head.in_ifindex = ports[arrival_port(connection, direction)].ifindex;
	record.head.out_ifindex = ports[arrival_port(connection, !direction)].ifindex;
	record.head.accepted_generation = firewall->run.chain.state->generation;
	record_write(firewall, connection, &record);
}

void firewall_accept(struct firewall *firewall, const struct connection *connection)
{
	firewall_learn(firewall, connection);
	firewall_prove(firewall, connection, ORIGINAL);
	firewall_prove(firewall, connection, REPLY);
}

bool firewall_knows(struct firewall *firewall, const struct connection *connection,
		    enum direction direction)
{
	struct record record;

	return record_read(firewall, connection, direction, &record);
}

/* The record's key becomes that of the flow entry by `port`. */
static int flow_name(struct firewall *firewall, const struct connection *connection, int port,
		     struct record *record)
{
	const uint32_t context = port_context(firewall->run.ports[port].index);

	flow_set_context(connection->family == AF_INET ? record->key4.context
						       : record->key6.context,
			 context);
	return connection->family == AF_INET ? firewall->run.chain.flows4
					     : firewall->run.chain.flows6;
}

static void direction_forget(struct firewall *firewall, const struct connection *connection,
			     enum direction direction)
{
	struct chain *chain = &firewall->run.chain;
	struct record record;

	record_begin(connection, direction, &record);
	if (connection->family == AF_INET)
		chain_bump_flow4(chain, &record.key4);
	else
		chain_bump_flow6(chain, &record.key6);
	bpf_map_delete_elem(
		flow_name(firewall, connection, arrival_port(connection, direction), &record),
		&record.key6);
}

void firewall_forget(struct firewall *firewall, const struct connection *connection)
{
	for (int direction = ORIGINAL; direction <= REPLY; direction++) {
		struct record record;

		record_begin(connection, direction, &record);
		bpf_map_delete_elem(conns_fd(firewall, connection), &record.key6);
	}
	direction_forget(firewall, connection, ORIGINAL);
	direction_forget(firewall, connection, REPLY);
}

bool firewall_find_flow(struct firewall *firewall, const struct connection *connection,
			enum direction direction, int port, struct flow6 *flow)
{
	struct record record;
	int flows;

	record_begin(connection, direction, &record);
	flows = flow_name(firewall, connection, port, &record);
	return !bpf_map_lookup_elem(flows, &record.key6, flow);
}

unsigned int firewall_count_flows(struct firewall *firewall)
{
	struct chain *chain = &firewall->run.chain;
	const int fds[] = { chain->flows4, chain->flows6 };
	unsigned int n = 0;

	for (int i = 0; i < 2; i++) {
		struct flow6_key key;

		for (void *at = NULL; !bpf_map_get_next_key(fds[i], at, &key); at = &key)
			n++;
	}
	return n;
}

static struct frame_spec spec_of(const struct connection *connection, const struct endpoint ends[2])
{
	return (struct frame_spec){ .family = connection->family,
				    .proto = connection->proto,
				    .src = ends[0],
				    .dst = ends[1],
				    .payload_bytes = 26 };
}

struct frame_spec connection_arrives(const struct connection *connection, enum direction direction)
{
	const int port = arrival_port(connection, direction);
	struct endpoint ends[2];
	struct frame_spec spec;

	arrival(connection, direction, ends);
	spec = spec_of(connection, ends);
	host_mac(port, spec.src_mac);
	port_mac(port, spec.dst_mac);
	return spec;
}

struct frame_spec connection_leaves(const struct connection *connection, enum direction direction)
{
	const int port = arrival_port(connection, !direction);
	struct endpoint ends[2];
	struct frame_spec spec;

	departure(connection, direction, ends);
	spec = spec_of(connection, ends);
	port_mac(port, spec.src_mac);
	host_mac(port, spec.dst_mac);
	spec.ttl = 63;
	return spec;
}
