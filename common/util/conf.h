// SPDX-License-Identifier: BSD-2-Clause
// Configuration files (libconfig syntax) into C structs by tables, mistakes told by file:line.
#ifndef COMMON_UTIL_CONF_H
#define COMMON_UTIL_CONF_H

#include <stdbool.h>
#include <stddef.h>

enum conf_type {
	CONF_BOOL,    /* true, false            -> bool */
	CONF_INT,     /* 10, 0x1f, 5000000000L  -> integer field of 1, 2, 4 or 8 bytes */
	CONF_STRING,  /* "eth0"                 -> char[], NUL-terminated */
	CONF_WORD,    /* "router", one of words -> int or enum: the index in words */
	CONF_STRINGS, /* [ "eth0", "eth1" ]     -> char[n][length], and their number */
	CONF_GROUPS,  /* ( { ... }, { ... } )   -> struct[n], and their number */
};

/*
 * One key of a file or of a group. A default is judged like a value in the file. A key without
 * default must stand in the file; a list that does not stand there has no items.
 */
struct conf_key {
	const char *name;
	enum conf_type type;
	size_t offset, size; /* the field, by CONF_FIELD() */
	/*
	 * INT: the values allowed, both included. STRING: min is the fewest bytes, the field holds
	 * the most. STRINGS, GROUPS: min is the fewest items, the field holds the most.
	 */
	long long min, max;
	const char *const *words;       /* WORD: the words, NULL at the end */
	size_t item_size, count_offset; /* STRINGS, GROUPS: the list, by CONF_LIST() */
	const struct conf_key *keys;    /* GROUPS: the keys of one group */
	size_t n_keys;
	const char *def; /* as in the file, strings without quotes; NULL: required; not for lists */
	const char *unit; /* for messages: "s", "packets/s"; NULL: none */
	const char *help; /* one sentence, for documentation */
};

/* CONF_FIELD(struct efw_conf, lease_s): the field a key goes to. */
#define CONF_FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
/* CONF_LIST(struct efw_conf, ports, n_ports): the array of a list and the size_t for its length. */
#define CONF_LIST(type, field, count)                                        \
	CONF_FIELD(type, field), .item_size = sizeof(((type *)0)->field[0]), \
				 .count_offset = offsetof(type, count)

struct conf;

/* Ready to print: "efw.conf:12: lease_s: found 0, expected an integer from 1 to 3600 s". */
struct conf_error {
	char text[1024];
};

/* One struct and the top-level keys that fill it. Several sections share the file's top level; when
 * they have a list of groups by the same name, each takes its own keys of every group. */
struct conf_section {
	const struct conf_key *keys;
	size_t n;
	void *out;
	size_t out_size;
	/*
	 * Judges the values as a whole (NULL: nothing more to judge). values is a filled copy of
	 * *out, out itself is not written yet. Returns 0 or what conf_error_at() returned.
	 */
	int (*check)(const void *values, const struct conf *conf, struct conf_error *error);
};

/*
 * Read the file at path into the out of each section, defaults first. A relative `@include "x"`
 * starts at the directory of the file it stands in. An integer beyond 32 bits needs the suffix L
 * (libconfig manual, "64-bit Integers"); without it libconfig would cut it silently, here it is an
 * error. Returns 0; -EINVAL when the file is wrong, -ENOMEM, or the -errno of reading it: then
 * error->text says what and where, and no out has changed.
 */
int conf_load(const char *path, const struct conf_section *sections, size_t n,
	      struct conf_error *error);

/*
 * For check(): an error at the line of a key, e.g. conf_error_at(conf, error, "ports[0].name", "no
 * interface eth9"). The text becomes "file:line: key: message"; a key that is not in the file has
 * the line of the group it would stand in. Always returns -EINVAL.
 */
int conf_error_at(const struct conf *conf, struct conf_error *error, const char *key,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
