// SPDX-License-Identifier: BSD-2-Clause
// Router: loads its hop; routes and neighbors are the slow path's business in any case.
#include <bpf/libbpf.h>
#include <errno.h>

#include "common/util/log.h"
#include "efwd/efwd.h"
#include "skel/router.skel.h"

static int router_load(struct slowpath *slowpath)
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

static void router_stop(struct slowpath *slowpath, bool leaving)
{
	(void)leaving;
	router_bpf__destroy(slowpath->state);
}

const struct efwd_mode_ops efwd_router = { .load = router_load, .stop = router_stop };
