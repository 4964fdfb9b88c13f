// SPDX-License-Identifier: BSD-2-Clause
// The rules of iptables-legacy and ip6tables-legacy as the kernel holds them.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include "common/util/cleanup.h"
#include "efw/policy.h"
#include "efw/policy_legacy.h"

#define TRIES 5 /* a table may change between the question for its size and that for its rules */

/* Where the two families differ. The structures around the entries are the same. */
struct family {
	int family, level, get_info, get_entries;
	const char *names;
	size_t counters, next_offset, entry_bytes;
};

static const struct family families[] = {
	{ AF_INET, IPPROTO_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES,
	  "/proc/thread-self/net/ip_tables_names", offsetof(struct ipt_entry, counters),
	  offsetof(struct ipt_entry, next_offset), sizeof(struct ipt_entry) },
	{ AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES,
	  "/proc/thread-self/net/ip6_tables_names", offsetof(struct ip6t_entry, counters),
	  offsetof(struct ip6t_entry, next_offset), sizeof(struct ip6t_entry) },
};
_Static_assert(sizeof(struct ipt_getinfo) == sizeof(struct ip6t_getinfo) &&
		       offsetof(struct ipt_get_entries, entrytable) ==
			       offsetof(struct ip6t_get_entries, entrytable),
	       "one code for both families");

/* Opens the list of tables. Returns 1, 0 when the kernel has no such thing, or -errno. */
static int names_open(const struct family *family, FILE **out)
{
	*out = fopen(family->names, "re");
	if (*out)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

int legacy_tables_exist(int family)
{
	__cleanup_file FILE *names = NULL;
	int r = names_open(&families[family == AF_INET6], &names);

	if (r > 0)
		r = fgetc(names) != EOF;
	return r;
}

static uint64_t hash_words(uint64_t hash, const void *bytes, size_t size)
{
	uint64_t word;

	for (const char *at = bytes; size; at += sizeof(word)) {
		size_t length = size < sizeof(word) ? size : sizeof(word);

		word = 0;
		memcpy(&word, at, length);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
		size -= length;
	}
	return hash;
}

/* All entries but their counters. */
static int hash_entries(const struct family *family, const char *entries, size_t size,
			uint64_t *hash)
{
	const size_t behind = family->counters + sizeof(struct xt_counters);
	uint64_t sum = *hash;
	uint16_t next;

	for (; size; entries += next, size -= next) {
		if (size < family->entry_bytes)
			return -EBADMSG;
		memcpy(&next, entries + family->next_offset, sizeof(next));
		if (next < family->entry_bytes || next > size)
			return -EBADMSG;
		sum = hash_words(sum, entries, family->counters);
		sum = hash_words(sum, entries + behind, next - behind);
	}
	*hash = sum;
	return 0;
}

static int table_hash_once(const struct family *family, int fd, const char *table, uint64_t *hash)
{
	struct ipt_getinfo info = {};
	socklen_t length = sizeof(info);
	__cleanup_free struct ipt_get_entries *entries = NULL;

	memcpy(info.name, table, strnlen(table, sizeof(info.name) - 1));
	if (getsockopt(fd, family->level, family->get_info, &info, &length))
		return -errno;
	length = offsetof(struct ipt_get_entries, entrytable) + info.size;
	entries = calloc(1, length);
	if (!entries)
		return -ENOMEM;
	memcpy(entries->name, info.name, sizeof(info.name));
	entries->size = info.size;
	if (getsockopt(fd, family->level, family->get_entries, entries, &length))
		return -errno;
	return hash_entries(family, (const char *)entries->entrytable, info.size, hash);
}

static int table_hash(const struct family *family, int fd, const char *table, uint64_t *hash)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = table_hash_once(family, fd, table, hash);
	return r;
}

static int family_hash(const struct family *family, uint64_t *hash)
{
	__cleanup_file FILE *names = NULL;
	__cleanup_fd int fd = -1;
	char name[XT_TABLE_MAXNAMELEN + 2];
	int r = names_open(family, &names);

	while (r > 0 && fgets(name, sizeof(name), names)) {
		if (fd < 0)
			fd = socket(family->family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
		if (fd < 0)
			return -errno;
		name[strcspn(name, "\n")] = '\0';
		*hash = hash_words(*hash, name, strlen(name));
		r = table_hash(family, fd, name, hash);
		if (r < 0)
			return r;
		r = 1;
	}
	return r < 0 ? r : 0;
}

int policy_legacy_fingerprint(uint64_t *out)
{
	uint64_t hash = 1;
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(families) / sizeof(*families); i++) {
		hash = hash_words(hash, &families[i].family, sizeof(families[i].family));
		r = family_hash(&families[i], &hash);
	}
	if (!r)
		*out = hash;
	return r;
}
