// SPDX-License-Identifier: BSD-2-Clause
// Conntrack: the ctnetlink sockets of the firewall: events, dumps, queries and refreshes.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "efw/conntrack.h"
#include "efw/conntrack_message.h"

#define EVENT_BATCH 32            /* events per system call */
#define EVENT_BYTES 2048          /* the kernel's largest event is below 1 KiB */
#define DUMP_BYTES (32u << 10)    /* the largest datagram the kernel writes for a dump */
#define REQUEST_BYTES (64u << 10) /* requests per system call */
#define REFUSAL_BYTES (2u << 20)  /* room for a batch of refusals, 1 KiB of kernel memory each */

#define TOLD_SLOTS (2 * CT_EVENTS_PER_STEP)
_Static_assert((TOLD_SLOTS & (TOLD_SLOTS - 1)) == 0, "a mask finds the slot");

struct ct {
	struct mnl_socket *events, *requests;
	struct mnl_socket *dump; /* NULL: none under way */
	bool dump_interrupted;
	/* Ids of the flows that events told of since the last step of the dump: a hash table, open
	 * addressing, half full at most. The ids are hashes already. */
	unsigned told_count;
	uint32_t told[TOLD_SLOTS];
	struct mmsghdr messages[EVENT_BATCH];
	struct iovec vectors[EVENT_BATCH];
	/* netlink headers want 4-byte alignment */
	uint8_t event_bytes[EVENT_BATCH][EVENT_BYTES] __attribute__((aligned(8)));
	uint8_t dump_bytes[DUMP_BYTES] __attribute__((aligned(8)));
	uint8_t request_bytes[REQUEST_BYTES] __attribute__((aligned(8)));
};

/* ---- Opening. ---- */

/* A buffer beyond net.core.rmem_max is for CAP_NET_ADMIN; without it the kernel caps it. */
static int receive_buffer_set(const struct mnl_socket *socket, size_t bytes)
{
	const int value = bytes > INT32_MAX ? INT32_MAX : (int)bytes;
	const int fd = mnl_socket_get_fd(socket);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)) == 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)) == 0)
		return 0;
	return -errno;
}

static int socket_open(size_t receive_bytes, struct mnl_socket **out)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int error;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
	} else {
		error = receive_bytes ? receive_buffer_set(socket, receive_bytes) : 0;
		if (!error) {
			*out = socket;
			return 0;
		}
	}
	mnl_socket_close(socket);
	return error;
}

static int groups_join(const struct mnl_socket *events)
{
	/* Not NFNLGRP_CONNTRACK_NEW: the kernel then does not even write those events. */
	static const int groups[] = { NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY };

	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		if (setsockopt(mnl_socket_get_fd(events), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
			       &groups[i], sizeof(groups[i])) < 0)
			return -errno;
	}
	return 0;
}

static int requests_open(struct mnl_socket **out)
{
	const int on = 1;
	const int error = socket_open(REFUSAL_BYTES, out);

	if (error)
		return error;
	/* Only shortens the refusals, so a kernel without it is fine. */
	(void)setsockopt(mnl_socket_get_fd(*out), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

static void event_batch_init(struct ct *ct)
{
	for (size_t i = 0; i < EVENT_BATCH; i++) {
		ct->vectors[i].iov_base = ct->event_bytes[i];
		ct->vectors[i].iov_len = EVENT_BYTES;
		ct->messages[i].msg_hdr.msg_iov = &ct->vectors[i];
		ct->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

static int sockets_open(struct ct *ct, size_t receive_bytes)
{
	int error = requests_open(&ct->requests);

	if (!error)
		error = socket_open(receive_bytes, &ct->events);
	if (!error)
		error = ct_filter_attach(mnl_socket_get_fd(ct->events),
					 mnl_socket_get_portid(ct->requests));
	return error ? error : groups_join(ct->events);
}

int ct_open(size_t receive_bytes, struct ct **out)
{
	struct ct *ct = calloc(1, sizeof(*ct));
	int error;

	if (!ct)
		return -ENOMEM;
	event_batch_init(ct);
	error = sockets_open(ct, receive_bytes);
	if (error) {
		ct_close(ct);
		return error;
	}
	*out = ct;
	return 0;
}

static void dump_close(struct ct *ct)
{
	if (ct->dump)
		mnl_socket_close(ct->dump);
	ct->dump = NULL;
}

void ct_close(struct ct *ct)
{
	if (!ct)
		return;
	dump_close(ct);
	if (ct->events)
		mnl_socket_close(ct->events);
	if (ct->requests)
		mnl_socket_close(ct->requests);
	free(ct);
}

int ct_event_fd(const struct ct *ct)
{
	return mnl_socket_get_fd(ct->events);
}

/* ---- Events. ---- */

/* The slot of the id, or the empty one where it belongs. 0 means empty, so an id of 0 counts
 * as told: such a flow, one in 2^32, waits for another dump. */
static uint32_t *told_slot(struct ct *ct, uint32_t id)
{
	uint32_t slot = id & (TOLD_SLOTS - 1);

	while (ct->told[slot] && ct->told[slot] != id)
		slot = (slot + 1) & (TOLD_SLOTS - 1);
	return &ct->told[slot];
}

static bool told_has(struct ct *ct, uint32_t id)
{
	return ct->told_count && *told_slot(ct, id) == id;
}

/* Counts one more than the limit at most, and that one voids the dump. */
static void told_add(struct ct *ct, uint32_t id)
{
	if (ct->told_count > CT_EVENTS_PER_STEP || told_has(ct, id))
		return;
	if (ct->told_count++ < CT_EVENTS_PER_STEP)
		*told_slot(ct, id) = id;
}

static void told_clear(struct ct *ct)
{
	if (ct->told_count)
		memset(ct->told, 0, sizeof(ct->told));
	ct->told_count = 0;
}

static void events_read(struct ct *ct, const uint8_t *bytes, size_t length, ct_flow_fn fn,
			void *arg)
{
	struct ct_bytes datagram = { bytes, bytes + length };
	const struct nlmsghdr *message;
	struct ct_flow flow;

	while ((message = ct_message_next(&datagram))) {
		if (!ct_flow_read(message, &flow))
			continue;
		if (ct->dump)
			told_add(ct, flow.id);
		fn(arg,
		   NFNL_MSG_TYPE(message->nlmsg_type) == IPCTNL_MSG_CT_DELETE ? CT_DESTROY
									      : CT_UPDATE,
		   &flow);
	}
}

int ct_receive(struct ct *ct, unsigned budget, ct_flow_fn fn, void *arg)
{
	while (budget) {
		const unsigned wanted = budget < EVENT_BATCH ? budget : EVENT_BATCH;
		const int count =
			recvmmsg(ct_event_fd(ct), ct->messages, wanted, MSG_DONTWAIT, NULL);

		if (count < 0)
			return errno == EAGAIN ? 0 : -errno;
		for (int i = 0; i < count; i++) {
			if (ct->messages[i].msg_hdr.msg_flags & MSG_TRUNC)
				return -ENOBUFS;
			events_read(ct, ct->event_bytes[i], ct->messages[i].msg_len, fn, arg);
		}
		if ((unsigned)count < wanted)
			return 0;
		budget -= count;
	}
	return 1;
}

/* ---- Dumps. ---- */

int ct_dump_start(struct ct *ct, int family)
{
	uint8_t request[CT_MESSAGE_MAX] __attribute__((aligned(8)));
	const size_t length = ct_dump_write(request, (uint8_t)family);
	int error;

	dump_close(ct);
	error = socket_open(0, &ct->dump);
	if (error)
		return error;
	ct->dump_interrupted = false;
	told_clear(ct);
	if (mnl_socket_sendto(ct->dump, request, length) < 0) {
		error = -errno;
		dump_close(ct);
	}
	return error;
}

/* The status that NLMSG_DONE and NLMSG_ERROR begin with: 0 or -errno. */
static int status_read(const struct nlmsghdr *message)
{
	int status;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(status))
		return -EBADMSG;
	memcpy(&status, mnl_nlmsg_get_payload(message), sizeof(status));
	return status;
}

/* Returns 1: more datagrams follow; 0: the dump is complete; or -errno. */
static int dump_read(struct ct *ct, size_t length, ct_flow_fn fn, void *arg)
{
	struct ct_bytes datagram = { ct->dump_bytes, ct->dump_bytes + length };
	const struct nlmsghdr *message;
	struct ct_flow flow;

	while ((message = ct_message_next(&datagram))) {
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			ct->dump_interrupted = true;
		if (message->nlmsg_type == NLMSG_DONE && ct->dump_interrupted)
			return -EINTR;
		if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
			return status_read(message);
		if (ct_flow_read(message, &flow) && !told_has(ct, flow.id))
			fn(arg, CT_DUMPED, &flow);
	}
	return 1;
}

static int dump_receive(struct ct *ct, ct_flow_fn fn, void *arg)
{
	ssize_t length;

	if (ct->told_count > CT_EVENTS_PER_STEP)
		return -EOVERFLOW;
	/* The kernel has the datagram ready, and writes the next one in this call. */
	length = recv(mnl_socket_get_fd(ct->dump), ct->dump_bytes, DUMP_BYTES,
		      MSG_DONTWAIT | MSG_TRUNC);
	if (length < 0)
		return -errno;
	if (length > (ssize_t)DUMP_BYTES)
		return -EMSGSIZE;
	return dump_read(ct, (size_t)length, fn, arg);
}

int ct_dump_step(struct ct *ct, unsigned budget, ct_flow_fn fn, void *arg)
{
	int result = ct->dump ? 1 : -EINVAL;

	for (unsigned i = 0; i < budget && result == 1; i++) {
		result = dump_receive(ct, fn, arg);
		told_clear(ct); /* what the kernel writes from here on is newer */
	}
	if (result != 1)
		dump_close(ct);
	return result;
}

/* ---- Requests. ---- */

/* Reads the next datagram on the request socket. Returns its length, 0: none, or -errno. */
static ssize_t reply_receive(struct ct *ct)
{
	const ssize_t length = recv(mnl_socket_get_fd(ct->requests), ct->request_bytes,
				    REQUEST_BYTES, MSG_DONTWAIT);

	if (length < 0)
		return errno == EAGAIN ? 0 : -errno;
	return length;
}

/* The kernel answered within the send: what is not there now was no refusal. */
static int refusals_read(struct ct *ct, unsigned count, ct_refused_fn refused, void *arg)
{
	const struct nlmsghdr *message;
	ssize_t length;

	while ((length = reply_receive(ct)) > 0) {
		struct ct_bytes datagram = { ct->request_bytes, ct->request_bytes + length };

		while ((message = ct_message_next(&datagram))) {
			if (message->nlmsg_type == NLMSG_ERROR && message->nlmsg_seq < count)
				refused(arg, message->nlmsg_seq, status_read(message));
		}
	}
	return (int)length;
}

int ct_refresh(struct ct *ct, const struct ct_refresh *flows, unsigned count, ct_refused_fn refused,
	       void *arg)
{
	unsigned done = 0;

	while (done < count) {
		size_t used = 0;
		int error;

		for (; done < count && used + CT_MESSAGE_MAX <= REQUEST_BYTES; done++)
			used += ct_refresh_write(ct->request_bytes + used, &flows[done], done);
		if (mnl_socket_sendto(ct->requests, ct->request_bytes, used) < 0)
			return -errno;
		error = refusals_read(ct, count, refused, arg);
		if (error)
			return error;
	}
	return 0;
}

int ct_query(struct ct *ct, const struct ct_tuple *orig, struct ct_flow *out)
{
	const size_t request = ct_query_write(ct->request_bytes, orig);
	struct ct_bytes datagram = { ct->request_bytes, ct->request_bytes };
	const struct nlmsghdr *message;
	struct ct_flow flow;
	ssize_t length;

	if (mnl_socket_sendto(ct->requests, ct->request_bytes, request) < 0)
		return -errno;
	length = reply_receive(ct);
	if (length < 0)
		return (int)length;
	datagram.end += length;
	message = ct_message_next(&datagram);
	if (message && message->nlmsg_type == NLMSG_ERROR)
		return status_read(message);
	if (!message || !ct_flow_read(message, &flow))
		return -EBADMSG;
	*out = flow;
	return 0;
}
