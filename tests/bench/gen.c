// SPDX-License-Identifier: BSD-2-Clause
// gen: sends live XDP frames for a bounded time and reports the CPU time of a packet.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "common/util/addr.h"
#include "common/util/cleanup.h"
#include "common/util/json.h"
#include "common/util/log.h"
#include "tests/bench/gen.h"
#include "skel/gen.skel.h"

#define FRAME_MAX 3498  /* the largest a veth with a plain XDP program takes */
#define SECONDS_MAX 300 /* of a whole run */
#define WINDOWS_MAX 100
#define BATCH 64 /* frames per flush: measured best */
#define NS_PER_S 1000000000LL

struct options {
	const char *netns, *interface, *sink_netns, *sink_interface, *hex;
	struct in6_addr src, dst; /* IPv4: in the last word */
	int family, proto, cpu;
	uint8_t src_mac[6], dst_mac[6];
	uint16_t sport, dport;
	uint32_t seq, ack, tcp_flags, size, flows, ports, windows;
	uint64_t pps;
	double seconds, warmup_s;
	bool random;
};

struct frame {
	uint8_t bytes[FRAME_MAX];
	uint32_t size;
	int family, proto;
};

/* What is known at the border of a window. */
struct sample {
	uint64_t sent, delivered;
	int64_t wall_ns, cpu_ns;
};

struct generator {
	const struct options *options;
	const struct frame *frame;
	struct gen_bpf *program;
	uint32_t ifindex;
	int sink, softirqd; /* open for the whole run */
	pthread_t sender;
	clockid_t sender_clock;
	atomic_bool over, ended; /* set by the watcher; set by the sender */
	uint32_t windows;        /* measured so far, by the watcher */
	struct sample border[WINDOWS_MAX + 1];
};

static volatile sig_atomic_t told_to_stop;

static void on_alarm(int signum)
{
	(void)signum; /* interrupts the system call, no more */
}

static void on_stop(int signum)
{
	(void)signum;
	told_to_stop = 1;
}

/* ---- the frame ---- */

/* One's complement sum of big-endian words, not folded: RFC 1071. */
static uint32_t sum_words(const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += i & 1 ? bytes[i] : bytes[i] << 8;
	return sum;
}

static __be16 sum_close(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void *frame_l4(struct frame *frame)
{
	size_t ip = frame->family == AF_INET6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	return frame->bytes + ETH_HLEN + ip;
}

static __be16 *frame_l4_sum(struct frame *frame)
{
	struct tcphdr *tcp = frame_l4(frame);
	struct udphdr *udp = frame_l4(frame);

	return frame->proto == IPPROTO_UDP ? &udp->check : &tcp->check;
}

/* Sum of the pseudo header and the whole segment, its checksum field taken as zero. */
static uint32_t frame_l4_words(struct frame *frame)
{
	const uint8_t *ip = frame->bytes + ETH_HLEN, *l4 = frame_l4(frame);
	bool six = frame->family == AF_INET6;
	uint32_t length = frame->bytes + frame->size - l4;
	__be16 *check = frame_l4_sum(frame), had = *check;
	uint32_t sum;

	*check = 0;
	sum = sum_words(l4, length) + length + frame->proto;
	sum += six ? sum_words(ip + 8, 32) : sum_words(ip + 12, 8);
	*check = had;
	return sum;
}

static void frame_ip(struct frame *frame, const struct options *o)
{
	uint32_t length = frame->size - ETH_HLEN;
	struct ipv6hdr *ip6 = (void *)(frame->bytes + ETH_HLEN);
	struct iphdr *ip = (void *)ip6;

	if (o->family == AF_INET6) {
		ip6->version = 6;
		ip6->payload_len = htons(length - sizeof(*ip6));
		ip6->nexthdr = o->proto;
		ip6->hop_limit = 64;
		memcpy(&ip6->saddr, &o->src, 16);
		memcpy(&ip6->daddr, &o->dst, 16);
		return;
	}
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = htons(length),
		.ttl = 64,
		.protocol = o->proto,
		.saddr = o->src.s6_addr32[3],
		.daddr = o->dst.s6_addr32[3],
	};
	ip->check = sum_close(sum_words(ip, sizeof(*ip)));
}

/* A TCP or UDP frame of o->size bytes; what follows the headers counts up. */
static void frame_build(struct frame *frame, const struct options *o)
{
	struct ethhdr *eth = (void *)frame->bytes;
	struct tcphdr *tcp;
	struct udphdr *udp;

	*frame = (struct frame){ .size = o->size, .family = o->family, .proto = o->proto };
	for (uint32_t i = GEN_HEAD6; i < frame->size; i++)
		frame->bytes[i] = i;
	memcpy(eth->h_dest, o->dst_mac, ETH_ALEN);
	memcpy(eth->h_source, o->src_mac, ETH_ALEN);
	eth->h_proto = htons(o->family == AF_INET6 ? ETH_P_IPV6 : ETH_P_IP);
	frame_ip(frame, o);
	tcp = frame_l4(frame);
	udp = frame_l4(frame);
	if (o->proto == IPPROTO_UDP) {
		udp->len = htons(frame->bytes + frame->size - (uint8_t *)udp);
	} else {
		tcp->seq = htonl(o->seq);
		tcp->ack_seq = htonl(o->ack);
		tcp->doff = 5;
		((uint8_t *)tcp)[13] = o->tcp_flags;
		tcp->window = htons(65535);
	}
	udp->source = htons(o->sport);
	udp->dest = htons(o->dport);
	*frame_l4_sum(frame) = sum_close(frame_l4_words(frame));
}

/* A frame in hex, padded with zeros to o->size. Returns 0 or -EINVAL. */
static int frame_from_hex(struct frame *frame, const struct options *o)
{
	struct frame out = { .size = o->size };
	size_t digits = strlen(o->hex);

	if (digits % 2 || digits / 2 > o->size ||
	    strspn(o->hex, "0123456789abcdefABCDEF") != digits)
		return -EINVAL;
	for (size_t i = 0; i < digits / 2; i++)
		sscanf(o->hex + 2 * i, "%2hhx", &out.bytes[i]);
	out.family = out.bytes[12] == 0x86 && out.bytes[13] == 0xdd ? AF_INET6 : AF_INET;
	if (out.family == AF_INET6 && out.size < GEN_HEAD6)
		return -EINVAL;
	*frame = out;
	return 0;
}

/* The sums of struct gen_sums: source address's last word and source port taken as zero. */
static struct gen_sums frame_sums(const struct frame *frame)
{
	struct frame copy = *frame;
	bool six = frame->family == AF_INET6;
	struct iphdr *ip = (void *)(copy.bytes + ETH_HLEN);
	struct gen_sums sums = { 0 };

	memset(copy.bytes + ETH_HLEN + (six ? 20 : 12), 0, 4);
	memset(frame_l4(&copy), 0, 2);
	sums.l4 = frame_l4_words(&copy);
	if (!six) {
		ip->check = 0;
		sums.ip = sum_words(ip, sizeof(*ip));
	}
	return sums;
}

/* ---- clocks and counters ---- */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Opens the scheduler statistics of the thread that finishes softirqs of a CPU. */
static int softirqd_open(int cpu)
{
	char wanted[32], path[300], comm[32];
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int fd = -ENOENT;

	if (!proc)
		return -errno;
	snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", cpu);
	while (fd < 0 && (entry = readdir(proc))) {
		__cleanup_file FILE *file = NULL;

		if (snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name) < 0)
			continue;
		file = fopen(path, "re");
		if (!file || !fgets(comm, sizeof(comm), file) || strcmp(comm, wanted))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	closedir(proc);
	return fd;
}

static int netns_enter(const char *name)
{
	__cleanup_fd int fd = -1;
	char path[300];

	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		return -errno;
	return 0;
}

/* Packets received by an interface, from an open /proc/net/dev; 0 when it is not listed. */
static uint64_t received_packets(int proc_net_dev, const char *interface)
{
	char text[8192], wanted[IF_NAMESIZE + 3], *line;
	ssize_t length = pread(proc_net_dev, text, sizeof(text) - 1, 0);
	unsigned long long packets = 0;

	if (length < 0)
		return 0;
	text[length] = 0;
	snprintf(wanted, sizeof(wanted), " %s:", interface);
	line = strstr(text, wanted);
	if (line)
		sscanf(line + strlen(wanted), "%*u %llu", &packets);
	return packets;
}

static uint64_t sent_frames(const struct generator *g)
{
	return __atomic_load_n(&g->program->bss->sent, __ATOMIC_RELAXED);
}

static struct sample sample_take(const struct generator *g)
{
	char text[100] = "";
	struct sample now = {
		.sent = sent_frames(g),
		.wall_ns = clock_ns(CLOCK_MONOTONIC),
		.cpu_ns = clock_ns(g->sender_clock),
	};

	now.delivered =
		g->sink >= 0 ? received_packets(g->sink, g->options->sink_interface) : now.sent;
	if (pread(g->softirqd, text, sizeof(text) - 1, 0) > 0)
		now.cpu_ns += strtoull(text, NULL, 10);
	return now;
}

/* ---- the run ---- */

/* Sends until the watcher says it is over. Returns 0 or -errno. */
static int generator_send(struct generator *g)
{
	struct xdp_md context = { .data_end = g->frame->size, .ingress_ifindex = g->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = g->frame->bytes,
		    .data_size_in = g->frame->size, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = 1 << 30, .batch_size = BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int r = -EINTR;

	while (!g->over && (!r || r == -EINTR))
		r = bpf_prog_test_run_opts(bpf_program__fd(g->program->progs.gen), &run);
	g->ended = true;
	return r == -EINTR ? 0 : r;
}

/* Sleeps until a time of CLOCK_MONOTONIC, less long when there is nothing more to wait for. */
static void watcher_sleep(const struct generator *g, int64_t until_ns)
{
	while (!told_to_stop && !g->ended && clock_ns(CLOCK_MONOTONIC) < until_ns)
		usleep(1000);
}

/* Runs beside the sender: takes the samples, ends the run. Setting up live frames takes 25 to 300
 * ms of waiting for the kernel, so the time counts from the first frame. */
static void *watcher_run(void *argument)
{
	struct generator *g = argument;
	int64_t begin, window_ns = g->options->seconds * NS_PER_S / g->options->windows;

	while (!told_to_stop && !g->ended && !sent_frames(g))
		usleep(1000);
	begin = clock_ns(CLOCK_MONOTONIC) + (int64_t)(g->options->warmup_s * NS_PER_S);
	watcher_sleep(g, begin);
	g->border[0] = sample_take(g);
	while (g->windows < g->options->windows && !told_to_stop && !g->ended) {
		watcher_sleep(g, begin + (g->windows + 1) * window_ns);
		g->border[++g->windows] = sample_take(g);
	}
	g->over = true;
	while (!g->ended) { /* again: the signal may come just before the system call */
		pthread_kill(g->sender, SIGALRM);
		usleep(10000);
	}
	return NULL;
}

static int generator_load(struct generator *g)
{
	const struct options *o = g->options;
	struct gen_bpf *program = gen_bpf__open();
	int r;

	if (!program)
		return -errno;
	program->rodata->flows = o->flows;
	program->rodata->ports = o->ports;
	program->rodata->first_address = ntohl(o->src.s6_addr32[3]);
	program->rodata->first_port = o->sport;
	program->rodata->gap_ns = o->pps ? NS_PER_S / o->pps : 0;
	program->rodata->ipv6 = g->frame->family == AF_INET6;
	program->rodata->udp = g->frame->proto == IPPROTO_UDP;
	program->rodata->random_flows = o->random;
	program->rodata->sums = o->flows > 1 ? frame_sums(g->frame) : (struct gen_sums){ 0 };
	memcpy(program->data->template, g->frame->bytes, sizeof(program->data->template));
	r = gen_bpf__load(program);
	if (r) {
		gen_bpf__destroy(program);
		return r;
	}
	g->program = program;
	return 0;
}

static int window_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void json_field(struct json *json, const char *key, double value)
{
	json_key(json, key);
	json_double(json, value);
}

/* Prints the sums over all windows, and median and range of CPU time per delivered packet. */
static int report(const struct sample *border, uint32_t windows)
{
	const struct sample *first = border, *last = border + windows;
	double seconds = (last->wall_ns - first->wall_ns) / 1e9, each[WINDOWS_MAX];
	uint64_t sent = last->sent - first->sent, delivered = last->delivered - first->delivered;
	uint32_t n = 0;
	struct json json;

	for (uint32_t i = 0; i < windows; i++) {
		uint64_t packets = border[i + 1].delivered - border[i].delivered;

		if (packets)
			each[n++] = (double)(border[i + 1].cpu_ns - border[i].cpu_ns) / packets;
	}
	qsort(each, n, sizeof(each[0]), window_compare);
	json_begin(&json, stdout);
	json_object_begin(&json);
	json_field(&json, "seconds", seconds);
	json_key(&json, "sent");
	json_u64(&json, sent);
	json_key(&json, "delivered");
	json_u64(&json, delivered);
	json_field(&json, "sent_pps", sent / seconds);
	json_field(&json, "delivered_pps", delivered / seconds);
	json_field(&json, "cpu_share", (last->cpu_ns - first->cpu_ns) / 1e9 / seconds);
	if (n) {
		json_field(&json, "cpu_ns_per_packet", each[n / 2]);
		json_field(&json, "cpu_ns_low", each[0]);
		json_field(&json, "cpu_ns_high", each[n - 1]);
	}
	json_object_end(&json);
	return json_end(&json);
}

static int cpu_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static int generator_measure(struct generator *g)
{
	pthread_t watcher;
	int r = -pthread_create(&watcher, NULL, watcher_run, g);

	if (!r)
		r = cpu_pin(g->options->cpu);
	if (!r)
		r = generator_send(g);
	g->ended = true;
	pthread_join(watcher, NULL);
	return r;
}

/* ---- the command line ---- */

static const char usage[] =
	"usage: gen --interface IF [options]\n"
	"Sends live XDP frames out of IF and prints, as JSON, how many and at what CPU time.\n"
	"  --netns NAME           namespace of IF (name or path)\n"
	"  --src IP --dst IP      addresses, IPv4 or IPv6\n"
	"  --src-mac M --dst-mac M\n"
	"  --proto tcp|udp        default udp\n"
	"  --sport N --dport N    default 1024 and 9\n"
	"  --tcp-flags N --seq N --ack N    flags default to 16, ACK\n"
	"  --frame HEX            this frame instead of one built from the above\n"
	"  --size BYTES           of the frame, FCS apart: 64 (IPv6: 80) to 3498\n"
	"  --flows N              flows, each with its own source: default 1\n"
	"  --ports N              flows per source address: default 1\n"
	"  --random               take flows at random instead of in order\n"
	"  --pps N                frames a second, up to 1000000000; default as many as it can\n"
	"  --seconds S            how long to measure, default 1; in all up to 300\n"
	"  --warmup S             sent before the measurement, default 0\n"
	"  --windows N            parts the time is measured in, 1 (default) to 100\n"
	"  --cpu N                CPU to run on, default 0\n"
	"  --sink-netns NAME --sink-interface IF\n"
	"                         count as delivered what IF there receives\n";

enum option_id { /* in the order of long_options */
		 NETNS,
		 INTERFACE,
		 SRC,
		 DST,
		 SRC_MAC,
		 DST_MAC,
		 PROTO,
		 SPORT,
		 DPORT,
		 TCP_FLAGS,
		 SEQ,
		 ACK_NR,
		 FRAME,
		 SIZE,
		 FLOWS,
		 PORTS,
		 RANDOM,
		 PPS,
		 SECONDS,
		 WARMUP,
		 WINDOWS,
		 CPU,
		 SINK_NETNS,
		 SINK_INTERFACE,
		 HELP,
};

static const struct option long_options[] = {
	{ "netns", 1, 0, NETNS },
	{ "interface", 1, 0, INTERFACE },
	{ "src", 1, 0, SRC },
	{ "dst", 1, 0, DST },
	{ "src-mac", 1, 0, SRC_MAC },
	{ "dst-mac", 1, 0, DST_MAC },
	{ "proto", 1, 0, PROTO },
	{ "sport", 1, 0, SPORT },
	{ "dport", 1, 0, DPORT },
	{ "tcp-flags", 1, 0, TCP_FLAGS },
	{ "seq", 1, 0, SEQ },
	{ "ack", 1, 0, ACK_NR },
	{ "frame", 1, 0, FRAME },
	{ "size", 1, 0, SIZE },
	{ "flows", 1, 0, FLOWS },
	{ "ports", 1, 0, PORTS },
	{ "random", 0, 0, RANDOM },
	{ "pps", 1, 0, PPS },
	{ "seconds", 1, 0, SECONDS },
	{ "warmup", 1, 0, WARMUP },
	{ "windows", 1, 0, WINDOWS },
	{ "cpu", 1, 0, CPU },
	{ "sink-netns", 1, 0, SINK_NETNS },
	{ "sink-interface", 1, 0, SINK_INTERFACE },
	{ "help", 0, 0, HELP },
	{ 0, 0, 0, 0 },
};

/* Reads a whole number from low to high. Returns 0 or -EINVAL. */
static int number_parse(const char *text, uint64_t low, uint64_t high, uint64_t *number)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < low || value > high)
		return -EINVAL;
	*number = value;
	return 0;
}

static int seconds_parse(const char *text, double *seconds)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= SECONDS_MAX))
		return -EINVAL;
	*seconds = value;
	return 0;
}

/* source and destination are of one family */
static int address_parse(const char *text, struct in6_addr *address, int *family)
{
	int found = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (*family && *family != found)
		return -EINVAL;
	*family = found;
	if (found == AF_INET6)
		return addr_parse_ip6(text, address);
	return addr_parse_ip4(text, &address->s6_addr32[3]);
}

/* The options that are numbers: their range and where they go. */
#define NUMBER(field, low, high)                                    \
	({                                                          \
		uint64_t number_ = 0;                               \
		int r_ = number_parse(optarg, low, high, &number_); \
		if (!r_)                                            \
			o->field = number_;                         \
		r_;                                                 \
	})

static int option_number(struct options *o, int id)
{
	switch (id) {
	case SPORT:
		return NUMBER(sport, 0, 65535);
	case DPORT:
		return NUMBER(dport, 0, 65535);
	case TCP_FLAGS:
		return NUMBER(tcp_flags, 0, 255);
	case SEQ:
		return NUMBER(seq, 0, UINT32_MAX);
	case ACK_NR:
		return NUMBER(ack, 0, UINT32_MAX);
	case SIZE:
		return NUMBER(size, GEN_HEAD4, FRAME_MAX);
	case FLOWS:
		return NUMBER(flows, 1, UINT32_MAX);
	case PORTS:
		return NUMBER(ports, 1, 65536);
	case PPS:
		return NUMBER(pps, 1, NS_PER_S);
	case WINDOWS:
		return NUMBER(windows, 1, WINDOWS_MAX);
	case CPU:
		return NUMBER(cpu, 0, CPU_SETSIZE - 1);
	}
	return -EINVAL;
}

static int option_take(struct options *o, int id)
{
	switch (id) {
	case NETNS:
		o->netns = optarg;
		return 0;
	case INTERFACE:
		o->interface = optarg;
		return 0;
	case SINK_NETNS:
		o->sink_netns = optarg;
		return 0;
	case SINK_INTERFACE:
		o->sink_interface = optarg;
		return 0;
	case FRAME:
		o->hex = optarg;
		return 0;
	case RANDOM:
		o->random = true;
		return 0;
	case SRC:
		return address_parse(optarg, &o->src, &o->family);
	case DST:
		return address_parse(optarg, &o->dst, &o->family);
	case SRC_MAC:
		return addr_parse_mac(optarg, o->src_mac);
	case DST_MAC:
		return addr_parse_mac(optarg, o->dst_mac);
	case PROTO:
		o->proto = strcmp(optarg, "tcp") ? IPPROTO_UDP : IPPROTO_TCP;
		return strcmp(optarg, "tcp") && strcmp(optarg, "udp") ? -EINVAL : 0;
	case SECONDS:
		return seconds_parse(optarg, &o->seconds);
	case WARMUP:
		return seconds_parse(optarg, &o->warmup_s);
	}
	return option_number(o, id);
}

/* Fills o from the command line. Returns 0, or -EINVAL after saying what is wrong. */
static int options_parse(int argc, char **argv, struct options *o)
{
	int id;

	while ((id = getopt_long(argc, argv, "", long_options, NULL)) >= 0) {
		if (id == HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		if (id == '?')
			return -EINVAL;
		if (option_take(o, id)) {
			log_error("--%s: wrong value %s", long_options[id].name, optarg);
			return -EINVAL;
		}
	}
	if (!o->interface || optind != argc || (!o->sink_interface && o->sink_netns) ||
	    o->seconds + o->warmup_s > SECONDS_MAX || (o->hex && o->flows > 1)) {
		fputs(usage, stderr);
		return -EINVAL;
	}
	if (!o->family)
		o->family = AF_INET;
	if (o->family == AF_INET6 && o->size < GEN_HEAD6)
		o->size = GEN_HEAD6;
	return 0;
}

/* Opens what is counted: the sink's /proc/net/dev first, as this thread must end in --netns. */
static int generator_open(struct generator *g)
{
	const struct options *o = g->options;
	int r;

	if (o->sink_interface) {
		r = o->sink_netns ? netns_enter(o->sink_netns) : 0;
		if (r)
			return log_err(r, "network namespace %s", o->sink_netns);
		g->sink = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
		if (g->sink < 0 || !if_nametoindex(o->sink_interface))
			return log_err(-errno, "interface %s", o->sink_interface);
	}
	r = o->netns ? netns_enter(o->netns) : 0;
	if (r)
		return log_err(r, "network namespace %s", o->netns);
	g->ifindex = if_nametoindex(o->interface);
	if (!g->ifindex)
		return log_err(-errno, "interface %s", o->interface);
	g->softirqd = softirqd_open(o->cpu);
	if (g->softirqd < 0)
		return log_err(g->softirqd, "ksoftirqd/%d", o->cpu);
	return 0;
}

static int signals_catch(void)
{
	struct sigaction alarm = { .sa_handler = on_alarm }, stop = { .sa_handler = on_stop };

	if (sigaction(SIGALRM, &alarm, NULL) || sigaction(SIGINT, &stop, NULL) ||
	    sigaction(SIGTERM, &stop, NULL))
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {
		.proto = IPPROTO_UDP,
		.sport = 1024,
		.dport = 9,
		.tcp_flags = 16,
		.size = GEN_HEAD4,
		.flows = 1,
		.ports = 1,
		.windows = 1,
		.seconds = 1,
	};
	struct frame frame;
	struct generator g = { .options = &o, .frame = &frame, .sink = -1, .softirqd = -1 };
	int r;

	if (options_parse(argc, argv, &o))
		return 2;
	if (!o.hex) {
		frame_build(&frame, &o);
	} else if (frame_from_hex(&frame, &o)) {
		log_error("--frame: not hex, or longer than --size");
		return 2;
	}
	if (generator_open(&g))
		return 1;
	g.sender = pthread_self();
	r = pthread_getcpuclockid(g.sender, &g.sender_clock) ? -ENOSYS : signals_catch();
	if (!r)
		r = generator_load(&g);
	if (!r) {
		r = generator_measure(&g);
		gen_bpf__destroy(g.program);
	}
	if (!r)
		r = report(g.border, g.windows);
	if (r)
		log_err(r, "live frames out of %s", o.interface);
	return r ? 1 : 0;
}
