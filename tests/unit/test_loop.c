// SPDX-License-Identifier: BSD-2-Clause
// The event loop: fds, timers and signals reach their callbacks, and how it ends.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "slowpath/loop.h"

/* What the callbacks share: two pipes and what they saw. */
struct scene {
	struct loop *loop;
	int pipes[2][2];
	int calls[2];
	uint64_t ticks;
	int signal;
	int result;
};

static int scene_setup(void **state)
{
	static struct scene scene;

	scene = (struct scene){ 0 };
	*state = &scene;
	alarm(20); /* a loop that hangs fails the test */
	return pipe2(scene.pipes[0], O_CLOEXEC | O_NONBLOCK) ||
	       pipe2(scene.pipes[1], O_CLOEXEC | O_NONBLOCK) || loop_new(&scene.loop);
}

static int scene_teardown(void **state)
{
	struct scene *scene = *state;

	loop_free(scene->loop);
	for (int i = 0; i < 4; i++)
		close(scene->pipes[i / 2][i % 2]);
	alarm(0);
	return 0;
}

static void ready(struct scene *scene, int pipe)
{
	assert_int_equal(write(scene->pipes[pipe][1], "x", 1), 1);
}

static int read_and_stop(void *arg, uint32_t events)
{
	struct scene *scene = arg;
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(scene->pipes[0][0], &byte, 1), 1);
	scene->calls[0]++;
	if (scene->result)
		return scene->result;
	loop_stop(scene->loop);
	return 0;
}

static int tick(void *arg, uint64_t expirations)
{
	struct scene *scene = arg;

	assert_true(expirations >= 1);
	scene->ticks += expirations;
	scene->calls[1]++;
	if (scene->calls[1] == 5)
		loop_stop(scene->loop);
	return 0;
}

static int take_signal(void *arg, int signal)
{
	struct scene *scene = arg;

	scene->signal = signal;
	loop_stop(scene->loop);
	return 0;
}

static void an_fd_that_is_ready_is_called(void **state)
{
	struct scene *scene = *state;

	ready(scene, 0);
	assert_int_equal(
		loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, read_and_stop, scene), 0);
	assert_int_equal(loop_run(scene->loop), 0);
	assert_int_equal(scene->calls[0], 1);
}

static void an_error_of_a_callback_ends_the_loop_with_it(void **state)
{
	struct scene *scene = *state;

	ready(scene, 0);
	scene->result = -EPROTO;
	loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, read_and_stop, scene);
	assert_int_equal(loop_run(scene->loop), -EPROTO);
}

static void a_stopped_loop_stays_stopped(void **state)
{
	struct scene *scene = *state;

	ready(scene, 0);
	loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, read_and_stop, scene);
	loop_stop(scene->loop);
	assert_int_equal(loop_run(scene->loop), 0);
	assert_int_equal(scene->calls[0], 0);
}

/* Whoever is called first takes both out: the other was ready too and must not be called. */
static int remove_both(void *arg, uint32_t events)
{
	struct scene *scene = arg;

	(void)events;
	scene->calls[0]++;
	assert_int_equal(loop_remove_fd(scene->loop, scene->pipes[0][0]), 0);
	assert_int_equal(loop_remove_fd(scene->loop, scene->pipes[1][0]), 0);
	return 0;
}

static void a_removed_fd_is_called_no_more(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 2; i++) {
		ready(scene, i);
		loop_add_fd(scene->loop, scene->pipes[i][0], EPOLLIN, remove_both, scene);
	}
	scene->calls[1] = 2; /* the timer stops at 5 */
	loop_add_timer(scene->loop, 5, tick, scene);
	assert_int_equal(loop_run(scene->loop), 0);
	assert_int_equal(scene->calls[0], 1);
	assert_int_equal(loop_remove_fd(scene->loop, scene->pipes[0][0]), -ENOENT);
}

static int count(void *arg, uint32_t events)
{
	(void)events;
	(*(int *)arg)++;
	return 0;
}

static void a_busy_fd_does_not_starve_another(void **state)
{
	struct scene *scene = *state;

	/* Nobody reads the first pipe: it is always ready. */
	ready(scene, 0);
	loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, count, &scene->calls[0]);
	loop_add_timer(scene->loop, 1, tick, scene);
	assert_int_equal(loop_run(scene->loop), 0);
	assert_int_equal(scene->calls[1], 5);
	assert_true(scene->calls[0] > 5);
}

static void a_timer_ticks_every_period(void **state)
{
	struct scene *scene = *state;
	struct timespec start, end;
	int64_t passed_ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	assert_int_equal(loop_add_timer(scene->loop, 20, tick, scene), 0);
	assert_int_equal(loop_run(scene->loop), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	passed_ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	assert_true(passed_ms >= 99);
	/* periods missed on a busy machine are in expirations */
	assert_in_range(scene->ticks, 5, passed_ms / 20);
}

static void a_timer_without_period_is_refused(void **state)
{
	struct scene *scene = *state;

	assert_int_equal(loop_add_timer(scene->loop, 0, tick, scene), -EINVAL);
}

static void a_late_loop_is_told_how_many_periods_passed(void **state)
{
	struct scene *scene = *state;

	loop_add_timer(scene->loop, 1, tick, scene);
	usleep(20000);
	scene->calls[1] = 4;
	assert_int_equal(loop_run(scene->loop), 0);
	assert_true(scene->ticks >= 20);
}

static void signals_come_as_events(void **state)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct scene *scene = *state;
	sigset_t mask;

	loop_free(scene->loop);
	for (int i = 0; i < 3; i++) {
		struct loop *loop;

		assert_int_equal(loop_new(&loop), 0);
		scene->loop = loop;
		assert_int_equal(loop_add_signals(loop, take_signal, scene), 0);
		assert_int_equal(loop_add_signals(loop, take_signal, scene), -EEXIST);
		raise(signals[i]);
		assert_int_equal(loop_run(loop), 0);
		assert_int_equal(scene->signal, signals[i]);
		loop_free(loop);
		sigprocmask(SIG_BLOCK, NULL, &mask);
		assert_false(sigismember(&mask, signals[i]));
	}
	scene->loop = NULL;
}

static void what_epoll_cannot_watch_is_refused(void **state)
{
	struct scene *scene = *state;
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(loop_add_fd(scene->loop, file, EPOLLIN, count, scene), -EPERM);
	close(file);
	assert_int_equal(loop_add_fd(scene->loop, -1, EPOLLIN, count, scene), -EBADF);
	assert_int_equal(loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, count, scene), 0);
	assert_int_equal(loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, count, scene),
			 -EEXIST);
}

static void a_closed_peer_is_an_event(void **state)
{
	struct scene *scene = *state;

	close(scene->pipes[0][1]);
	loop_add_fd(scene->loop, scene->pipes[0][0], EPOLLIN, count, &scene->calls[0]);
	loop_add_timer(scene->loop, 1, tick, scene);
	assert_int_equal(loop_run(scene->loop), 0);
	assert_true(scene->calls[0] > 0);
	scene->pipes[0][1] = dup(scene->pipes[1][1]);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(an_fd_that_is_ready_is_called),
		SCENE(an_error_of_a_callback_ends_the_loop_with_it),
		SCENE(a_stopped_loop_stays_stopped),
		SCENE(a_removed_fd_is_called_no_more),
		SCENE(a_busy_fd_does_not_starve_another),
		SCENE(a_timer_ticks_every_period),
		SCENE(a_timer_without_period_is_refused),
		SCENE(a_late_loop_is_told_how_many_periods_passed),
		SCENE(signals_come_as_events),
		SCENE(what_epoll_cannot_watch_is_refused),
		SCENE(a_closed_peer_is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
