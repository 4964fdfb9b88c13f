// SPDX-License-Identifier: BSD-2-Clause
// efw: takes the connections that netfilter accepted off the kernel's hands.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "efw/conns.h"
#include "efw/conntrack.h"
#include "efw/guard.h"
#include "efw/proof.h"
#include "skel/efw.skel.h"
#include "skel/learn.skel.h"
#include "slowpath/vnf.h"

#define EVENT_BUDGET 1024 /* conntrack events taken in one turn of the loop */
#define DUMP_BUDGET 16    /* datagrams of a dump in one turn, about 100 connections each */

enum learn { LEARN_EVENTS, LEARN_WALK };

static const char *const learn_words[] = { "events", "walk", NULL };

struct efw_conf {
	int learn;
	uint32_t resync_ms, ruleset_poll_ms, event_buffer_bytes;
};

static const struct conf_key efw_keys[] = {
	{ .name = "learn",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efw_conf, learn),
	  .words = learn_words,
	  .def = "events",
	  .help = "of accepted connections: from conntrack's events, or on the walk of their "
		  "packets" },
	{ .name = "resync_ms",
	  .type = CONF_INT,
	  CONF_FIELD(struct efw_conf, resync_ms),
	  .min = 100,
	  .max = 3600000,
	  .def = "10000",
	  .unit = "ms",
	  .help = "how often the connections are compared with conntrack's" },
	{ .name = "ruleset_poll_ms",
	  .type = CONF_INT,
	  CONF_FIELD(struct efw_conf, ruleset_poll_ms),
	  .min = 50,
	  .max = 60000,
	  .def = "500",
	  .unit = "ms",
	  .help = "how often rules that announce no change (iptables-legacy, ipset) are looked "
		  "at" },
	{ .name = "event_buffer_bytes",
	  .type = CONF_INT,
	  CONF_FIELD(struct efw_conf, event_buffer_bytes),
	  .min = 65536,
	  .max = 1 << 30,
	  .def = "33554432",
	  .unit = "bytes",
	  .help = "room for conntrack events not yet read" },
};

struct efw {
	struct slowpath *slowpath;
	struct efw_bpf *hop;
	struct learn_bpf *learner;
	struct witness_bpf *proof;
	struct guard *guard;
	struct ct *ct;
	struct conns *conns;
	bool on_demand; /* connections are learned on the walk only */
	bool dumping;
	uint64_t resync_at; /* tick */
	uint32_t dump_began;
};

static const struct efw_conf *conf_of(const struct efw *efw)
{
	return efw->slowpath->own;
}

/* Where the kernel has the conntrack kfuncs. Without them, what was given back to the kernel is
 * found again by the next comparison with conntrack only. */
static void learner_load(struct efw *efw)
{
	const uint32_t slot = 0;
	__cleanup_fd int learners = pins_open(efw->slowpath->chain.pins, "learners");
	const bool eager = conf_of(efw)->learn == LEARN_WALK;
	int program, r;

	efw->learner = learn_bpf__open();
	r = efw->learner ? chain_prepare(&efw->slowpath->chain, efw->learner->obj) : -errno;
	if (!r) {
		efw->learner->rodata->eager = eager;
		r = learn_bpf__load(efw->learner);
	}
	program = r ? -1 : bpf_program__fd(efw->learner->progs.evnf_learn);
	if (!r && !bpf_map_update_elem(learners, &slot, &program, BPF_ANY)) {
		efw->on_demand = eager;
		return;
	}
	if (eager)
		log_warn("this kernel cannot ask conntrack on the walk: learning from events");
	bpf_map_delete_elem(learners, &slot);
	learn_bpf__destroy(efw->learner);
	efw->learner = NULL;
}

static void efw_event(struct slowpath *slowpath, const struct event *event)
{
	struct efw *efw = slowpath->state;

	if (event->type == EVENT_CONNECTION)
		conns_find(efw->conns, event->connection.family, &event->connection.key6);
	else if (event->type == EVENT_OFFLOADED)
		conns_offloaded(efw->conns, event->connection.family, &event->connection.key6);
}

static int efw_load(struct slowpath *slowpath)
{
	struct efw *efw = calloc(1, sizeof(*efw));
	int r, before;

	slowpath->state = efw;
	if (!efw)
		return log_err(-ENOMEM, "efw");
	efw->slowpath = slowpath;
	efw->hop = efw_bpf__open();
	r = efw->hop ? chain_prepare(&slowpath->chain, efw->hop->obj) : -errno;
	if (!r)
		r = efw_bpf__load(efw->hop);
	if (!r)
		r = proof_open(&slowpath->chain, &efw->proof);
	if (r)
		return log_err(r, "load efw's programs");
	learner_load(efw);
	r = ct_open(conf_of(efw)->event_buffer_bytes, &efw->ct);
	if (r)
		return log_err(r, "listen to conntrack");
	r = ct_events_enable(&before);
	if (r)
		return log_err(r, "set net.netfilter.nf_conntrack_events to 1");
	if (before != 1)
		log_info("net.netfilter.nf_conntrack_events was %d, is 1 now: the end of every "
			 "connection must be told",
			 before);
	r = conns_open(&slowpath->chain, efw->ct, slowpath->conf.lease_s, efw->on_demand,
		       &efw->conns);
	if (!r && slowpath->chain.adopted)
		r = conns_adopt(efw->conns);
	if (r)
		return log_err(r, "open the connection tables");
	r = guard_open(slowpath, &efw->guard);
	if (r)
		return log_err(r, "listen to the ruleset");
	r = guard_judge(efw->guard);
	return r ? r : bpf_program__fd(efw->hop->progs.evnf_efw);
}

static uint64_t efw_fingerprint(struct slowpath *slowpath)
{
	return guard_fingerprint(((struct efw *)slowpath->state)->guard);
}

static void ct_take(void *arg, enum ct_event event, const struct ct_flow *flow)
{
	struct efw *efw = arg;
	int r = conns_take(efw->conns, event, flow);

	if (r)
		log_debug("connection not taken: %s", strerror(-r));
}

static int resync_start(struct efw *efw)
{
	int r = ct_dump_start(efw->ct, AF_UNSPEC);

	if (!r)
		r = conns_resync_begin(efw->conns);
	efw->dumping = !r;
	efw->dump_began = efw->slowpath->chain.state->tick;
	return r;
}

/* Events were lost: what derives from them is not to be trusted until a dump has told all. */
static int events_lost(struct efw *efw)
{
	int r;

	log_debug("conntrack events were lost: flows walk again, connections are read anew");
	chain_bump(&efw->slowpath->chain);
	do {
		r = ct_receive(efw->ct, EVENT_BUDGET, ct_take, efw);
	} while (r == 1 || r == -ENOBUFS);
	return r ? r : resync_start(efw);
}

static int on_conntrack(void *arg, uint32_t events)
{
	struct efw *efw = arg;
	int r = ct_receive(efw->ct, EVENT_BUDGET, ct_take, efw);

	(void)events;
	if (r >= 0)
		r = conns_settle(efw->conns);
	return r == -ENOBUFS ? events_lost(efw) : r;
}

/* A dump takes at most a twentieth of the time, however many connections there are. */
static int dump_step(struct efw *efw)
{
	const uint32_t tick = efw->slowpath->chain.state->tick;
	int r = ct_dump_step(efw->ct, DUMP_BUDGET, ct_take, efw),
	    settled = conns_settle(efw->conns);

	if (settled)
		return settled;
	if (r == 1)
		return 0;
	if (r == -EINTR || r == -EOVERFLOW)
		return resync_start(efw);
	efw->dumping = false;
	efw->resync_at = tick + conf_of(efw)->resync_ms / TICK_MS + 19 * (tick - efw->dump_began);
	return r ? r : conns_resync_end(efw->conns);
}

static int on_step(void *arg, uint64_t expirations)
{
	struct efw *efw = arg;
	const uint32_t tick = efw->slowpath->chain.state->tick;
	int r = 0;

	(void)expirations;
	if (efw->dumping)
		r = dump_step(efw);
	else if ((int32_t)(tick - efw->resync_at) >= 0)
		r = resync_start(efw);
	if (!r)
		r = conns_step(efw->conns);
	return r == -ENOBUFS ? events_lost(efw) : r;
}

static int efw_start(struct slowpath *slowpath)
{
	struct efw *efw = slowpath->state;
	int r = 0;

	for (unsigned int i = 0; !r && i < slowpath->n_ports; i++) {
		r = proof_attach(&slowpath->chain, efw->proof, &slowpath->ports[i]);
		if (r)
			return log_err(r, "attach to tc of %s", slowpath->ports[i].name);
	}
	proof_detach_others(&slowpath->chain, slowpath->ports, slowpath->n_ports);
	if ((r = loop_add_fd(slowpath->loop, ct_event_fd(efw->ct), EPOLLIN, on_conntrack, efw)) ||
	    (r = loop_add_timer(slowpath->loop, TICK_MS, on_step, efw)) ||
	    (r = guard_start(efw->guard, conf_of(efw)->ruleset_poll_ms)))
		return log_err(r, "event loop");
	r = resync_start(efw);
	while (!r && efw->dumping)
		r = dump_step(efw);
	return r ? log_err(r, "read the connections") : 0;
}

static void efw_stop(struct slowpath *slowpath, bool leaving)
{
	struct efw *efw = slowpath->state;

	if (!efw)
		return;
	if (leaving)
		proof_detach_others(&slowpath->chain, NULL, 0);
	guard_close(efw->guard);
	conns_close(efw->conns);
	ct_close(efw->ct);
	proof_close(efw->proof);
	learn_bpf__destroy(efw->learner);
	efw_bpf__destroy(efw->hop);
	free(efw);
}

static const struct {
	uint32_t bit;
	const char *name;
} kinds[] = { { OFFLOAD_TCP4, "tcp4" },
	      { OFFLOAD_UDP4, "udp4" },
	      { OFFLOAD_TCP6, "tcp6" },
	      { OFFLOAD_UDP6, "udp6" } };

static void kinds_text(uint32_t bits, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (bits & kinds[i].bit && at < size)
			at += snprintf(text + at, size - at, "%s%s", at ? " " : "", kinds[i].name);
}

/* What may be offloaded, and what keeps the rest with netfilter. */
static int show_rules(const char *pins, struct report *report)
{
	static const struct report_column columns[] = {
		{ "touches", "stays with netfilter", TABLE_LEFT },
		{ "why", "because", TABLE_LEFT },
		{ "where", "where", TABLE_LEFT },
	};
	__cleanup_fd int fd = pins_open(pins, "findings");
	volatile struct chain_state *state;
	struct finding_shown shown;
	char text[64];

	if (fd < 0)
		return fd;
	state = pins_map(pins, "chain", sizeof(*state));
	if (!state)
		return -errno;
	kinds_text(state->offload, text, sizeof(text));
	munmap((void *)state, sizeof(*state));
	report_fact_text(report, "offloaded", text);
	report_rows(report, "findings", columns, 3);
	for (uint32_t i = 0; i < FINDINGS_SHOWN; i++) {
		if (bpf_map_lookup_elem(fd, &i, &shown) || !shown.where[0])
			break;
		kinds_text(shown.touches, text, sizeof(text));
		report_row(report, true);
		report_text(report, text);
		report_text(report, shown.why);
		report_text(report, shown.where);
	}
	return 0;
}

static const struct vnf_show efw_shows[] = {
	{ "rules", "what is offloaded, and what keeps the rest with netfilter", show_rules },
	{},
};

static const struct vnf efw = {
	.name = "efw",
	.summary = "offloads connections that netfilter has accepted, its rules unchanged",
	.keys = efw_keys,
	.n_keys = sizeof(efw_keys) / sizeof(efw_keys[0]),
	.conf_size = sizeof(struct efw_conf),
	.load = efw_load,
	.fingerprint = efw_fingerprint,
	.start = efw_start,
	.event = efw_event,
	.stop = efw_stop,
	.flush = conns_flush,
	.shows = efw_shows,
};

int main(int argc, char **argv)
{
	return vnf_main(&efw, argc, argv);
}
