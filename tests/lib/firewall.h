/* SPDX-License-Identifier: BSD-2-Clause */
/* Firewall: efw's hop in a chain under test, and the records that slow path and witness write. */
#ifndef EVNF_TESTS_LIB_FIREWALL_H
#define EVNF_TESTS_LIB_FIREWALL_H

#include "efw/efw.h"
#include "tests/lib/testrun.h"

struct firewall {
	struct testrun run;
	struct efw_bpf *hop;
	int conns4, conns6;
};

/* A connection as conntrack has it: what arrives in each direction, and by which port. */
struct connection {
	uint8_t family, proto;
	struct endpoint client, service; /* as the client sends: source, destination */
	struct endpoint server, mapped;  /* as the server sends: source, destination */
	int client_port, server_port;    /* port 0 and 1 unless said otherwise */
};

enum direction { ORIGINAL, REPLY };

/* efw behind the testrun's ports, all offload allowed. Fails the test on any error. */
void firewall_open(struct firewall *firewall, const struct chain_options *options);
void firewall_close(struct firewall *firewall);

/* efw's program, to put into a hop. */
int firewall_program(const struct firewall *firewall);

/* Makes it as new for the next test: no records, no flow entries, all offload allowed. */
void firewall_reset(struct firewall *firewall);

/* Connections between the hosts behind CLIENT and SERVER: as they are, and with both addresses and
 * ports translated: source and destination. */
struct connection connection_plain(uint8_t family, uint8_t proto);
struct connection connection_translated(uint8_t family, uint8_t proto);

/* Installs the records of both directions, as the slow path does when conntrack tells of it. */
void firewall_learn(struct firewall *firewall, const struct connection *connection);

/* Notes that the kernel let a packet of the direction through just now, as the witness does. */
void firewall_prove(struct firewall *firewall, const struct connection *connection,
		    enum direction direction);

/* Both of the above for both directions. */
void firewall_accept(struct firewall *firewall, const struct connection *connection);

/* What the slow path does when conntrack says the connection is gone. */
void firewall_forget(struct firewall *firewall, const struct connection *connection);

bool firewall_knows(struct firewall *firewall, const struct connection *connection,
		    enum direction direction);

/* Finds the flow entry that packets of the direction hit when they come by `port` untagged. Either
 * family's begins with a flow_head. Returns false when there is none. */
bool firewall_find_flow(struct firewall *firewall, const struct connection *connection,
			enum direction direction, int port, struct flow6 *flow);

/* How many flow entries there are. */
unsigned int firewall_count_flows(struct firewall *firewall);

/* What a packet of the direction looks like when it arrives, and when it leaves. */
struct frame_spec connection_arrives(const struct connection *connection, enum direction direction);
struct frame_spec connection_leaves(const struct connection *connection, enum direction direction);

/* The keys of the direction's records and of its flow entry without context. */
struct flow4_key connection_key4(const struct connection *connection, enum direction direction);
struct flow6_key connection_key6(const struct connection *connection, enum direction direction);

#endif
