// SPDX-License-Identifier: BSD-2-Clause
// Proof: the tc filters that stamp packets on their way in and witness them on their way out.
#include "efw/proof.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "skel/witness.skel.h"

/* Fixed, so that a restart replaces its predecessor's filters. */
#define FILTER_HANDLE 1
#define FILTER_PRIORITY 0xef00

int proof_open(const struct chain *chain, struct witness_bpf **programs)
{
	struct witness_bpf *new = witness_bpf__open();
	int r = new ? chain_prepare(chain, new->obj) : -errno;

	if (!r)
		r = witness_bpf__load(new);
	if (r) {
		witness_bpf__destroy(new);
		return r;
	}
	*programs = new;
	return 0;
}

void proof_close(struct witness_bpf *programs)
{
	witness_bpf__destroy(programs);
}

static const struct way {
	const char *name;
	enum bpf_tc_attach_point clsact;
	int tcx; /* enum bpf_attach_type of Linux 6.6, which this libbpf does not name */
} ways[] = { { "out", BPF_TC_EGRESS, 47 }, { "in", BPF_TC_INGRESS, 46 } };

static int way_program(const struct witness_bpf *programs, const struct way *way)
{
	return bpf_program__fd(way->clsact == BPF_TC_EGRESS ? programs->progs.evnf_witness
							    : programs->progs.evnf_stamp);
}

/* What is attached outlives the process, and so does the pin that says so: the link itself, or the
 * program where there is none. `clsact` says that the qdisc is ours. */
static void pin_path(const struct chain *chain, uint32_t ifindex, const char *what, char *path,
		     size_t size)
{
	snprintf(path, size, "%s/links/tc_%u_%s", chain->pins, ifindex, what);
}

static int pin_renew(int fd, const char *path)
{
	unlink(path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

/* By a link, which never disturbs the port. Returns -EINVAL before Linux 6.6. */
static int tcx_attach(uint32_t ifindex, const struct way *way, int program, const char *path)
{
	__cleanup_fd int before = bpf_obj_get(path), link = -1;

	if (before >= 0 && !bpf_link_update(before, program, NULL))
		return 0;
	link = bpf_link_create(program, (int)ifindex, (enum bpf_attach_type)way->tcx, NULL);
	return link < 0 ? -errno : pin_renew(link, path);
}

static int clsact_attach(uint32_t ifindex, const struct way *way, int program, const char *path)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = way->clsact);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = program, .flags = BPF_TC_F_REPLACE);
	int r = bpf_tc_attach(&hook, &options);

	return r ? r : pin_renew(program, path);
}

/* Adding a qdisc takes the port's queue down for a moment, and with it what is under way in it. */
static int clsact_make(const struct chain *chain, uint32_t ifindex, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	char path[PINS_PATH_MAX + 32];
	int r = bpf_tc_hook_create(&hook);

	if (r)
		return r == -EEXIST ? 0 : r;
	pin_path(chain, ifindex, "clsact", path, sizeof(path));
	return pin_renew(program, path);
}

int proof_attach(const struct chain *chain, struct witness_bpf *programs, const struct port *port)
{
	char path[PINS_PATH_MAX + 32];
	int r = 0;

	for (int i = 0; !r && i < 2; i++) {
		const int program = way_program(programs, &ways[i]);

		pin_path(chain, port->ifindex, ways[i].name, path, sizeof(path));
		r = tcx_attach(port->ifindex, &ways[i], program, path);
		if (r != -EINVAL)
			continue;
		r = clsact_make(chain, port->ifindex, program);
		if (!r)
			r = clsact_attach(port->ifindex, &ways[i], program, path);
	}
	return r;
}

static bool pin_remove(const struct chain *chain, uint32_t ifindex, const char *what)
{
	char path[PINS_PATH_MAX + 32];

	pin_path(chain, ifindex, what, path, sizeof(path));
	return !unlink(path);
}

/* Removing the pin of a link detaches it; filters are detached by hand, where there are any. */
static void port_detach(const struct chain *chain, uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, qdisc, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	for (int i = 0; i < 2; i++) {
		LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
			    .attach_point = ways[i].clsact);
		LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE,
			    .priority = FILTER_PRIORITY);

		if (pin_remove(chain, ifindex, ways[i].name))
			bpf_tc_detach(&hook, &options);
	}
	if (pin_remove(chain, ifindex, "clsact"))
		bpf_tc_hook_destroy(&qdisc);
}

static bool is_among(uint32_t ifindex, const struct port *ports, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (ports[i].ifindex == ifindex)
			return true;
	return false;
}

int proof_detach_others(const struct chain *chain, const struct port *ports, unsigned int n)
{
	char links[PINS_PATH_MAX + 8];
	struct dirent *entry;
	uint32_t ifindex;
	DIR *dir;

	snprintf(links, sizeof(links), "%s/links", chain->pins);
	dir = opendir(links);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "tc_%u_", &ifindex) == 1 && !is_among(ifindex, ports, n))
			port_detach(chain, ifindex);
	closedir(dir);
	return 0;
}
