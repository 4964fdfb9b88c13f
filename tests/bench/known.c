// SPDX-License-Identifier: BSD-2-Clause
// What a packet of a known flow costs: the real entry program against the floor, in turns.
//
// known [WORD]: only comparisons with the word in their name.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "common/programs.h"
#include "common/state.h"
#include "common/util/cleanup.h"
#include "common/util/json.h"
#include "common/util/log.h"
#include "slowpath/chain.h"
#include "skel/entry.skel.h"
#include "skel/floor.skel.h"
#include "tests/bench/floor.h"
#include "tests/lib/flows.h"

#define FLOWS4 (1u << 20) /* entries in the IPv4 table, every slot of it taken */
#define FLOWS6 (1u << 17)
#define ROUNDS 31
#define REPEAT 200000 /* packets of one program in a round */
#define BATCH 4096
#define HOP 1 /* the slot of the one next hop */

#define SERVER 0xc0000201u     /* 192.0.2.1 */
#define TRANSLATED 0xc6336401u /* 198.51.100.1 */

/* What stands behind the wrapper. */
enum subject { NOTHING, FLOOR, ENTRY, SUBJECTS };

struct bench {
	char pins[PINS_PATH_MAX];
	struct chain chain;
	struct port port;
	struct floor_bpf *wrappers[SUBJECTS];
	const char *wanted; /* rows with this in their name */
	uint64_t runs;      /* of entry */
	struct json json;
};

struct frame4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct frame6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

union frame {
	struct frame4 four;
	struct frame6 six;
	uint64_t words[FLOOR_HEAD6 / 8];
	uint8_t bytes[FLOOR_HEAD6];
};

static volatile sig_atomic_t told_to_stop;

static void on_stop(int signum)
{
	(void)signum;
	told_to_stop = 1;
}

/* ---- frames and flows ---- */

/* One's complement sum of big-endian words as they lie in memory, folded: RFC 1071. */
static uint16_t sum_words(const void *data, size_t bytes, uint32_t sum)
{
	const uint8_t *at = data;

	for (size_t i = 0; i < bytes; i += 2)
		sum += at[i] | at[i + 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of the TCP segment with its pseudo header: ffff when the checksum is right. */
static uint16_t frame4_tcp_sum(const struct frame4 *frame)
{
	const uint32_t pseudo = htons(IPPROTO_TCP) + htons(sizeof(frame->tcp));

	return sum_words(&frame->tcp, sizeof(frame->tcp), sum_words(&frame->ip.saddr, 8, pseudo));
}

/* A packet of flow 0, for the port's own MAC address. */
static void frame4_build(union frame *frame, const struct port *port)
{
	struct frame4 *four = &frame->four;

	memset(frame, 0, sizeof(*frame));
	memcpy(four->eth.h_dest, port->mac, ETH_ALEN);
	four->eth.h_proto = htons(ETH_P_IP);
	four->ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(four->ip) + sizeof(four->tcp)),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
		.saddr = htonl(FLOOR_FIRST_ADDRESS),
		.daddr = htonl(SERVER),
	};
	four->tcp =
		(struct tcphdr){ .source = htons(1024), .dest = htons(443), .doff = 5, .ack = 1 };
	four->ip.check = ~sum_words(&four->ip, sizeof(four->ip), 0);
	four->tcp.check = ~frame4_tcp_sum(four);
}

static void frame6_build(union frame *frame, const struct port *port)
{
	struct frame6 *six = &frame->six;

	memset(frame, 0, sizeof(*frame));
	memcpy(six->eth.h_dest, port->mac, ETH_ALEN);
	six->eth.h_proto = htons(ETH_P_IPV6);
	six->ip.version = 6;
	six->ip.payload_len = htons(sizeof(six->tcp));
	six->ip.nexthdr = IPPROTO_TCP;
	six->ip.hop_limit = 64;
	six->ip.saddr.s6_addr32[0] = six->ip.daddr.s6_addr32[0] = htonl(0x20010db8);
	six->ip.saddr.s6_addr32[3] = htonl(FLOOR_FIRST_ADDRESS);
	six->ip.daddr.s6_addr32[3] = htonl(SERVER);
	six->tcp =
		(struct tcphdr){ .source = htons(1024), .dest = htons(443), .doff = 5, .ack = 1 };
}

static struct flow_head head_make(const struct bench *bench)
{
	return (struct flow_head){
		.generation = bench->chain.state->generation,
		.next_hop = HOP,
		.mtu = 1500,
		.actions = FLOW_ROUTE,
	};
}

/* Flow n as the walk would have installed it. */
static void flow4_make(const struct bench *bench, uint32_t n, struct flow4_key *key,
		       struct flow4 *flow)
{
	*key = (struct flow4_key){
		.src_ip = htonl(FLOOR_FIRST_ADDRESS + n),
		.dst_ip = htonl(SERVER),
		.src_port = htons(1024),
		.dst_port = htons(443),
		.proto = IPPROTO_TCP,
	};
	*flow = (struct flow4){
		.head = head_make(bench),
		.src_ip = key->src_ip,
		.dst_ip = key->dst_ip,
		.src_port = key->src_port,
		.dst_port = key->dst_port,
		.ip_delta = htons(0xfeff), /* one's complement of a TTL less one */
	};
	flow_set_context(key->context, port_context(bench->port.index));
}

/* Makes the flow one that leaves from another address and port. */
static void flow4_translate(const struct flow4_key *key, struct flow4 *flow)
{
	uint16_t was, is;

	flow->head.actions |= FLOW_REWRITE;
	flow->src_ip = htonl(TRANSLATED);
	flow->src_port = htons(50000);
	was = sum_words(&key->src_ip, 4, 0);
	is = sum_words(&flow->src_ip, 4, 0);
	flow->ip_delta = sum_words(&is, 2, flow->ip_delta + (uint16_t)~was);
	was = sum_words(&key->src_port, 2, was);
	is = sum_words(&flow->src_port, 2, is);
	flow->l4_delta = sum_words(&is, 2, (uint16_t)~was);
}

static void flow6_make(const struct bench *bench, uint32_t n, struct flow6_key *key,
		       struct flow6 *flow)
{
	*key = (struct flow6_key){
		.src_ip = { htonl(0x20010db8), 0, 0, htonl(FLOOR_FIRST_ADDRESS + n) },
		.dst_ip = { htonl(0x20010db8), 0, 0, htonl(SERVER) },
		.src_port = htons(1024),
		.dst_port = htons(443),
		.proto = IPPROTO_TCP,
	};
	*flow = (struct flow6){ .head = head_make(bench),
				.src_port = key->src_port,
				.dst_port = key->dst_port };
	memcpy(flow->src_ip, key->src_ip, 16);
	memcpy(flow->dst_ip, key->dst_ip, 16);
	flow_set_context(key->context, port_context(bench->port.index));
}

/* Puts n flows into a table, BATCH to a system call. */
#define TABLE_FILL(bench, family, n)                                                             \
	({                                                                                       \
		__cleanup_free struct flow##family##_key *keys_ = calloc(BATCH, sizeof(*keys_)); \
		__cleanup_free struct flow##family *flows_ = calloc(BATCH, sizeof(*flows_));     \
		int r_ = keys_ && flows_ ? 0 : -ENOMEM;                                          \
		for (uint32_t at_ = 0; !r_ && at_ < (n); at_ += BATCH) {                         \
			uint32_t count_ = BATCH;                                                 \
			for (uint32_t i_ = 0; i_ < BATCH; i_++)                                  \
				flow##family##_make(bench, at_ + i_, &keys_[i_], &flows_[i_]);   \
			r_ = bpf_map_update_batch((bench)->chain.flows##family, keys_, flows_,   \
						  &count_, NULL);                                \
		}                                                                                \
		r_;                                                                              \
	})

/* ---- runs ---- */

static int wrapper_of(const struct floor_bpf *wrapper, int family)
{
	return bpf_program__fd(family == AF_INET ? wrapper->progs.restore4
						 : wrapper->progs.restore6);
}

/* Puts a subject's program for the family behind its wrapper. */
static int subject_set(struct bench *bench, enum subject subject, int family)
{
	struct floor_bpf *wrapper = bench->wrappers[subject];
	struct entry_bpf *entry = bench->chain.entries[bench->port.index];
	uint32_t slot = 0;
	int program = bpf_program__fd(entry->progs.evnf_entry);

	if (subject == FLOOR)
		program = bpf_program__fd(family == AF_INET ? wrapper->progs.floor4
							    : wrapper->progs.floor6);
	if (subject == NOTHING)
		return 0;
	return bpf_map_update_elem(bpf_map__fd(wrapper->maps.subject), &slot, &program, BPF_ANY)
		       ? -errno
		       : 0;
}

/* Runs a wrapper `repeat` times; `frame`: the last packet as it left. Returns CPU ns per packet or
 * -errno. */
static double wrapper_run(struct bench *bench, enum subject subject, int family, uint32_t repeat,
			  union frame *frame)
{
	const uint32_t verdict = subject == NOTHING ? XDP_ABORTED : XDP_REDIRECT;
	uint8_t in[FLOOR_HEAD6] = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in, .data_size_in = sizeof(in),
		    .data_out = frame, .data_size_out = sizeof(*frame), .repeat = repeat);
	struct timespec before, after;
	int r;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	r = bpf_prog_test_run_opts(wrapper_of(bench->wrappers[subject], family), &options);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	if (told_to_stop)
		return -EINTR;
	if (r || options.retval != verdict)
		return r ? r : -EPROTO;
	bench->runs += subject == ENTRY ? repeat : 0;
	return ((after.tv_sec - before.tv_sec) * 1e9 + after.tv_nsec - before.tv_nsec) / repeat;
}

static int compare(const void *one, const void *other)
{
	const double a = *(const double *)one, b = *(const double *)other;

	return (a > b) - (a < b);
}

/* A row: the median of the rounds, and its quartiles. */
static void row_print(struct bench *bench, const char *name, double *rounds)
{
	const struct {
		const char *key;
		double value;
	} fields[] = { { "value", rounds[ROUNDS / 2] },
		       { "low", rounds[ROUNDS / 4] },
		       { "high", rounds[ROUNDS - 1 - ROUNDS / 4] } };

	json_object_begin(&bench->json);
	json_key(&bench->json, "name");
	json_string(&bench->json, name);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		json_key(&bench->json, fields[i].key);
		json_double(&bench->json, fields[i].value);
	}
	json_object_end(&bench->json);
}

static void rows_print(struct bench *bench, const char *name, double *rounds, const char *suffix)
{
	char full[64];

	qsort(rounds, ROUNDS, sizeof(*rounds), compare);
	snprintf(full, sizeof(full), "%s%s", name, suffix);
	row_print(bench, full, rounds);
}

/* The wrapper shall draw from flows 0 to n - 1; n is a power of two. */
static void flows_draw(struct bench *bench, enum subject subject, uint32_t n)
{
	bench->wrappers[subject]->bss->flows_mask = n - 1;
}

/* What is compared: b's cost over a's in each round, they take turns in going first. */
struct comparison {
	const char *name;
	int family;
	uint32_t flows; /* drawn from: a power of two */
	enum subject a, b;
};

static int compared(struct bench *bench, const struct comparison *c)
{
	double ns[2][ROUNDS], ratio[ROUNDS];
	const enum subject subjects[2] = { c->a, c->b };
	union frame frame;

	if (!strstr(c->name, bench->wanted))
		return 0;

	for (int i = 0; i < 2; i++)
		flows_draw(bench, subjects[i], c->flows);
	for (int round = -1; round < ROUNDS; round++) { /* one to warm up */
		const int at = round < 0 ? 0 : round;

		for (int turn = 0; turn < 2; turn++) {
			const int who = (turn + at) & 1;

			ns[who][at] = wrapper_run(bench, subjects[who], c->family, REPEAT, &frame);
			if (ns[who][at] < 0)
				return (int)ns[who][at];
		}
		ratio[at] = ns[1][at] / ns[0][at];
	}
	for (int i = 0; i < 2; i++)
		flows_draw(bench, subjects[i], 1);
	rows_print(bench, c->name, ratio, "");
	rows_print(bench, c->name, ns[0], ".a_ns");
	rows_print(bench, c->name, ns[1], ".b_ns");
	return 0;
}

/* ---- what is compared is the same work ---- */

static void template_set(struct bench *bench, const union frame *frame)
{
	for (int i = 0; i < SUBJECTS; i++)
		memcpy(bench->wrappers[i]->data->template, frame, sizeof(*frame));
}

/* Both subjects send the same bytes, those of a routed packet. */
static int family_check(struct bench *bench, int family)
{
	union frame floor = {}, entry = {};
	const struct next_hop *hop = &bench->chain.next_hops[HOP];
	double ns = wrapper_run(bench, FLOOR, family, 1, &floor);

	if (ns >= 0)
		ns = wrapper_run(bench, ENTRY, family, 1, &entry);
	if (ns < 0)
		return (int)ns;
	if (memcmp(floor.bytes, entry.bytes, sizeof(floor.bytes)) ||
	    memcmp(entry.bytes, hop->dst_mac, ETH_ALEN) ||
	    memcmp(entry.four.eth.h_source, hop->src_mac, ETH_ALEN))
		return -EBADMSG;
	if (family == AF_INET6)
		return entry.six.ip.hop_limit == 63 ? 0 : -EBADMSG;
	return entry.four.ip.ttl == 63 &&
			       sum_words(&entry.four.ip, sizeof(entry.four.ip), 0) == 0xffff
		       ? 0
		       : -EBADMSG;
}

static int nat_check(struct bench *bench)
{
	union frame frame = {};
	double ns = wrapper_run(bench, ENTRY, AF_INET, 1, &frame);

	if (ns < 0)
		return (int)ns;
	if (frame.four.ip.saddr != htonl(TRANSLATED) || frame.four.tcp.source != htons(50000) ||
	    sum_words(&frame.four.ip, sizeof(frame.four.ip), 0) != 0xffff ||
	    frame4_tcp_sum(&frame.four) != 0xffff)
		return -EBADMSG;
	return 0;
}

/* Every packet of entry was a hit of its flow entry: none walked. */
static int hits_check(const struct bench *bench)
{
	const int cpus = libbpf_num_possible_cpus();
	__cleanup_free struct port_counters *counters = calloc(cpus, sizeof(*counters));
	__cleanup_fd int fd = pins_open(bench->pins, "port_counters");
	uint32_t port = bench->port.index;
	uint64_t hits = 0;

	if (!counters || fd < 0 || bpf_map_lookup_elem(fd, &port, counters))
		return counters ? -errno : -ENOMEM;
	for (int cpu = 0; cpu < cpus; cpu++)
		hits += counters[cpu].packets[REASON_HIT];
	return hits == bench->runs ? 0 : -EBADMSG;
}

/* ---- the whole measurement ---- */

static int wrappers_load(struct bench *bench)
{
	for (int i = 0; i < SUBJECTS; i++) {
		struct floor_bpf *wrapper = floor_bpf__open();
		int r = wrapper ? chain_prepare(&bench->chain, wrapper->obj) : -errno;

		bench->wrappers[i] = wrapper;
		if (r)
			return r;
		wrapper->rodata->context = port_context(bench->port.index);
		r = floor_bpf__load(wrapper);
		if (r)
			return r;
	}
	return 0;
}

static int bench_open(struct bench *bench)
{
	const struct chain_options options = {
		.max_flows4 = FLOWS4 / 2,
		.max_flows6 = FLOWS6 / 2,
		.inserts_per_s = 1000,
		.router = true,
	};
	const struct next_hop hop = {
		.dst_mac = { 2, 0, 0, 0, 2, 2 },
		.src_mac = { 2, 0, 0, 0, 2, 1 },
	};
	char name[24];
	int r;

	snprintf(name, sizeof(name), "bench-%d", getpid());
	if ((r = pins_make(PINS_BPFFS, name, bench->pins)) ||
	    (r = chain_open(&bench->chain, bench->pins, &options)) ||
	    (r = chain_find_port(&bench->chain, "lo", &bench->port)))
		return r;
	r = chain_load_port(&bench->chain, &bench->port);
	if (r < 0)
		return r;
	bench->chain.next_hops[HOP] = hop;
	bench->chain.next_hops[HOP].port = bench->port.index;
	chain_renew(&bench->chain, 3600);
	r = wrappers_load(bench);
	if (!r)
		r = TABLE_FILL(bench, 4, FLOWS4);
	if (!r)
		r = TABLE_FILL(bench, 6, FLOWS6);
	return r;
}

static void bench_close(struct bench *bench)
{
	for (int i = 0; i < SUBJECTS; i++)
		floor_bpf__destroy(bench->wrappers[i]);
	chain_close(&bench->chain);
	if (bench->pins[0])
		pins_remove(bench->pins);
}

static int family_begin(struct bench *bench, int family)
{
	union frame frame;

	if (family == AF_INET)
		frame4_build(&frame, &bench->port);
	else
		frame6_build(&frame, &bench->port);
	template_set(bench, &frame);
	for (int i = 0; i < SUBJECTS; i++) {
		int r = subject_set(bench, i, family);

		if (r)
			return r;
	}
	return family_check(bench, family);
}

static int nat_begin(struct bench *bench)
{
	struct flow4_key key;
	struct flow4 flow;

	flow4_make(bench, 0, &key, &flow);
	flow4_translate(&key, &flow);
	if (bpf_map_update_elem(bench->chain.flows4, &key, &flow, BPF_EXIST))
		return -errno;
	return nat_check(bench);
}

static int bench_run(struct bench *bench)
{
	static const struct comparison plain[] = {
		{ "known.same", AF_INET, 1, FLOOR, FLOOR },
		{ "floor", AF_INET, 1, NOTHING, FLOOR },
		{ "efw.known.v4.hot", AF_INET, 1, FLOOR, ENTRY },
		{ "efw.known.v4.cold", AF_INET, FLOWS4, FLOOR, ENTRY },
	};
	static const struct comparison nat = { "efw.known.nat", AF_INET, 1, FLOOR, ENTRY };
	static const struct comparison six = { "efw.known.v6", AF_INET6, 1, FLOOR, ENTRY };
	int r = family_begin(bench, AF_INET);

	for (size_t i = 0; !r && i < sizeof(plain) / sizeof(plain[0]); i++)
		r = compared(bench, &plain[i]);
	if (!r)
		r = nat_begin(bench);
	if (!r)
		r = compared(bench, &nat);
	if (!r)
		r = family_begin(bench, AF_INET6);
	if (!r)
		r = compared(bench, &six);
	return r ? r : hits_check(bench);
}

static int cpu_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

int main(int argc, char **argv)
{
	const struct sigaction stop = { .sa_handler = on_stop };
	struct bench bench = { .wanted = argc > 1 ? argv[1] : "" };
	int r = flows_namespace_enter();

	if (!r)
		r = cpu_pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (sigaction(SIGINT, &stop, NULL) || sigaction(SIGTERM, &stop, NULL))
		r = -errno;
	if (!r)
		r = bench_open(&bench);
	json_begin(&bench.json, stdout);
	json_array_begin(&bench.json);
	if (!r)
		r = bench_run(&bench);
	bench_close(&bench);
	json_array_end(&bench.json);
	if (!r)
		r = json_end(&bench.json);
	return r ? log_err(r, "known flows"), 1 : 0;
}
