// SPDX-License-Identifier: BSD-2-Clause
// Run: the life of a slow path, from its pins to its last signal.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/util/addr.h"
#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "slowpath/offloads.h"
#include "slowpath/vnf.h"

#define BUMP_SHARE_MS 100 /* in the long run the generation changes at most ten times a second */
#define BUMP_BURST 5
#define NEIGHBOR_PERIOD_MS 5000
#define RENEW_PERIOD_MS 500
#define NEIGHBOR_BUDGET 256 /* messages taken in one turn of the loop */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ULL + now.tv_nsec / 1000000;
}

/* A burst is served at once; what goes on and on waits for the tick, ten times a second (a virtual
 * scheduling algorithm, ITU-T I.371: each bump moves the time on by its share). */
void slowpath_bump(struct slowpath *slowpath, const char *why)
{
	uint64_t now = now_ms();

	log_debug("%s changed: flows walk again", why);
	slowpath->chain.state->fingerprint = 0;
	slowpath->fingerprint_stale = true;
	slowpath->bump_pending = slowpath->bumps_until_ms > now + BUMP_BURST * BUMP_SHARE_MS;
	if (slowpath->bump_pending)
		return;
	if (slowpath->bumps_until_ms < now)
		slowpath->bumps_until_ms = now;
	slowpath->bumps_until_ms += BUMP_SHARE_MS;
	chain_bump(&slowpath->chain);
}

/* A new configuration must be right before the running one is given up. */
static void reload_try(struct slowpath *slowpath)
{
	struct slowpath next = { .vnf = slowpath->vnf,
				 .path = slowpath->path,
				 .own = calloc(1, slowpath->vnf->conf_size + 1) };

	if (next.own && !vnf_configure(&next)) {
		slowpath->reload = true;
		loop_stop(slowpath->loop);
	} else {
		log_error("not reloaded: the running configuration stays");
	}
	free(next.own);
}

static void routes_changed(void *arg, enum change change, const char *what)
{
	slowpath_bump(arg, what);
	if (change == CHANGE_PORT) {
		log_info("port %s changed: starting again", what);
		reload_try(arg);
	}
}

static void flow_alive(void *arg, uint32_t context, const struct flow_head *flow)
{
	struct slowpath *slowpath = arg;

	neighbors_use(slowpath->neighbors, flow->next_hop);
	contexts_use(slowpath->contexts, context);
	if (slowpath->vnf->flow_alive)
		slowpath->vnf->flow_alive(slowpath, flow);
}

/* The fast path asks for something. */
static int event_take(void *arg, void *data, size_t bytes)
{
	struct slowpath *slowpath = arg;
	const struct event *event = data;
	int r = 0;

	if (bytes < sizeof(*event))
		return 0;
	if (event->type == EVENT_NEXT_HOP)
		r = neighbors_add(slowpath->neighbors, &event->next_hop);
	else if (event->type == EVENT_CONTEXT)
		r = contexts_add(slowpath->contexts, &event->context);
	else if (slowpath->vnf->event)
		slowpath->vnf->event(slowpath, event);
	if (r)
		log_debug("no slot for a next hop, or no context: %s", strerror(-r));
	return 0;
}

static int on_event(void *arg, uint32_t events)
{
	struct slowpath *slowpath = arg;
	int r = ring_buffer__consume(slowpath->events);

	(void)events;
	return r < 0 ? r : 0;
}

static int on_netlink(void *arg, uint32_t events)
{
	struct slowpath *slowpath = arg;

	(void)events;
	return neighbors_receive(slowpath->neighbors, NEIGHBOR_BUDGET);
}

static int on_tick(void *arg, uint64_t expirations)
{
	struct slowpath *slowpath = arg;

	(void)expirations;
	if (slowpath->bump_pending) {
		slowpath->bump_pending = false;
		chain_bump(&slowpath->chain);
	}
	return 0;
}

/* What the flows derive from, as one number, never 0. */
static uint64_t fingerprint_take(struct slowpath *slowpath)
{
	uint64_t fingerprint = neighbors_fingerprint(slowpath->neighbors);

	fingerprint = hash64(slowpath->own, slowpath->vnf->conf_size, fingerprint);
	if (slowpath->vnf->fingerprint)
		fingerprint ^= slowpath->vnf->fingerprint(slowpath);
	return fingerprint ? fingerprint : 1;
}

static int on_renew(void *arg, uint64_t expirations)
{
	struct slowpath *slowpath = arg;

	(void)expirations;
	chain_renew(&slowpath->chain, slowpath->conf.lease_s);
	if (slowpath->fingerprint_stale && !slowpath->bump_pending) {
		slowpath->fingerprint_stale = false;
		slowpath->chain.state->fingerprint = fingerprint_take(slowpath);
	}
	return 0;
}

static int on_neighbors(void *arg, uint64_t expirations)
{
	struct slowpath *slowpath = arg;
	int r = neighbors_refresh(slowpath->neighbors);

	(void)expirations;
	if (r)
		log_debug("neighbors not refreshed: %s", strerror(-r));
	return 0;
}

static int on_signal(void *arg, int signal)
{
	struct slowpath *slowpath = arg;

	if (signal == SIGHUP)
		reload_try(slowpath);
	else
		loop_stop(slowpath->loop);
	return 0;
}

static int libbpf_say(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_DEBUG)
		log_write(LOG_LEVEL_DEBUG, format, args);
	return 0;
}

static int chain_begin(struct slowpath *slowpath, const char *pins)
{
	const struct chain_options options = {
		.max_flows4 = slowpath->conf.max_flows4,
		.max_flows6 = slowpath->conf.max_flows6,
		.inserts_per_s = slowpath->conf.inserts_per_s,
		.doorkeeper = slowpath->vnf->doorkeeper,
		.router = !slowpath->vnf->bridges || !slowpath->vnf->bridges(slowpath->own),
	};
	int r = chain_open(&slowpath->chain, pins, &options);

	if (r == -EPERM)
		return log_err(r,
			       "load the fast path: root, or CAP_BPF and CAP_NET_ADMIN, is needed");
	return r ? log_err(r, "load the fast path (-v tells more)") : 0;
}

static int ports_find(struct slowpath *slowpath)
{
	for (size_t i = 0; i < slowpath->conf.n_ports; i++) {
		const char *name = slowpath->conf.ports[i].interface;
		int r = chain_find_port(&slowpath->chain, name, &slowpath->ports[i]);

		if (r)
			return log_err(r, "port %s", name);
	}
	slowpath->n_ports = slowpath->conf.n_ports;
	return 0;
}

static const char *attach_remedy(int r)
{
	switch (r) {
	case -EBUSY:
	case -EEXIST:
		return "another XDP program is attached: see `ip link`, `bpftool net`";
	case -EOPNOTSUPP:
		return "its driver has no native XDP: set attach = \"generic\"";
	case -ERANGE:
		return "its MTU, or its peer's, is too large for native XDP: lower it, or set "
		       "attach = \"generic\"";
	default:
		return "is the interface up and of this network namespace?";
	}
}

static void port_prepare(const struct port *port)
{
	bool changed = false;
	int r = offloads_prepare(port->name, &changed);

	if (changed)
		log_info("port %s: rx-vlan-offload is off now, XDP must see the tags", port->name);
	if (r)
		log_warn("port %s: rx-vlan-offload: %s; XDP sees no tags that it takes off",
			 port->name, strerror(-r));
}

static int ports_attach(struct slowpath *slowpath)
{
	for (unsigned int i = 0; i < slowpath->n_ports; i++) {
		struct port *port = &slowpath->ports[i];
		int r = chain_load_port(&slowpath->chain, port);

		if (r < 0)
			return log_err(r, "load the program of port %s", port->name);
	}
	for (unsigned int i = 0; i < slowpath->n_ports; i++) {
		struct port *port = &slowpath->ports[i];
		int r;

		port_prepare(port);
		r = chain_attach_port(&slowpath->chain, port, slowpath->conf.attach);

		if (r)
			return log_err(r, "attach to %s (%s)", port->name, attach_remedy(r));
		log_info("port %s: %s XDP", port->name, port->native ? "native" : "generic");
	}
	return chain_detach_others(&slowpath->chain, slowpath->ports, slowpath->n_ports);
}

/* What an earlier process pinned holds only if nothing it derives from has changed since, and if
 * somebody was there all the time to see that it did not. */
static void state_adopt(struct slowpath *slowpath, bool watched)
{
	volatile struct chain_state *state = slowpath->chain.state;
	uint64_t fingerprint = fingerprint_take(slowpath);

	if (slowpath->chain.adopted && watched && state->fingerprint == fingerprint)
		log_info("adopted the flows of an earlier run");
	else
		chain_bump(&slowpath->chain);
	state->fingerprint = fingerprint;
	state->pid = getpid();
	chain_renew(&slowpath->chain, slowpath->conf.lease_s);
}

static int events_begin(struct slowpath *slowpath)
{
	__cleanup_fd int fd = pins_open(slowpath->chain.pins, "events");

	if (fd < 0)
		return fd;
	slowpath->events = ring_buffer__new(fd, event_take, slowpath, NULL);
	return slowpath->events ? 0 : -errno;
}

static int loop_fill(struct slowpath *slowpath)
{
	struct loop *loop = slowpath->loop;
	int r;

	if ((r = loop_add_signals(loop, on_signal, slowpath)) ||
	    (r = loop_add_fd(loop, ring_buffer__epoll_fd(slowpath->events), EPOLLIN, on_event,
			     slowpath)) ||
	    (r = loop_add_fd(loop, neighbors_fd(slowpath->neighbors), EPOLLIN, on_netlink,
			     slowpath)) ||
	    (r = loop_add_timer(loop, TICK_MS, on_tick, slowpath)) ||
	    (r = loop_add_timer(loop, RENEW_PERIOD_MS, on_renew, slowpath)) ||
	    (r = loop_add_timer(loop, NEIGHBOR_PERIOD_MS, on_neighbors, slowpath)))
		return log_err(r, "event loop");
	return 0;
}

static int slowpath_begin(struct slowpath *slowpath, const char *pins)
{
	bool watched;
	int r, program;

	if ((r = chain_begin(slowpath, pins)) || (r = ports_find(slowpath)))
		return r;
	watched = !slowpath->chain.state->lease_lost &&
		  (int32_t)(slowpath->chain.state->tick - slowpath->chain.state->lease_until) <= 0;
	if (watched) /* else nothing passes until the state is judged */
		chain_renew(&slowpath->chain, slowpath->conf.lease_s);
	r = neighbors_open(&slowpath->chain, slowpath->ports, slowpath->n_ports, routes_changed,
			   slowpath, &slowpath->neighbors);
	if (r)
		return log_err(r, "listen to routes and neighbors");
	if ((r = contexts_open(&slowpath->chain, slowpath->ports, slowpath->n_ports,
			       &slowpath->contexts)) ||
	    (r = sweep_open(&slowpath->chain, slowpath->conf.flow_idle_s, flow_alive, slowpath,
			    &slowpath->sweep)) ||
	    (r = events_begin(slowpath)) || (r = loop_new(&slowpath->loop)))
		return log_err(r, "prepare the slow path");
	program = slowpath->vnf->load(slowpath);
	if (program < 0)
		return program;
	state_adopt(slowpath, watched);
	r = chain_set_hop(&slowpath->chain, 0, program);
	if (r)
		return log_err(r, "set the hop of %s", slowpath->vnf->name);
	if ((r = ports_attach(slowpath)) || (r = loop_fill(slowpath)))
		return r;
	r = slowpath->vnf->start ? slowpath->vnf->start(slowpath) : 0;
	if (r)
		return r;
	loop_set_lock(slowpath->loop, &slowpath->lock);
	r = sweep_start(slowpath->sweep, &slowpath->lock);
	return r ? log_err(r, "begin to age the flows") : 0;
}

static void slowpath_end(struct slowpath *slowpath)
{
	loop_free(slowpath->loop);
	ring_buffer__free(slowpath->events);
	contexts_close(slowpath->contexts);
	neighbors_close(slowpath->neighbors);
	chain_close(&slowpath->chain);
}

/* Everything goes back to where it would go without us. */
static void slowpath_leave(struct slowpath *slowpath, const char *pins)
{
	int r;

	if (slowpath->chain.state) {
		chain_bump(&slowpath->chain);
		chain_detach_others(&slowpath->chain, NULL, 0);
	}
	r = pins_remove(pins);
	if (r)
		log_err(r, "remove %s", pins);
}

int vnf_run(struct slowpath *slowpath)
{
	char pins[PINS_PATH_MAX];
	__cleanup_fd int lock = -1;
	int r = pins_make(slowpath->conf.bpffs, slowpath->conf.name, pins);
	bool started;

	libbpf_set_print(libbpf_say);
	if (r) {
		log_err(r, "make %s under %s", slowpath->conf.name, slowpath->conf.bpffs);
		return 1;
	}
	lock = pins_lock(pins);
	if (lock < 0) {
		log_error("%s is running already (%s)", slowpath->conf.name, pins);
		return 1;
	}
	r = slowpath_begin(slowpath, pins);
	started = !r;
	if (started) {
		log_info("ready");
		r = loop_run(slowpath->loop);
	}
	sweep_close(slowpath->sweep);
	slowpath->sweep = NULL;
	if (slowpath->vnf->stop)
		slowpath->vnf->stop(slowpath, !slowpath->reload);
	if (!slowpath->reload && (started || !slowpath->chain.adopted))
		slowpath_leave(slowpath, pins);
	slowpath_end(slowpath);
	return r ? 1 : 0;
}
