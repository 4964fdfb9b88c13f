/* SPDX-License-Identifier: BSD-2-Clause */
/* VNF: what a function is to the slow path, and the life that vnf_main() gives it. */
#ifndef EVNF_SLOWPATH_VNF_H
#define EVNF_SLOWPATH_VNF_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/util/conf.h"
#include "common/util/report.h"
#include "slowpath/chain.h"
#include "slowpath/contexts.h"
#include "slowpath/loop.h"
#include "slowpath/neighbors.h"
#include "slowpath/sweep.h"

/* The keys every function has. */
struct vnf_conf {
	char name[24]; /* of this instance: its directory under bpffs */
	char bpffs[64];
	struct {
		char interface[IFNAMSIZ];
	} ports[PORTS_MAX];
	size_t n_ports;
	int attach; /* enum attach */
	uint32_t max_flows4, max_flows6;
	uint32_t lease_s, flow_idle_s, inserts_per_s;
};

/* A running function. */
struct slowpath {
	const struct vnf *vnf;
	const char *path; /* of the configuration */
	struct vnf_conf conf;
	void *own; /* the function's configuration, vnf->conf_size bytes */
	struct chain chain;
	struct port ports[PORTS_MAX];
	unsigned int n_ports;
	struct loop *loop;
	pthread_mutex_t lock; /* of everything here: held by the loop's callbacks and the sweep's */
	struct neighbors *neighbors;
	struct contexts *contexts;
	struct sweep *sweep;
	struct ring_buffer *events;
	void *state;             /* the function's own, set by its load() */
	uint64_t bumps_until_ms; /* as if each bump so far had taken its share of a second */
	bool bump_pending;
	bool fingerprint_stale; /* something changed since it was taken */
	bool reload;            /* leave the loop, and begin again with a new configuration */
};

/* One subcommand of `show` beside the common ones. */
struct vnf_show {
	const char *what, *help;
	int (*show)(const char *pins, struct report *report); /* 0 or -errno */
};

/* A function. Each step returns 0 or -errno, and has logged why. */
struct vnf {
	const char *name, *summary;
	const struct conf_key *keys;
	size_t n_keys;
	size_t conf_size;
	int (*check)(const void *values, const struct conf *conf, struct conf_error *error);
	bool doorkeeper; /* flows are installed from their second packet on */
	/* Whether this configuration bridges; else (or without it) only frames to the ports' MAC
	 * addresses are taken. */
	bool (*bridges)(const void *own);
	/* Loads the hop's program: chain_prepare() between open and load. Returns it or -errno. */
	int (*load)(struct slowpath *slowpath);
	/* What the function's decisions derive from, as one number: a restart that finds another
	 * than its predecessor left makes every flow walk again. */
	uint64_t (*fingerprint)(struct slowpath *slowpath);
	/* After the ports are attached: adds to the loop what the function listens to. */
	int (*start)(struct slowpath *slowpath);
	/* The fast path sent an event of a type that is the function's own. */
	void (*event)(struct slowpath *slowpath, const struct event *event);
	/* The sweep met a live flow entry. */
	void (*flow_alive)(struct slowpath *slowpath, const struct flow_head *flow);
	/* Before the ports are detached; `leaving` is false when another process takes over. */
	void (*stop)(struct slowpath *slowpath, bool leaving);
	int (*flush)(const char *pins); /* forget the function's own state */
	const struct vnf_show *shows;   /* ended by one without name; NULL: none */
};

/* The whole main of a function: `return vnf_main(&efw, argc, argv);`. Returns the exit code: 0 ok,
 * 1 failed, 2 wrong usage or configuration. */
int vnf_main(const struct vnf *vnf, int argc, char **argv);

/* Reads the file into slowpath->conf and slowpath->own. Returns 0, or -errno after saying why. */
int vnf_configure(struct slowpath *slowpath);

/* Runs until SIGTERM, SIGINT or SIGHUP. Returns the exit code; slowpath->reload tells of SIGHUP. */
int vnf_run(struct slowpath *slowpath);

/* `show what`: prints what the pins of a chain hold. Returns 0, -EOPNOTSUPP when there is nothing
 * called so, or -errno. */
int vnf_show(const struct vnf *vnf, const char *pins, const char *what, bool json, FILE *out);

/* Makes all flows walk again: at once, or, when changes go on and on, ten times a second. */
void slowpath_bump(struct slowpath *slowpath, const char *why);

#endif
