// SPDX-License-Identifier: BSD-2-Clause
// Policy and path against the running kernel and the real tools, each test in a network namespace
// of its own.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "efw/hostpath.h"
#include "efw/policy.h"

#define ANNOUNCED_MS 100
#define TCX_INGRESS 46 /* enum bpf_attach_type of Linux 6.6 */

/* ---- The stage. ---- */

static bool run(const char *command)
{
	__cleanup_free char *quiet = NULL;

	if (asprintf(&quiet, "PATH=$PATH:/usr/sbin:/sbin; { %s\n} >/dev/null 2>&1", command) < 0)
		fail();
	return system(quiet) == 0;
}

static void must(const char *command)
{
	if (!run(command))
		fail_msg("failed: %s", command);
}

/* Rules as iptables-save writes them, of the table filter, restored by `tool`. */
static void restore(const char *tool, const char *rules)
{
	__cleanup_free char *command = NULL;

	if (asprintf(&command,
		     "%s <<'END'\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n"
		     ":OUTPUT ACCEPT [0:0]\n%sCOMMIT\nEND",
		     tool, rules) < 0)
		fail();
	must(command);
}

static int stage_open(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNET);
}

static void need(const char *tools)
{
	__cleanup_free char *command = NULL;

	if (asprintf(&command, "for t in %s; do command -v $t || exit 1; done", tools) < 0)
		fail();
	if (run(command))
		return;
	print_message("one of these is not installed: %s\n", tools);
	skip();
}

static void cleanup_policy(struct policy **policy)
{
	policy_close(*policy);
}
#define __cleanup_policy __attribute__((cleanup(cleanup_policy)))

static struct policy *policy_here(void)
{
	struct policy *policy = NULL;

	assert_int_equal(policy_open(&policy), 0);
	return policy;
}

static uint64_t policy_look(struct policy *policy, struct findings *findings)
{
	uint64_t hash = 0;

	memset(findings, 0, sizeof(*findings));
	assert_int_equal(policy_read(policy, findings, &hash), 0);
	return hash;
}

static bool is_readable(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, ANNOUNCED_MS) == 1;
}

/* True when a change was announced, which is then forgotten. */
static bool announced(struct policy *policy)
{
	bool readable = is_readable(policy_event_fd(policy)), changed;

	assert_int_equal(policy_receive(policy, &changed), 0);
	assert_int_equal(changed, readable);
	assert_int_equal(policy_receive(policy, &changed), 0);
	assert_false(changed);
	return readable;
}

static bool polled(struct policy *policy)
{
	bool changed;

	assert_int_equal(policy_poll(policy, &changed), 0);
	return changed;
}

/* ---- Reading. ---- */

#define EST "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
#define LENGTH "-A FORWARD -p tcp -m length --length 0:99 -j DROP\n"
#define LIMIT "-A FORWARD -p udp -m limit --limit 5/sec -j LOG --log-prefix \"a \\\"b\\\" \"\n"

static void without_rules_all_is_offloaded(void **state)
{
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;

	(void)state;
	policy_look(policy, &found);
	assert_int_equal(found.count, 0);
	assert_int_equal(found.touches, 0);
}

static void reading_creates_nothing(void **state)
{
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;

	(void)state;
	need("nft");
	policy_look(policy, &found);
	assert_false(polled(policy));
	assert_false(announced(policy));
	must("test -z \"$(cat /proc/net/ip_tables_names /proc/net/ip6_tables_names)\"");
	must("test -z \"$(nft list tables)\"");
}

/* The same rules by each tool; the order decides. */
static void rules_of_iptables_are_judged(void **state)
{
	static const struct {
		const char *tool, *where;
		uint8_t tcp, udp;
	} rows[] = {
		{ "iptables-legacy", "iptables-legacy filter FORWARD: ", FINDING_TCP4,
		  FINDING_UDP4 },
		{ "ip6tables-legacy", "ip6tables-legacy filter FORWARD: ", FINDING_TCP6,
		  FINDING_UDP6 },
		{ "iptables-nft", "iptables-nft filter FORWARD: ", FINDING_TCP4, FINDING_UDP4 },
		{ "ip6tables-nft", "ip6tables-nft filter FORWARD: ", FINDING_TCP6, FINDING_UDP6 },
	};

	(void)state;
	need("iptables-legacy iptables-nft");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		__cleanup_policy struct policy *policy = NULL;
		struct findings found;
		char tool[32], where[128];

		assert_int_equal(unshare(CLONE_NEWNET), 0);
		policy = policy_here();
		snprintf(tool, sizeof(tool), "%s-restore", rows[i].tool);
		restore(tool, EST LENGTH LIMIT);
		policy_look(policy, &found);
		assert_int_equal(found.touches, 0);
		restore(tool, LENGTH EST LIMIT);
		policy_look(policy, &found);
		assert_int_equal(found.touches, rows[i].tcp);
		assert_int_equal(found.count, 1);
		snprintf(where, sizeof(where), "%s-p tcp -m length --length 0:99 -j DROP",
			 rows[i].where);
		assert_string_equal(found.list[0].where, where);
		restore(tool, LIMIT LENGTH EST);
		policy_look(policy, &found);
		assert_int_equal(found.count, 2);
		assert_int_equal(found.touches, rows[i].tcp | rows[i].udp);
	}
}

static void rules_of_nft_are_judged(void **state)
{
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;

	(void)state;
	need("nft");
	must("nft -f - <<'END'\n"
	     "table inet t {\n"
	     " set timed { type ipv4_addr; flags timeout; }\n"
	     " set plain { type ipv4_addr; elements = { 10.0.0.1 }; }\n"
	     " chain f { type filter hook forward priority 0; policy drop;\n"
	     "  ip saddr @plain drop\n"
	     "  ct state vmap { established : accept, related : accept, invalid : drop }\n"
	     "  limit rate 5/second log\n"
	     " }\n"
	     "}\nEND");
	policy_look(policy, &found);
	assert_int_equal(found.count, 0);
	must("nft insert rule inet t f ip saddr @timed drop");
	policy_look(policy, &found);
	assert_int_equal(found.touches, FINDING_IP4);
	assert_int_equal(found.count, 1);
	assert_string_equal(found.list[0].why, "decides by a set that changes by itself");
	must("nft insert rule inet t f ip6 dscp cs1 drop");
	policy_look(policy, &found);
	assert_int_equal(found.touches, FINDING_ALL);
}

static void a_rule_by_nft_in_a_table_of_iptables_is_not_trusted(void **state)
{
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;

	(void)state;
	need("nft iptables-nft");
	restore("iptables-nft-restore", EST LENGTH);
	policy_look(policy, &found);
	assert_int_equal(found.touches, 0);
	must("nft insert rule ip filter FORWARD ip dscp cs1 counter");
	policy_look(policy, &found);
	assert_int_equal(found.touches, FINDING_IP4);
}

/* ---- Changes. ---- */

static void changes_of_nftables_are_announced(void **state)
{
	static const char *const changes[] = {
		"nft add table inet t",
		"nft add chain inet t f '{ type filter hook forward priority 0; }'",
		"nft add set inet t s '{ type ipv4_addr; }'",
		"nft add rule inet t f ip saddr @s drop",
		"nft add element inet t s '{ 10.0.0.1 }'",
		"iptables-nft -A FORWARD -j DROP",
		"ip6tables-nft -P FORWARD DROP",
		"nft flush ruleset",
	};
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;
	uint64_t before, after;

	(void)state;
	need("nft iptables-nft");
	before = policy_look(policy, &found);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		must(changes[i]);
		if (!announced(policy))
			fail_msg("not announced: %s", changes[i]);
		after = policy_look(policy, &found);
		if (after == before)
			fail_msg("the same hash: %s", changes[i]);
		assert_false(announced(policy)); /* by reading */
		assert_true(policy_look(policy, &found) == after);
		before = after;
	}
}

static void changes_of_legacy_rules_are_polled(void **state)
{
	static const char *const changes[] = {
		"iptables-legacy -A FORWARD -s 10.0.0.1 -j DROP",
		"iptables-legacy -R FORWARD 1 -s 10.0.0.2 -j DROP",
		"iptables-legacy -P FORWARD DROP",
		"ip6tables-legacy -A FORWARD -p tcp --dport 80 -j DROP",
		"ip6tables-legacy -R FORWARD 1 -p tcp --dport 81 -j DROP",
		"iptables-legacy -t mangle -N x",
		"iptables-legacy -F",
	};
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;
	uint64_t before, after;

	(void)state;
	need("iptables-legacy");
	before = policy_look(policy, &found);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		assert_false(polled(policy));
		must(changes[i]);
		for (int tries = 0; tries < 2; tries++) /* it stays so until the rules are read */
			if (!polled(policy))
				fail_msg("not noticed: %s", changes[i]);
		after = policy_look(policy, &found);
		if (after == before)
			fail_msg("the same hash: %s", changes[i]);
		before = after;
	}
}

static void counters_are_no_change(void **state)
{
	__cleanup_policy struct policy *policy = policy_here();
	struct findings found;
	uint64_t before;

	(void)state;
	need("iptables-legacy ping");
	must("ip link set lo up");
	must("iptables-legacy -A INPUT -s 127.0.0.1 -j ACCEPT; iptables-nft -A INPUT -m length "
	     "--length 1:9 -j ACCEPT; iptables-nft -A INPUT -p icmp -j ACCEPT");
	assert_true(announced(policy));
	before = policy_look(policy, &found);
	must("ping -c 3 -i 0.01 127.0.0.1");
	must("iptables-legacy-save -c | grep -F '[6:'; iptables-nft-save -c | grep -F '[6:'");
	assert_false(polled(policy));
	assert_false(announced(policy));
	assert_true(policy_look(policy, &found) == before);
}

static void a_poll_of_a_thousand_rules_is_cheap(void **state)
{
	struct timespec begin, end;
	uint64_t first, again;
	double took_ms, least_ms = 1e9;

	(void)state;
	need("iptables-legacy");
	must("{ echo '*filter'; for i in $(seq 1000); do echo \"-A FORWARD -p tcp --dport $i -j "
	     "DROP\"; "
	     "done; echo COMMIT; } | iptables-legacy-restore");
	assert_int_equal(policy_legacy_fingerprint(&first), 0);
	for (int i = 0; i < 20; i++) {
		clock_gettime(CLOCK_MONOTONIC, &begin);
		assert_int_equal(policy_legacy_fingerprint(&again), 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		assert_true(first == again);
		took_ms = (end.tv_sec - begin.tv_sec) * 1e3 + (end.tv_nsec - begin.tv_nsec) / 1e6;
		least_ms = took_ms < least_ms ? took_ms : least_ms;
	}
	assert_true(least_ms < 10);
}

/* ---- The path. ---- */

/* Two ports of a router: p0, p1. */
static void ports_make(unsigned ports[2])
{
	if (!run("ip -V | grep iproute2 && command -v tc")) { /* busybox knows too little */
		print_message("iproute2 is not installed\n");
		skip();
	}
	must("ip link add p0 type veth peer name q0 && ip link add p1 type veth peer name q1 && "
	     "for i in p0 q0 p1 q1; do ip link set $i up; done && "
	     "echo 1 >/proc/sys/net/ipv4/ip_forward && "
	     "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
	ports[0] = if_nametoindex("p0");
	ports[1] = if_nametoindex("p1");
}

/* A tc program that lets everything pass. */
static int program_load(const char *name)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "Dual BSD/GPL", pass,
			       sizeof(pass) / sizeof(*pass), NULL);

	assert_true(fd >= 0);
	return fd;
}

static void filter_add(unsigned port, enum bpf_tc_attach_point point, const char *name)
{
	__cleanup_fd int fd = program_load(name);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = port, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = fd);

	assert_int_equal(bpf_tc_attach(&hook, &options), 0);
}

static struct findings path_look(const unsigned ports[2])
{
	struct findings found = {};

	assert_int_equal(hostpath_check(ports, 2, &found), 0);
	return found;
}

static void a_plain_path_is_offloaded(void **state)
{
	struct findings found;
	unsigned ports[2];

	(void)state;
	ports_make(ports);
	must("tc qdisc add dev p0 root pfifo_fast && tc qdisc add dev p0 clsact && "
	     "tc qdisc add dev p1 clsact");
	filter_add(ports[0], BPF_TC_INGRESS, "evnf_stamp");
	filter_add(ports[1], BPF_TC_EGRESS, "evnf_witness");
	found = path_look(ports);
	if (found.count)
		fail_msg("%s: %s", found.list[0].where, found.list[0].why);
}

static void filters_of_others_are_found(void **state)
{
	static const enum bpf_tc_attach_point points[] = { BPF_TC_INGRESS, BPF_TC_EGRESS };

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		struct findings found;
		unsigned ports[2];

		assert_int_equal(unshare(CLONE_NEWNET), 0);
		ports_make(ports);
		must("tc qdisc add dev p1 clsact");
		filter_add(ports[1], points[i], "evnf_stamp");
		filter_add(ports[1], points[i], "shaper");
		found = path_look(ports);
		assert_int_equal(found.touches, FINDING_ALL);
		assert_string_equal(found.list[0].where, "port p1");
		assert_string_equal(found.list[0].why, "has a tc filter of kind bpf");
	}
}

static void tcx_programs_of_others_are_found(void **state)
{
	__cleanup_fd int ours = program_load("evnf_stamp"), theirs = program_load("shaper");
	struct findings found;
	unsigned ports[2];

	(void)state;
	ports_make(ports);
	if (bpf_prog_attach(ours, ports[0], TCX_INGRESS, 0)) {
		print_message("this kernel has no TCX\n");
		skip();
	}
	found = path_look(ports);
	assert_int_equal(found.count, 0);
	assert_int_equal(bpf_prog_attach(theirs, ports[1], TCX_INGRESS, 0), 0);
	found = path_look(ports);
	assert_int_equal(found.touches, FINDING_ALL);
	assert_string_equal(found.list[0].where, "port p1");
}

struct path_case {
	const char *command;
	uint8_t touches;
	const char *where, *why; /* of the first finding */
};

/* The command's effect is announced, and found afterwards. False: the kernel lacks what it needs.
 */
static bool path_case_holds(const struct path_case *row)
{
	struct hostpath *hostpath = NULL;
	struct findings found;
	unsigned ports[2];
	bool changed, done;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ports_make(ports);
	assert_int_equal(path_look(ports).count, 0);
	assert_int_equal(hostpath_open(&hostpath), 0);
	done = run(row->command);
	if (done && !is_readable(hostpath_event_fd(hostpath)))
		fail_msg("not announced: %s", row->command);
	assert_int_equal(hostpath_receive(hostpath, &changed), 0);
	assert_true(changed || !done);
	for (int i = 0; i < 20 && is_readable(hostpath_event_fd(hostpath)); i++) /* links settle */
		assert_int_equal(hostpath_receive(hostpath, &changed), 0);
	assert_int_equal(hostpath_receive(hostpath, &changed), 0);
	assert_false(changed);
	hostpath_close(hostpath);
	if (!done)
		return false;
	found = path_look(ports);
	if (found.touches != row->touches)
		fail_msg("touches %x: %s", found.touches, row->command);
	assert_string_equal(found.list[0].where, row->where);
	assert_string_equal(found.list[0].why, row->why);
	return true;
}

static void what_may_handle_packets_is_found_and_announced(void **state)
{
	static const struct path_case rows[] = {
		{ "tc qdisc add dev p0 root tbf rate 9mbit burst 9k latency 9ms", FINDING_ALL,
		  "port p0", "shapes or classifies with the qdisc tbf" },
		{ "ip rule add fwmark 1 table 9", FINDING_IP4, "ip rule, priority 32765",
		  "routes by more than the destination" },
		{ "ip rule add priority 32766 from 10.0.0.0/8 table main", FINDING_IP4,
		  "ip rule, priority 32766", "routes by more than the destination" },
		{ "ip -6 rule add iif p0 table 9", FINDING_IP6, "ip -6 rule, priority 32765",
		  "routes by more than the destination" },
		{ "ip xfrm policy add src 10.0.0.0/8 dst 11.0.0.0/8 dir fwd tmpl proto esp mode "
		  "tunnel",
		  FINDING_IP4, "ip xfrm policy", "IPsec may take packets" },
		{ "ip link add b0 type bridge; ip link set p1 master b0", FINDING_ALL, "port p1",
		  "belongs to a bridge, bond or VRF" },
		{ "echo 0 >/proc/sys/net/ipv4/conf/p0/forwarding", FINDING_IP4, "port p0",
		  "does not forward IPv4: its sysctl forwarding is off" },
		{ "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", FINDING_IP6, "host",
		  "does not forward IPv6: net.ipv6.conf.all.forwarding is off" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!path_case_holds(&rows[i]))
			fail_msg("failed: %s", rows[i].command);
}

static void a_queue_that_paces_is_found_and_announced(void **state)
{
	static const struct path_case row = { "tc qdisc add dev p1 root fq maxrate 9mbit",
					      FINDING_ALL, "port p1",
					      "shapes with the maxrate of qdisc fq" };

	(void)state;
	if (path_case_holds(&row))
		return;
	print_message("this kernel has no qdisc fq\n");
	skip();
}

static void a_vrf_is_found_and_announced(void **state)
{
	static const struct path_case row = {
		"ip link add v0 type vrf table 9 && ip link set v0 up && ip link set p0 master v0",
		FINDING_ALL, "ip rule, priority 1000", "routes by more than the destination"
	};

	(void)state;
	if (path_case_holds(&row))
		return;
	print_message("this kernel has no VRF\n");
	skip();
}

static void a_port_that_is_a_bridge_is_found(void **state)
{
	struct findings found;
	unsigned ports[2];

	(void)state;
	ports_make(ports);
	must("ip link add b0 type bridge && ip link set b0 up");
	ports[1] = if_nametoindex("b0");
	found = path_look(ports);
	assert_int_equal(found.touches, FINDING_ALL);
	assert_string_equal(found.list[0].where, "port b0");
}

static void a_port_that_is_gone_is_an_error(void **state)
{
	unsigned ports[2];
	struct findings found = {};

	(void)state;
	ports_make(ports);
	must("ip link del p1");
	assert_int_not_equal(hostpath_check(ports, 2, &found), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_rules_all_is_offloaded, stage_open),
		cmocka_unit_test_setup(reading_creates_nothing, stage_open),
		cmocka_unit_test_setup(rules_of_iptables_are_judged, stage_open),
		cmocka_unit_test_setup(rules_of_nft_are_judged, stage_open),
		cmocka_unit_test_setup(a_rule_by_nft_in_a_table_of_iptables_is_not_trusted,
				       stage_open),
		cmocka_unit_test_setup(changes_of_nftables_are_announced, stage_open),
		cmocka_unit_test_setup(changes_of_legacy_rules_are_polled, stage_open),
		cmocka_unit_test_setup(counters_are_no_change, stage_open),
		cmocka_unit_test_setup(a_poll_of_a_thousand_rules_is_cheap, stage_open),
		cmocka_unit_test_setup(a_plain_path_is_offloaded, stage_open),
		cmocka_unit_test_setup(filters_of_others_are_found, stage_open),
		cmocka_unit_test_setup(tcx_programs_of_others_are_found, stage_open),
		cmocka_unit_test_setup(what_may_handle_packets_is_found_and_announced, stage_open),
		cmocka_unit_test_setup(a_queue_that_paces_is_found_and_announced, stage_open),
		cmocka_unit_test_setup(a_vrf_is_found_and_announced, stage_open),
		cmocka_unit_test_setup(a_port_that_is_a_bridge_is_found, stage_open),
		cmocka_unit_test_setup(a_port_that_is_gone_is_an_error, stage_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
