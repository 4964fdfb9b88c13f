// SPDX-License-Identifier: BSD-2-Clause
// The event loop of a slow path: one thread, one epoll, callbacks that never block.
#ifndef SLOWPATH_LOOP_H
#define SLOWPATH_LOOP_H

#include <pthread.h>
#include <stdint.h>

struct loop;

/* Return 0, or -errno to stop the loop with it. How much one call does is the callback's own
 * business. */
typedef int (*loop_fd_fn)(void *arg, uint32_t events); /* events: EPOLLIN | ... as they came */
typedef int (*loop_timer_fn)(void *arg,
			     uint64_t expirations); /* periods passed since the last call, >= 1 */
typedef int (*loop_signal_fn)(void *arg, int signal);

/* A new loop in *loop. Returns 0, -ENOMEM or the -errno of epoll_create1(). */
int loop_new(struct loop **loop);

/* Close what the loop made itself (timers, the signal fd), not the fds given to loop_add_fd(). NULL
 * is fine. */
void loop_free(struct loop *loop);

/*
 * Call fn when one of events is up on fd (level triggered, epoll(7)). Returns 0 or -errno (-EEXIST:
 * fd is in the loop already; -EPERM: a plain file, which epoll cannot watch).
 */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *arg);

/* Take fd out, before it is closed; safe in callbacks: an event of fd already fetched is not
 * delivered. -ENOENT. */
int loop_remove_fd(struct loop *loop, int fd);

/* Call fn every period_ms (>= 1) of CLOCK_MONOTONIC, the first time after one period. Returns 0 or
 * -errno. */
int loop_add_timer(struct loop *loop, unsigned int period_ms, loop_timer_fn fn, void *arg);

/*
 * Block SIGINT, SIGTERM and SIGHUP for this thread and deliver them to fn instead. Once per loop
 * (-EEXIST); call it before threads are made, they inherit the mask. loop_free() restores the mask.
 * Returns 0 or -errno.
 */
int loop_add_signals(struct loop *loop, loop_signal_fn fn, void *arg);

/* Hold this lock (pthread.h) while a callback runs, and only then: other threads that take it have
 * the callbacks' data for themselves. NULL: none. */
void loop_set_lock(struct loop *loop, pthread_mutex_t *lock);

/* Run until loop_stop() (returns 0) or a callback's error (returns it), or -errno of epoll_wait().
 */
int loop_run(struct loop *loop);

/* For callbacks: loop_run() returns 0 after the callback. Stays set: a later loop_run() returns at
 * once. */
void loop_stop(struct loop *loop);

static inline void cleanup_loop(struct loop **loop)
{
	loop_free(*loop);
}
#define __cleanup_loop __attribute__((cleanup(cleanup_loop)))

#endif
