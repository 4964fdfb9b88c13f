// SPDX-License-Identifier: BSD-2-Clause
// Router: loads its hop, and tells it how the kernel filters by reverse path; routes and neighbors
// are the slow path's business in any case.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "efwd/efwd.h"
#include "efwd/router.h"
#include "skel/router.skel.h"

#define FILTER_PERIOD_MS 200 /* changes of rp_filter are seen within this */

struct router {
	struct slowpath *slowpath;
	struct router_bpf *hop;
	uint32_t filters[PORTS_MAX]; /* by port index, as the map has them */
};

static uint32_t filter_read(const char *name)
{
	char path[64];
	__cleanup_file FILE *file = NULL;
	unsigned int value = RP_FILTER_OFF;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%u", &value) != 1)
		return RP_FILTER_OFF;
	return value;
}

/* The greater of all's and the port's counts. */
static int filters_update(struct router *router, bool *changed)
{
	const uint32_t all = filter_read("all");

	for (unsigned int i = 0; i < router->slowpath->n_ports; i++) {
		const struct port *port = &router->slowpath->ports[i];
		const uint32_t index = port->index, own = filter_read(port->name);
		const uint32_t filter = own > all ? own : all;

		if (filter == router->filters[index])
			continue;
		if (bpf_map_update_elem(bpf_map__fd(router->hop->maps.rp_filters), &index, &filter,
					BPF_ANY))
			return -errno;
		router->filters[index] = filter;
		*changed = true;
	}
	return 0;
}

static int on_filters(void *arg, uint64_t expirations)
{
	struct router *router = arg;
	bool changed = false;
	int r = filters_update(router, &changed);

	(void)expirations;
	if (changed)
		slowpath_bump(router->slowpath, "rp_filter");
	return r;
}

static int hop_load(struct router *router)
{
	bool changed;
	int r;

	router->hop = router_bpf__open();
	r = router->hop ? chain_prepare(&router->slowpath->chain, router->hop->obj) : -errno;
	if (r)
		return r;
	router->hop->rodata->lifted = efwd_lifted(router->slowpath->own);
	r = router_bpf__load(router->hop);
	return r ? r : filters_update(router, &changed);
}

static int router_load(struct slowpath *slowpath)
{
	struct router *router = calloc(1, sizeof(*router));
	int r;

	slowpath->state = router;
	if (!router)
		return log_err(-ENOMEM, "router");
	router->slowpath = slowpath;
	r = hop_load(router);
	return r ? log_err(r, "load the router") : bpf_program__fd(router->hop->progs.evnf_router);
}

static int router_start(struct slowpath *slowpath)
{
	int r = loop_add_timer(slowpath->loop, FILTER_PERIOD_MS, on_filters, slowpath->state);

	return r ? log_err(r, "event loop") : 0;
}

static void router_stop(struct slowpath *slowpath, bool leaving)
{
	struct router *router = slowpath->state;

	(void)leaving;
	if (!router)
		return;
	router_bpf__destroy(router->hop);
	free(router);
}

const struct efwd_mode_ops efwd_router = { .load = router_load,
					   .start = router_start,
					   .stop = router_stop };
