// SPDX-License-Identifier: BSD-2-Clause
// Conntrack's messages without a kernel: reading, writing, refusals, and the event filter.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "common/util/cleanup.h"
#include "efw/conntrack_message.h"
#include "tests/lib/flows.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))
#define TCP_STATUS (IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED)
#define UDP_STATUS (IPS_CONFIRMED | IPS_SEEN_REPLY)
#define NO_STATE 0xff /* the message has no CTA_PROTOINFO */

/* What a message says beside its tuples. */
enum extra {
	EXTRA_ZONE = 1,
	EXTRA_TUPLE_ZONE = 2,
	EXTRA_HELPER = 4,
	EXTRA_MASTER = 8,
	EXTRA_SEQADJ = 16,
	EXTRA_SYNPROXY = 32,
	EXTRA_EMPTY_SYNPROXY = 64,
};

struct told {
	uint8_t family, proto;
	uint32_t status;
	uint8_t tcp_state;
	unsigned extras;
	uint16_t type; /* IPCTNL_MSG_CT_* */
	uint32_t portid;
};

union message {
	struct nlmsghdr header;
	uint8_t bytes[1024];
};

static void tcp_put(struct nlmsghdr *message, uint8_t state)
{
	const struct nf_ct_tcp_flags orig = { .flags = 0x21 }, reply = { .flags = 0x22 };
	struct nlattr *info = mnl_attr_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, state);
	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(orig), &orig);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(reply), &reply);
	mnl_attr_nest_end(message, tcp);
	mnl_attr_nest_end(message, info);
}

static void nest_put(struct nlmsghdr *message, uint16_t type, uint16_t inner, uint32_t value)
{
	struct nlattr *nest = mnl_attr_nest_start(message, type);

	mnl_attr_put_u32(message, inner, htonl(value));
	mnl_attr_nest_end(message, nest);
}

static void extras_put(struct nlmsghdr *message, unsigned extras, const struct ct_tuple *master)
{
	if (extras & EXTRA_ZONE)
		mnl_attr_put_u16(message, CTA_ZONE, htons(7));
	if (extras & EXTRA_HELPER)
		nest_put(message, CTA_HELP, CTA_HELP_NAME, 0x66747000);
	if (extras & EXTRA_MASTER)
		flow_tuple_put(message, CTA_TUPLE_MASTER, master, 0);
	if (extras & EXTRA_SEQADJ)
		nest_put(message, CTA_SEQ_ADJ_REPLY, CTA_SEQADJ_OFFSET_AFTER, 0);
	if (extras & EXTRA_SYNPROXY)
		nest_put(message, CTA_SYNPROXY, CTA_SYNPROXY_ISN, 0x1234);
	if (extras & EXTRA_EMPTY_SYNPROXY)
		nest_put(message, CTA_SYNPROXY, CTA_SYNPROXY_ISN, 0);
}

/* Writes what the kernel would tell of flow_nth(77). */
static const struct ct_flow *message_write(union message *out, const struct told *told)
{
	static struct ct_flow flow;
	struct nlmsghdr *message;
	struct nfgenmsg *generic;

	flow = flow_nth(told->family, told->proto, 77);
	memset(out, 0xee, sizeof(*out));
	message = mnl_nlmsg_put_header(out->bytes);
	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | told->type;
	message->nlmsg_pid = told->portid;
	generic = mnl_nlmsg_put_extra_header(message, sizeof(*generic));
	generic->nfgen_family = told->family;
	flow_tuple_put(message, CTA_TUPLE_ORIG, &flow.orig,
		       told->extras & EXTRA_TUPLE_ZONE ? 9 : 0);
	flow_tuple_put(message, CTA_TUPLE_REPLY, &flow.reply, 0);
	mnl_attr_put_u32(message, CTA_ID, htonl(0xfeedf00d));
	mnl_attr_put_u32(message, CTA_STATUS, htonl(told->status));
	mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(431999));
	if (told->tcp_state != NO_STATE)
		tcp_put(message, told->tcp_state);
	extras_put(message, told->extras, &flow.orig);
	mnl_attr_put_u32(message, CTA_MARK, htonl(0x80000001));
	return &flow;
}

static void a_message_is_read_whole_for_both_families_and_protocols(void **state)
{
	static const struct told cases[] = {
		{ AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 0, 0, 0 },
		{ AF_INET, IPPROTO_UDP, UDP_STATUS, NO_STATE, 0, 0, 0 },
		{ AF_INET6, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_FIN_WAIT, 0, 0, 0 },
		{ AF_INET6, IPPROTO_UDP, UDP_STATUS, NO_STATE, 0, 0, 0 },
	};
	union message message;
	struct ct_flow read;

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		const struct ct_flow *flow = message_write(&message, &cases[i]);
		const bool tcp = cases[i].proto == IPPROTO_TCP;

		assert_true(ct_flow_read(&message.header, &read));
		assert_memory_equal(&read.orig, &flow->orig, sizeof(read.orig));
		assert_memory_equal(&read.reply, &flow->reply, sizeof(read.reply));
		assert_int_equal(read.id, 0xfeedf00d);
		assert_int_equal(read.status, cases[i].status);
		assert_true(read.has_timeout);
		assert_int_equal(read.timeout_s, 431999);
		assert_int_equal(read.mark, 0x80000001);
		assert_int_equal(read.has_tcp_state, tcp);
		assert_int_equal(read.tcp_state, tcp ? cases[i].tcp_state : 0);
		assert_int_equal(read.tcp_flags_orig, tcp ? 0x21 : 0);
		assert_int_equal(read.tcp_flags_reply, tcp ? 0x22 : 0);
		assert_int_equal(read.zone, 0);
	}
}

static void each_refusal_has_its_words(void **state)
{
	static const struct {
		const char *says;
		uint8_t proto;
		uint32_t status;
		uint8_t tcp_state;
		unsigned extras;
		const char *refusal;
	} cases[] = {
		{ "TCP established and assured", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED,
		  0, NULL },
		{ "the same with NAT", IPPROTO_TCP,
		  TCP_STATUS | IPS_SRC_NAT | IPS_DST_NAT | IPS_NAT_DONE_MASK,
		  TCP_CONNTRACK_ESTABLISHED, 0, NULL },
		{ "UDP with a reply", IPPROTO_UDP, UDP_STATUS, NO_STATE, 0, NULL },
		{ "UDP assured", IPPROTO_UDP, UDP_STATUS | IPS_ASSURED, NO_STATE, 0, NULL },
		{ "made by ctnetlink", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED,
		  EXTRA_EMPTY_SYNPROXY, NULL },
		{ "TCP not assured", IPPROTO_TCP, TCP_STATUS & ~IPS_ASSURED,
		  TCP_CONNTRACK_ESTABLISHED, 0, "TCP not assured" },
		{ "TCP, no reply", IPPROTO_TCP, IPS_CONFIRMED, TCP_CONNTRACK_SYN_SENT, 0,
		  "no reply seen" },
		{ "TCP half open", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_SYN_RECV, 0,
		  "TCP not established" },
		{ "TCP closing", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_FIN_WAIT, 0,
		  "TCP not established" },
		{ "TCP closed by RST", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_CLOSE, 0,
		  "TCP not established" },
		{ "TCP without its state", IPPROTO_TCP, TCP_STATUS, NO_STATE, 0,
		  "TCP state not told" },
		{ "UDP, no reply", IPPROTO_UDP, IPS_CONFIRMED, NO_STATE, 0, "no reply seen" },
		{ "not confirmed", IPPROTO_UDP, IPS_SEEN_REPLY, NO_STATE, 0, "not confirmed" },
		{ "dying", IPPROTO_UDP, UDP_STATUS | IPS_DYING, NO_STATE, 0, "dying" },
		{ "template", IPPROTO_UDP, UDP_STATUS | IPS_TEMPLATE, NO_STATE, 0, "template" },
		{ "untracked", IPPROTO_UDP, UDP_STATUS | IPS_UNTRACKED, NO_STATE, 0,
		  "untracked, or of a NAT clash" },
		{ "expected", IPPROTO_UDP, UDP_STATUS | IPS_EXPECTED, NO_STATE, 0,
		  "expected by another connection" },
		{ "helper by rule", IPPROTO_UDP, UDP_STATUS | IPS_HELPER, NO_STATE, 0, "helper" },
		{ "seq adjusted", IPPROTO_UDP, UDP_STATUS | IPS_SEQ_ADJUST, NO_STATE, 0,
		  "sequence adjustment" },
		{ "fixed timeout", IPPROTO_UDP, UDP_STATUS | IPS_FIXED_TIMEOUT, NO_STATE, 0,
		  "fixed timeout" },
		{ "flowtable", IPPROTO_UDP, UDP_STATUS | IPS_OFFLOAD, NO_STATE, 0,
		  "in a flowtable of the kernel" },
		{ "hardware", IPPROTO_UDP, UDP_STATUS | IPS_HW_OFFLOAD, NO_STATE, 0,
		  "in a flowtable of the kernel" },
		{ "zone", IPPROTO_UDP, UDP_STATUS, NO_STATE, EXTRA_ZONE, "conntrack zone" },
		{ "zone of one direction", IPPROTO_UDP, UDP_STATUS, NO_STATE, EXTRA_TUPLE_ZONE,
		  "conntrack zone" },
		{ "helper attribute", IPPROTO_UDP, UDP_STATUS, NO_STATE, EXTRA_HELPER, "helper" },
		{ "master attribute", IPPROTO_UDP, UDP_STATUS, NO_STATE, EXTRA_MASTER,
		  "expected by another connection" },
		{ "seqadj attribute", IPPROTO_UDP, UDP_STATUS, NO_STATE, EXTRA_SEQADJ,
		  "sequence adjustment" },
		{ "synproxy", IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, EXTRA_SYNPROXY,
		  "synproxy" },
	};
	union message message;
	struct ct_flow read;

	(void)state;
	for (size_t i = 0; i < ROWS(cases); i++) {
		const struct told told = { .family = AF_INET,
					   .proto = cases[i].proto,
					   .status = cases[i].status,
					   .tcp_state = cases[i].tcp_state,
					   .extras = cases[i].extras };
		const char *refusal;

		(void)message_write(&message, &told);
		assert_true(ct_flow_read(&message.header, &read));
		refusal = ct_refusal(&read);
		if ((refusal == NULL) != (cases[i].refusal == NULL) ||
		    (refusal && strcmp(refusal, cases[i].refusal) != 0))
			fail_msg("%s: %s", cases[i].says, refusal ? refusal : "allowed");
	}
}

static void messages_not_of_tcp_or_udp_or_not_of_a_connection_are_left_out(void **state)
{
	static const uint8_t others[] = { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_GRE, 0 };
	struct told told = { AF_INET, IPPROTO_TCP, TCP_STATUS, NO_STATE, 0, 0, 0 };
	struct nfgenmsg *generic;
	union message message;
	struct ct_flow read;

	(void)state;
	for (size_t i = 0; i < ROWS(others); i++) {
		told.proto = others[i];
		(void)message_write(&message, &told);
		assert_false(ct_flow_read(&message.header, &read));
	}
	told.proto = IPPROTO_TCP;
	(void)message_write(&message, &told);
	assert_true(ct_flow_read(&message.header, &read));
	message.header.nlmsg_type = NFNL_SUBSYS_CTNETLINK_EXP << 8;
	assert_false(ct_flow_read(&message.header, &read));
	(void)message_write(&message, &told);
	generic = mnl_nlmsg_get_payload(&message.header);
	generic->nfgen_family = AF_BRIDGE;
	assert_false(ct_flow_read(&message.header, &read));
	generic->nfgen_family = AF_INET6; /* and the addresses are IPv4 */
	assert_false(ct_flow_read(&message.header, &read));
}

/* A copy of the message in memory of just its length, so that a sanitizer sees a read beyond. */
static bool read_exactly(const union message *message, uint32_t length)
{
	__cleanup_free struct nlmsghdr *copy = malloc(length);
	struct ct_flow read;

	assert_non_null(copy);
	memcpy(copy, message->bytes, length);
	copy->nlmsg_len = length;
	return ct_flow_read(copy, &read);
}

static void a_message_cut_anywhere_is_never_read_beyond_its_end(void **state)
{
	static const struct told told = {
		AF_INET6, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 127, 0, 0
	};
	union message message;
	uint32_t length;
	bool before = false;

	(void)state;
	(void)message_write(&message, &told);
	length = message.header.nlmsg_len;
	assert_true(read_exactly(&message, length));
	for (uint32_t cut = sizeof(struct nlmsghdr); cut < length; cut++) {
		const bool now = read_exactly(&message, cut);

		assert_true(now || !before); /* whole once both tuples are there */
		before = now;
	}
}

static void an_attribute_shorter_than_its_value_is_not_read_beyond_its_end(void **state)
{
	static const uint16_t paths[][3] = {
		/* nests, and the empty attribute within */
		{ CTA_STATUS },
		{ CTA_ZONE },
		{ CTA_TUPLE_ORIG, CTA_TUPLE_ZONE },
		{ CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_IP_V4_SRC },
		{ CTA_TUPLE_ORIG, CTA_TUPLE_IP, CTA_IP_V4_DST },
		{ CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_NUM },
		{ CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT },
		{ CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE },
		{ CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_FLAGS_REPLY },
		{ CTA_SYNPROXY, CTA_SYNPROXY_ISN },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(paths); i++) {
		union message message = { 0 };
		struct nlattr *nests[3] = { NULL };
		struct nfgenmsg *generic;

		(void)mnl_nlmsg_put_header(message.bytes);
		message.header.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8;
		generic = mnl_nlmsg_put_extra_header(&message.header, sizeof(*generic));
		generic->nfgen_family = AF_INET;
		for (size_t depth = 0; depth < 3 && paths[i][depth]; depth++)
			nests[depth] = mnl_attr_nest_start(&message.header, paths[i][depth]);
		for (size_t depth = 3; depth-- > 0;) {
			if (nests[depth])
				mnl_attr_nest_end(&message.header, nests[depth]);
		}
		assert_false(read_exactly(&message, message.header.nlmsg_len));
	}
}

static void every_wrong_byte_in_a_message_is_survived(void **state)
{
	static const struct told told = {
		AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 127, 0, 0
	};
	static const uint8_t wrong[] = { 0, 1, 3, 5, 0x7f, 0x80, 0xff };
	union message message;

	(void)state;
	(void)message_write(&message, &told);
	for (uint32_t at = sizeof(struct nlmsghdr); at < message.header.nlmsg_len; at++) {
		const uint8_t right = message.bytes[at];

		for (size_t i = 0; i < ROWS(wrong); i++) {
			message.bytes[at] = wrong[i];
			(void)read_exactly(&message, message.header.nlmsg_len);
		}
		message.bytes[at] = right;
	}
}

static void a_refresh_names_the_flow_its_timeout_and_the_flags_but_no_state(void **state)
{
	const struct ct_refresh refresh = { .orig = flow_nth(AF_INET6, IPPROTO_TCP, 5).orig,
					    .timeout_s = 432000 };
	union message message = { 0 };
	struct ct_flow read;
	const size_t length = ct_refresh_write(message.bytes, &refresh, 42);

	(void)state;
	assert_int_equal(length, message.header.nlmsg_len);
	assert_true(length <= CT_MESSAGE_MAX && length % 4 == 0);
	assert_int_equal(message.header.nlmsg_seq, 42);
	assert_int_equal(message.header.nlmsg_flags, NLM_F_REQUEST); /* neither CREATE nor ACK */
	flow_tuple_put(&message.header, CTA_TUPLE_REPLY, &refresh.orig, 0); /* for the reader */
	assert_true(ct_flow_read(&message.header, &read));
	assert_memory_equal(&read.orig, &refresh.orig, sizeof(read.orig));
	assert_int_equal(read.timeout_s, 432000);
	assert_false(read.has_tcp_state);
	assert_int_equal(read.status, 0);
	assert_int_equal(read.tcp_flags_orig, IP_CT_TCP_FLAG_BE_LIBERAL);
	assert_int_equal(read.tcp_flags_reply, IP_CT_TCP_FLAG_BE_LIBERAL);
}

/* ---- The filter, on a socket of another family: it sees bytes all the same. ---- */

static bool passes(const int fds[2], const union message *message)
{
	uint8_t bytes[sizeof(*message)];
	const ssize_t sent = send(fds[0], message->bytes, message->header.nlmsg_len, 0);

	assert_true(sent > 0); /* also when the filter dropped it */
	return recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0;
}

static void the_filter_lets_through_what_may_concern_an_offloaded_flow(void **state)
{
	enum { OURS = 0x01020304, THEIRS = 0x04030201 };
	enum { UPDATE = IPCTNL_MSG_CT_NEW, DESTROY = IPCTNL_MSG_CT_DELETE };
	static const struct {
		const char *says;
		struct told told;
		bool passes;
	} cases[] = {
		{ "TCP established",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 0, UPDATE, 0 },
		  true },
		{ "TCP6 established",
		  { AF_INET6, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 0, UPDATE, 0 },
		  true },
		{ "by another program",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 0, UPDATE,
		    THEIRS },
		  true },
		{ "by ourselves",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_ESTABLISHED, 0, UPDATE, OURS },
		  false },
		{ "TCP, state not told",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, NO_STATE, 0, UPDATE, 0 },
		  true },
		{ "TCP SYN seen",
		  { AF_INET, IPPROTO_TCP, IPS_CONFIRMED, TCP_CONNTRACK_SYN_SENT, 0, UPDATE, 0 },
		  false },
		{ "TCP SYN timed out",
		  { AF_INET, IPPROTO_TCP, IPS_CONFIRMED, TCP_CONNTRACK_SYN_SENT, 0, DESTROY, 0 },
		  false },
		{ "TCP SYN/ACK seen",
		  { AF_INET, IPPROTO_TCP, UDP_STATUS, TCP_CONNTRACK_SYN_RECV, 0, UPDATE, 0 },
		  false },
		{ "TCP first FIN",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_FIN_WAIT, 0, UPDATE, 0 },
		  true },
		{ "TCP first FIN acknowledged",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_CLOSE_WAIT, 0, UPDATE, 0 },
		  false },
		{ "TCP second FIN",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_LAST_ACK, 0, UPDATE, 0 },
		  false },
		{ "TCP time wait",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_TIME_WAIT, 0, UPDATE, 0 },
		  false },
		{ "TCP RST",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_CLOSE, 0, UPDATE, 0 },
		  true },
		{ "TCP simultaneous open",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_SYN_SENT2, 0, UPDATE, 0 },
		  true },
		{ "TCP end after time wait",
		  { AF_INET, IPPROTO_TCP, TCP_STATUS, TCP_CONNTRACK_TIME_WAIT, 0, DESTROY, 0 },
		  true },
		{ "UDP6 replied",
		  { AF_INET6, IPPROTO_UDP, UDP_STATUS, NO_STATE, 0, UPDATE, 0 },
		  true },
		{ "UDP end",
		  { AF_INET, IPPROTO_UDP, UDP_STATUS | IPS_DYING, NO_STATE, 0, DESTROY, 0 },
		  true },
		{ "UDP unreplied end",
		  { AF_INET, IPPROTO_UDP, IPS_CONFIRMED, NO_STATE, 0, DESTROY, 0 },
		  false },
		{ "ICMP replied",
		  { AF_INET, IPPROTO_ICMP, UDP_STATUS, NO_STATE, 0, DESTROY, 0 },
		  false },
	};
	union message message;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(ct_filter_attach(fds[1], OURS), 0);
	for (size_t i = 0; i < ROWS(cases); i++) {
		(void)message_write(&message, &cases[i].told);
		if (passes(fds, &message) != cases[i].passes)
			fail_msg("%s: %s", cases[i].says, cases[i].passes ? "lost" : "let through");
	}
	close(fds[0]);
	close(fds[1]);
}

static void the_filter_lets_through_what_it_does_not_understand(void **state)
{
	static const struct told told = { AF_INET, IPPROTO_UDP, UDP_STATUS, NO_STATE, 0, 0, 0 };
	union message message;
	struct nlattr *attr;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(ct_filter_attach(fds[1], 1), 0);
	(void)message_write(&message, &told);
	mnl_attr_for_each(attr, &message.header, sizeof(struct nfgenmsg)) {
		const uint16_t right = attr->nla_type;

		attr->nla_type = 100;
		assert_true(passes(fds, &message));
		attr->nla_type = right;
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_read_whole_for_both_families_and_protocols),
		cmocka_unit_test(each_refusal_has_its_words),
		cmocka_unit_test(messages_not_of_tcp_or_udp_or_not_of_a_connection_are_left_out),
		cmocka_unit_test(a_message_cut_anywhere_is_never_read_beyond_its_end),
		cmocka_unit_test(an_attribute_shorter_than_its_value_is_not_read_beyond_its_end),
		cmocka_unit_test(every_wrong_byte_in_a_message_is_survived),
		cmocka_unit_test(a_refresh_names_the_flow_its_timeout_and_the_flags_but_no_state),
		cmocka_unit_test(the_filter_lets_through_what_may_concern_an_offloaded_flow),
		cmocka_unit_test(the_filter_lets_through_what_it_does_not_understand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
