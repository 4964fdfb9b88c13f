// SPDX-License-Identifier: BSD-2-Clause
// Show: prints what the pins of a chain hold; needs no running slow path.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/util/addr.h"
#include "common/util/cleanup.h"
#include "common/util/json.h"
#include "common/util/table.h"
#include "slowpath/batch.h"
#include "slowpath/vnf.h"

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
	uint32_t ifindex, netns;
	char name[IFNAMSIZ];
	struct port_counters counters;
	struct port_sent sent;
	uint64_t packets[3], bytes[3]; /* by fate */
};

static int port_read(const char *pins, const struct device_key *device, uint32_t index,
		     struct port_view *view)
{
	__cleanup_fd int counters = pins_open(pins, "port_counters");
	__cleanup_fd int sent = pins_open(pins, "port_sent");
	int r;

	*view = (struct port_view){ .ifindex = device->ifindex, .netns = device->netns };
	if (!if_indextoname(device->ifindex, view->name))
		snprintf(view->name, sizeof(view->name), "if%u", device->ifindex);
	if (counters < 0 || sent < 0)
		return counters < 0 ? counters : sent;
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

/* Reads every port, in the order of their indexes. Returns their number or -errno. */
static int ports_read(const char *pins, struct port_view views[PORTS_MAX])
{
	__cleanup_fd int fd = pins_open(pins, "devices");
	struct device_key key, *previous = NULL, devices[PORTS_MAX] = {};
	uint32_t index;
	int n = 0;

	if (fd < 0)
		return fd;
	while (!bpf_map_get_next_key(fd, previous, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, &index) && index < PORTS_MAX)
			devices[index] = key;
		previous = &key;
	}
	for (index = 0; index < PORTS_MAX; index++) {
		int r = devices[index].ifindex
				? port_read(pins, &devices[index], index, &views[n++])
				: 0;

		if (r)
			return r;
	}
	return n;
}

static int show_ports(const char *pins, bool json, FILE *out)
{
	static const struct table_column columns[] = {
		{ "port", TABLE_LEFT },        { "rx packets", TABLE_RIGHT },
		{ "rx bytes", TABLE_RIGHT },   { "fast path", TABLE_RIGHT },
		{ "kernel", TABLE_RIGHT },     { "dropped", TABLE_RIGHT },
		{ "tx packets", TABLE_RIGHT }, { "tx lost", TABLE_RIGHT }
	};
	__cleanup_free struct port_view *views = calloc(PORTS_MAX, sizeof(*views));
	int n = views ? ports_read(pins, views) : -ENOMEM;
	struct table *table;
	struct json j;

	if (n < 0)
		return n;
	json_begin(&j, out);
	table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	if (json) {
		json_object_begin(&j);
		json_key(&j, "ports");
		json_array_begin(&j);
	}
	for (int i = 0; i < n; i++) {
		const struct port_view *v = &views[i];
		const struct {
			const char *key;
			uint64_t value;
		} cells[] = {
			{ "rx_packets", v->packets[0] + v->packets[1] + v->packets[2] },
			{ "rx_bytes", v->bytes[0] + v->bytes[1] + v->bytes[2] },
			{ "fast_packets", v->packets[FATE_LEFT] },
			{ "kernel_packets", v->packets[FATE_KERNEL] },
			{ "dropped_packets", v->packets[FATE_DROP] },
			{ "tx_packets", v->sent.packets },
			{ "tx_lost",
			  v->sent.lost - v->sent.withheld + v->sent.redirect + v->sent.aborted },
		};

		if (json) {
			json_object_begin(&j);
			json_key(&j, "port");
			json_string(&j, v->name);
		} else {
			table_cell(table, "%s", v->name);
		}
		for (size_t c = 0; c < sizeof(cells) / sizeof(cells[0]); c++) {
			if (json) {
				json_key(&j, cells[c].key);
				json_u64(&j, cells[c].value);
			} else {
				table_cell(table, "%llu", (unsigned long long)cells[c].value);
			}
		}
		if (json)
			json_object_end(&j);
	}
	if (json) {
		json_array_end(&j);
		json_object_end(&j);
		n = json_end(&j);
	} else {
		n = table_print(table, out);
	}
	table_free(table);
	return n;
}

/* Counters are what happened to packets, by reason, over all ports. */
static int show_counters(const char *pins, bool json, FILE *out)
{
	static const struct table_column columns[] = { { "reason", TABLE_LEFT },
						       { "to", TABLE_LEFT },
						       { "packets", TABLE_RIGHT },
						       { "bytes", TABLE_RIGHT },
						       { "meaning", TABLE_LEFT } };
	__cleanup_free struct port_view *views = calloc(PORTS_MAX, sizeof(*views));
	int n = views ? ports_read(pins, views) : -ENOMEM;
	struct port_counters sum = {};
	struct table *table;
	struct json j;

	if (n < 0)
		return n;
	for (int p = 0; p < n; p++)
		for (int i = 0; i < REASON_COUNT; i++) {
			sum.packets[i] += views[p].counters.packets[i];
			sum.bytes[i] += views[p].counters.bytes[i];
		}
	if (json) {
		json_begin(&j, out);
		json_object_begin(&j);
		for (int i = 0; i < REASON_COUNT; i++) {
			json_key(&j, reasons[i].name);
			json_object_begin(&j);
			json_key(&j, "to");
			json_string(&j, fates[reasons[i].fate]);
			json_key(&j, "packets");
			json_u64(&j, sum.packets[i]);
			json_key(&j, "bytes");
			json_u64(&j, sum.bytes[i]);
			json_object_end(&j);
		}
		json_object_end(&j);
		return json_end(&j);
	}
	table = table_new(columns, 5);
	for (int i = 0; i < REASON_COUNT; i++) {
		if (!sum.packets[i])
			continue;
		table_cell(table, "%s", reasons[i].name);
		table_cell(table, "%s", fates[reasons[i].fate]);
		table_cell(table, "%llu", (unsigned long long)sum.packets[i]);
		table_cell(table, "%llu", (unsigned long long)sum.bytes[i]);
		table_cell(table, "%s", reasons[i].help);
	}
	n = table_print(table, out);
	table_free(table);
	return n;
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "other";
}

/* One flow, as printed. */
struct flow_view {
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	char to_src[INET6_ADDRSTRLEN], to_dst[INET6_ADDRSTRLEN];
	__be16 ports[4]; /* src, dst, to src, to dst */
	uint8_t proto;
	const struct flow_head *head;
};

struct flow_printer {
	bool json;
	struct json j;
	struct table *table;
	const volatile struct chain_state *state;
};

static void flow_print(struct flow_printer *printer, const struct flow_view *v)
{
	const bool rewritten = v->head->actions & FLOW_REWRITE;
	const bool current = v->head->generation == printer->state->generation;
	const double idle_s =
		(double)(int32_t)(printer->state->tick - v->head->last_seen) / TICKS_PER_S;
	struct json *j = &printer->j;
	const struct {
		const char *key, *value;
	} strings[] = { { "protocol", proto_name(v->proto) },
			{ "src", v->src },
			{ "dst", v->dst },
			{ "to_src", rewritten ? v->to_src : v->src },
			{ "to_dst", rewritten ? v->to_dst : v->dst } };
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = { { "src_port", ntohs(v->ports[0]) },
			{ "dst_port", ntohs(v->ports[1]) },
			{ "to_src_port", ntohs(v->ports[rewritten ? 2 : 0]) },
			{ "to_dst_port", ntohs(v->ports[rewritten ? 3 : 1]) },
			{ "packets", v->head->packets },
			{ "bytes", v->head->bytes },
			{ "next_hop", v->head->next_hop } };

	if (!printer->json) {
		table_cell(printer->table, "%s", proto_name(v->proto));
		table_cell(printer->table, "%s:%u", v->src, ntohs(v->ports[0]));
		table_cell(printer->table, "%s:%u", v->dst, ntohs(v->ports[1]));
		if (rewritten)
			table_cell(printer->table, "%s:%u > %s:%u", v->to_src, ntohs(v->ports[2]),
				   v->to_dst, ntohs(v->ports[3]));
		else
			table_cell(printer->table, "as it came");
		table_cell(printer->table, "%llu", (unsigned long long)v->head->packets);
		table_cell(printer->table, "%llu", (unsigned long long)v->head->bytes);
		table_cell(printer->table, "%.1f", idle_s);
		table_cell(printer->table, "%s", current ? "current" : "past");
		return;
	}
	json_object_begin(j);
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		json_key(j, strings[i].key);
		json_string(j, strings[i].value);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		json_key(j, numbers[i].key);
		json_u64(j, numbers[i].value);
	}
	json_key(j, "idle_s");
	json_double(j, idle_s);
	json_key(j, "current");
	json_bool(j, current);
	json_object_end(j);
}

static int flow4_visit(void *arg, const void *key, void *value)
{
	const struct flow4_key *k = key;
	const struct flow4 *flow = value;
	struct flow_view v = { .ports = { k->src_port, k->dst_port, flow->src_port,
					  flow->dst_port },
			       .proto = k->proto,
			       .head = &flow->head };

	inet_ntop(AF_INET, &k->src_ip, v.src, sizeof(v.src));
	inet_ntop(AF_INET, &k->dst_ip, v.dst, sizeof(v.dst));
	inet_ntop(AF_INET, &flow->src_ip, v.to_src, sizeof(v.to_src));
	inet_ntop(AF_INET, &flow->dst_ip, v.to_dst, sizeof(v.to_dst));
	flow_print(arg, &v);
	return 0;
}

static int flow6_visit(void *arg, const void *key, void *value)
{
	const struct flow6_key *k = key;
	const struct flow6 *flow = value;
	struct flow_view v = { .ports = { k->src_port, k->dst_port, flow->src_port,
					  flow->dst_port },
			       .proto = k->proto,
			       .head = &flow->head };

	inet_ntop(AF_INET6, k->src_ip, v.src, sizeof(v.src));
	inet_ntop(AF_INET6, k->dst_ip, v.dst, sizeof(v.dst));
	inet_ntop(AF_INET6, flow->src_ip, v.to_src, sizeof(v.to_src));
	inet_ntop(AF_INET6, flow->dst_ip, v.to_dst, sizeof(v.to_dst));
	flow_print(arg, &v);
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

static int show_flows(const char *pins, bool json, FILE *out)
{
	static const struct table_column columns[] = {
		{ "proto", TABLE_LEFT },     { "from", TABLE_LEFT },      { "to", TABLE_LEFT },
		{ "leaves as", TABLE_LEFT }, { "packets", TABLE_RIGHT },  { "bytes", TABLE_RIGHT },
		{ "idle s", TABLE_RIGHT },   { "generation", TABLE_LEFT }
	};
	struct flow_printer printer = { .json = json };
	int r;

	printer.state = pins_map(pins, "chain", sizeof(*printer.state));
	if (!printer.state)
		return -errno;
	if (json) {
		json_begin(&printer.j, out);
		json_object_begin(&printer.j);
		json_key(&printer.j, "flows");
		json_array_begin(&printer.j);
	} else {
		printer.table = table_new(columns, sizeof(columns) / sizeof(columns[0]));
	}
	r = flows_visit(pins, "flows4", flow4_visit, &printer);
	if (!r)
		r = flows_visit(pins, "flows6", flow6_visit, &printer);
	if (json) {
		json_array_end(&printer.j);
		json_object_end(&printer.j);
		r = json_end(&printer.j);
	} else {
		r = r ? r : table_print(printer.table, out);
		table_free(printer.table);
	}
	munmap((void *)printer.state, sizeof(*printer.state));
	return r;
}

static int show_chain(const char *pins, bool json, FILE *out)
{
	static const struct table_column columns[] = { { "of the chain", TABLE_LEFT },
						       { "value", TABLE_RIGHT } };
	volatile struct chain_state *state = pins_map(pins, "chain", sizeof(*state));
	struct table *table;
	struct json j;
	int r;

	if (!state)
		return -errno;
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = { { "generation", state->generation },
		     { "bumps", state->bumps },
		     { "tick", state->tick },
		     { "lease_left_ticks", (int32_t)(state->lease_until - state->tick) > 0
						   ? state->lease_until - state->tick
						   : 0 },
		     { "lease_lost", state->lease_lost },
		     { "offload", state->offload },
		     { "pid", state->pid },
		     { "installs_refused_full", state->install_full },
		     { "installs_refused_budget", state->install_budget },
		     { "installs_undone", state->install_stale } };

	json_begin(&j, out);
	table = table_new(columns, 2);
	if (json)
		json_object_begin(&j);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (json) {
			json_key(&j, rows[i].key);
			json_u64(&j, rows[i].value);
		} else {
			table_cell(table, "%s", rows[i].key);
			table_cell(table, "%llu", (unsigned long long)rows[i].value);
		}
	}
	if (json) {
		json_object_end(&j);
		r = json_end(&j);
	} else {
		r = table_print(table, out);
	}
	table_free(table);
	munmap((void *)state, sizeof(*state));
	return r;
}

static const struct vnf_show common_shows[] = {
	{ "ports", "packets and bytes by port", show_ports },
	{ "counters", "packets and bytes by reason", show_counters },
	{ "flows", "the flow entries", show_flows },
	{ "chain", "generation, lease and installs", show_chain },
	{},
};

static int show_from(const struct vnf_show *shows, const char *pins, const char *what, bool json,
		     FILE *out)
{
	for (; shows && shows->what; shows++)
		if (!strcmp(shows->what, what))
			return shows->show(pins, json, out);
	return -EINVAL;
}

int vnf_show(const struct vnf *vnf, const char *pins, const char *what, bool json, FILE *out)
{
	int r = show_from(vnf->shows, pins, what, json, out);

	return r == -EINVAL ? show_from(common_shows, pins, what, json, out) : r;
}
