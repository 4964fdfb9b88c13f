/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The router's own table: how each port filters by the way back to a packet's source. */
#ifndef EVNF_EFWD_ROUTER_H
#define EVNF_EFWD_ROUTER_H

/* As net.ipv4.conf.*.rp_filter has it (ip-sysctl.rst); a port's in the map rp_filters. */
enum rp_filter { RP_FILTER_OFF, RP_FILTER_STRICT, RP_FILTER_LOOSE };

#endif
