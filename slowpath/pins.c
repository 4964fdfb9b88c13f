// SPDX-License-Identifier: BSD-2-Clause
// Pins: makes, finds and removes the directory of a chain under bpffs.
#include "slowpath/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/util/cleanup.h"

static int path_join(char path[PINS_PATH_MAX], const char *dir, const char *leaf)
{
	int n = snprintf(path, PINS_PATH_MAX, "%s/%s", dir, leaf);

	return n < 0 || n >= PINS_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int pins_path(const char *bpffs, const char *name, char path[PINS_PATH_MAX])
{
	int n = snprintf(path, PINS_PATH_MAX, "%s/evnf/" PINS_VERSION "/%s", bpffs, name);

	return n < 0 || n >= PINS_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int bpffs_mount(const char *bpffs)
{
	struct statfs fs;

	if (mkdir(bpffs, 0700) && errno != EEXIST)
		return -errno;
	if (!statfs(bpffs, &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", bpffs, "bpf", 0, "mode=0700") ? -errno : 0;
}

/* Makes every directory of path below bpffs. */
static int dirs_make(const char *bpffs, const char *path)
{
	char dir[PINS_PATH_MAX];

	for (size_t at = strlen(bpffs) + 1; at <= strlen(path); at++) {
		if (path[at] != '/' && path[at] != '\0')
			continue;
		snprintf(dir, sizeof(dir), "%.*s", (int)at, path);
		if (mkdir(dir, 0700) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int pins_make(const char *bpffs, const char *name, char path[PINS_PATH_MAX])
{
	char links[PINS_PATH_MAX];
	int r = pins_path(bpffs, name, path);

	if (r || (r = path_join(links, path, "links")) || (r = bpffs_mount(bpffs)))
		return r;
	return dirs_make(bpffs, links);
}

int pins_find(const char *bpffs, const char *name, char path[PINS_PATH_MAX])
{
	int r = pins_path(bpffs, name, path);

	if (r)
		return r;
	return access(path, F_OK) ? -ENOENT : 0;
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int pins_remove(const char *path)
{
	__attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(path);
	char leaf[PINS_PATH_MAX];
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		int r = path_join(leaf, path, entry->d_name);

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (!r && entry->d_type == DT_DIR)
			r = pins_remove(leaf);
		else if (!r && unlink(leaf))
			r = -errno;
		if (r)
			return r;
	}
	return rmdir(path) ? -errno : 0;
}

int pins_lock(const char *path)
{
	__cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int locked;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	locked = fd;
	fd = -1;
	return locked;
}

int pins_open(const char *path, const char *leaf)
{
	char full[PINS_PATH_MAX];
	int fd, r = path_join(full, path, leaf);

	if (r)
		return r;
	fd = bpf_obj_get(full);
	return fd < 0 ? -errno : fd;
}

void *pins_map(const char *path, const char *leaf, size_t bytes)
{
	__cleanup_fd int fd = pins_open(path, leaf);
	void *at;

	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}
