// SPDX-License-Identifier: BSD-2-Clause
// The JSON writer: commas, escapes, and the refusal of calls that would break the document.
#include "common/util/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

void json_begin(struct json *json, FILE *out)
{
	*json = (struct json){ .out = out };
}

int json_end(struct json *json)
{
	if (json->depth || !json->done)
		json->failed = true;
	fputc('\n', json->out);
	if (fflush(json->out) || ferror(json->out))
		return -EIO;
	return json->failed ? -EINVAL : 0;
}

static uint64_t json_level(const struct json *json)
{
	return 1ULL << (json->depth - 1);
}

static bool json_in_object(const struct json *json)
{
	return json->depth && json->objects & json_level(json);
}

static void json_comma(struct json *json)
{
	if (json->used & json_level(json))
		fputc(',', json->out);
	json->used |= json_level(json);
}

/* May a value stand here? If so, write what comes before it. */
static bool json_value_begin(struct json *json)
{
	if ((json->done && !json->depth) || (json_in_object(json) && !json->key_open))
		json->failed = true;
	if (json->failed)
		return false;
	if (!json->depth)
		json->done = true;
	else if (!json->key_open)
		json_comma(json);
	json->key_open = false;
	return true;
}

static void json_open(struct json *json, bool object)
{
	if (json->depth == 64)
		json->failed = true;
	if (!json_value_begin(json))
		return;
	json->depth++;
	json->used &= ~json_level(json);
	json->objects &= ~json_level(json);
	if (object)
		json->objects |= json_level(json);
	fputc(object ? '{' : '[', json->out);
}

static void json_close(struct json *json, bool object)
{
	if (!json->depth || json->key_open || json_in_object(json) != object)
		json->failed = true;
	if (json->failed)
		return;
	json->depth--;
	fputc(object ? '}' : ']', json->out);
}

void json_object_begin(struct json *json)
{
	json_open(json, true);
}

void json_object_end(struct json *json)
{
	json_close(json, true);
}

void json_array_begin(struct json *json)
{
	json_open(json, false);
}

void json_array_end(struct json *json)
{
	json_close(json, false);
}

/* Length of the UTF-8 sequence at p, 0 if there is none: RFC 3629, section 4. The final NUL stops
 * it in time. */
static int utf8_length(const unsigned char *p)
{
	unsigned char low = 0x80, high = 0xbf;
	int n;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0; /* no overlong forms */
	else if (p[0] == 0xed)
		high = 0x9f; /* no surrogates */
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f; /* nothing above U+10FFFF */
	for (int i = 1; i < n; i++, low = 0x80, high = 0xbf)
		if (p[i] < low || p[i] > high)
			return 0;
	return n;
}

static void json_quote(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	fputc('"', out);
	while (*p) {
		int n = utf8_length(p);

		if (!n)
			fputs("\\ufffd", out);
		else if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			fprintf(out, "\\u%04x", *p);
		else
			fwrite(p, 1, n, out);
		p += n ? n : 1;
	}
	fputc('"', out);
}

void json_key(struct json *json, const char *key)
{
	if (!json_in_object(json) || json->key_open)
		json->failed = true;
	if (json->failed)
		return;
	json_comma(json);
	json_quote(json->out, key);
	fputc(':', json->out);
	json->key_open = true;
}

void json_string(struct json *json, const char *value)
{
	if (json_value_begin(json))
		json_quote(json->out, value);
}

void json_u64(struct json *json, uint64_t value)
{
	if (json_value_begin(json))
		fprintf(json->out, "%" PRIu64, value);
}

void json_i64(struct json *json, int64_t value)
{
	if (json_value_begin(json))
		fprintf(json->out, "%" PRId64, value);
}

void json_double(struct json *json, double value)
{
	if (!json_value_begin(json))
		return;
	if (isfinite(value))
		fprintf(json->out, "%.15g", value);
	else
		fputs("null", json->out);
}

void json_bool(struct json *json, bool value)
{
	if (json_value_begin(json))
		fputs(value ? "true" : "false", json->out);
}
