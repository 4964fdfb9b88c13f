// SPDX-License-Identifier: BSD-2-Clause
// Frames from a capture file: pcap of any byte order and resolution, and pcapng, as libpcap reads
// them.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/util/cleanup.h"
#include "slowpath/source_capture.h"

/* A capture whose end has been seen keeps saying so: libpcap would call a cut file just ended the
 * next time. */
struct file {
	struct source_capture capture;
	int end; /* 0, -ENODATA or -EBADMSG */
};

static int file_open(const char *path, struct source **source)
{
	__cleanup_file FILE *stream = fopen(path, "re");
	char message[PCAP_ERRBUF_SIZE];
	struct file *file;
	pcap_t *pcap;

	if (!stream)
		return -errno;
	file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO,
							message);
	if (!pcap) {
		free(file);
		return -EINVAL;
	}
	ptr_take(stream); /* pcap closes it */
	if (pcap_datalink(pcap) != DLT_EN10MB) {
		pcap_close(pcap);
		free(file);
		return -EMEDIUMTYPE;
	}
	file->capture.pcap = pcap;
	file->capture.source.fd = -1;
	*source = &file->capture.source;
	return 0;
}

static int file_receive(struct source *source, unsigned int budget, source_frame_fn fn, void *arg)
{
	struct file *file = (struct file *)source;
	int status, n;

	if (file->end)
		return file->end;
	n = source_capture_receive(&file->capture, budget, fn, arg, &status);
	if (status == PCAP_ERROR)
		file->end = -EBADMSG;
	else if (status == PCAP_ERROR_BREAK)
		file->end = -ENODATA;
	return n || !file->end ? n : file->end;
}

static int file_send(struct source *source, const void *frame, uint32_t n)
{
	(void)source;
	(void)frame;
	(void)n;
	return -EOPNOTSUPP;
}

static int file_dropped(const struct source *source, uint64_t *dropped)
{
	(void)source;
	*dropped = 0;
	return 0;
}

static void file_close(struct source *source)
{
	struct file *file = (struct file *)source;

	pcap_close(file->capture.pcap);
	free(file);
}

const struct source_kind source_file = {
	.name = "file",
	.open = file_open,
	.receive = file_receive,
	.send = file_send,
	.dropped = file_dropped,
	.close = file_close,
};
