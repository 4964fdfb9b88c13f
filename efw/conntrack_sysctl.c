// SPDX-License-Identifier: BSD-2-Clause
// Sysctls of conntrack, in the network namespace of the caller: /proc/sys/net shows that of its
// reader.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "efw/conntrack.h"

static int sysctl_open(const char *name, int flags)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int sysctl_read(const char *name, uint32_t *out)
{
	__cleanup_fd int fd = sysctl_open(name, O_RDONLY);
	char text[32];
	ssize_t length;
	uint32_t value;

	if (fd < 0)
		return fd;
	length = read(fd, text, sizeof(text) - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	if (sscanf(text, "%" SCNu32, &value) != 1)
		return -EBADMSG;
	*out = value;
	return 0;
}

int ct_timeouts_read(struct ct_timeouts *out)
{
	struct ct_timeouts timeouts;
	int error;

	error = sysctl_read("nf_conntrack_tcp_timeout_established", &timeouts.tcp_established_s);
	if (!error)
		error = sysctl_read("nf_conntrack_udp_timeout", &timeouts.udp_s);
	if (!error)
		error = sysctl_read("nf_conntrack_udp_timeout_stream", &timeouts.udp_stream_s);
	if (!error)
		error = sysctl_read("nf_conntrack_tcp_timeout_unacknowledged",
				    &timeouts.tcp_unacknowledged_s);
	if (!error)
		*out = timeouts;
	return error;
}

int ct_events_enable(int *before)
{
	__cleanup_fd int fd = -1;
	uint32_t value;
	const int error = sysctl_read("nf_conntrack_events", &value);

	if (error)
		return error;
	if (value != 1) {
		fd = sysctl_open("nf_conntrack_events", O_WRONLY);
		if (fd < 0)
			return fd;
		if (write(fd, "1", 1) < 0)
			return -errno;
	}
	*before = (int)value;
	return 0;
}
