// SPDX-License-Identifier: BSD-2-Clause
// The event loop: one event per epoll_wait(), so that a callback may remove any fd.
#include "slowpath/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/util/cleanup.h"

/* One fd and who wants to know about it. */
struct watch {
	struct watch *next;
	int fd;
	int (*dispatch)(const struct watch *watch, uint32_t events);
	union {
		loop_fd_fn fd_fn;
		loop_timer_fn timer_fn;
		loop_signal_fn signal_fn;
	};
	void *arg;
	bool owned; /* the loop made the fd */
};

struct loop {
	pthread_mutex_t *lock; /* held by callbacks; NULL: none */
	int epoll_fd;
	struct watch *watches;
	bool stopped;
	bool has_signals;
	sigset_t mask_before;
};

int loop_new(struct loop **loop)
{
	struct loop *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return -ENOMEM;
	new->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (new->epoll_fd < 0) {
		r = -errno;
		free(new);
		return r;
	}
	*loop = new;
	return 0;
}

static void watch_free(struct watch *watch)
{
	if (watch->owned)
		close(watch->fd);
	free(watch);
}

void loop_free(struct loop *loop)
{
	struct watch *next;

	if (!loop)
		return;
	for (struct watch *watch = loop->watches; watch; watch = next) {
		next = watch->next;
		watch_free(watch);
	}
	if (loop->has_signals)
		pthread_sigmask(SIG_SETMASK, &loop->mask_before, NULL);
	close(loop->epoll_fd);
	free(loop);
}

/* Watch a copy of *watch. */
static int loop_watch(struct loop *loop, uint32_t events, const struct watch *watch)
{
	struct watch *new = malloc(sizeof(*new));
	struct epoll_event event = { .events = events, .data.ptr = new };
	int r;

	if (!new)
		return -ENOMEM;
	*new = *watch;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, new->fd, &event)) {
		r = -errno;
		free(new);
		return r;
	}
	new->next = loop->watches;
	loop->watches = new;
	return 0;
}

static int fd_dispatch(const struct watch *watch, uint32_t events)
{
	return watch->fd_fn(watch->arg, events);
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *arg)
{
	const struct watch watch = { .fd = fd, .dispatch = fd_dispatch, .fd_fn = fn, .arg = arg };

	return loop_watch(loop, events, &watch);
}

int loop_remove_fd(struct loop *loop, int fd)
{
	for (struct watch **at = &loop->watches; *at; at = &(*at)->next) {
		struct watch *watch = *at;

		if (watch->fd != fd || watch->owned)
			continue;
		if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL))
			return -errno;
		*at = watch->next;
		watch_free(watch);
		return 0;
	}
	return -ENOENT;
}

static int timer_dispatch(const struct watch *watch, uint32_t events)
{
	uint64_t expirations;

	(void)events;
	if (read(watch->fd, &expirations, sizeof(expirations)) < 0)
		return errno == EAGAIN ? 0 : -errno;
	return watch->timer_fn(watch->arg, expirations);
}

int loop_add_timer(struct loop *loop, unsigned int period_ms, loop_timer_fn fn, void *arg)
{
	const struct timespec period = { .tv_sec = period_ms / 1000,
					 .tv_nsec = period_ms % 1000 * 1000000L };
	const struct itimerspec timer = { .it_interval = period, .it_value = period };
	struct watch watch = {
		.dispatch = timer_dispatch, .timer_fn = fn, .arg = arg, .owned = true
	};
	__cleanup_fd int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int r;

	if (!period_ms)
		return -EINVAL;
	if (fd < 0 || timerfd_settime(fd, 0, &timer, NULL))
		return -errno;
	watch.fd = fd;
	r = loop_watch(loop, EPOLLIN, &watch);
	if (!r)
		fd_take(&fd);
	return r;
}

static int signal_dispatch(const struct watch *watch, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) < 0)
		return errno == EAGAIN ? 0 : -errno;
	return watch->signal_fn(watch->arg, info.ssi_signo);
}

int loop_add_signals(struct loop *loop, loop_signal_fn fn, void *arg)
{
	struct watch watch = {
		.dispatch = signal_dispatch, .signal_fn = fn, .arg = arg, .owned = true
	};
	__cleanup_fd int fd = -1;
	sigset_t signals;
	int r;

	if (loop->has_signals)
		return -EEXIST;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	watch.fd = fd;
	r = loop_watch(loop, EPOLLIN, &watch);
	if (r)
		return r;
	fd_take(&fd);
	pthread_sigmask(SIG_BLOCK, &signals, &loop->mask_before);
	loop->has_signals = true;
	return 0;
}

void loop_set_lock(struct loop *loop, pthread_mutex_t *lock)
{
	loop->lock = lock;
}

int loop_run(struct loop *loop)
{
	while (!loop->stopped) {
		struct epoll_event event;
		const struct watch *watch;
		int n = epoll_wait(loop->epoll_fd, &event, 1, -1);
		int r;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		watch = event.data.ptr;
		if (loop->lock)
			pthread_mutex_lock(loop->lock);
		r = watch->dispatch(watch, event.events);
		if (loop->lock)
			pthread_mutex_unlock(loop->lock);
		if (r)
			return r;
	}
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
