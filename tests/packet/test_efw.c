// SPDX-License-Identifier: BSD-2-Clause
// efw by the packet: what it leaves to the kernel and why, and what it forwards, to the last byte.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <cmocka.h>

#include "tests/lib/firewall.h"

static struct firewall firewall;

enum families { IP4 = 1, IP6 = 2, ANY = IP4 | IP6 };
enum layer { AT_NONE, AT_L3, AT_L4 };

/* A frame that efw leaves to the kernel, and why: of a connection it does not know, and of one
 * whose packets it forwards. `with` is completed to a TCP packet from client to server. */
struct odd {
	const char *says;
	enum families families;
	struct frame_spec with;
	struct {
		enum layer layer;
		uint8_t offset, value;
	} faults[2];
	const char *from, *to;      /* other addresses than client's and server's */
	uint32_t cut;               /* bytes of the frame that remain */
	bool empty;                 /* no payload */
	enum reason unknown, known; /* known 0: the same */
};

static const struct odd odds[] = {
	/* Not IP, and tags */
	{ "ARP", ANY, .with.ether_type = ETH_P_ARP, .unknown = REASON_NOT_IP },
	{ "LLDP", ANY, .with = { .ether_type = 0x88cc, .dst_mac = { 1, 0x80, 0xc2, 0, 0, 14 } },
	  .unknown = REASON_NOT_IP },
	{ "STP, which has a length for a type", ANY,
	  .with = { .ether_type = 38, .dst_mac = { 1, 0x80, 0xc2 } }, .unknown = REASON_NOT_IP },
	{ "one 802.1Q tag", ANY, .with.tags = { { ETH_P_8021Q, 5 } }, .unknown = REASON_TAGGED },
	{ "one 802.1ad tag", ANY, .with.tags = { { ETH_P_8021AD, 5 } }, .unknown = REASON_TAGGED },
	{ "802.1Q in 802.1ad", ANY, .with.tags = { { ETH_P_8021AD, 5 }, { ETH_P_8021Q, 6 } },
	  .unknown = REASON_TAGGED },
	{ "a priority tag", ANY, .with.tags = { { ETH_P_8021Q, 0xe000 } },
	  .unknown = REASON_TAGGED },
	{ "three tags", ANY,
	  .with.tags = { { ETH_P_8021Q, 5 }, { ETH_P_8021Q, 6 }, { ETH_P_8021Q, 7 } },
	  .unknown = REASON_ODD },
	{ "a tag of unknown type", ANY, .with.tags = { { 0x9100, 5 } }, .unknown = REASON_ODD },
	{ "a frame cut inside its tag", ANY, .with.tags = { { ETH_P_8021Q, 5 } }, .cut = 16,
	  .unknown = REASON_ODD },
	{ "a frame of nothing but an Ethernet header", ANY, .cut = 14, .unknown = REASON_ODD },
	{ "a packet to another MAC address", ANY, .with.dst_mac = { 2, 0, 0, 0, 9, 9 },
	  .unknown = REASON_NOT_FOR_US },
	{ "a packet to the broadcast MAC address", ANY,
	  .with.dst_mac = { 255, 255, 255, 255, 255, 255 }, .unknown = REASON_NOT_FOR_US },

	/* IPv4 headers */
	{ "no-operation options", IP4, .with = { .options = "\1\1\1\0", .option_bytes = 4 },
	  .unknown = REASON_ODD },
	{ "the record route option", IP4,
	  .with = { .options = "\7\7\4\0\0\0\0\0", .option_bytes = 8 }, .unknown = REASON_ODD },
	{ "the router alert option", IP4, .with = { .options = "\x94\4\0\0", .option_bytes = 4 },
	  .unknown = REASON_ODD },
	{ "a loose source route", IP4,
	  .with = { .options = "\1\x83\7\4\12\77\1\3", .option_bytes = 8 }, .unknown = REASON_ODD },
	{ "a strict source route behind other options", IP4,
	  .with = { .options = "\x94\4\0\0\x89\7\4\12\77\1\3\0", .option_bytes = 12 },
	  .unknown = REASON_ODD },
	{ "an option of length 0", IP4, .with = { .options = "\x44\0\0\0", .option_bytes = 4 },
	  .unknown = REASON_ODD },
	{ "an ihl of 4", IP4, .faults = { { AT_L3, 0, 0x44 } }, .unknown = REASON_ODD },
	{ "an ihl past the packet", IP4, .faults = { { AT_L3, 0, 0x4f } }, .empty = true,
	  .unknown = REASON_ODD },
	{ "version 5", IP4, .faults = { { AT_L3, 0, 0x55 } }, .unknown = REASON_ODD },
	{ "a total length below the header's", IP4, .faults = { { AT_L3, 2, 0 }, { AT_L3, 3, 19 } },
	  .unknown = REASON_ODD },
	{ "a total length of 0", IP4, .faults = { { AT_L3, 2, 0 }, { AT_L3, 3, 0 } },
	  .unknown = REASON_ODD },
	{ "a total length past the frame", IP4, .faults = { { AT_L3, 2, 4 } },
	  .unknown = REASON_ODD },
	{ "a frame cut inside the IP header", ANY, .cut = 14 + 19, .unknown = REASON_ODD },

	/* IPv6 headers */
	{ "version 4", IP6, .faults = { { AT_L3, 0, 0x40 } }, .unknown = REASON_ODD },
	{ "a payload length past the frame", IP6, .faults = { { AT_L3, 4, 4 } },
	  .unknown = REASON_ODD },
	{ "a payload length of 65535", IP6, .faults = { { AT_L3, 4, 255 }, { AT_L3, 5, 255 } },
	  .unknown = REASON_ODD },
	{ "a payload length of 0", IP6, .faults = { { AT_L3, 4, 0 }, { AT_L3, 5, 0 } },
	  .unknown = REASON_ODD },
	{ "hop-by-hop options", IP6, .with.hop_by_hop = true, .unknown = REASON_ODD },
	{ "a routing header of type 0", IP6, .with.extensions = { IPPROTO_ROUTING },
	  .unknown = REASON_ODD },
	{ "a segment routing header", IP6,
	  .with = { .extensions = { IPPROTO_ROUTING }, .routing_type = 4 }, .unknown = REASON_ODD },
	{ "destination options", IP6, .with.extensions = { IPPROTO_DSTOPTS },
	  .unknown = REASON_ODD },
	{ "an authentication header", IP6, .with.extensions = { IPPROTO_AH },
	  .unknown = REASON_ODD },
	{ "eight extension headers", IP6,
	  .with.extensions = { IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
			       IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS },
	  .unknown = REASON_ODD },
	{ "nine extension headers", IP6,
	  .with.extensions = { IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
			       IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
			       IPPROTO_DSTOPTS },
	  .unknown = REASON_ODD },
	{ "an extension header longer than the packet", IP6, .with.extensions = { IPPROTO_DSTOPTS },
	  .faults = { { AT_L3, 41, 200 } }, .unknown = REASON_ODD },
	{ "a chain of extension headers cut short", IP6,
	  .with.extensions = { IPPROTO_DSTOPTS, IPPROTO_DSTOPTS }, .cut = 14 + 40 + 8 + 4,
	  .unknown = REASON_ODD },
	{ "no next header", IP6, .with.proto = IPPROTO_NONE, .unknown = REASON_OTHER_PROTOCOL },

	/* Fragments */
	{ "a first fragment", ANY,
	  .with = { .fragmented = true, .more_fragments = true, .proto = IPPROTO_UDP },
	  .unknown = REASON_FRAGMENT },
	{ "a later fragment that looks like a packet with ports", ANY,
	  .with = { .fragmented = true, .more_fragments = true, .fragment_bytes = 64 },
	  .unknown = REASON_FRAGMENT },
	{ "the last fragment", ANY, .with = { .fragmented = true, .fragment_bytes = 64 },
	  .unknown = REASON_FRAGMENT },
	{ "a first fragment of TCP without its whole header", ANY,
	  .with = { .fragmented = true, .more_fragments = true, .proto = IPPROTO_TCP },
	  .faults = { { AT_L3, 3, 20 + 16 }, { AT_L3, 5, 8 + 16 } }, .unknown = REASON_ODD },
	{ "a fragment of TCP at offset 8, over the flags", ANY,
	  .with = { .fragmented = true, .fragment_bytes = 8 }, .unknown = REASON_ODD },
	{ "an atomic fragment", IP6, .with.fragmented = true, .unknown = REASON_ODD },

	/* TCP and UDP headers */
	{ "a TCP data offset of 4", ANY, .faults = { { AT_L4, 12, 0x40 } }, .unknown = REASON_ODD },
	{ "a TCP data offset past the segment", ANY, .faults = { { AT_L4, 12, 0xf0 } },
	  .empty = true, .unknown = REASON_ODD },
	{ "a TCP header cut short, padding behind it", IP4, .faults = { { AT_L3, 3, 20 + 16 } },
	  .unknown = REASON_ODD },
	{ "a UDP header cut short, padding behind it", IP4, .with.proto = IPPROTO_UDP,
	  .faults = { { AT_L3, 3, 20 + 6 } }, .unknown = REASON_ODD },
	{ "SYN and FIN", ANY, .with.tcp_flags = TH_SYN | TH_FIN, .unknown = REASON_ODD },
	{ "SYN and RST", ANY, .with.tcp_flags = TH_SYN | TH_RST, .unknown = REASON_ODD },
	{ "FIN without ACK", ANY, .with.tcp_flags = TH_FIN, .unknown = REASON_ODD },
	{ "no TCP flags", ANY, .with.tcp_flags = 0xff, .unknown = REASON_ODD },
	{ "SYN", ANY, .with.tcp_flags = TH_SYN, .unknown = REASON_TCP_CONTROL },
	{ "SYN and ACK", ANY, .with.tcp_flags = TH_SYN | TH_ACK, .unknown = REASON_TCP_CONTROL },
	{ "FIN and ACK", ANY, .with.tcp_flags = TH_FIN | TH_ACK, .unknown = REASON_TCP_CONTROL },
	{ "RST", ANY, .with.tcp_flags = TH_RST, .unknown = REASON_TCP_CONTROL },
	{ "RST and ACK", ANY, .with.tcp_flags = TH_RST | TH_ACK, .unknown = REASON_TCP_CONTROL },
	{ "a UDP length of 7", ANY, .with.proto = IPPROTO_UDP, .faults = { { AT_L4, 5, 7 } },
	  .unknown = REASON_ODD },
	{ "a UDP length past the packet", ANY, .with.proto = IPPROTO_UDP,
	  .faults = { { AT_L4, 5, 99 } }, .unknown = REASON_ODD },

	/* Other protocols */
	{ "ICMP echo", IP4, .with = { .proto = IPPROTO_ICMP, .src.port = 8 << 8 },
	  .unknown = REASON_OTHER_PROTOCOL },
	{ "an ICMP error", IP4, .with = { .proto = IPPROTO_ICMP, .src.port = 3 << 8 | 4 },
	  .unknown = REASON_OTHER_PROTOCOL },
	{ "ICMPv6 echo", IP6, .with = { .proto = IPPROTO_ICMPV6, .src.port = 128 << 8 },
	  .unknown = REASON_OTHER_PROTOCOL },
	{ "packet too big", IP6, .with = { .proto = IPPROTO_ICMPV6, .src.port = 2 << 8 },
	  .unknown = REASON_OTHER_PROTOCOL },
	{ "a neighbor solicitation", IP6,
	  .with = { .proto = IPPROTO_ICMPV6, .src.port = 135 << 8, .ttl = 255 },
	  .unknown = REASON_OTHER_PROTOCOL },
	{ "SCTP", ANY, .with.proto = IPPROTO_SCTP, .unknown = REASON_OTHER_PROTOCOL },
	{ "DCCP", ANY, .with.proto = IPPROTO_DCCP, .unknown = REASON_OTHER_PROTOCOL },
	{ "UDP-Lite", ANY, .with.proto = IPPROTO_UDPLITE, .unknown = REASON_OTHER_PROTOCOL },
	{ "ESP", ANY, .with.proto = IPPROTO_ESP, .unknown = REASON_OTHER_PROTOCOL },
	{ "GRE", ANY, .with.proto = IPPROTO_GRE, .unknown = REASON_OTHER_PROTOCOL },
	{ "IP in IP", ANY, .with.proto = IPPROTO_IPIP, .unknown = REASON_OTHER_PROTOCOL },
	{ "protocol 255", ANY, .with.proto = 255, .unknown = REASON_OTHER_PROTOCOL },

	/* Ways that end here */
	/* Addresses */
	{ "a packet to 255.255.255.255", IP4, .to = "255.255.255.255", .unknown = REASON_ODD },
	{ "a packet to a multicast group", IP4, .to = "239.1.2.3", .unknown = REASON_MULTICAST },
	{ "a packet to a multicast group", IP6, .to = "ff0e::1", .unknown = REASON_MULTICAST },
	{ "a packet to its link's broadcast address", IP4, .to = "10.77.1.255",
	  .unknown = REASON_NEW_FLOW, .known = REASON_FOR_HOST },
	{ "a packet from 0.0.0.0", IP4, .from = "0.0.0.0", .unknown = REASON_ODD },
	{ "a packet to 0.0.0.0", IP4, .to = "0.0.0.0", .unknown = REASON_ODD },
	{ "a packet from 0.1.2.3", IP4, .from = "0.1.2.3", .unknown = REASON_ODD },
	{ "a packet to 0.1.2.3", IP4, .to = "0.1.2.3", .unknown = REASON_ODD },
	{ "a packet from the loopback", IP4, .from = "127.1.2.3", .unknown = REASON_ODD },
	{ "a packet to the loopback", IP4, .to = "127.1.2.3", .unknown = REASON_ODD },
	{ "a packet from class E", IP4, .from = "240.0.0.1", .unknown = REASON_ODD },
	{ "a packet to class E", IP4, .to = "240.0.0.1", .unknown = REASON_ODD },
	{ "a packet from ::", IP6, .from = "::", .unknown = REASON_ODD },
	{ "a packet to ::", IP6, .to = "::", .unknown = REASON_ODD },
	{ "a packet from the loopback", IP6, .from = "::1", .unknown = REASON_ODD },
	{ "a packet to the loopback", IP6, .to = "::1", .unknown = REASON_ODD },
	{ "a packet from a link-local address", IP6, .from = "fe80::5",
	  .unknown = REASON_FOR_HOST },
	{ "a packet to a link-local address", IP6, .to = "fe80::5", .unknown = REASON_FOR_HOST },
	{ "a packet from 255.255.255.255", IP4, .from = "255.255.255.255", .unknown = REASON_ODD },
	{ "a packet from a multicast group", IP4, .from = "224.0.0.5", .unknown = REASON_ODD },
	{ "a packet from a multicast group", IP6, .from = "ff02::5", .unknown = REASON_ODD },
	{ "a packet from and to the same address", IP4, .from = "10.77.1.2", .to = "10.77.1.2",
	  .unknown = REASON_ODD },
	{ "a packet from and to the same address", IP6, .from = "fd77:1::2", .to = "fd77:1::2",
	  .unknown = REASON_ODD },
	{ "a packet to this host", IP4, .to = "10.77.0.1", .unknown = REASON_NEW_FLOW,
	  .known = REASON_FOR_HOST },
	{ "a packet to this host", IP6, .to = "fd77:0::1", .unknown = REASON_NEW_FLOW,
	  .known = REASON_FOR_HOST },
	{ "a packet to a blackhole", IP4, .to = "203.0.113.9", .unknown = REASON_NEW_FLOW,
	  .known = REASON_NO_ROUTE },
	{ "a packet to a blackhole", IP6, .to = "fd77:dead::9", .unknown = REASON_NEW_FLOW,
	  .known = REASON_NO_ROUTE },
	{ "a packet to a host that is no neighbor", IP4, .to = "10.77.1.99",
	  .unknown = REASON_NEW_FLOW, .known = REASON_NO_NEIGHBOR },
	{ "a packet to a host that is no neighbor", IP6, .to = "fd77:1::99",
	  .unknown = REASON_NEW_FLOW, .known = REASON_NO_NEIGHBOR },
	{ "a packet whose route leads elsewhere than the kernel sent it", IP4, .to = "10.77.2.2",
	  .unknown = REASON_NEW_FLOW, .known = REASON_UNPROVEN },
	{ "a packet whose route leads elsewhere than the kernel sent it", IP6, .to = "fd77:2::2",
	  .unknown = REASON_NEW_FLOW, .known = REASON_UNPROVEN },

	{ "a TTL of 1", ANY, .with.ttl = 1, .unknown = REASON_NEW_FLOW, .known = REASON_TTL },
	{ "a TTL of 0", IP4, .faults = { { AT_L3, 8, 0 } }, .unknown = REASON_NEW_FLOW,
	  .known = REASON_TTL },
	{ "a hop limit of 0", IP6, .faults = { { AT_L3, 7, 0 } }, .unknown = REASON_NEW_FLOW,
	  .known = REASON_TTL },
	{ "a packet larger than the MTU of the way out", ANY, .with.payload_bytes = 1500,
	  .unknown = REASON_NEW_FLOW, .known = REASON_TOO_BIG },
	{ "a packet larger than the MTU that must not be fragmented", IP4,
	  .with = { .payload_bytes = 1500, .dont_fragment = true }, .unknown = REASON_NEW_FLOW,
	  .known = REASON_TOO_BIG },
};

/* The family a test runs with, and its row. */
struct odd_case {
	const struct odd *odd;
	uint8_t family;
};

/* The connection the odd packet seems to belong to. */
static struct connection odd_connection(const struct odd *odd, uint8_t family)
{
	const bool udp = odd->with.proto == IPPROTO_UDP;
	struct connection connection = connection_plain(family, udp ? IPPROTO_UDP : IPPROTO_TCP);

	if (odd->from)
		connection.client = endpoint_of(odd->from, connection.client.port);
	if (odd->to)
		connection.service = endpoint_of(odd->to, connection.service.port);
	connection.mapped = connection.client;
	connection.server = connection.service;
	return connection;
}

static void odd_build(const struct odd *odd, const struct connection *connection,
		      struct frame *frame)
{
	const struct frame_spec whole = connection_arrives(connection, ORIGINAL);
	const uint8_t none[6] = {};
	struct frame_spec spec = odd->with;

	spec.family = whole.family;
	if (!spec.proto)
		spec.proto = whole.proto;
	memcpy(spec.src_mac, whole.src_mac, 6);
	if (!memcmp(spec.dst_mac, none, 6))
		memcpy(spec.dst_mac, whole.dst_mac, 6);
	memcpy(spec.src.ip, whole.src.ip, 16);
	memcpy(spec.dst.ip, whole.dst.ip, 16);
	if (!spec.src.port)
		spec.src.port = whole.src.port;
	spec.dst.port = whole.dst.port;
	if (!spec.payload_bytes && !odd->empty)
		spec.payload_bytes = whole.payload_bytes;
	frame_build(&spec, frame);
	for (int i = 0; i < 2 && odd->faults[i].layer; i++)
		frame->data[(odd->faults[i].layer == AT_L3 ? frame->l3 : frame->l4) +
			    odd->faults[i].offset] = odd->faults[i].value;
	if (odd->cut)
		frame_cut(frame, odd->cut);
}

static void assert_untouched(const struct frame *sent, const struct outcome *outcome)
{
	assert_int_equal(outcome->frame.bytes, sent->bytes);
	assert_memory_equal(outcome->frame.data, sent->data, sent->bytes);
}

static void assert_kept(const struct frame *frame, enum reason reason)
{
	static struct outcome outcome;

	testrun_send(&firewall.run, CLIENT, frame, &outcome);
	assert_reason(&outcome, reason);
	assert_int_equal(outcome.verdict, XDP_PASS);
	assert_untouched(frame, &outcome);
}

static void it_goes_to_the_kernel(void **state)
{
	const struct odd_case *odd_case = *state;
	const struct odd *odd = odd_case->odd;
	const struct connection connection = odd_connection(odd, odd_case->family);
	const struct frame_spec sound = connection_arrives(&connection, ORIGINAL);
	static struct frame frame, ordinary;
	static struct outcome outcome;

	firewall_reset(&firewall);
	odd_build(odd, &connection, &frame);
	assert_kept(&frame, odd->unknown);
	assert_int_equal(firewall_count_flows(&firewall), 0);

	firewall_accept(&firewall, &connection);
	frame_build(&sound, &ordinary);
	testrun_send(&firewall.run, CLIENT, &ordinary, &outcome);
	testrun_answer(&firewall.run);
	testrun_send(&firewall.run, CLIENT, &ordinary, &outcome);
	if (odd->from || odd->to) /* no such packet is ever a fast one */
		assert_int_equal(firewall_count_flows(&firewall), 0);
	else
		assert_reason(&outcome, REASON_HIT);
	assert_kept(&frame, odd->known ? odd->known : odd->unknown);
}

/* A packet that is forwarded: what it is, arriving and leaving. */
struct forwarded {
	const char *says;
	enum families families;
	uint8_t proto;
	struct frame_spec with; /* what both have beside the connection's */
	const char *service;    /* another one than the host behind SERVER */
	enum { PLAIN, TRANSLATED, SOURCE_ONLY, DESTINATION_ONLY, PORTS_ONLY } translation;
};

static const struct forwarded forwards[] = {
	{ "TCP", ANY, .proto = IPPROTO_TCP },
	{ "UDP", ANY, .proto = IPPROTO_UDP },
	{ "TCP, source and destination translated", ANY, .proto = IPPROTO_TCP,
	  .translation = TRANSLATED },
	{ "UDP, source and destination translated", ANY, .proto = IPPROTO_UDP,
	  .translation = TRANSLATED },
	{ "TCP, source translated", ANY, .proto = IPPROTO_TCP, .translation = SOURCE_ONLY },
	{ "UDP, source translated", ANY, .proto = IPPROTO_UDP, .translation = SOURCE_ONLY },
	{ "TCP, destination translated", ANY, .proto = IPPROTO_TCP,
	  .translation = DESTINATION_ONLY },
	{ "UDP, destination translated", ANY, .proto = IPPROTO_UDP,
	  .translation = DESTINATION_ONLY },
	{ "TCP, ports translated", ANY, .proto = IPPROTO_TCP, .translation = PORTS_ONLY },
	{ "UDP, ports translated", ANY, .proto = IPPROTO_UDP, .translation = PORTS_ONLY },
	{ "UDP without checksum", IP4, .proto = IPPROTO_UDP, .with.no_checksum = true },
	{ "UDP without checksum, translated", IP4, .proto = IPPROTO_UDP, .with.no_checksum = true,
	  .translation = TRANSLATED },
	{ "an empty TCP segment with padding", ANY, .proto = IPPROTO_TCP,
	  .with = { .payload_bytes = 1, .padding_bytes = 9 }, .translation = TRANSLATED },
	{ "an empty UDP datagram with padding", ANY, .proto = IPPROTO_UDP,
	  .with = { .payload_bytes = 1, .padding_bytes = 17 }, .translation = TRANSLATED },
	{ "PSH, URG and the ECN flags", ANY, .proto = IPPROTO_TCP,
	  .with.tcp_flags = TH_ACK | TH_PUSH | TH_URG | 0xc0, .translation = TRANSLATED },
	{ "a packet as large as the MTU", ANY, .proto = IPPROTO_TCP, .with.payload_bytes = 1440 },
	{ "a packet as large as the MTU, not to be fragmented", IP4, .proto = IPPROTO_TCP,
	  .with = { .payload_bytes = 1460, .dont_fragment = true }, .translation = TRANSLATED },
	{ "a packet through a gateway", IP4, .proto = IPPROTO_TCP, .service = "198.51.100.7" },
	{ "a packet through a gateway", IP6, .proto = IPPROTO_UDP, .service = "2001:db8:7::7" },
};

struct forwarded_case {
	const struct forwarded *forwarded;
	uint8_t family;
};

static struct connection forwarded_connection(const struct forwarded *forwarded, uint8_t family)
{
	const struct connection plain = connection_plain(family, forwarded->proto);
	struct connection connection = connection_translated(family, forwarded->proto);

	switch (forwarded->translation) {
	case PLAIN:
		connection = plain;
		break;
	case TRANSLATED:
		break;
	case SOURCE_ONLY:
		connection.service = connection.server;
		break;
	case DESTINATION_ONLY:
		connection.mapped = connection.client;
		break;
	case PORTS_ONLY:
		memcpy(connection.service.ip, plain.service.ip, 16);
		memcpy(connection.mapped.ip, plain.mapped.ip, 16);
		break;
	}
	if (forwarded->service)
		connection.service = connection.server = endpoint_of(forwarded->service, 443);
	return connection;
}

/* Puts into the description of a packet what the test wants of it. */
static struct frame_spec spec_with(struct frame_spec spec, const struct frame_spec *with)
{
	if (with->payload_bytes)
		spec.payload_bytes = with->payload_bytes == 1 ? 0 : with->payload_bytes;
	spec.padding_bytes = with->padding_bytes;
	spec.tcp_flags = with->tcp_flags;
	spec.dont_fragment = with->dont_fragment;
	spec.no_checksum = with->no_checksum;
	spec.payload_word = with->payload_word;
	return spec;
}

/* Sends one packet of the connection. It must leave for `reason`, and as if built by its receiver.
 */
static void assert_forwarded(const struct connection *connection, enum direction direction,
			     const struct frame_spec *with, enum reason reason)
{
	const int port = direction == ORIGINAL ? connection->client_port : connection->server_port;
	static struct frame arriving, leaving;
	static struct outcome outcome;
	struct frame_spec spec;

	spec = spec_with(connection_arrives(connection, direction), with);
	frame_build(&spec, &arriving);
	spec = spec_with(connection_leaves(connection, direction), with);
	frame_build(&spec, &leaving);
	assert_null(frame_fault(&leaving));
	testrun_send(&firewall.run, port, &arriving, &outcome);
	assert_reason(&outcome, reason);
	assert_int_equal(outcome.verdict, XDP_REDIRECT);
	assert_null(frame_fault(&outcome.frame));
	assert_int_equal(outcome.frame.bytes, leaving.bytes);
	assert_memory_equal(outcome.frame.data, leaving.data, leaving.bytes);
}

static void it_leaves_as_the_kernel_would_send_it(void **state)
{
	const struct forwarded_case *forwarded_case = *state;
	const struct forwarded *forwarded = forwarded_case->forwarded;
	const struct connection connection =
		forwarded_connection(forwarded, forwarded_case->family);

	firewall_reset(&firewall);
	firewall_accept(&firewall, &connection);
	for (int direction = ORIGINAL; direction <= REPLY; direction++) {
		assert_forwarded(&connection, direction, &forwarded->with, REASON_WALKED);
		assert_forwarded(&connection, direction, &forwarded->with, REASON_HIT);
		assert_forwarded(&connection, direction, &forwarded->with, REASON_HIT);
	}
	assert_int_equal(firewall_count_flows(&firewall), 2);
}

/* A word of payload that makes the checksum of the leaving packet come out as nothing. */
static uint16_t word_for_no_sum(const struct connection *connection)
{
	struct frame_spec spec = connection_leaves(connection, ORIGINAL);
	static struct frame frame;
	uint32_t check;

	spec.payload_word = 1;
	frame_build(&spec, &frame);
	check = frame.data[frame.l4 + 6] << 8 | frame.data[frame.l4 + 7];
	check += spec.payload_word;
	return (check & 0xffff) + (check >> 16);
}

static void a_udp_checksum_that_comes_out_as_0_is_sent_as_ffff(void **state)
{
	(void)state;
	for (int ip6 = 0; ip6 < 2; ip6++) {
		const struct connection connection =
			connection_translated(ip6 ? AF_INET6 : AF_INET, IPPROTO_UDP);
		const struct frame_spec with = { .payload_word = word_for_no_sum(&connection) };
		struct frame_spec spec = connection_leaves(&connection, ORIGINAL);
		static struct frame frame;

		firewall_reset(&firewall);
		firewall_accept(&firewall, &connection);
		spec.payload_word = with.payload_word;
		frame_build(&spec, &frame);
		assert_int_equal(frame.data[frame.l4 + 6], 0xff);
		assert_int_equal(frame.data[frame.l4 + 7], 0xff);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
	}
}

/* An endpoint whose last 16 bits of address and whose port are random. */
static void endpoint_shake(struct endpoint *endpoint, uint8_t family, uint32_t *seed)
{
	endpoint->ip[family == AF_INET ? 0 : 3] ^= htonl(random_next(seed) & 0xffff);
	endpoint->port = random_next(seed);
}

static void a_thousand_random_translations_leave_all_checksums_right(void **state)
{
	uint32_t seed = 20240817;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const uint8_t family = i % 2 ? AF_INET : AF_INET6;
		struct frame_spec with = { .payload_word = random_next(&seed) };
		struct connection connection =
			connection_translated(family, i % 4 < 2 ? IPPROTO_TCP : IPPROTO_UDP);

		firewall_reset(&firewall);
		connection.client.port = random_next(&seed);
		connection.server.port = random_next(&seed);
		endpoint_shake(&connection.service, family, &seed);
		endpoint_shake(&connection.mapped, family, &seed);
		firewall_accept(&firewall, &connection);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
		assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
	}
}

static bool kernel_redirects_buffers(void)
{
	struct utsname name;
	unsigned int major, minor;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 3));
}

static struct connection connection_jumbo(uint8_t family, uint8_t proto)
{
	struct connection connection = connection_plain(family, proto);

	connection.server_port = THIRD;
	connection.server =
		endpoint_of(family == AF_INET ? "10.77.2.2" : "fd77:2::2", connection.server.port);
	connection.service = connection.server;
	connection.service.port = 80;
	return connection;
}

/* Builds a packet of 8000 bytes of payload as it arrives. */
static void jumbo_build(const struct connection *connection, struct frame *frame)
{
	struct frame_spec spec = connection_arrives(connection, ORIGINAL);

	spec.payload_bytes = 8000;
	frame_build(&spec, frame);
}

static void a_frame_in_several_buffers_is_forwarded_where_the_kernel_can(void **state)
{
	const struct frame_spec with = { .payload_bytes = 8000 }, small = {};
	static struct frame frame;

	(void)state;
	for (int i = 0; i < 4; i++) {
		const struct connection connection = connection_jumbo(
			i % 2 ? AF_INET : AF_INET6, i / 2 ? IPPROTO_TCP : IPPROTO_UDP);

		firewall_reset(&firewall);
		firewall_accept(&firewall, &connection);
		if (kernel_redirects_buffers()) {
			assert_forwarded(&connection, ORIGINAL, &with, REASON_WALKED);
			assert_forwarded(&connection, ORIGINAL, &with, REASON_HIT);
			continue;
		}
		jumbo_build(&connection, &frame);
		assert_kept(&frame, REASON_MULTI_BUFFER);
		assert_forwarded(&connection, ORIGINAL, &small, REASON_WALKED);
		assert_kept(&frame, REASON_MULTI_BUFFER);
	}
}

static void a_large_frame_of_another_protocol_is_counted_whole(void **state)
{
	struct frame_spec spec = connection_arrives(&(struct connection){ .family = AF_INET }, 0);
	static struct frame frame;

	(void)state;
	spec.ether_type = ETH_P_ARP;
	spec.payload_bytes = 8000;
	frame_build(&spec, &frame);
	assert_kept(&frame, REASON_NOT_IP);
}

static void a_small_packet_in_a_large_frame_is_counted_whole(void **state)
{
	const struct connection connection = connection_jumbo(AF_INET, IPPROTO_TCP);
	struct frame_spec spec = connection_arrives(&connection, ORIGINAL);
	static struct frame frame;

	(void)state;
	firewall_reset(&firewall);
	spec.padding_bytes = 8000;
	frame_build(&spec, &frame);
	assert_kept(&frame, REASON_NEW_FLOW);
}

static int group_setup(void **state)
{
	const struct chain_options options = testrun_options();

	(void)state;
	firewall_open(&firewall, &options);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	firewall_close(&firewall);
	return 0;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One test per row and family. */
struct suite {
	struct CMUnitTest tests[2 * (COUNT(odds) + COUNT(forwards)) + 16];
	char names[2 * (COUNT(odds) + COUNT(forwards))][160];
	struct odd_case odd_cases[2 * COUNT(odds)];
	struct forwarded_case forwarded_cases[2 * COUNT(forwards)];
	size_t n;
};

static void suite_add(struct suite *suite, const char *format, uint8_t family, const char *says,
		      CMUnitTestFunction function, void *state)
{
	snprintf(suite->names[suite->n], sizeof(suite->names[0]), format,
		 family == AF_INET ? "IPv4" : "IPv6", says);
	suite->tests[suite->n] = (struct CMUnitTest){ .name = suite->names[suite->n],
						      .test_func = function,
						      .initial_state = state };
	suite->n++;
}

static void suite_fill(struct suite *suite)
{
	const uint8_t families[] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < 2 * COUNT(odds); i++) {
		struct odd_case *odd = &suite->odd_cases[i];

		*odd = (struct odd_case){ &odds[i / 2], families[i % 2] };
		if (odds[i / 2].families & (i % 2 ? IP6 : IP4))
			suite_add(suite, "%s: %s goes to the kernel untouched", odd->family,
				  odds[i / 2].says, it_goes_to_the_kernel, odd);
	}
	for (size_t i = 0; i < 2 * COUNT(forwards); i++) {
		struct forwarded_case *forwarded = &suite->forwarded_cases[i];

		*forwarded = (struct forwarded_case){ &forwards[i / 2], families[i % 2] };
		if (forwards[i / 2].families & (i % 2 ? IP6 : IP4))
			suite_add(suite, "%s: %s leaves as the kernel would send it",
				  forwarded->family, forwards[i / 2].says,
				  it_leaves_as_the_kernel_would_send_it, forwarded);
	}
}

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(a_udp_checksum_that_comes_out_as_0_is_sent_as_ffff),
		cmocka_unit_test(a_thousand_random_translations_leave_all_checksums_right),
		cmocka_unit_test(a_frame_in_several_buffers_is_forwarded_where_the_kernel_can),
		cmocka_unit_test(a_large_frame_of_another_protocol_is_counted_whole),
		cmocka_unit_test(a_small_packet_in_a_large_frame_is_counted_whole),
	};
	static struct suite suite;
	int r = testrun_network();

	if (r) {
		printf("Bail out! no network of its own: %s\n", strerror(-r));
		return 1;
	}
	suite_fill(&suite);
	memcpy(&suite.tests[suite.n], others, sizeof(others));
	suite.n += COUNT(others);
	return _cmocka_run_group_tests("efw", suite.tests, suite.n, group_setup, group_teardown);
}
