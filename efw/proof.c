// SPDX-License-Identifier: BSD-2-Clause
// Proof: the tc filters that stamp packets on their way in and witness them on their way out.
#include "efw/proof.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

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

/* The pin that says that the qdisc is ours outlives the process. */
static void mark_path(const struct chain *chain, const struct port *port, char *path, size_t size)
{
	snprintf(path, size, "%s/links/clsact_%u", chain->pins, port->ifindex);
}

static int filter_attach(const struct port *port, enum bpf_tc_attach_point point, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = port->ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = program, .flags = BPF_TC_F_REPLACE);

	return bpf_tc_attach(&hook, &options);
}

static void filter_detach(const struct port *port, enum bpf_tc_attach_point point)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = port->ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, options, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	bpf_tc_detach(&hook, &options);
}

int proof_attach(const struct chain *chain, struct witness_bpf *programs, const struct port *port)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = port->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	char mark[PINS_PATH_MAX + 32];
	int r = bpf_tc_hook_create(&hook);

	if (!r) {
		mark_path(chain, port, mark, sizeof(mark));
		unlink(mark);
		bpf_obj_pin(bpf_program__fd(programs->progs.evnf_stamp), mark);
	} else if (r != -EEXIST) {
		return r;
	}
	r = filter_attach(port, BPF_TC_EGRESS, bpf_program__fd(programs->progs.evnf_witness));
	if (!r)
		r = filter_attach(port, BPF_TC_INGRESS,
				  bpf_program__fd(programs->progs.evnf_stamp));
	return r;
}

void proof_detach(const struct chain *chain, const struct port *port)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = port->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	char mark[PINS_PATH_MAX + 32];

	filter_detach(port, BPF_TC_INGRESS);
	filter_detach(port, BPF_TC_EGRESS);
	mark_path(chain, port, mark, sizeof(mark));
	if (!access(mark, F_OK))
		bpf_tc_hook_destroy(&hook);
}
