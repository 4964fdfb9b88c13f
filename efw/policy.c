// SPDX-License-Identifier: BSD-2-Clause
// Reads the machine's netfilter rules with the tools that wrote them, and tells when they change.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>

#include "common/util/cleanup.h"
#include "efw/policy.h"
#include "efw/policy_legacy.h"
#include "efw/ruleset.h"

#define TOOL_TIMEOUT_MS 10000
#define TOOL_BYTES_MAX (256u << 20)
#define DRAIN_BUDGET 1024 /* announcements per call */

struct policy {
	struct mnl_socket *events;
	uint64_t fingerprint; /* before the last policy_read() */
};

/* ---- Running a tool. ---- */

/* Seconds of one tool's run are bounded, so that a hanging one cannot hang the firewall. */
static int time_left_ms(const struct timespec *start)
{
	struct timespec now;
	long long passed_ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	passed_ms =
		(now.tv_sec - start->tv_sec) * 1000ll + (now.tv_nsec - start->tv_nsec) / 1000000;
	return passed_ms < TOOL_TIMEOUT_MS ? (int)(TOOL_TIMEOUT_MS - passed_ms) : 0;
}

/* Reads until the end of the pipe. Returns 0 with a string for free(), or -errno. */
static int pipe_read(int fd, char **out)
{
	__cleanup_free char *text = NULL;
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	size_t used = 0, room = 0;
	struct timespec start;
	ssize_t n;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		if (room - used < 2) {
			room = room ? 2 * room : 64u << 10;
			char *larger = room > TOOL_BYTES_MAX ? NULL : realloc(text, room);

			if (!larger)
				return -ENOMEM;
			text = larger;
		}
		n = poll(&readable, 1, time_left_ms(&start));
		if (n == 0)
			return -ETIMEDOUT;
		n = n < 0 ? n : read(fd, text + used, room - used - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		used += n > 0 ? n : 0;
	} while (n);
	text[used] = '\0';
	if (strlen(text) != used)
		return -EBADMSG;
	*out = ptr_take(text);
	return 0;
}

/* Starts the tool with its output in a pipe. */
static int tool_start(const char *name, int output, pid_t *pid)
{
	static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/local/sbin",
					       "/usr/bin" };
	char *const environment[] = { "LC_ALL=C", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", NULL };
	char *const arguments[] = { (char *)name, NULL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);
	char path[64];

	if (r)
		return -r;
	r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	r = r ?: posix_spawn_file_actions_adddup2(&actions, output, 1);
	r = r ?: posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = ENOENT;
	for (size_t i = 0; r == ENOENT && i < sizeof(folders) / sizeof(*folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", folders[i], name);
		r = posix_spawn(pid, path, &actions, NULL, arguments, environment);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* What the tool writes, a string for free(). Returns 0, -ENOENT without the tool, -EIO when it
 * failed, or -errno. */
static int tool_read(const char *name, char **out)
{
	__cleanup_free char *text = NULL;
	__cleanup_fd int from = -1, to = -1;
	int fds[2], status = 0, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	from = fds[0];
	to = fds[1];
	r = tool_start(name, to, &pid);
	if (r)
		return r;
	close(fd_take(&to));
	r = pipe_read(from, &text);
	if (r)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r)
		return r;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return -EIO;
	*out = ptr_take(text);
	return 0;
}

/* ---- Reading. ---- */

struct texts {
	char *legacy4, *legacy6, *compat4, *compat6, *nft;
};

static void texts_free(struct texts *texts)
{
	free(texts->legacy4);
	free(texts->legacy6);
	free(texts->compat4);
	free(texts->compat6);
	free(texts->nft);
}

static void tell_unread(struct findings *findings, uint8_t touches, const char *where, int r)
{
	findings_add(findings, touches, where, "the rules cannot be read: %s",
		     r == -ENOENT ? "the tool is not installed" : strerror(-r));
}

static void legacy_read(int family, uint8_t touches, const char *tool, char **out,
			struct findings *findings)
{
	int r = legacy_tables_exist(family);

	if (r > 0)
		r = tool_read(tool, out);
	if (r < 0)
		tell_unread(findings, touches, tool, r);
}

/* Does the kernel know nftables at all? Returns 1, 0 or -errno. */
static int nft_exists(void)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	char bytes[1024] __attribute__((aligned(8)));
	struct nlmsghdr *message = mnl_nlmsg_put_header(bytes);
	struct nfgenmsg *head;
	ssize_t n;
	int r = 1;

	if (!socket)
		return -errno;
	message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
	message->nlmsg_flags = NLM_F_REQUEST;
	message->nlmsg_seq = 1;
	head = mnl_nlmsg_put_extra_header(message, sizeof(*head));
	head->version = NFNETLINK_V0;
	if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0 ||
	    (n = mnl_socket_recvfrom(socket, bytes, sizeof(bytes))) < 0)
		r = -errno;
	else if (mnl_cb_run(bytes, n, 1, 0, NULL, NULL) < 0)
		r = errno == EINVAL || errno == EOPNOTSUPP ? 0 : -errno;
	mnl_socket_close(socket);
	return r;
}

/* `nft -j list ruleset`, a string for free(). What the library does not know it leaves out of a
 * rule and only says so: an error. */
static int nft_read(char **out)
{
	struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
	const char *text, *errors;
	int r = -ENOMEM;

	if (!nft)
		return r;
	nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON);
	if (!nft_ctx_buffer_output(nft) && !nft_ctx_buffer_error(nft)) {
		r = nft_run_cmd_from_buffer(nft, "list ruleset") ? -EIO : 0;
		errors = nft_ctx_get_error_buffer(nft);
		if (errors && strstr(errors, "Error"))
			r = -EIO;
		text = nft_ctx_get_output_buffer(nft);
		if (!r && !(*out = text ? strdup(text) : NULL))
			r = -ENOMEM;
	}
	nft_ctx_free(nft);
	return r;
}

static void nftables_read(struct texts *texts, struct findings *findings)
{
	int r = nft_exists();

	if (r > 0)
		r = nft_read(&texts->nft);
	if (r < 0)
		tell_unread(findings, FINDING_ALL, "nft", r);
	/* Only the tool that made them can tell of `xt` parts. Without it each is a finding. */
	if (!texts->nft || !strstr(texts->nft, "\"xt\""))
		return;
	(void)tool_read("iptables-nft-save", &texts->compat4);
	(void)tool_read("ip6tables-nft-save", &texts->compat6);
}

int policy_read(struct policy *policy, struct findings *findings, uint64_t *hash)
{
	__attribute__((cleanup(texts_free))) struct texts texts = {};
	struct ruleset ruleset;
	int r = policy_legacy_fingerprint(&policy->fingerprint);

	if (r)
		return r;
	legacy_read(AF_INET, FINDING_IP4, "iptables-legacy-save", &texts.legacy4, findings);
	legacy_read(AF_INET6, FINDING_IP6, "ip6tables-legacy-save", &texts.legacy6, findings);
	nftables_read(&texts, findings);
	ruleset = (struct ruleset){ texts.legacy4, texts.legacy6, texts.compat4, texts.compat6,
				    texts.nft };
	ruleset_judge(&ruleset, findings);
	*hash = ruleset_hash(&ruleset);
	return 0;
}

/* ---- Changes. ---- */

int policy_open(struct policy **out)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int group = NFNLGRP_NFTABLES, r;

	if (!policy)
		return -ENOMEM;
	policy->events = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!policy->events || mnl_socket_bind(policy->events, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(policy->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group))) {
		r = -errno;
		policy_close(policy);
		return r;
	}
	*out = policy;
	return 0;
}

void policy_close(struct policy *policy)
{
	if (!policy)
		return;
	if (policy->events)
		mnl_socket_close(policy->events);
	free(policy);
}

int policy_event_fd(const struct policy *policy)
{
	return mnl_socket_get_fd(policy->events);
}

int policy_receive(struct policy *policy, bool *changed)
{
	bool any = false;
	char byte;

	/* What is announced does not matter: the rules are read anew. */
	for (unsigned i = 0; i < DRAIN_BUDGET; i++) {
		if (recv(mnl_socket_get_fd(policy->events), &byte, 1, MSG_DONTWAIT) >= 0 ||
		    errno == ENOBUFS)
			any = true;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return -errno;
	}
	*changed = any;
	return 0;
}

int policy_poll(struct policy *policy, bool *changed)
{
	uint64_t fingerprint;
	int r = policy_legacy_fingerprint(&fingerprint);

	if (!r)
		*changed = fingerprint != policy->fingerprint;
	return r;
}
