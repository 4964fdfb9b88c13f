// SPDX-License-Identifier: BSD-2-Clause
// Devices: the map of interfaces that the loader keeps, read the other way round.
#include "slowpath/devices.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/cleanup.h"
#include "slowpath/pins.h"

int devices_read(const char *pins, struct device_key devices[PORTS_MAX])
{
	__cleanup_fd int fd = pins_open(pins, "devices");
	struct device_key key, *previous = NULL;
	uint32_t index;

	if (fd < 0)
		return fd;
	memset(devices, 0, PORTS_MAX * sizeof(*devices));
	while (!bpf_map_get_next_key(fd, previous, &key)) {
		if (!bpf_map_lookup_elem(fd, &key, &index) && index < PORTS_MAX)
			devices[index] = key;
		previous = &key;
	}
	return 0;
}

void device_name(const struct device_key *device, char name[IFNAMSIZ])
{
	if (device->netns != netns_inode() || !if_indextoname(device->ifindex, name))
		snprintf(name, IFNAMSIZ, "if%u", device->ifindex);
}

int device_attach_mode(uint32_t ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return bpf_xdp_query(ifindex, 0, &query) ? XDP_ATTACHED_NONE : query.attach_mode;
}

uint32_t netns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) ? 0 : st.st_ino;
}
