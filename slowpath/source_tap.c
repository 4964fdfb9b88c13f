// SPDX-License-Identifier: BSD-2-Clause
// Frames that the kernel sends to a TAP device; frames sent here arrive in the kernel from it.
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "slowpath/source_kind.h"

struct tap {
	struct source source;
	uint32_t port;
	uint32_t dropped_before; /* by others, when the device was there already */
	char name[IFNAMSIZ];
	uint8_t buffer[65535 + 18]; /* the largest MTU, Ethernet header and one VLAN tag */
};

static int interface_up(const char *name)
{
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : 0;
}

/* Frames the kernel had for the device while its queue was full. */
static int interface_dropped(const char *name, uint32_t *dropped)
{
	struct ifaddrs *list;
	int r = -ENODEV;

	if (getifaddrs(&list))
		return -errno;
	for (const struct ifaddrs *at = list; at && r; at = at->ifa_next) {
		const struct rtnl_link_stats *stats = at->ifa_data;

		if (!stats || at->ifa_addr->sa_family != AF_PACKET || strcmp(at->ifa_name, name))
			continue;
		*dropped = stats->tx_dropped;
		r = 0;
	}
	freeifaddrs(list);
	return r;
}

static int tap_attach(struct tap *tap, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	__cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request))
		return -errno;
	memcpy(tap->name, request.ifr_name, IFNAMSIZ);
	r = interface_up(tap->name);
	if (!r)
		r = interface_dropped(tap->name, &tap->dropped_before);
	if (r)
		return r;
	tap->port = if_nametoindex(tap->name);
	tap->source.fd = fd_take(&fd);
	return 0;
}

static int tap_open(const char *name, struct source **source)
{
	struct tap *tap;
	int r;

	if (!*name || strlen(name) >= IFNAMSIZ || strchr(name, '%'))
		return -EINVAL; /* the kernel would pick a name for %d */
	tap = calloc(1, sizeof(*tap));
	if (!tap)
		return -ENOMEM;
	r = tap_attach(tap, name);
	if (r) {
		free(tap);
		return r;
	}
	*source = &tap->source;
	return 0;
}

static int tap_receive(struct source *source, unsigned int budget, source_frame_fn fn, void *arg)
{
	struct tap *tap = (struct tap *)source;
	unsigned int n;

	for (n = 0; n < budget; n++) {
		ssize_t length = read(source->fd, tap->buffer, sizeof(tap->buffer));
		struct frame frame = { .data = tap->buffer, .port = tap->port };
		int r;

		if (length < 0 && errno == EAGAIN)
			break;
		if (length < 0) /* the device was deleted: EBADFD, or EIO while it is being */
			return n ? (int)n : errno == EBADFD || errno == EIO ? -ENODEV : -errno;
		frame.length = frame.captured_length = length;
		frame.timestamp_ns = source_now_ns();
		r = source_give(source, &frame, fn, arg);
		if (r)
			return r;
	}
	return n;
}

static int tap_send(struct source *source, const void *frame, uint32_t n)
{
	if (write(source->fd, frame, n) >= 0)
		return 0;
	switch (errno) {
	case EIO:
		return -ENETDOWN;
	case EBADFD:
		return -ENODEV;
	case EINVAL: /* shorter than an Ethernet header, or longer than the kernel takes */
		return -EMSGSIZE;
	default:
		return -errno;
	}
}

static int tap_dropped(const struct source *source, uint64_t *dropped)
{
	const struct tap *tap = (const struct tap *)source;
	uint32_t now;
	int r = interface_dropped(tap->name, &now);

	if (!r)
		*dropped = now - tap->dropped_before;
	return r;
}

static void tap_close(struct source *source)
{
	close(source->fd);
	free(source);
}

const struct source_kind source_tap = {
	.name = "tap",
	.open = tap_open,
	.receive = tap_receive,
	.send = tap_send,
	.dropped = tap_dropped,
	.close = tap_close,
};
