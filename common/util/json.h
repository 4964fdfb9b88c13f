// SPDX-License-Identifier: BSD-2-Clause
// A streaming JSON writer (RFC 8259): writes what is called, in that order, and keeps nothing.
#ifndef COMMON_UTIL_JSON_H
#define COMMON_UTIL_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Commas and colons come by themselves. In an object each value follows a json_key(). A call that
 * would break the document (a value without key, an end that does not match, deeper than 64) is
 * refused, and json_end() tells.
 */
struct json {
	FILE *out;
	unsigned int depth; /* open objects and arrays */
	uint64_t objects;   /* bit d: level d is an object */
	uint64_t used;      /* bit d: level d has an item already */
	bool key_open;      /* a key waits for its value */
	bool done;          /* the one top-level value has begun */
	bool failed;
};

void json_begin(struct json *json, FILE *out);

/* End the document with a newline and flush. Returns 0, -EINVAL after a misuse, or -EIO when out
 * failed. */
int json_end(struct json *json);

void json_object_begin(struct json *json);
void json_object_end(struct json *json);
void json_array_begin(struct json *json);
void json_array_end(struct json *json);

void json_key(struct json *json, const char *key);
void json_string(struct json *json, const char *value); /* bytes that are not UTF-8 become U+FFFD */
void json_u64(struct json *json, uint64_t value);
void json_i64(struct json *json, int64_t value);
void json_double(struct json *json, double value); /* not finite: null */
void json_bool(struct json *json, bool value);

#endif
