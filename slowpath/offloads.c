// SPDX-License-Identifier: BSD-2-Clause
// Offloads: the ethtool call behind `ethtool -K … rxvlan off`.
#include "slowpath/offloads.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/util/cleanup.h"

int offloads_prepare(const char *interface, bool *changed)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	struct ifreq request = { .ifr_data = (void *)&value };
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (ioctl(fd, SIOCETHTOOL, &request))
		return errno == EOPNOTSUPP ? 0 : -errno;
	if (!(value.data & ETH_FLAG_RXVLAN))
		return 0;
	value.cmd = ETHTOOL_SFLAGS;
	value.data &= ~ETH_FLAG_RXVLAN;
	if (ioctl(fd, SIOCETHTOOL, &request))
		return -errno;
	*changed = true;
	return 0;
}
