// SPDX-License-Identifier: BSD-2-Clause
// Driver of test_sources.py: counts numbered frames that frame sources deliver, and sends each
// back.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "common/util/json.h"
#include "common/util/log.h"
#include "skel/sources.skel.h"
#include "slowpath/loop.h"
#include "slowpath/source.h"

/* Ethertypes for local experiments (IEEE 802): frames with a number, and their echo. */
enum { NUMBERED = 0x88b5, ECHO = 0x88b6, MAX_SOURCES = 4, MAX_FRAMES = 1 << 20, BUDGET = 64 };
enum { TICK_MS = 100, QUIET_TICKS = 3, MAX_TICKS = 200 };

struct driver;

struct slot {
	struct driver *driver;
	struct source *source;
	uint32_t queue, numbered, port;
	uint64_t first_ns, last_ns;
};

struct driver {
	struct loop *loop;
	struct slot slots[MAX_SOURCES];
	unsigned int n_slots, ticks, quiet_ticks;
	uint32_t expected, distinct, repeated, damaged, reordered, tagged, echoes, send_errors;
	uint32_t last;
	uint8_t seen[MAX_FRAMES];
	struct sources_bpf *bpf;
	uint32_t xdp_flags;
};

/*
 * Frame n is 60 + n % 1455 bytes (and its VLAN tag): ethertype, n in 4 bytes, then bytes that count
 * up from n. Returns the number, or -1 when it is no numbered frame, -2 when it is a wrong one.
 */
static int64_t frame_number(struct driver *driver, const struct frame *frame)
{
	const uint8_t *type = (const uint8_t *)frame->data + 12,
		      *end = type - 12 + frame->captured_length;
	uint32_t number, tag = 0;

	if (frame->captured_length < 60)
		return -1;
	if (type[0] == 0x81 && type[1] == 0x00)
		tag = 4;
	type += tag;
	driver->echoes += (type[0] << 8 | type[1]) == ECHO;
	if ((type[0] << 8 | type[1]) != NUMBERED)
		return -1;
	memcpy(&number, type + 2, sizeof(number));
	number = ntohl(number);
	driver->tagged += tag != 0;
	if (number >= driver->expected || frame->length != 60 + number % 1455 + tag ||
	    frame->captured_length != frame->length)
		return -2;
	for (const uint8_t *p = type + 6; p < end; p++)
		if (*p != (uint8_t)(number + (p - type - 6)))
			return -2;
	return number;
}

static void frame_echo(struct slot *slot, const struct frame *frame)
{
	uint8_t copy[2048];
	size_t type = ((const uint8_t *)frame->data)[12] == 0x81 ? 16 : 12;

	memcpy(copy, frame->data, frame->captured_length);
	copy[type + 1] = ECHO & 0xff;
	if (source_send(slot->source, copy, frame->captured_length))
		slot->driver->send_errors++;
}

static int take_frame(void *arg, const struct frame *frame)
{
	struct slot *slot = arg;
	struct driver *driver = slot->driver;
	int64_t number = frame_number(driver, frame);

	if (number == -1)
		return 0;
	driver->quiet_ticks = 0;
	slot->numbered++;
	slot->queue = frame->queue;
	slot->port = frame->port;
	slot->first_ns = slot->first_ns ? slot->first_ns : frame->timestamp_ns;
	slot->last_ns = frame->timestamp_ns;
	if (number < 0) {
		driver->damaged++;
		return 0;
	}
	driver->distinct += !driver->seen[number];
	driver->repeated += driver->seen[number];
	driver->seen[number] = 1;
	driver->reordered += (uint32_t)number < driver->last;
	driver->last = number;
	frame_echo(slot, frame);
	/* now and then break off: the frames behind this one must come the next time */
	return number % 100 == 99 ? -EINTR : 0;
}

static int on_ready(void *arg, uint32_t events)
{
	struct slot *slot = arg;
	int n = source_receive(slot->source, BUDGET, take_frame, slot);

	(void)events;
	return n < 0 && n != -EINTR ? n : 0;
}

/* Done when all is there and no more comes, or when it takes too long. */
static int on_tick(void *arg, uint64_t expirations)
{
	struct driver *driver = arg;

	/* AF_XDP does not wake for an interface that is gone. */
	for (unsigned int i = 0; i < driver->n_slots; i++) {
		int r = on_ready(&driver->slots[i], 0);

		if (r)
			return r;
	}
	driver->ticks += expirations;
	driver->quiet_ticks++;
	if (driver->ticks > MAX_TICKS ||
	    (driver->distinct == driver->expected && driver->quiet_ticks > QUIET_TICKS))
		loop_stop(driver->loop);
	return 0;
}

static int on_signal(void *arg, int signal)
{
	struct driver *driver = arg;

	(void)signal;
	loop_stop(driver->loop);
	return 0;
}

/* The program goes to the interface once, the socket into the slot of its queue. */
static int xsk_attach(struct driver *driver, const char *spec, const struct source *source)
{
	char name[IF_NAMESIZE + 1] = "";
	uint32_t queue;
	int fd = source_xsk_fd(source), r;

	if (sscanf(spec, "xsk:%16[^:]:%u", name, &queue) != 2)
		return -EINVAL;
	if (!driver->bpf) {
		driver->bpf = sources_bpf__open_and_load();
		if (!driver->bpf)
			return -errno;
		r = bpf_xdp_attach(if_nametoindex(name),
				   bpf_program__fd(driver->bpf->progs.sources_redirect),
				   driver->xdp_flags, NULL);
		if (r)
			return r;
	}
	return bpf_map__update_elem(driver->bpf->maps.sockets, &queue, sizeof(queue), &fd,
				    sizeof(fd), BPF_ANY);
}

static int driver_add(struct driver *driver, const char *spec)
{
	struct slot *slot = &driver->slots[driver->n_slots];
	int r;

	if (driver->n_slots == MAX_SOURCES)
		return -E2BIG;
	r = source_open(spec, &slot->source);
	if (r)
		return r;
	slot->driver = driver;
	driver->n_slots++;
	if (!strncmp(spec, "xsk:", 4)) {
		r = xsk_attach(driver, spec, slot->source);
		if (r)
			return r;
	}
	return loop_add_fd(driver->loop, source_fd(slot->source), EPOLLIN, on_ready, slot);
}

static void put_u64(struct json *json, const char *key, uint64_t value)
{
	json_key(json, key);
	json_u64(json, value);
}

static void report_slot(struct json *json, const struct slot *slot)
{
	struct source_stats stats = { 0 };

	json_object_begin(json);
	put_u64(json, "numbered", slot->numbered);
	put_u64(json, "port", slot->port);
	put_u64(json, "queue", slot->queue);
	put_u64(json, "first_ns", slot->first_ns);
	put_u64(json, "last_ns", slot->last_ns);
	json_key(json, "stats");
	json_i64(json, source_stats(slot->source, &stats));
	put_u64(json, "received", stats.received);
	put_u64(json, "dropped", stats.dropped);
	json_object_end(json);
}

static int report(const struct driver *driver, int r)
{
	struct json json;

	json_begin(&json, stdout);
	json_object_begin(&json);
	json_key(&json, "error");
	json_string(&json, r ? strerrorname_np(-r) : "");
	put_u64(&json, "distinct", driver->distinct);
	put_u64(&json, "repeated", driver->repeated);
	put_u64(&json, "damaged", driver->damaged);
	put_u64(&json, "reordered", driver->reordered);
	put_u64(&json, "tagged", driver->tagged);
	put_u64(&json, "echoes", driver->echoes);
	put_u64(&json, "send_errors", driver->send_errors);
	json_key(&json, "sources");
	json_array_begin(&json);
	for (unsigned int i = 0; i < driver->n_slots; i++)
		report_slot(&json, &driver->slots[i]);
	json_array_end(&json);
	json_object_end(&json);
	return json_end(&json);
}

/* sources native|generic COUNT SPEC... */
int main(int argc, char **argv)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	int r;

	if (!driver || argc < 4 || atoi(argv[2]) > MAX_FRAMES)
		return 2;
	driver->xdp_flags = strcmp(argv[1], "generic") ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	driver->expected = atoi(argv[2]);
	r = loop_new(&driver->loop);
	for (int i = 3; i < argc && !r; i++)
		r = driver_add(driver, argv[i]);
	if (!r)
		r = loop_add_timer(driver->loop, TICK_MS, on_tick, driver);
	if (!r)
		r = loop_add_signals(driver->loop, on_signal, driver);
	if (!r) {
		puts("ready");
		fflush(stdout);
		r = loop_run(driver->loop);
	}
	r = report(driver, r);
	for (unsigned int i = 0; i < driver->n_slots; i++)
		source_close(driver->slots[i].source);
	sources_bpf__destroy(driver->bpf);
	loop_free(driver->loop);
	free(driver);
	return r ? log_err(r, "report") != 0 : 0;
}
