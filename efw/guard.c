// SPDX-License-Identifier: BSD-2-Clause
// Guard: a change of rules or path first stops offload, is judged, and then lets it begin again.
#include "efw/guard.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "efw/efw.h"
#include "efw/finding.h"
#include "efw/hostpath.h"
#include "efw/policy.h"

_Static_assert((int)FINDING_TCP4 == OFFLOAD_TCP4 && (int)FINDING_UDP4 == OFFLOAD_UDP4 &&
		       (int)FINDING_TCP6 == OFFLOAD_TCP6 && (int)FINDING_UDP6 == OFFLOAD_UDP6,
	       "what a finding touches is what may not be offloaded");
_Static_assert(FINDINGS_SHOWN > 2 * FINDINGS_MAX, "all findings are shown, and an end");

struct guard {
	struct slowpath *slowpath;
	struct policy *policy;
	struct hostpath *hostpath;
	struct findings rules, path; /* what keeps flows with netfilter */
	uint64_t hash;               /* of the rules */
	bool unjudged;               /* the last judgement failed */
};

int guard_open(struct slowpath *slowpath, struct guard **guard)
{
	struct guard *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->slowpath = slowpath;
	if ((r = policy_open(&new->policy)) || (r = hostpath_open(&new->hostpath))) {
		guard_close(new);
		return r;
	}
	*guard = new;
	return 0;
}

void guard_close(struct guard *guard)
{
	if (!guard)
		return;
	policy_close(guard->policy);
	hostpath_close(guard->hostpath);
	free(guard);
}

/* For `show rules`: the findings of the path behind those of the rules. */
static void findings_pin(const struct guard *guard)
{
	__cleanup_fd int fd = pins_open(guard->slowpath->chain.pins, "findings");
	const struct findings *lists[] = { &guard->rules, &guard->path };
	uint32_t at = 0;

	for (int list = 0; list < 2; list++) {
		for (unsigned int i = 0; i < lists[list]->count; i++, at++) {
			const struct finding *finding = &lists[list]->list[i];
			struct finding_shown shown = { .touches = finding->touches };

			memcpy(shown.where, finding->where, sizeof(shown.where));
			memcpy(shown.why, finding->why, sizeof(shown.why));
			bpf_map_update_elem(fd, &at, &shown, BPF_ANY);
		}
	}
	for (struct finding_shown none = {}; at < FINDINGS_SHOWN; at++)
		bpf_map_update_elem(fd, &at, &none, BPF_ANY);
}

/* What rules and path together allow takes effect. */
static void judgement_apply(struct guard *guard)
{
	volatile struct chain_state *state = guard->slowpath->chain.state;

	findings_pin(guard);
	state->offload = FINDING_ALL & ~(guard->rules.touches | guard->path.touches);
	guard->unjudged = false;
	log_debug("%u findings, offload %x", guard->rules.count + guard->path.count,
		  state->offload);
}

static int path_judge(struct guard *guard)
{
	struct slowpath *slowpath = guard->slowpath;
	unsigned int ports[PORTS_MAX];
	int r;

	for (unsigned int i = 0; i < slowpath->n_ports; i++)
		ports[i] = slowpath->ports[i].ifindex;
	memset(&guard->path, 0, sizeof(guard->path));
	r = hostpath_check(ports, slowpath->n_ports, &guard->path);
	return r ? log_err(r, "look at the packets' path: nothing is offloaded") : 0;
}

int guard_judge(struct guard *guard)
{
	int r;

	guard->unjudged = true;
	guard->slowpath->chain.state->offload = 0;
	memset(&guard->rules, 0, sizeof(guard->rules));
	r = policy_read(guard->policy, &guard->rules, &guard->hash);
	if (r)
		return log_err(r, "read the ruleset: nothing is offloaded");
	r = path_judge(guard);
	if (!r)
		judgement_apply(guard);
	return r;
}

uint64_t guard_fingerprint(const struct guard *guard)
{
	return guard->hash;
}

/* Everything back to the kernel at once, then judge what the new rules allow. Failing to judge is
 * logged and leaves the kernel in charge; the next poll tries again. */
static void ruleset_changed(struct guard *guard)
{
	guard->slowpath->chain.state->offload = 0;
	slowpath_bump(guard->slowpath, "ruleset");
	guard_judge(guard);
}

/* The path is announced for much that means nothing, our own filters too, and not for everything:
 * what is found now and was not before counts. */
static void path_changed(struct guard *guard)
{
	const struct findings before = guard->path;

	if (path_judge(guard)) {
		guard->unjudged = true;
		guard->slowpath->chain.state->offload = 0;
	} else if (!findings_same(&before, &guard->path)) {
		judgement_apply(guard);
	} else {
		return;
	}
	slowpath_bump(guard->slowpath, "path");
}

static int on_policy(void *arg, uint32_t events)
{
	struct guard *guard = arg;
	bool changed = false;
	int r = policy_receive(guard->policy, &changed);

	(void)events;
	if (r || changed)
		ruleset_changed(guard);
	return r;
}

static int on_hostpath(void *arg, uint32_t events)
{
	struct guard *guard = arg;
	bool changed = false;
	int r = hostpath_receive(guard->hostpath, &changed);

	(void)events;
	if (r || changed)
		path_changed(guard);
	return r;
}

static int on_poll(void *arg, uint64_t expirations)
{
	struct guard *guard = arg;
	bool changed = false;
	int r = policy_poll(guard->policy, &changed);

	(void)expirations;
	if (r || changed || guard->unjudged)
		ruleset_changed(guard);
	else
		path_changed(guard);
	return r;
}

int guard_start(struct guard *guard, unsigned int poll_ms)
{
	struct loop *loop = guard->slowpath->loop;
	int r;

	if ((r = loop_add_fd(loop, policy_event_fd(guard->policy), EPOLLIN, on_policy, guard)) ||
	    (r = loop_add_fd(loop, hostpath_event_fd(guard->hostpath), EPOLLIN, on_hostpath,
			     guard)))
		return r;
	return loop_add_timer(loop, poll_ms, on_poll, guard);
}
