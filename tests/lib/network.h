/* SPDX-License-Identifier: BSD-2-Clause */
/* Network: makes links, addresses, neighbors and routes in the namespace of the process. */
#ifndef EVNF_TESTS_LIB_NETWORK_H
#define EVNF_TESTS_LIB_NETWORK_H

#include <linux/types.h>
#include <stdint.h>

/* Leaves the network and mount namespaces for fresh ones that end with the process: forwarding is
 * on for IPv4 and IPv6, links get no addresses of their own, and a new bpffs is at PINS_BPFFS.
 * Returns 0 or -errno (-EPERM without root). */
int network_enter(void);

/* Addresses are text of either family. All return 0 or -errno. */
int network_add_veth(const char *name, const char *peer, const uint8_t mac[6]); /* both run */
int network_set_mtu(const char *link, uint32_t mtu);
int network_add_address(const char *link, const char *address, uint8_t prefix_bits);
int network_add_neighbor(const char *link, const char *address, const uint8_t mac[6]);
int network_delete_neighbor(const char *link, const char *address);
int network_add_route(const char *to, uint8_t prefix_bits, const char *gateway);
int network_add_blackhole(const char *to, uint8_t prefix_bits);

#endif
