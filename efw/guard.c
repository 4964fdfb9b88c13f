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
_Static_assert(FINDINGS_SHOWN > FINDINGS_MAX, "all findings are shown");

struct guard {
	struct slowpath *slowpath;
	struct policy *policy;
	struct hostpath *hostpath;
	struct findings findings;
	uint64_t hash;
	bool unjudged; /* the last judgement failed */
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

static void findings_pin(const struct guard *guard)
{
	__cleanup_fd int fd = pins_open(guard->slowpath->chain.pins, "findings");

	for (uint32_t i = 0; i < FINDINGS_SHOWN; i++) {
		struct finding_shown shown = {};

		if (i < guard->findings.count) {
			const struct finding *finding = &guard->findings.list[i];

			memcpy(shown.where, finding->where, sizeof(shown.where));
			memcpy(shown.why, finding->why, sizeof(shown.why));
			shown.touches = finding->touches;
		}
		bpf_map_update_elem(fd, &i, &shown, BPF_ANY);
	}
}

int guard_judge(struct guard *guard)
{
	struct slowpath *slowpath = guard->slowpath;
	unsigned int ports[PORTS_MAX];
	int r;

	guard->unjudged = true;
	slowpath->chain.state->offload = 0;
	memset(&guard->findings, 0, sizeof(guard->findings));
	for (unsigned int i = 0; i < slowpath->n_ports; i++)
		ports[i] = slowpath->ports[i].ifindex;
	r = policy_read(guard->policy, &guard->findings, &guard->hash);
	if (r)
		return log_err(r, "read the ruleset: nothing is offloaded");
	r = hostpath_check(ports, slowpath->n_ports, &guard->findings);
	if (r)
		return log_err(r, "look at the packets' path: nothing is offloaded");
	findings_pin(guard);
	slowpath->chain.state->offload = FINDING_ALL & ~guard->findings.touches;
	guard->unjudged = false;
	log_debug("%u findings, offload %x", guard->findings.count, slowpath->chain.state->offload);
	return 0;
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

/* The path is announced for much that means nothing, our own filters too: only what makes another
 * judgement counts. */
static void path_changed(struct guard *guard)
{
	uint8_t before = guard->findings.touches;

	guard_judge(guard);
	if (before != guard->findings.touches)
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
