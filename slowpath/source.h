// SPDX-License-Identifier: BSD-2-Clause
// Frame sources behind one interface: AF_XDP socket, TAP device, packet capture, capture file.
#ifndef SLOWPATH_SOURCE_H
#define SLOWPATH_SOURCE_H

#include <stdint.h>

/* One Ethernet frame, valid during the callback only. */
struct frame {
	const void *data;         /* captured_length bytes from the destination MAC on */
	uint32_t length;          /* bytes on the wire, without FCS */
	uint32_t captured_length; /* bytes in data, fewer when the capture cut the frame */
	uint64_t timestamp_ns;    /* CLOCK_REALTIME of arrival; xsk and tap: of reading */
	uint32_t port;            /* ifindex it came from; 0 for a file */
	uint32_t queue;           /* receive queue; 0 where there is none */
};

struct source_stats {
	uint64_t received; /* frames given to callbacks */
	uint64_t dropped;  /* frames lost before, as nobody read them in time or they were too large
			    */
};

struct source;

/* Returns 0, or -errno, which ends this source_receive(); the frame counts as received. */
typedef int (*source_frame_fn)(void *arg, const struct frame *frame);

/*
 * Open the source that spec names:
 * - xsk:IFACE:QUEUE is an AF_XDP socket, copy mode, for one receive queue. It loads no XDP program:
 *   the caller puts source_xsk_fd() into an XSKMAP. A queue just closed is waited for, up to 1 s.
 * - tap:NAME is the TAP device of that name, set up; made here if it is not there, then it goes
 *   away at close.
 * - pcap:IFACE copies the frames that IFACE receives, not those it sends; promiscuous.
 * - file:PATH is a capture file, pcap of any byte order and resolution or pcapng.
 *
 * Returns 0 and *source, or -errno: -EINVAL no such kind, or not a capture file, -EMEDIUMTYPE not
 * Ethernet, -ENODEV no such interface, -EBUSY the queue is taken, -ENOENT no such file, -EPERM.
 */
int source_open(const char *spec, struct source **source);

/*
 * For epoll, to wait for EPOLLIN; -1 for a file, which is always ready. The kernel does not wake an
 * AF_XDP socket whose interface is gone: who wants to know that calls source_receive() from time to
 * time.
 */
int source_fd(const struct source *source);

/*
 * Give up to budget waiting frames to fn, never blocking. Returns the number given (0: none is
 * waiting), fn's error, or -errno: -ENODATA at the end of a file, -EBADMSG where a file is cut or
 * damaged (frames before it have been given), -ENETDOWN or -ENODEV when the interface went down or
 * away.
 */
int source_receive(struct source *source, unsigned int budget, source_frame_fn fn, void *arg);

/*
 * Send one frame of n bytes out of the interface (tap: into the kernel). Returns 0, -EAGAIN when
 * the queue is full now, -EMSGSIZE when n is 0 or more than the source takes, -EOPNOTSUPP for a
 * file, or -errno.
 */
int source_send(struct source *source, const void *frame, uint32_t n);

/* Counts since source_open(). Returns 0 or -errno. */
int source_stats(const struct source *source, struct source_stats *stats);

/* The socket for an XSKMAP; -EOPNOTSUPP when the source is of another kind. */
int source_xsk_fd(const struct source *source);

void source_close(struct source *source); /* NULL is fine */

static inline void cleanup_source(struct source **source)
{
	source_close(*source);
}
#define __cleanup_source __attribute__((cleanup(cleanup_source)))

#endif
