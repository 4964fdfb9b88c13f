/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sent: the counters of what left by each port, kept by the drivers' tracepoints. */
#ifndef EVNF_FASTPATH_SENT_BPF_H
#define EVNF_FASTPATH_SENT_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "common/state.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PORTS_MAX);
	__type(key, __u32);
	__type(value, struct port_sent);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} port_sent SEC(".maps");

#endif
