/* SPDX-License-Identifier: BSD-2-Clause */
/* Pins: where a chain's maps and links live under bpffs, so that they outlive the process. */
#ifndef EVNF_SLOWPATH_PINS_H
#define EVNF_SLOWPATH_PINS_H

#include <stddef.h>

#define PINS_VERSION "1"  /* layout of the maps; another version never meets this one's pins */
#define PINS_PATH_MAX 256 /* bytes of a path under bpffs, NUL included */
#define PINS_BPFFS "/sys/fs/bpf"

/* Makes <bpffs>/evnf/<version>/<name>/links, mounting a bpffs first where none is. path takes
 * <bpffs>/evnf/<version>/<name>. Returns 0, -ENAMETOOLONG, or the -errno of mount or mkdir. */
int pins_make(const char *bpffs, const char *name, char path[PINS_PATH_MAX]);

/* The same path without making anything. Returns 0, -ENAMETOOLONG, or -ENOENT when it is not there.
 */
int pins_find(const char *bpffs, const char *name, char path[PINS_PATH_MAX]);

/* Removes every pin of the chain and its directories. Returns 0 or the first -errno. */
int pins_remove(const char *path);

/* Takes the chain's lock for this process. Returns a descriptor to keep open, -EWOULDBLOCK when
 * another process has it, or -errno. */
int pins_lock(const char *path);

/* Opens a pinned map or link, `leaf` below path. Returns a descriptor or -errno. */
int pins_open(const char *path, const char *leaf);

/* Maps a pinned BPF_F_MMAPABLE array of `bytes` for reading and writing. Returns NULL with errno.
 */
void *pins_map(const char *path, const char *leaf, size_t bytes);

#endif
