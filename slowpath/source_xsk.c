// SPDX-License-Identifier: BSD-2-Clause
// Frames that an XDP program redirects to an AF_XDP socket, one socket and one UMEM per receive
// queue.
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "slowpath/source_kind.h"

/*
 * A frame takes one chunk of the UMEM, a page, less 256 bytes of headroom. The first RX_CHUNKS go
 * round through fill and rx ring, the others through tx and completion ring: neither direction can
 * starve the other.
 */
enum {
	CHUNK_BYTES = XSK_UMEM__DEFAULT_FRAME_SIZE,
	RX_CHUNKS = 2048,
	TX_CHUNKS = 512,
	UMEM_BYTES = (RX_CHUNKS + TX_CHUNKS) * CHUNK_BYTES,
};

/* The kernel frees a queue some time after its socket was closed: try for 1 s. */
enum { BIND_TRIES = 100, BIND_PAUSE_US = 10000 };

/* All zero before libxdp sees it: it leaves parts of the rings as they are. */
struct xsk {
	struct source source;
	uint32_t port, queue;
	void *chunks;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion, rx;
	uint64_t tx_free[TX_CHUNKS]; /* addresses of chunks to send from */
	uint32_t n_tx_free;
};

static void xsk_close(struct source *source)
{
	struct xsk *xsk = (struct xsk *)source;

	if (xsk->socket)
		xsk_socket__delete(xsk->socket);
	if (xsk->umem)
		xsk_umem__delete(xsk->umem);
	if (xsk->chunks)
		munmap(xsk->chunks, UMEM_BYTES);
	free(xsk);
}

/* "eth0:3" to its parts. */
static int address_parse(const char *address, char interface[static IF_NAMESIZE], uint32_t *queue)
{
	const char *colon = strrchr(address, ':');
	unsigned long value;
	char *end;

	if (!colon || colon == address || colon - address >= IF_NAMESIZE || colon[1] < '0' ||
	    colon[1] > '9')
		return -EINVAL;
	value = strtoul(colon + 1, &end, 10);
	if (*end || value > UINT16_MAX)
		return -EINVAL;
	memset(interface, 0, IF_NAMESIZE);
	memcpy(interface, address, colon - address);
	*queue = value;
	return 0;
}

static int umem_create(struct xsk *xsk)
{
	const struct xsk_umem_config config = {
		.fill_size = RX_CHUNKS,
		.comp_size = TX_CHUNKS,
		.frame_size = CHUNK_BYTES,
	};
	void *chunks =
		mmap(NULL, UMEM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunks == MAP_FAILED)
		return -errno;
	xsk->chunks = chunks;
	return xsk_umem__create(&xsk->umem, chunks, UMEM_BYTES, &xsk->fill, &xsk->completion,
				&config);
}

static int socket_create(struct xsk *xsk, const char *interface)
{
	const struct xsk_socket_config config = {
		.rx_size = RX_CHUNKS,
		.tx_size = TX_CHUNKS,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP,
	};
	int r;

	for (int i = 0; i < BIND_TRIES; i++) {
		r = xsk_socket__create(&xsk->socket, interface, xsk->queue, xsk->umem, &xsk->rx,
				       &xsk->tx, &config);
		if (r != -EBUSY)
			return r;
		usleep(BIND_PAUSE_US);
	}
	return r;
}

/* Hand chunks to the kernel to receive into. There is room: the ring holds all RX_CHUNKS. */
static void fill_add(struct xsk *xsk, const uint64_t *addresses, uint32_t n)
{
	uint32_t at = 0;

	if (xsk_ring_prod__reserve(&xsk->fill, n, &at) != n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&xsk->fill, at + i) = addresses[i];
	xsk_ring_prod__submit(&xsk->fill, n);
}

static void chunks_share_out(struct xsk *xsk)
{
	for (uint64_t i = 0; i < RX_CHUNKS; i++)
		fill_add(xsk, &(uint64_t){ i * CHUNK_BYTES }, 1);
	for (uint64_t i = 0; i < TX_CHUNKS; i++)
		xsk->tx_free[i] = (RX_CHUNKS + i) * CHUNK_BYTES;
	xsk->n_tx_free = TX_CHUNKS;
}

static int xsk_open(const char *address, struct source **source)
{
	char interface[IF_NAMESIZE];
	struct xsk *xsk;
	uint32_t queue;
	int r = address_parse(address, interface, &queue);

	if (r)
		return r;
	xsk = calloc(1, sizeof(*xsk));
	if (!xsk)
		return -ENOMEM;
	xsk->queue = queue;
	xsk->port = if_nametoindex(interface);
	r = xsk->port ? umem_create(xsk) : -ENODEV;
	if (!r)
		r = socket_create(xsk, interface);
	if (r) {
		xsk_close(&xsk->source);
		return r;
	}
	chunks_share_out(xsk);
	xsk->source.fd = xsk_socket__fd(xsk->socket);
	*source = &xsk->source;
	return 0;
}

/* The interface is gone: the kernel says so once. */
static int socket_error(const struct xsk *xsk)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (getsockopt(xsk->source.fd, SOL_SOCKET, SO_ERROR, &error, &n))
		return -errno;
	return -error;
}

static int xsk_receive(struct source *source, unsigned int budget, source_frame_fn fn, void *arg)
{
	struct xsk *xsk = (struct xsk *)source;
	struct frame frame = { .port = xsk->port, .queue = xsk->queue };
	uint32_t at = 0, waiting = xsk_ring_cons__peek(&xsk->rx, budget, &at), n;
	int r = 0;

	if (!waiting)
		return budget ? socket_error(xsk) : 0;
	frame.timestamp_ns = source_now_ns();
	for (n = 0; n < waiting && !r; n++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, at + n);
		const uint64_t chunk = desc->addr / CHUNK_BYTES * CHUNK_BYTES;

		frame.data = xsk_umem__get_data(xsk->chunks, desc->addr);
		frame.length = frame.captured_length = desc->len;
		r = source_give(source, &frame, fn, arg);
		fill_add(xsk, &chunk, 1);
	}
	xsk_ring_cons__cancel(&xsk->rx, waiting - n);
	xsk_ring_cons__release(&xsk->rx, n);
	return r ? r : (int)n;
}

static void completions_collect(struct xsk *xsk)
{
	uint32_t at = 0, n = xsk_ring_cons__peek(&xsk->completion, TX_CHUNKS, &at);

	for (uint32_t i = 0; i < n; i++)
		xsk->tx_free[xsk->n_tx_free++] =
			*xsk_ring_cons__comp_addr(&xsk->completion, at + i);
	xsk_ring_cons__release(&xsk->completion, n);
}

/* Have the kernel send what is in the tx ring, 32 frames a call. */
static int tx_kick(const struct xsk *xsk)
{
	for (int i = 0; i <= TX_CHUNKS / 32; i++)
		if (sendto(xsk->source.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			return 0;
		else if (errno != EAGAIN)
			break;
	/* What could not leave now stays in the ring for the next kick. */
	return errno == EAGAIN || errno == EBUSY || errno == ENOBUFS ? 0 : -errno;
}

static int xsk_send(struct source *source, const void *frame, uint32_t n)
{
	struct xsk *xsk = (struct xsk *)source;
	struct xdp_desc *desc;
	uint32_t at = 0;
	uint64_t chunk;

	if (n > CHUNK_BYTES)
		return -EMSGSIZE;
	completions_collect(xsk);
	if (!xsk->n_tx_free) {
		tx_kick(xsk);
		completions_collect(xsk);
	}
	if (!xsk->n_tx_free || xsk_ring_prod__reserve(&xsk->tx, 1, &at) != 1)
		return -EAGAIN;
	chunk = xsk->tx_free[--xsk->n_tx_free];
	memcpy(xsk_umem__get_data(xsk->chunks, chunk), frame, n);
	desc = xsk_ring_prod__tx_desc(&xsk->tx, at);
	*desc = (struct xdp_desc){ .addr = chunk, .len = n };
	xsk_ring_prod__submit(&xsk->tx, 1);
	return tx_kick(xsk);
}

/* rx_dropped: no chunk to receive into, or a frame larger than one; rx_ring_full cannot be but
 * costs nothing. */
static int xsk_dropped(const struct source *source, uint64_t *dropped)
{
	struct xdp_statistics statistics = { 0 };
	socklen_t n = sizeof(statistics);

	if (getsockopt(source->fd, SOL_XDP, XDP_STATISTICS, &statistics, &n))
		return -errno;
	*dropped = statistics.rx_dropped + statistics.rx_ring_full;
	return 0;
}

const struct source_kind source_xsk = {
	.name = "xsk",
	.open = xsk_open,
	.receive = xsk_receive,
	.send = xsk_send,
	.dropped = xsk_dropped,
	.close = xsk_close,
};
