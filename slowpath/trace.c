// SPDX-License-Identifier: BSD-2-Clause
// Trace: asks the fast path for copies of frames, selects, and writes them down.
#include "slowpath/trace.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#include "common/state.h"
#include "common/trace.h"
#include "common/util/cleanup.h"
#include "slowpath/devices.h"
#include "slowpath/loop.h"
#include "slowpath/pcapng.h"
#include "slowpath/pins.h"

#define RENEW_PERIOD_MS 500
#define WATCHED_TICKS 15   /* a watcher that was killed costs something for so long at most */
#define RECORD_BUDGET 4096 /* records taken in one turn of the loop */

struct tracer {
	const char *pins;
	const struct trace_options *options;
	struct trace_result *result;
	volatile struct chain_state *state;
	struct ring_buffer *ring;
	struct loop *loop;
	uint64_t began_ns;     /* CLOCK_MONOTONIC */
	uint64_t realtime_ns;  /* less CLOCK_MONOTONIC */
	uint32_t renewed_tick; /* of the last renewal */
	uint32_t lost_before;
	unsigned int budget;
	uint32_t n_interfaces;
	uint32_t interfaces[PORTS_MAX]; /* in the file, one more than the index; 0: not yet */
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Adds a port to the file before its first frame: ports may come while we watch. */
static int interface_find(struct tracer *tracer, uint16_t port, uint32_t *interface)
{
	struct device_key devices[PORTS_MAX];
	char name[IFNAMSIZ];
	int r;

	if (!tracer->interfaces[port]) {
		r = devices_read(tracer->pins, devices);
		if (r)
			return r;
		device_name(&devices[port], name);
		r = pcapng_add_interface(tracer->options->out, name, TRACE_BYTES_MAX);
		if (r)
			return r;
		tracer->interfaces[port] = ++tracer->n_interfaces;
	}
	*interface = tracer->interfaces[port] - 1;
	return 0;
}

static int record_write(struct tracer *tracer, const struct trace_record *record)
{
	struct pcapng_frame frame = {
		.timestamp_ns = record->timestamp_ns + tracer->realtime_ns,
		.length = record->length,
		.captured = record->captured,
		.data = record + 1,
		.direction = record->direction == TRACE_IN ? PCAPNG_IN : PCAPNG_OUT,
	};
	int r = interface_find(tracer, record->port, &frame.interface);

	if (!r)
		r = pcapng_add_frame(tracer->options->out, &frame);
	if (r)
		return r;
	if (++tracer->result->written == tracer->options->count)
		loop_stop(tracer->loop);
	return 0;
}

static bool record_wanted(const struct tracer *tracer, const struct trace_record *record)
{
	const struct trace_options *options = tracer->options;

	if (record->timestamp_ns < tracer->began_ns || record->port >= PORTS_MAX)
		return false; /* left behind by an earlier watcher */
	if (options->count && tracer->result->written == options->count)
		return false;
	return filter_match(options->filter, record + 1, record->captured, record->length,
			    record->direction == TRACE_OUT);
}

/* Returns -EAGAIN when the budget of this turn is used up. */
static int record_take(void *arg, void *data, size_t bytes)
{
	struct tracer *tracer = arg;
	const struct trace_record *record = data;
	int r = 0;

	if (bytes >= sizeof(*record) && bytes - sizeof(*record) >= record->captured &&
	    record_wanted(tracer, record))
		r = record_write(tracer, record);
	if (r)
		return r;
	return --tracer->budget ? 0 : -EAGAIN;
}

static int on_records(void *arg, uint32_t events)
{
	struct tracer *tracer = arg;
	int r;

	(void)events;
	tracer->budget = RECORD_BUDGET;
	r = ring_buffer__consume(tracer->ring);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	return fflush(tracer->options->out) ? -errno : 0;
}

/* The clock of a chain stops when the last pin is gone and no slow path holds it. */
static int on_renew(void *arg, uint64_t expirations)
{
	struct tracer *tracer = arg;
	uint32_t tick = tracer->state->tick;

	(void)expirations;
	if (tick == tracer->renewed_tick)
		return -ESTALE;
	tracer->renewed_tick = tick;
	tracer->realtime_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	/* Odd, as 0 means that nobody watches. */
	__atomic_store_n(&tracer->state->trace_until, (tick + WATCHED_TICKS) | 1, __ATOMIC_RELAXED);
	return 0;
}

static int on_end(void *arg, uint64_t expirations)
{
	struct tracer *tracer = arg;

	(void)expirations;
	loop_stop(tracer->loop);
	return 0;
}

static int on_signal(void *arg, int signal)
{
	(void)signal;
	return on_end(arg, 1);
}

static int tracer_open(struct tracer *tracer)
{
	__cleanup_fd int fd = pins_open(tracer->pins, "traces");

	if (fd < 0)
		return fd;
	tracer->state = pins_map(tracer->pins, "chain", sizeof(*tracer->state));
	if (!tracer->state)
		return -errno;
	tracer->ring = ring_buffer__new(fd, record_take, tracer, NULL);
	if (!tracer->ring)
		return -errno;
	tracer->renewed_tick = tracer->state->tick - 1;
	return loop_new(&tracer->loop);
}

/* What an earlier watcher left in the ring is thrown away, and makes room. */
static int tracer_begin(struct tracer *tracer)
{
	struct loop *loop = tracer->loop;
	int r;

	tracer->began_ns = UINT64_MAX;
	r = on_records(tracer, EPOLLIN);
	tracer->began_ns = clock_ns(CLOCK_MONOTONIC);
	tracer->lost_before = tracer->state->trace_lost;
	if (r || (r = loop_add_signals(loop, on_signal, tracer)) ||
	    (r = loop_add_fd(loop, ring_buffer__epoll_fd(tracer->ring), EPOLLIN, on_records,
			     tracer)) ||
	    (r = loop_add_timer(loop, RENEW_PERIOD_MS, on_renew, tracer)))
		return r;
	if (tracer->options->seconds)
		r = loop_add_timer(loop, tracer->options->seconds * 1000, on_end, tracer);
	if (!r)
		r = pcapng_begin(tracer->options->out);
	if (!r && fflush(tracer->options->out)) /* a reader of a pipe waits for it */
		r = -errno;
	return r ? r : on_renew(tracer, 1);
}

/* Frames copied before the end still count, those that come now do not. */
static int tracer_end(struct tracer *tracer)
{
	int r;

	__atomic_store_n(&tracer->state->trace_until, 0, __ATOMIC_RELAXED);
	tracer->result->lost = tracer->state->trace_lost - tracer->lost_before;
	do {
		tracer->budget = RECORD_BUDGET;
		r = ring_buffer__consume(tracer->ring);
	} while (r == -EAGAIN);
	if (r < 0)
		return r;
	return fflush(tracer->options->out) ? -errno : 0;
}

static void tracer_close(struct tracer *tracer)
{
	loop_free(tracer->loop);
	ring_buffer__free(tracer->ring);
	if (tracer->state)
		munmap((void *)tracer->state, sizeof(*tracer->state));
}

/* The directory of links stands for the right to read the ring: the chain's own is its slow path's.
 */
static int watch_lock(const char *pins)
{
	char path[PINS_PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/links", pins);
	return pins_lock(path);
}

int trace_run(const char *pins, const struct trace_options *options, struct trace_result *result)
{
	struct tracer tracer = { .pins = pins, .options = options, .result = result };
	__cleanup_fd int lock = watch_lock(pins);
	int r, ended;

	*result = (struct trace_result){};
	if (lock < 0)
		return lock;
	r = tracer_open(&tracer);
	if (!r)
		r = tracer_begin(&tracer);
	if (!r) {
		r = loop_run(tracer.loop);
		ended = tracer_end(&tracer);
		r = r ? r : ended;
	}
	tracer_close(&tracer);
	return r;
}
