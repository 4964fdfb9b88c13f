// SPDX-License-Identifier: BSD-2-Clause
// Owned locals that release themselves at scope exit, unless fd_take() or ptr_take() took them.
#ifndef COMMON_UTIL_CLEANUP_H
#define COMMON_UTIL_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* They keep errno, so that `return -errno;` stays right with owned locals in scope. */
static inline void cleanup_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void cleanup_file(FILE **file)
{
	int saved = errno;

	if (*file)
		fclose(*file);
	errno = saved;
}

/* `__cleanup_fd int fd = -1;` closes fd, `__cleanup_free char *text = NULL;` frees text, and so on.
 */
#define __cleanup_fd __attribute__((cleanup(cleanup_fd)))
#define __cleanup_free __attribute__((cleanup(cleanup_free)))
#define __cleanup_file __attribute__((cleanup(cleanup_file)))

/* Give an owned fd to the caller: returns it and leaves -1 behind. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Give an owned pointer to the caller: its value, with NULL left behind. */
#define ptr_take(pointer)                               \
	({                                              \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

#endif
