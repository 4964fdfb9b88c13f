// SPDX-License-Identifier: BSD-2-Clause
// Show: reports what the pins of a chain hold; needs no running slow path.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util/cleanup.h"
#include "common/util/report.h"
#include "slowpath/batch.h"
#include "slowpath/devices.h"
#include "slowpath/vnf.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name;
	enum fate fate;
	const char *help;
} reasons[] = {
#define X(name, fate, help) { #name, FATE_##fate, help },
	REASONS(X)
#undef X
};

static const char *const fates[] = { "left", "kernel", "drop" };

/* Sums a per-CPU array element of 64-bit counters over the CPUs. */
static int percpu_sum(int fd, uint32_t key, uint64_t *sum, size_t n)
{
	int cpus = libbpf_num_possible_cpus();
	__cleanup_free uint64_t *values = calloc(cpus, n * sizeof(*values));

	if (!values)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &key, values))
		return -errno;
	memset(sum, 0, n * sizeof(*sum));
	for (int cpu = 0; cpu < cpus; cpu++)
		for (size_t i = 0; i < n; i++)
			sum[i] += values[cpu * n + i];
	return 0;
}

/* Everything counted at one port. */
struct port_view {
	char name[IFNAMSIZ];
	const char *mode; /* of XDP on it */
	struct port_counters counters;
	struct port_sent sent;
	uint64_t packets[COUNT(fates)], bytes[COUNT(fates)]; /* by fate */
};

static const char *mode_name(const struct device_key *device)
{
	if (device->netns != netns_inode())
		return "unknown";
	switch (device_attach_mode(device->ifindex)) {
	case XDP_ATTACHED_DRV:
		return "native";
	case XDP_ATTACHED_SKB:
		return "generic";
	default:
		return "none";
	}
}

static int port_read(const char *pins, const struct device_key *device, uint32_t index,
		     struct port_view *view)
{
	__cleanup_fd int counters = pins_open(pins, "port_counters");
	__cleanup_fd int sent = pins_open(pins, "port_sent");
	int r;

	if (counters < 0 || sent < 0)
		return counters < 0 ? counters : sent;
	*view = (struct port_view){ .mode = mode_name(device) };
	device_name(device, view->name);
	r = percpu_sum(counters, index, (uint64_t *)&view->counters,
		       sizeof(view->counters) / sizeof(uint64_t));
	if (!r)
		r = percpu_sum(sent, index, (uint64_t *)&view->sent,
			       sizeof(view->sent) / sizeof(uint64_t));
	for (int i = 0; !r && i < REASON_COUNT; i++) {
		view->packets[reasons[i].fate] += view->counters.packets[i];
		view->bytes[reasons[i].fate] += view->counters.bytes[i];
	}
	return r;
}

/* Reads every port, in the order of their indexes, into *views, to be freed. Returns their number
 * or -errno. */
static int ports_read(const char *pins, struct port_view **views)
{
	__cleanup_free struct port_view *all = calloc(PORTS_MAX, sizeof(*all));
	struct device_key devices[PORTS_MAX];
	int n = 0, r = all ? devices_read(pins, devices) : -ENOMEM;

	for (uint32_t index = 0; !r && index < PORTS_MAX; index++)
		if (devices[index].ifindex)
			r = port_read(pins, &devices[index], index, &all[n++]);
	if (r)
		return r;
	*views = ptr_take(all);
	return n;
}

static int show_ports(const char *pins, struct report *report)
{
	static const struct report_column columns[] = {
		{ "port", "port", TABLE_LEFT },
		{ "mode", "XDP", TABLE_LEFT },
		{ "rx_packets", "rx packets", TABLE_RIGHT },
		{ "rx_bytes", "rx bytes", TABLE_RIGHT },
		{ "fast_packets", "fast path", TABLE_RIGHT },
		{ "kernel_packets", "kernel", TABLE_RIGHT },
		{ "dropped_packets", "dropped", TABLE_RIGHT },
		{ "tx_packets", "tx packets", TABLE_RIGHT },
		{ "tx_lost", "tx lost", TABLE_RIGHT },
	};
	__cleanup_free struct port_view *views = NULL;
	int n = ports_read(pins, &views);

	if (n < 0)
		return n;
	report_rows(report, "ports", columns, COUNT(columns));
	for (const struct port_view *v = views; v < views + n; v++) {
		report_row(report, true);
		report_text(report, v->name);
		report_text(report, v->mode);
		report_number(report, v->packets[0] + v->packets[1] + v->packets[2]);
		report_number(report, v->bytes[0] + v->bytes[1] + v->bytes[2]);
		report_number(report, v->packets[FATE_LEFT]);
		report_number(report, v->packets[FATE_KERNEL]);
		report_number(report, v->packets[FATE_DROP]);
		report_number(report, v->sent.packets);
		report_number(report,
			      v->sent.lost - v->sent.withheld + v->sent.redirect + v->sent.aborted);
	}
	return 0;
}

/* What happened to packets, by reason, over all ports. */
static int show_counters(const char *pins, struct report *report)
{
	static const struct report_column columns[] = {
		{ NULL, "reason", TABLE_LEFT },        { "to", "to", TABLE_LEFT },
		{ "packets", "packets", TABLE_RIGHT }, { "bytes", "bytes", TABLE_RIGHT },
		{ NULL, "meaning", TABLE_LEFT },
	};
	__cleanup_free struct port_view *views = NULL;
	int n = ports_read(pins, &views);

	if (n < 0)
		return n;
	report_rows(report, NULL, columns, COUNT(columns));
	for (int i = 0; i < REASON_COUNT; i++) {
		uint64_t packets = 0, bytes = 0;

		for (int port = 0; port < n; port++) {
			packets += views[port].counters.packets[i];
			bytes += views[port].counters.bytes[i];
		}
		report_row(report, packets != 0);
		report_text(report, reasons[i].name);
		report_text(report, fates[reasons[i].fate]);
		report_number(report, packets);
		report_number(report, bytes);
		report_text(report, reasons[i].help);
	}
	return 0;
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "other";
}

struct flow_reporter {
	struct report *report;
	const volatile struct chain_state *state;
};

/* addresses and ports: source and destination as the packet comes, and as it leaves. */
static void flow_report(const struct flow_reporter *reporter, int family, uint8_t proto,
			const void *const addresses[4], const __be16 ports[4],
			const struct flow_head *head)
{
	struct report *report = reporter->report;
	const int leaves = head->actions & FLOW_REWRITE ? 2 : 0;
	const int32_t idle_ticks = reporter->state->tick - head->last_seen;

	report_row(report, true);
	report_text(report, proto_name(proto));
	report_endpoint(report, family, addresses[0], ports[0]);
	report_endpoint(report, family, addresses[1], ports[1]);
	report_endpoint(report, family, addresses[leaves], ports[leaves]);
	report_endpoint(report, family, addresses[leaves + 1], ports[leaves + 1]);
	report_number(report, head->packets);
	report_number(report, head->bytes);
	report_number(report, head->next_hop);
	report_decimal(report, (double)idle_ticks * TICK_MS / 1000);
	report_bool(report, head->generation == reporter->state->generation);
}

static int flow4_visit(void *arg, const void *key, void *value)
{
	const struct flow4_key *from = key;
	const struct flow4 *flow = value;
	const void *addresses[] = { &from->src_ip, &from->dst_ip, &flow->src_ip, &flow->dst_ip };
	const __be16 ports[] = { from->src_port, from->dst_port, flow->src_port, flow->dst_port };

	flow_report(arg, AF_INET, from->proto, addresses, ports, &flow->head);
	return 0;
}

static int flow6_visit(void *arg, const void *key, void *value)
{
	const struct flow6_key *from = key;
	const struct flow6 *flow = value;
	const void *addresses[] = { from->src_ip, from->dst_ip, flow->src_ip, flow->dst_ip };
	const __be16 ports[] = { from->src_port, from->dst_port, flow->src_port, flow->dst_port };

	flow_report(arg, AF_INET6, from->proto, addresses, ports, &flow->head);
	return 0;
}

static int flows_visit(const char *pins, const char *leaf, batch_fn visit, void *arg)
{
	__cleanup_fd int fd = pins_open(pins, leaf);
	struct batch batch;
	int r;

	if (fd < 0)
		return fd;
	r = batch_open(fd, &batch);
	if (r)
		return r;
	while ((r = batch_step(&batch, BATCH_MAX, visit, arg)) == 1)
		;
	batch_close(&batch);
	return r;
}

static int show_flows(const char *pins, struct report *report)
{
	static const struct report_column columns[] = {
		{ "protocol", "proto", TABLE_LEFT },   { "src", "from", TABLE_LEFT },
		{ "dst", "to", TABLE_LEFT },           { "to_src", "leaves from", TABLE_LEFT },
		{ "to_dst", "leaves to", TABLE_LEFT }, { "packets", "packets", TABLE_RIGHT },
		{ "bytes", "bytes", TABLE_RIGHT },     { "next_hop", "next hop", TABLE_RIGHT },
		{ "idle_s", "idle s", TABLE_RIGHT },   { "current", "current", TABLE_LEFT },
	};
	struct flow_reporter reporter = { .report = report };
	int r;

	reporter.state = pins_map(pins, "chain", sizeof(*reporter.state));
	if (!reporter.state)
		return -errno;
	report_rows(report, "flows", columns, COUNT(columns));
	r = flows_visit(pins, "flows4", flow4_visit, &reporter);
	if (!r)
		r = flows_visit(pins, "flows6", flow6_visit, &reporter);
	munmap((void *)reporter.state, sizeof(*reporter.state));
	return r;
}

static int show_chain(const char *pins, struct report *report)
{
	volatile struct chain_state *state = pins_map(pins, "chain", sizeof(*state));
	int32_t lease_ticks;

	if (!state)
		return -errno;
	lease_ticks = state->lease_until - state->tick;
	report_fact(report, "generation", state->generation);
	report_fact(report, "bumps", state->bumps);
	report_fact(report, "tick", state->tick);
	report_fact(report, "lease_left_ticks", lease_ticks > 0 ? lease_ticks : 0);
	report_fact(report, "lease_lost", state->lease_lost);
	report_fact(report, "offload", state->offload);
	report_fact(report, "pid", state->pid);
	report_fact(report, "installs_refused_full", state->install_full);
	report_fact(report, "installs_refused_budget", state->install_budget);
	report_fact(report, "installs_undone", state->install_stale);
	report_fact(report, "traced", state->trace_until != 0);
	report_fact(report, "traces_lost", state->trace_lost);
	munmap((void *)state, sizeof(*state));
	return 0;
}

static const struct vnf_show common_shows[] = {
	{ "ports", "packets and bytes by port", show_ports },
	{ "counters", "packets and bytes by reason", show_counters },
	{ "flows", "the flow entries", show_flows },
	{ "chain", "generation, lease and installs", show_chain },
	{},
};

static const struct vnf_show *show_find(const struct vnf_show *shows, const char *what)
{
	for (; shows && shows->what; shows++)
		if (!strcmp(shows->what, what))
			return shows;
	return NULL;
}

int vnf_show(const struct vnf *vnf, const char *pins, const char *what, bool json, FILE *out)
{
	const struct vnf_show *show = show_find(vnf->shows, what);
	struct report report;
	int r, printed;

	if (!show)
		show = show_find(common_shows, what);
	if (!show)
		return -EOPNOTSUPP;
	report_begin(&report, out, json);
	r = show->show(pins, &report);
	printed = report_end(&report);
	return r ? r : printed;
}
