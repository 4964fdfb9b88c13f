// SPDX-License-Identifier: BSD-2-Clause
// Lag: from the packet that makes a connection ASSURED to the record that lets it pass the kernel.
//
// lag CLIENT SERVER PINS COUNT: opens COUNT TCP connections, one after the other, through the
// router of a lab (namespaces of its hosts, pins of its efw), and prints how long each took.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "common/flow.h"
#include "common/util/cleanup.h"
#include "common/util/json.h"
#include "common/util/log.h"
#include "efw/efw.h"
#include "slowpath/pins.h"
#include "tests/lib/frames.h"

#define PAUSE_US 500 /* between two connections: each finds efw waiting */
#define TIMEOUT_NS 1000000000
#define ISN_CLIENT 1000
#define ISN_SERVER 2000

/* A host of the lab: where its frames go out, and its address, that nobody there answers for. */
struct host {
	int raw;
	uint8_t mac[6], router_mac[6];
	const char *address;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* A raw socket on an interface of another namespace. Returns it or -errno. */
static int raw_open(const char *netns, const char *interface)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	__cleanup_fd int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	__cleanup_fd int there = open(netns, O_RDONLY | O_CLOEXEC);
	__cleanup_fd int raw = -1;

	if (home < 0 || there < 0 || setns(there, CLONE_NEWNET))
		return -errno;
	raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	address.sll_ifindex = if_nametoindex(interface);
	if (raw < 0 || !address.sll_ifindex ||
	    bind(raw, (struct sockaddr *)&address, sizeof(address)) || setns(home, CLONE_NEWNET))
		return -errno;
	return fd_take(&raw);
}

/* Sends a TCP segment without data. The kernel of the router has dealt with it on return. */
static int segment_send(const struct host *from, const struct host *to, uint16_t from_port,
			uint16_t to_port, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct frame_spec spec = {
		.family = AF_INET,
		.proto = IPPROTO_TCP,
		.src = endpoint_of(from->address, from_port),
		.dst = endpoint_of(to->address, to_port),
		.tcp_flags = flags,
	};
	static struct frame frame;
	struct tcphdr *tcp;

	memcpy(spec.src_mac, from->mac, sizeof(spec.src_mac));
	memcpy(spec.dst_mac, from->router_mac, sizeof(spec.dst_mac));
	frame_build(&spec, &frame);
	tcp = (void *)(frame.data + frame.l4);
	tcp->seq = htonl(seq);
	tcp->ack_seq = htonl(ack);
	frame_mend(&frame);
	return send(from->raw, frame.data, frame.bytes, 0) < 0 ? -errno : 0;
}

/* Opens one connection. Returns the nanoseconds from before its last packet was sent until its
 * record was seen, or -errno. */
static int64_t connection_time(const struct host *client, const struct host *server, int conns,
			       uint16_t port)
{
	const struct flow4_key key = {
		.src_ip = inet_addr(client->address),
		.dst_ip = inet_addr(server->address),
		.src_port = htons(port),
		.dst_port = htons(80),
		.proto = IPPROTO_TCP,
	};
	uint64_t began_ns;
	struct conn4 conn;
	int r;

	r = segment_send(client, server, port, 80, TH_SYN, ISN_CLIENT, 0);
	if (!r)
		r = segment_send(server, client, 80, port, TH_SYN | TH_ACK, ISN_SERVER,
				 ISN_CLIENT + 1);
	began_ns = now_ns();
	if (!r)
		r = segment_send(client, server, port, 80, TH_ACK, ISN_CLIENT + 1, ISN_SERVER + 1);
	while (!r && bpf_map_lookup_elem(conns, &key, &conn))
		if (now_ns() - began_ns > TIMEOUT_NS)
			r = -ETIMEDOUT;
	return r ? r : (int64_t)(now_ns() - began_ns);
}

static int times_print(const double *us, unsigned int n)
{
	struct json json;

	json_begin(&json, stdout);
	json_array_begin(&json);
	for (unsigned int i = 0; i < n; i++)
		json_double(&json, us[i]);
	json_array_end(&json);
	return json_end(&json);
}

int main(int argc, char **argv)
{
	struct host client = { .mac = { 2, 0, 0, 0, 1, 2 },
			       .router_mac = { 2, 0, 0, 0, 1, 1 },
			       .address = "10.1.0.50" };
	struct host server = { .mac = { 2, 0, 0, 0, 2, 2 },
			       .router_mac = { 2, 0, 0, 0, 2, 1 },
			       .address = "10.2.0.50" };
	const unsigned int count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	__cleanup_free double *us = calloc(count, sizeof(*us));
	__cleanup_fd int conns = -1;

	if (!count || count > 60000 || !us)
		return 2;
	client.raw = raw_open(argv[1], "c0");
	server.raw = raw_open(argv[2], "s0");
	conns = pins_open(argv[3], "conns4");
	if (client.raw < 0 || server.raw < 0 || conns < 0)
		return log_err(-errno, "open the lab"), 1;
	for (unsigned int i = 0; i < count; i++) {
		int64_t ns = connection_time(&client, &server, conns, 1024 + i);

		if (ns < 0)
			return log_err((int)ns, "connection %u", i), 1;
		us[i] = ns / 1e3;
		usleep(PAUSE_US);
	}
	return times_print(us, count) ? 1 : 0;
}
