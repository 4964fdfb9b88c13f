// SPDX-License-Identifier: BSD-2-Clause
// Refusals: which connections must stay with netfilter for what conntrack knows of them.
#include <netinet/in.h>

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include "efw/conntrack.h"

const char ct_tcp_unknown[] = "TCP state not told";

static const struct {
	uint32_t bits;
	const char *why;
} status_refusals[] = {
	{ IPS_DYING, "dying" },
	{ IPS_TEMPLATE, "template" },
	{ IPS_UNTRACKED, "untracked, or of a NAT clash" }, /* one bit, two meanings */
	{ IPS_EXPECTED, "expected by another connection" },
	{ IPS_HELPER, "helper" },
	{ IPS_SEQ_ADJUST, "sequence adjustment" },
	{ IPS_FIXED_TIMEOUT, "fixed timeout" },
	{ IPS_OFFLOAD | IPS_HW_OFFLOAD, "in a flowtable of the kernel" },
};

static const char *attribute_refusal(const struct ct_flow *flow)
{
	if (flow->zone)
		return "conntrack zone";
	if (flow->has_helper)
		return "helper";
	if (flow->has_master)
		return "expected by another connection";
	if (flow->has_seqadj)
		return "sequence adjustment";
	if (flow->has_synproxy)
		return "synproxy";
	return NULL;
}

static const char *tcp_refusal(const struct ct_flow *flow)
{
	if (!(flow->status & IPS_ASSURED))
		return "TCP not assured";
	if (!flow->has_tcp_state)
		return ct_tcp_unknown;
	return flow->tcp_state == TCP_CONNTRACK_ESTABLISHED ? NULL : "TCP not established";
}

const char *ct_refusal(const struct ct_flow *flow)
{
	const char *why;

	if (flow->orig.proto != IPPROTO_TCP && flow->orig.proto != IPPROTO_UDP)
		return "neither TCP nor UDP";
	for (size_t i = 0; i < sizeof(status_refusals) / sizeof(*status_refusals); i++) {
		if (flow->status & status_refusals[i].bits)
			return status_refusals[i].why;
	}
	why = attribute_refusal(flow);
	if (why)
		return why;
	if (!(flow->status & IPS_CONFIRMED))
		return "not confirmed";
	if (!(flow->status & IPS_SEEN_REPLY))
		return "no reply seen";
	return flow->orig.proto == IPPROTO_TCP ? tcp_refusal(flow) : NULL;
}
