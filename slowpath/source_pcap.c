// SPDX-License-Identifier: BSD-2-Clause
// Copies of the frames an interface receives, by libpcap's packet socket ring (TPACKET_V3).
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "slowpath/source_capture.h"

/*
 * The kernel hands over blocks of 256 KiB, each after 1 ms even if nearly empty: with 64 of them a
 * reader may sleep 64 ms without loss. One frame at a time (immediate mode) costs ten times the
 * CPU.
 */
enum { BLOCK_TIMEOUT_MS = 1, RING_BYTES = 64 * 256 << 10, SNAPLEN = 65535 };

static int pcap_errno(int status)
{
	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return -ENODEV;
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return -EPERM;
	case PCAP_ERROR_IFACE_NOT_UP:
		return -ENETDOWN;
	default:
		return -EIO;
	}
}

static int capture_activate(pcap_t *pcap)
{
	char message[PCAP_ERRBUF_SIZE];
	int r;

	pcap_set_snaplen(pcap, SNAPLEN);
	pcap_set_promisc(pcap, 1);
	pcap_set_timeout(pcap, BLOCK_TIMEOUT_MS);
	pcap_set_buffer_size(pcap, RING_BYTES);
	pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
	r = pcap_activate(pcap); /* > 0: a warning */
	if (r < 0)
		return pcap_errno(r);
	if (pcap_datalink(pcap) != DLT_EN10MB)
		return -EMEDIUMTYPE;
	if (pcap_setdirection(pcap, PCAP_D_IN) || pcap_setnonblock(pcap, 1, message))
		return -EIO;
	return 0;
}

static int capture_open(const char *interface, struct source **source)
{
	struct source_capture *capture;
	char message[PCAP_ERRBUF_SIZE];
	uint32_t port = if_nametoindex(interface);
	int r;

	if (!port)
		return -ENODEV;
	capture = calloc(1, sizeof(*capture));
	if (!capture)
		return -ENOMEM;
	capture->port = port;
	capture->pcap = pcap_create(interface, message);
	r = capture->pcap ? capture_activate(capture->pcap) : -ENOMEM;
	if (r) {
		if (capture->pcap)
			pcap_close(capture->pcap);
		free(capture);
		return r;
	}
	capture->source.fd = pcap_get_selectable_fd(capture->pcap);
	*source = &capture->source;
	return 0;
}

static int capture_receive(struct source *source, unsigned int budget, source_frame_fn fn,
			   void *arg)
{
	struct source_capture *capture = (struct source_capture *)source;
	char name[IF_NAMESIZE];
	int status, n = source_capture_receive(capture, budget, fn, arg, &status);

	if (n || status >= 0)
		return n;
	return if_indextoname(capture->port, name) ? -ENETDOWN : -ENODEV;
}

static int capture_send(struct source *source, const void *frame, uint32_t n)
{
	const struct source_capture *capture = (const struct source_capture *)source;

	/* Not pcap_inject(), which turns errno into text. */
	if (send(pcap_fileno(capture->pcap), frame, n, MSG_DONTWAIT) >= 0)
		return 0;
	return errno == ENOBUFS ? -EAGAIN : errno == EINVAL ? -EMSGSIZE : -errno;
}

static int capture_dropped(const struct source *source, uint64_t *dropped)
{
	const struct source_capture *capture = (const struct source_capture *)source;
	struct pcap_stat stat;

	if (pcap_stats(capture->pcap, &stat))
		return -EIO;
	*dropped = stat.ps_drop;
	return 0;
}

static void capture_close(struct source *source)
{
	struct source_capture *capture = (struct source_capture *)source;

	pcap_close(capture->pcap);
	free(capture);
}

const struct source_kind source_pcap = {
	.name = "pcap",
	.open = capture_open,
	.receive = capture_receive,
	.send = capture_send,
	.dropped = capture_dropped,
	.close = capture_close,
};
