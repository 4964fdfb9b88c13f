// SPDX-License-Identifier: BSD-2-Clause
// From libconfig's tree into structs by tables, with messages that name key, found and allowed.
#include "common/util/conf.h"

#include <errno.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/cleanup.h"
#include "common/util/conf_text.h"

struct conf {
	config_t config;
	struct conf_text text;
	struct conf_error *error;
	const struct conf_section *sections;
	size_t n_sections;
};

/* Append to the text at buffer; what does not fit is cut. */
static void __attribute__((format(printf, 3, 4)))
text_add(char *buffer, size_t size, const char *format, ...)
{
	size_t length = strlen(buffer);
	va_list args;

	va_start(args, format);
	vsnprintf(buffer + length, size - length, format, args);
	va_end(args);
}

#define error_add(error, ...) text_add((error)->text, sizeof((error)->text), __VA_ARGS__)

/* "ports[0].name" of a setting, nothing of the root. */
static void error_add_path(struct conf_error *error, const config_setting_t *setting)
{
	const config_setting_t *parent = config_setting_parent(setting);

	if (!parent)
		return;
	error_add_path(error, parent);
	if (config_setting_name(setting))
		error_add(error, "%s%s", config_setting_is_root(parent) ? "" : ".",
			  config_setting_name(setting));
	else
		error_add(error, "[%d]", config_setting_index(setting));
}

/* "file:line: path: ", where a key without setting stands for a missing one of the group. */
static void error_begin(const struct conf *conf, const config_setting_t *setting, const char *key)
{
	unsigned int line = (uintptr_t)config_setting_get_hook(setting);
	struct conf_place place = conf_text_place(&conf->text, line);
	struct conf_error *error = conf->error;

	snprintf(error->text, sizeof(error->text), "%s:%u: ", place.file, place.line);
	error_add_path(error, setting);
	if (key)
		error_add(error, "%s%s", config_setting_is_root(setting) ? "" : ".", key);
	if (key || !config_setting_is_root(setting))
		error_add(error, ": ");
}

static void error_add_words(struct conf_error *error, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		error_add(error, "%s\"%s\"", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

static void error_add_expected(struct conf_error *error, const struct conf_key *key)
{
	const size_t items = key->item_size ? key->size / key->item_size : 0;

	error_add(error, ", expected ");
	switch (key->type) {
	case CONF_BOOL:
		error_add(error, "true or false");
		break;
	case CONF_INT:
		error_add(error, "an integer from %lld to %lld", key->min, key->max);
		break;
	case CONF_STRING:
		error_add(error, "a string of %lld to %zu bytes", key->min, key->size - 1);
		break;
	case CONF_WORD:
		error_add_words(error, key->words);
		break;
	case CONF_STRINGS:
		error_add(error, "%lld to %zu strings of 1 to %zu bytes in [ ]", key->min, items,
			  key->item_size - 1);
		break;
	case CONF_GROUPS:
		error_add(error, "%lld to %zu groups in ( )", key->min, items);
		break;
	}
	if (key->unit)
		error_add(error, " %s", key->unit);
}

static void error_add_found(struct conf_error *error, const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		error_add(error, "%lld", config_setting_get_int64(setting));
		break;
	case CONFIG_TYPE_FLOAT:
		error_add(error, "%g", config_setting_get_float(setting));
		break;
	case CONFIG_TYPE_STRING:
		error_add(error, "\"%.64s\"", config_setting_get_string(setting));
		break;
	case CONFIG_TYPE_BOOL:
		error_add(error, config_setting_get_bool(setting) ? "true" : "false");
		break;
	case CONFIG_TYPE_GROUP:
		error_add(error, "a group");
		break;
	default:
		error_add(error, "a list of %d", config_setting_length(setting));
	}
}

/* "...: found X, expected Y" */
static int refuse(const struct conf *conf, const config_setting_t *setting,
		  const struct conf_key *key)
{
	error_begin(conf, setting, NULL);
	error_add(conf->error, "found ");
	error_add_found(conf->error, setting);
	error_add_expected(conf->error, key);
	return -EINVAL;
}

static int refuse_missing(const struct conf *conf, const config_setting_t *group,
			  const struct conf_key *key)
{
	error_begin(conf, group, key->name);
	error_add(conf->error, "missing");
	error_add_expected(conf->error, key);
	return -EINVAL;
}

/* Little can be wrong here: the table says which values there are, and the program which field. */
static int store_int(const struct conf_key *key, long long value, void *field)
{
	const uint8_t u8 = value;
	const uint16_t u16 = value;
	const uint32_t u32 = value;

	if (value < key->min || value > key->max)
		return -EINVAL;
	switch (key->size) {
	case sizeof(u8):
		memcpy(field, &u8, sizeof(u8));
		return 0;
	case sizeof(u16):
		memcpy(field, &u16, sizeof(u16));
		return 0;
	case sizeof(u32):
		memcpy(field, &u32, sizeof(u32));
		return 0;
	case sizeof(value):
		memcpy(field, &value, sizeof(value));
		return 0;
	}
	return -EINVAL;
}

static int store_string(const char *value, long long min, size_t size, char *field)
{
	size_t length = strlen(value);

	if ((long long)length < min || length >= size)
		return -EINVAL;
	memset(field, 0, size);
	memcpy(field, value, length);
	return 0;
}

static int store_word(const struct conf_key *key, const char *value, void *field)
{
	for (int i = 0; key->words[i]; i++)
		if (!strcmp(key->words[i], value)) {
			memcpy(field, &i, sizeof(i));
			return 0;
		}
	return -EINVAL;
}

static int store_default(const struct conf_key *key, void *field)
{
	bool is_true = !strcmp(key->def, "true");
	long long value;
	char *end;

	switch (key->type) {
	case CONF_BOOL:
		*(bool *)field = is_true;
		return is_true || !strcmp(key->def, "false") ? 0 : -EINVAL;
	case CONF_INT:
		value = strtoll(key->def, &end, 0);
		return *end || end == key->def ? -EINVAL : store_int(key, value, field);
	case CONF_STRING:
		return store_string(key->def, key->min, key->size, field);
	case CONF_WORD:
		return store_word(key, key->def, field);
	default:
		return -EINVAL;
	}
}

static int load_group(const struct conf *conf, config_setting_t *group, const struct conf_key *list,
		      void *out);

/* A default that the key itself would refuse is a mistake in the program: any file without the key
 * shows it. */
static int load_missing(const struct conf *conf, config_setting_t *group,
			const struct conf_key *key, char *out)
{
	bool list = key->type == CONF_STRINGS || key->type == CONF_GROUPS;

	if (list ? key->min > 0 : !key->def)
		return refuse_missing(conf, group, key);
	if (list) {
		memset(out + key->offset, 0, key->size);
		*(size_t *)(out + key->count_offset) = 0;
	} else if (store_default(key, out + key->offset)) {
		error_begin(conf, group, key->name);
		error_add(conf->error, "found the default %s", key->def);
		error_add_expected(conf->error, key);
		return -EINVAL;
	}
	return 0;
}

static int load_scalar(const config_setting_t *setting, const struct conf_key *key, void *field)
{
	int type = config_setting_type(setting);

	switch (key->type) {
	case CONF_BOOL:
		if (type != CONFIG_TYPE_BOOL)
			return -EINVAL;
		*(bool *)field = config_setting_get_bool(setting);
		return 0;
	case CONF_INT:
		if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
			return -EINVAL;
		return store_int(key, config_setting_get_int64(setting), field);
	case CONF_STRING:
		if (type != CONFIG_TYPE_STRING)
			return -EINVAL;
		return store_string(config_setting_get_string(setting), key->min, key->size, field);
	case CONF_WORD:
		if (type != CONFIG_TYPE_STRING)
			return -EINVAL;
		return store_word(key, config_setting_get_string(setting), field);
	default:
		return -EINVAL;
	}
}

static int load_item(const struct conf *conf, config_setting_t *item, const struct conf_key *key,
		     void *out)
{
	const struct conf_key string = { .type = CONF_STRING, .min = 1, .size = key->item_size };

	if (key->type == CONF_STRINGS)
		return load_scalar(item, &string, out) ? refuse(conf, item, &string) : 0;
	if (!config_setting_is_group(item))
		return refuse(conf, item, key);
	return load_group(conf, item, key, out);
}

static int load_list(const struct conf *conf, config_setting_t *setting, const struct conf_key *key,
		     char *out)
{
	size_t n = config_setting_length(setting);

	if ((!config_setting_is_list(setting) && !config_setting_is_array(setting)) ||
	    (long long)n < key->min || n > key->size / key->item_size)
		return refuse(conf, setting, key);
	memset(out + key->offset, 0, key->size);
	for (size_t i = 0; i < n; i++) {
		int r = load_item(conf, config_setting_get_elem(setting, i), key,
				  out + key->offset + i * key->item_size);

		if (r)
			return r;
	}
	*(size_t *)(out + key->count_offset) = n;
	return 0;
}

/* Fill out by the keys; what the group has beside them is somebody else's question. */
static int load_keys(const struct conf *conf, config_setting_t *group, const struct conf_key *keys,
		     size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		config_setting_t *setting = config_setting_get_member(group, keys[i].name);
		int r;

		if (!setting)
			r = load_missing(conf, group, &keys[i], out);
		else if (keys[i].type == CONF_STRINGS || keys[i].type == CONF_GROUPS)
			r = load_list(conf, setting, &keys[i], out);
		else
			r = load_scalar(setting, &keys[i], out + keys[i].offset)
				    ? refuse(conf, setting, &keys[i])
				    : 0;
		if (r)
			return r;
	}
	return 0;
}

/* Every member of the group must be a key of one of the sections. */
static int check_known(const struct conf *conf, config_setting_t *group,
		       const struct conf_section *sections, size_t n)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *member = config_setting_get_elem(group, i);
		bool known = false;

		for (size_t s = 0; s < n; s++)
			for (size_t k = 0; k < sections[s].n && !known; k++)
				known = !strcmp(sections[s].keys[k].name,
						config_setting_name(member));
		if (known)
			continue;
		error_begin(conf, member, NULL);
		error_add(conf->error, "unknown key, expected one of");
		for (size_t s = 0; s < n; s++)
			for (size_t k = 0; k < sections[s].n; k++)
				error_add(conf->error, " %s", sections[s].keys[k].name);
		return -EINVAL;
	}
	return 0;
}

/* The keys a group of the list may have: those of every section that has this list, or its own. */
static size_t list_sections(const struct conf *conf, const struct conf_key *list,
			    struct conf_section *found)
{
	bool shared = false;
	size_t n = 0;

	for (size_t s = 0; s < conf->n_sections; s++)
		for (size_t k = 0; k < conf->sections[s].n; k++) {
			const struct conf_key *key = &conf->sections[s].keys[k];

			if (key->type != CONF_GROUPS || strcmp(key->name, list->name))
				continue;
			found[n++] = (struct conf_section){ .keys = key->keys, .n = key->n_keys };
			shared |= key == list;
		}
	if (shared)
		return n;
	found[0] = (struct conf_section){ .keys = list->keys, .n = list->n_keys };
	return 1;
}

static int load_group(const struct conf *conf, config_setting_t *group, const struct conf_key *list,
		      void *out)
{
	__cleanup_free struct conf_section *known = calloc(conf->n_sections + 1, sizeof(*known));
	int r = known ? 0 : -ENOMEM;

	if (!r)
		r = check_known(conf, group, known, list_sections(conf, list, known));
	return r ? r : load_keys(conf, group, list->keys, list->n_keys, out);
}

/* Put the line of each setting into its hook: of its value if it is a scalar, else of its name or
 * opening bracket. */
static void settings_place(const struct conf_text *text, config_setting_t *setting,
			   size_t *n_values)
{
	uintptr_t line = config_setting_source_line(setting);

	if (config_setting_is_aggregate(setting)) {
		for (int i = 0; i < config_setting_length(setting); i++)
			settings_place(text, config_setting_get_elem(setting, i), n_values);
	} else if (*n_values < text->n_values) {
		line = text->values[(*n_values)++];
	}
	config_setting_set_hook(setting, (void *)line);
}

static int conf_parse(struct conf *conf)
{
	struct conf_text *text = &conf->text;
	size_t line, n_values = 0;
	struct conf_place place;

	if (config_read_string(&conf->config, text->text)) {
		settings_place(text, config_root_setting(&conf->config), &n_values);
		return 0;
	}
	line = config_error_line(&conf->config);
	if (line > text->n_places) /* behind the last newline */
		line = text->n_places;
	place = conf_text_place(text, line);
	snprintf(conf->error->text, sizeof(conf->error->text), "%s:%u: %s", place.file, place.line,
		 config_error_text(&conf->config));
	if (line && line <= text->n_keys && text->keys[line - 1].length)
		error_add(conf->error, " near %.*s", (int)text->keys[line - 1].length,
			  text->text + text->keys[line - 1].start);
	return -EINVAL;
}

/* Fill copies, one per section, and let each check look at its own. */
static int conf_fill(const struct conf *conf, const struct conf_section *sections, size_t n,
		     void **copies)
{
	config_setting_t *root = config_root_setting(&conf->config);
	int r = check_known(conf, root, sections, n);

	for (size_t i = 0; !r && i < n; i++) {
		copies[i] = malloc(sections[i].out_size);
		if (!copies[i]) {
			error_add(conf->error, "%s", strerror(ENOMEM));
			return -ENOMEM;
		}
		memcpy(copies[i], sections[i].out, sections[i].out_size);
		r = load_keys(conf, root, sections[i].keys, sections[i].n, copies[i]);
	}
	for (size_t i = 0; !r && i < n; i++)
		if (sections[i].check)
			r = sections[i].check(copies[i], conf, conf->error);
	return r;
}

static int conf_load_text(struct conf *conf, const struct conf_section *sections, size_t n)
{
	void **copies = calloc(n, sizeof(*copies));
	int r;

	if (!copies) {
		error_add(conf->error, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	config_init(&conf->config);
	r = conf_parse(conf);
	if (!r)
		r = conf_fill(conf, sections, n, copies);
	for (size_t i = 0; i < n; i++) {
		if (!r)
			memcpy(sections[i].out, copies[i], sections[i].out_size);
		free(copies[i]);
	}
	config_destroy(&conf->config);
	free(copies);
	return r;
}

int conf_load(const char *path, const struct conf_section *sections, size_t n,
	      struct conf_error *error)
{
	struct conf conf = { .error = error, .sections = sections, .n_sections = n };
	int r = conf_text_read(&conf.text, path, error);

	if (!r)
		r = conf_load_text(&conf, sections, n);
	conf_text_free(&conf.text);
	return r;
}

/* Follow "ports[0].name" as far as the file goes: the last setting on the way. */
static const config_setting_t *find_setting(const struct conf *conf, const char *path)
{
	config_setting_t *setting = config_root_setting(&conf->config), *next;

	for (; *path; setting = next) {
		unsigned int index;
		char name[64];
		int n = 0;

		path += *path == '.';
		if (sscanf(path, "[%u]%n", &index, &n) == 1 && n)
			next = config_setting_get_elem(setting, index);
		else if (sscanf(path, "%63[^.[]%n", name, &n) == 1)
			next = config_setting_get_member(setting, name);
		else
			next = NULL;
		if (!next)
			break;
		path += n;
	}
	return setting;
}

int conf_error_at(const struct conf *conf, struct conf_error *error, const char *key,
		  const char *format, ...)
{
	unsigned int line = (uintptr_t)config_setting_get_hook(find_setting(conf, key));
	struct conf_place place = conf_text_place(&conf->text, line);
	size_t length;
	va_list args;

	snprintf(error->text, sizeof(error->text), "%s:%u: %s: ", place.file, place.line, key);
	length = strlen(error->text);
	va_start(args, format);
	vsnprintf(error->text + length, sizeof(error->text) - length, format, args);
	va_end(args);
	return -EINVAL;
}
