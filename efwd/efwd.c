// SPDX-License-Identifier: BSD-2-Clause
// efwd: forwards between its ports, as a router by the kernel's routes or as a learning bridge.
#include "efwd/efwd.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>

#include "common/util/log.h"
#include "skel/router.skel.h"

static const char *const mode_words[] = { "router", "bridge", NULL };
static const char *const allow_words[] = { "drop", "allow", NULL };
static const char *const flags_words[] = { "strict", "loose", NULL };
static const char *const options_words[] = { "drop-source-route", "allow", NULL };

static const struct conf_key efwd_keys[] = {
	{ .name = "mode",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, mode),
	  .words = mode_words,
	  .help = "forward by the kernel's routes, or by MAC addresses and VLANs" },
	{ .name = "malformed",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, malformed),
	  .words = allow_words,
	  .def = "drop",
	  .help = "packets whose headers contradict themselves or the frame" },
	{ .name = "short_fragments",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, short_fragments),
	  .words = allow_words,
	  .def = "drop",
	  .help = "first fragments without the whole TCP or UDP header, TCP fragments at offset "
		  "8" },
	{ .name = "tcp_flags",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, tcp_flags),
	  .words = flags_words,
	  .def = "strict",
	  .help = "TCP flags that no stack sends, such as SYN with FIN: dropped, or let pass" },
	{ .name = "ip_options",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, ip_options),
	  .words = options_words,
	  .def = "drop-source-route",
	  .help = "IPv4 source routes and IPv6 routing headers of type 0" },
	{ .name = "martians",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, martians),
	  .words = allow_words,
	  .def = "drop",
	  .help = "addresses that no packet on a wire may have (router), sources that are no "
		  "station (bridge)" },
	{ .name = "ttl_zero",
	  .type = CONF_WORD,
	  CONF_FIELD(struct efwd_conf, ttl_zero),
	  .words = allow_words,
	  .def = "drop",
	  .help = "packets that arrive with TTL or hop limit 0 (router)" },
};

uint64_t efwd_lifted(const struct efwd_conf *conf)
{
	const struct {
		int check;
		enum reason reason;
	} checks[] = { { conf->malformed, REASON_MALFORMED },
		       { conf->short_fragments, REASON_SHORT_FRAGMENT },
		       { conf->tcp_flags, REASON_TCP_FLAGS },
		       { conf->ip_options, REASON_SOURCE_ROUTE },
		       { conf->martians, REASON_MARTIAN },
		       { conf->ttl_zero, REASON_TTL_ZERO } };
	uint64_t lifted = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (checks[i].check == CHECK_LIFT)
			lifted |= 1ULL << checks[i].reason;
	return lifted;
}

static bool efwd_bridges(const void *own)
{
	return ((const struct efwd_conf *)own)->mode == MODE_BRIDGE;
}

static int efwd_load(struct slowpath *slowpath)
{
	struct router_bpf *router = router_bpf__open();
	int r = router ? chain_prepare(&slowpath->chain, router->obj) : -errno;

	slowpath->state = router;
	if (!r) {
		router->rodata->lifted = efwd_lifted(slowpath->own);
		r = router_bpf__load(router);
	}
	if (r)
		return log_err(r, "load the router");
	return bpf_program__fd(router->progs.evnf_router);
}

static void efwd_stop(struct slowpath *slowpath, bool leaving)
{
	(void)leaving;
	router_bpf__destroy(slowpath->state);
}

static const struct vnf efwd = {
	.name = "efwd",
	.summary = "forwards between its ports: a router by the kernel's routes, or a bridge",
	.keys = efwd_keys,
	.n_keys = sizeof(efwd_keys) / sizeof(efwd_keys[0]),
	.conf_size = sizeof(struct efwd_conf),
	.doorkeeper = true,
	.bridges = efwd_bridges,
	.load = efwd_load,
	.stop = efwd_stop,
};

int main(int argc, char **argv)
{
	return vnf_main(&efwd, argc, argv);
}
