// SPDX-License-Identifier: BSD-2-Clause
// Configuration files: what is read, and for each kind of bad file the exact message.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/conf.h"

enum mode { ROUTER, BRIDGE };

struct port {
	char name[16];
	uint16_t vlan;
};

struct settings {
	bool enabled;
	uint32_t lease_s;
	int64_t max_flows;
	int8_t offset;
	char label[8];
	enum mode mode;
	char devices[3][16];
	size_t n_devices;
	struct port ports[2];
	size_t n_ports;
	int untouched;
};

struct extra {
	uint16_t level;
};

static const char *const modes[] = { "router", "bridge", NULL };

#define FIELD(name_, type_, ...) \
	.name = #name_, .type = type_, CONF_FIELD(struct settings, name_), __VA_ARGS__
#define LIST(name_, type_, ...) \
	.name = #name_, .type = type_, CONF_LIST(struct settings, name_, n_##name_), __VA_ARGS__

static const struct conf_key port_keys[] = {
	{ .name = "name", .type = CONF_STRING, CONF_FIELD(struct port, name), .min = 1 },
	{ .name = "vlan",
	  .type = CONF_INT,
	  CONF_FIELD(struct port, vlan),
	  .max = 4094,
	  .def = "1" },
};

static const struct conf_key settings_keys[] = {
	{ FIELD(enabled, CONF_BOOL, .def = "true") },
	{ FIELD(lease_s, CONF_INT, .min = 1, .max = 3600, .def = "10", .unit = "s") },
	{ FIELD(max_flows, CONF_INT, .min = 1, .max = 10000000000, .def = "1000000") },
	{ FIELD(offset, CONF_INT, .min = -100, .max = 100, .def = "-5") },
	{ FIELD(label, CONF_STRING, .def = "") },
	{ FIELD(mode, CONF_WORD, .words = modes, .def = "router") },
	{ LIST(devices, CONF_STRINGS, .min = 1) },
	{ LIST(ports, CONF_GROUPS, .keys = port_keys, .n_keys = 2) },
};

static const struct conf_key extra_keys[] = {
	{ .name = "level",
	  .type = CONF_INT,
	  CONF_FIELD(struct extra, level),
	  .max = 9,
	  .def = "3" },
};

/* Semantic checks as a program would make them: each names a key that the rows below provoke. */
static int settings_check(const void *values, const struct conf *conf, struct conf_error *error)
{
	const struct settings *settings = values;

	for (size_t i = 0; i < settings->n_devices; i++) {
		char key[32];

		snprintf(key, sizeof(key), "devices[%zu]", i);
		if (!strcmp(settings->devices[i], "eth9"))
			return conf_error_at(conf, error, key, "no interface %s",
					     settings->devices[i]);
	}
	if (settings->n_ports && settings->ports[0].vlan == 66)
		return conf_error_at(conf, error, "ports[0].vlan", "vlan %d is taken", 66);
	if (settings->n_ports && settings->ports[0].vlan == 67)
		return conf_error_at(conf, error, "ports[0].tag", "not with vlan 67");
	if (settings->lease_s == 13)
		return conf_error_at(conf, error, "max_flows", "too many for this lease");
	return 0;
}

static int load(const char *path, struct settings *settings, struct extra *extra,
		struct conf_error *error)
{
	const struct conf_section sections[] = {
		{ settings_keys, sizeof(settings_keys) / sizeof(settings_keys[0]), settings,
		  sizeof(*settings), settings_check },
		{ extra_keys, 1, extra, sizeof(*extra), NULL },
	};

	return conf_load(path, sections, 2, error);
}

static void file_write(const char *path, const char *text, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void file_put(const char *path, const char *text)
{
	file_write(path, text, strlen(text));
}

/* The lines that every file needs, in front of a row's own. */
#define D "devices = [ \"eth0\" ];\n"

static const struct {
	const char *says, *text, *message;
} bad_files[] = {
	/* keys */
	{ "an unknown key", D "leases = 5;",
	  "a.conf:2: leases: unknown key, expected one of enabled "
	  "lease_s max_flows offset label mode devices ports level" },
	{ "a key in capitals", D "\nLevel = 5;",
	  "a.conf:3: Level: unknown key, expected one of enabled "
	  "lease_s max_flows offset label mode devices ports level" },
	{ "an unknown key in a group", D "ports = (\n{ name = \"a\";\n  tag = 5; } );",
	  "a.conf:4: ports[0].tag: unknown key, expected one of name vlan" },
	{ "a key twice", D "lease_s = 1;\nlabel = \"x\";\nlease_s = 2;",
	  "a.conf:4: lease_s: found twice, first at a.conf:2" },
	{ "a key twice on one line", D "lease_s = 1; level = 2; lease_s = 2; mode = \"router\";",
	  "a.conf:2: lease_s: found twice, first at a.conf:2" },
	{ "a key twice in one group but not in another",
	  D "ports = ( { name = \"a\"; }, { name = \"b\";\n name = \"c\"; } );",
	  "a.conf:3: name: found twice, first at a.conf:2" },
	{ "a missing key", "level = 1;",
	  "a.conf:1: devices: missing, expected 1 to 3 strings of 1 to 15 bytes in [ ]" },
	{ "an empty file", "",
	  "a.conf:1: devices: missing, expected 1 to 3 strings of 1 to 15 bytes in [ ]" },
	{ "a missing key of the second group", D "ports = ( { name = \"a\"; },\n{ vlan = 5; } );",
	  "a.conf:3: ports[1].name: missing, expected a string of 1 to 15 bytes" },
	/* integers */
	{ "an integer below its range", D "lease_s = 0;",
	  "a.conf:2: lease_s: found 0, expected an integer from 1 to 3600 s" },
	{ "an integer above its range", D "lease_s = 3601;",
	  "a.conf:2: lease_s: found 3601, expected an integer from 1 to 3600 s" },
	{ "a negative integer", D "lease_s = -1;",
	  "a.conf:2: lease_s: found -1, expected an integer from 1 to 3600 s" },
	{ "a 64-bit integer out of range", D "lease_s = 5000000000L;",
	  "a.conf:2: lease_s: found 5000000000, expected an integer from 1 to 3600 s" },
	{ "an integer that would be cut", D "max_flows = 5000000000;",
	  "a.conf:2: max_flows: found 5000000000, which does not fit 32 bits: write 5000000000L" },
	{ "an integer that would be cut to a valid one", D "lease_s = 4294967297;",
	  "a.conf:2: lease_s: found 4294967297, which does not fit 32 bits: write 4294967297L" },
	{ "the first integer that would be cut", D "max_flows = 2147483648;",
	  "a.conf:2: max_flows: found 2147483648, which does not fit 32 bits: write 2147483648L" },
	{ "a negative integer that would be cut", D "offset = -2147483649;",
	  "a.conf:2: offset: found -2147483649, which does not fit 32 bits: write -2147483649L" },
	{ "a hex integer that would be cut", D "max_flows = 0x80000000;",
	  "a.conf:2: max_flows: found 0x80000000, which does not fit 32 bits: write 0x80000000L" },
	{ "an integer cut behind a comment", D "/* 9999999999\n */ max_flows = // \"\n 9999999999;",
	  "a.conf:4: max_flows: found 9999999999, which does not fit 32 bits: write 9999999999L" },
	{ "an integer cut on a line with others",
	  D "lease_s = 1; label = \"9999999999\"; max_flows = 9999999999; level = 2;",
	  "a.conf:2: max_flows: found 9999999999, which does not fit 32 bits: write 9999999999L" },
	{ "an integer beyond 64 bits", D "max_flows = 99999999999999999999L;",
	  "a.conf:2: max_flows: found 99999999999999999999, which does not fit 64 bits" },
	{ "a hex integer beyond 63 bits", D "max_flows = 0xffffffffffffffffL;",
	  "a.conf:2: max_flows: found 0xffffffffffffffff, which does not fit 64 bits" },
	{ "a number with a fraction", D "lease_s = 1.5;",
	  "a.conf:2: lease_s: found 1.5, expected an integer from 1 to 3600 s" },
	{ "a number with an exponent", D "lease_s = 1e1;",
	  "a.conf:2: lease_s: found 10, expected an integer from 1 to 3600 s" },
	{ "an integer in quotes", D "lease_s = \"10\";",
	  "a.conf:2: lease_s: found \"10\", expected an integer from 1 to 3600 s" },
	{ "true for an integer", D "lease_s = true;",
	  "a.conf:2: lease_s: found true, expected an integer from 1 to 3600 s" },
	{ "a key of the second section out of range", D "level = 10;",
	  "a.conf:2: level: found 10, expected an integer from 0 to 9" },
	{ "an integer of a group out of range", D "ports = ( { name = \"a\"; vlan = 4095; } );",
	  "a.conf:2: ports[0].vlan: found 4095, expected an integer from 0 to 4094" },
	{ "a value below its key", D "lease_s\n=\n0;",
	  "a.conf:4: lease_s: found 0, expected an integer from 1 to 3600 s" },
	/* other scalars */
	{ "an integer for a bool", D "enabled = 1;",
	  "a.conf:2: enabled: found 1, expected true or false" },
	{ "a string for a bool", D "enabled = \"true\";",
	  "a.conf:2: enabled: found \"true\", expected true or false" },
	{ "a word of no language", D "enabled = yes;", "a.conf:2: syntax error near yes" },
	{ "a string too long", D "label = \"12345678\";",
	  "a.conf:2: label: found \"12345678\", expected a string of 0 to 7 bytes" },
	{ "a string too long by joining", D "label = \"1234\"\n\"5678\";",
	  "a.conf:2: label: found \"12345678\", expected a string of 0 to 7 bytes" },
	{ "a value behind a joined string", D "label = \"a\"\n\"b\";\nlease_s = 0;",
	  "a.conf:4: lease_s: found 0, expected an integer from 1 to 3600 s" },
	{ "an empty string where a name must be", D "ports = ( { name = \"\"; } );",
	  "a.conf:2: ports[0].name: found \"\", expected a string of 1 to 15 bytes" },
	{ "an integer for a string", D "label = 5;",
	  "a.conf:2: label: found 5, expected a string of 0 to 7 bytes" },
	{ "a word that is none of the words", D "mode = \"switch\";",
	  "a.conf:2: mode: found \"switch\", expected \"router\" or \"bridge\"" },
	{ "a word without quotes", D "mode = router;", "a.conf:2: syntax error near router" },
	{ "an integer for a word", D "mode = 1;",
	  "a.conf:2: mode: found 1, expected \"router\" or \"bridge\"" },
	{ "a group for a scalar", D "lease_s = { s = 1; };",
	  "a.conf:2: lease_s: found a group, expected an integer from 1 to 3600 s" },
	{ "an array for a scalar", D "lease_s = [ 1 ];",
	  "a.conf:2: lease_s: found a list of 1, expected an integer from 1 to 3600 s" },
	/* lists */
	{ "a string for a list of strings", "devices = \"eth0\";",
	  "a.conf:1: devices: found \"eth0\", expected 1 to 3 strings of 1 to 15 bytes in [ ]" },
	{ "too few strings", "\ndevices = [ ];",
	  "a.conf:2: devices: found a list of 0, expected 1 to 3 strings of 1 to 15 bytes in [ ]" },
	{ "too many strings", "devices = [ \"a\", \"b\", \"c\", \"d\" ];",
	  "a.conf:1: devices: found a list of 4, expected 1 to 3 strings of 1 to 15 bytes in [ ]" },
	{ "integers in a list of strings", "devices = [\n 1\n ];",
	  "a.conf:2: devices[0]: found 1, expected a string of 1 to 15 bytes" },
	{ "a string of a list too long", "devices = [\n \"eth0\",\n \"0123456789abcdef\"\n ];",
	  "a.conf:3: devices[1]: found \"0123456789abcdef\", expected a string of 1 to 15 bytes" },
	{ "an empty string in a list", "devices = [ \"\" ];",
	  "a.conf:1: devices[0]: found \"\", expected a string of 1 to 15 bytes" },
	{ "a list of lists", "devices = ( ( \"a\" ) );",
	  "a.conf:1: devices[0]: found a list of 1, expected a string of 1 to 15 bytes" },
	{ "a group for a list of groups", D "ports = { name = \"a\"; };",
	  "a.conf:2: ports: found a group, expected 0 to 2 groups in ( )" },
	{ "too many groups", D "ports = ( { }, { },\n { } );",
	  "a.conf:2: ports: found a list of 3, expected 0 to 2 groups in ( )" },
	{ "a string in a list of groups", D "ports = (\n\"a\"\n);",
	  "a.conf:3: ports[0]: found \"a\", expected 0 to 2 groups in ( )" },
	{ "mixed types in an array", "devices = [ \"a\",\n 1 ];",
	  "a.conf:2: mismatched element type in array near devices" },
	{ "a comma behind the last item", D "ports = ( { name = \"a\"; }, );",
	  "a.conf:2: syntax error near name" },
	/* syntax */
	{ "a key without value", D "lease_s;", "a.conf:2: syntax error near lease_s" },
	{ "a group left open", D "ports = ( {\n name = \"a\";",
	  "a.conf:3: syntax error near name" },
	{ "a string left open", D "label = \"abc;\nlease_s = 1;\n\n",
	  "a.conf:2: a string without end" },
	{ "a comment left open", D "/* lease_s = 1;\n\n", "a.conf:2: a comment without end" },
	{ "a stray byte", D "lease_s = 1;\n@", "a.conf:3: syntax error near lease_s" },
	{ "a syntax error before any key", "\n= 1;", "a.conf:2: syntax error" },
	/* the program's own judgement */
	{ "a device that does not exist", "devices = [\n \"eth0\",\n \"eth9\"\n ];",
	  "a.conf:3: devices[1]: no interface eth9" },
	{ "a value refused in a group", D "ports = ( {\n name = \"a\";\n vlan = 66; } );",
	  "a.conf:4: ports[0].vlan: vlan 66 is taken" },
	{ "a key that the group lacks", D "ports = (\n { name = \"a\";\n vlan = 67; } );",
	  "a.conf:3: ports[0].tag: not with vlan 67" },
	{ "a default refused", D "lease_s = 13;", "a.conf:1: max_flows: too many for this lease" },
	/* includes */
	{ "an include that is not there", D "\n@include \"none.conf\"",
	  "a.conf:3: @include \"none.conf\": No such file or directory" },
	{ "an include of a directory", "@include \"sub\"",
	  "a.conf:1: @include \"sub\": Is a directory" },
	{ "an include of itself", "lease_s = 1;\n@include \"a.conf\"",
	  "a.conf:1: lease_s: found twice, first at a.conf:1" },
	{ "an endless include", "@include \"loop.conf\"",
	  "loop.conf:2: @include \"loop.conf\": nested too deep" },
	{ "a bad value in an include", D "@include \"sub/lease.conf\"",
	  "sub/lease.conf:2: lease_s: found 0, expected an integer from 1 to 3600 s" },
	{ "a bad value in an include of an include", D "\n\n@include \"sub/outer.conf\"",
	  "sub/lease.conf:2: lease_s: found 0, expected an integer from 1 to 3600 s" },
	{ "a bad value behind an include", D "@include \"sub/mode.conf\"\nlevel = 10;",
	  "a.conf:3: level: found 10, expected an integer from 0 to 9" },
	{ "a key twice in two files", D "mode = \"router\";\n@include \"sub/mode.conf\"",
	  "sub/mode.conf:1: mode: found twice, first at a.conf:2" },
	{ "a cut integer in an include", D "@include \"sub/cut.conf\"",
	  "sub/cut.conf:1: max_flows: found 9999999999, which does not fit 32 bits: write "
	  "9999999999L" },
	{ "a syntax error in an include", D "@include \"sub/syntax.conf\"",
	  "sub/syntax.conf:2: syntax error near mode" },
	{ "an include without a name", D "@include", "a.conf:2: @include without \"FILE\"" },
};

static void every_bad_file_is_refused_with_its_line(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
		struct settings settings, before;
		struct extra extra = { 77 };
		struct conf_error error;
		int r;

		memset(&before, 0x5a, sizeof(before));
		settings = before;
		file_put("a.conf", bad_files[i].text);
		r = load("a.conf", &settings, &extra, &error);
		if (r != -EINVAL || strcmp(error.text, bad_files[i].message)) {
			print_error("%s: %d\n found    %s\n expected %s\n", bad_files[i].says, r,
				    error.text, bad_files[i].message);
			failed++;
		}
		assert_memory_equal(&settings, &before, sizeof(before));
		assert_int_equal(extra.level, 77);
	}
	assert_int_equal(failed, 0);
}

static void defaults_fill_what_the_file_leaves_out(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;

	(void)state;
	memset(&settings, 0x5a, sizeof(settings));
	file_put("a.conf", D);
	assert_int_equal(load("a.conf", &settings, &extra, &error), 0);
	assert_true(settings.enabled);
	assert_int_equal(settings.lease_s, 10);
	assert_int_equal(settings.max_flows, 1000000);
	assert_int_equal(settings.offset, -5);
	assert_string_equal(settings.label, "");
	assert_int_equal(settings.mode, ROUTER);
	assert_int_equal(settings.n_devices, 1);
	assert_string_equal(settings.devices[0], "eth0");
	assert_string_equal(settings.devices[1], "");
	assert_int_equal(settings.n_ports, 0);
	assert_int_equal(settings.untouched, 0x5a5a5a5a);
	assert_int_equal(extra.level, 3);
}

static void every_type_is_read(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;

	(void)state;
	file_put("a.conf", "# comment 9999999999\n"
			   "enabled = FALSE, lease_s : 010 // 9999999999\n"
			   "max_flows = 5000000000L; offset = -0100;\n"
			   "label = \"a\\\"b\" /* \" 9999999999 */ \"//c\";\n"
			   "mode = \"bridge\";\r\n"
			   "devices = ( \"eth0\",\n \"eth1\" );\n"
			   "ports = ( { name = \"p0\"; vlan = 0x10; }, { name = \"p1\"; } );\n"
			   "level = 9");
	assert_int_equal(load("a.conf", &settings, &extra, &error), 0);
	assert_false(settings.enabled);
	assert_int_equal(settings.lease_s, 10); /* not octal */
	assert_int_equal(settings.max_flows, 5000000000);
	assert_int_equal(settings.offset, -100);
	assert_string_equal(settings.label, "a\"b//c");
	assert_int_equal(settings.mode, BRIDGE);
	assert_int_equal(settings.n_devices, 2);
	assert_string_equal(settings.devices[1], "eth1");
	assert_int_equal(settings.n_ports, 2);
	assert_string_equal(settings.ports[0].name, "p0");
	assert_int_equal(settings.ports[0].vlan, 16);
	assert_string_equal(settings.ports[1].name, "p1");
	assert_int_equal(settings.ports[1].vlan, 1);
	assert_int_equal(extra.level, 9);
}

static void the_largest_and_smallest_of_32_bits_need_no_suffix(void **state)
{
	int32_t small = 0;
	int64_t large = 0;
	const struct conf_key keys[] = {
		{ .name = "small",
		  .type = CONF_INT,
		  .size = 4,
		  .min = INT32_MIN,
		  .max = INT32_MAX },
		{ .name = "large",
		  .type = CONF_INT,
		  .size = 8,
		  .min = INT64_MIN,
		  .max = INT64_MAX },
	};
	const struct conf_section sections[] = {
		{ &keys[0], 1, &small, sizeof(small), NULL },
		{ &keys[1], 1, &large, sizeof(large), NULL },
	};
	struct conf_error error;

	(void)state;
	file_put("a.conf", "small = -2147483648; large = 2147483647;");
	assert_int_equal(conf_load("a.conf", sections, 2, &error), 0);
	assert_int_equal(small, INT32_MIN);
	assert_int_equal(large, INT32_MAX);
	file_put("a.conf", "small = 0x7fffffff; large = -9223372036854775808LL;");
	assert_int_equal(conf_load("a.conf", sections, 2, &error), 0);
	assert_int_equal(small, INT32_MAX);
	assert_true(large == INT64_MIN);
}

struct shared_list {
	struct {
		char name[8];
		uint16_t vlan;
	} ports[2];
	size_t n;
};

static void each_section_takes_its_own_keys_of_a_shared_list(void **state)
{
	const struct conf_key name = { .name = "name",
				       .type = CONF_STRING,
				       CONF_FIELD(__typeof__(((struct shared_list *)0)->ports[0]),
						  name) };
	const struct conf_key vlan = { .name = "vlan",
				       .type = CONF_INT,
				       CONF_FIELD(__typeof__(((struct shared_list *)0)->ports[0]),
						  vlan),
				       .max = 4094,
				       .def = "1" };
	struct shared_list names = {}, vlans = {};
	const struct conf_key list = { .name = "ports",
				       .type = CONF_GROUPS,
				       CONF_LIST(struct shared_list, ports, n),
				       .n_keys = 1 };
	struct conf_key lists[] = { list, list };
	const struct conf_section sections[] = {
		{ &lists[0], 1, &names, sizeof(names), NULL },
		{ &lists[1], 1, &vlans, sizeof(vlans), NULL },
	};
	struct conf_error error;

	(void)state;
	lists[0].keys = &name;
	lists[1].keys = &vlan;
	file_put("a.conf", "ports = ( { name = \"a\"; vlan = 7; }, { name = \"b\"; } );");
	assert_int_equal(conf_load("a.conf", sections, 2, &error), 0);
	assert_int_equal(names.n, 2);
	assert_string_equal(names.ports[1].name, "b");
	assert_int_equal(vlans.n, 2);
	assert_int_equal(vlans.ports[0].vlan, 7);
	assert_int_equal(vlans.ports[1].vlan, 1);
	file_put("a.conf", "ports = (\n{ name = \"a\";\n mtu = 7; } );");
	assert_int_equal(conf_load("a.conf", sections, 2, &error), -EINVAL);
	assert_string_equal(error.text,
			    "a.conf:3: ports[0].mtu: unknown key, expected one of name vlan");
}

static void includes_start_at_the_directory_of_their_file(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;
	char cwd[4096], text[8192];

	(void)state;
	/* sub/outer2.conf includes mode.conf, which is there in sub only */
	file_put("a.conf", D " @include \t\"sub/outer2.conf\" level = 7;");
	assert_int_equal(load("./a.conf", &settings, &extra, &error), 0);
	assert_int_equal(settings.mode, BRIDGE);
	assert_int_equal(extra.level, 7);
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(text, sizeof(text), D "@include \"%s/sub/mode.conf\"", cwd);
	file_put("a.conf", text);
	settings.mode = ROUTER;
	assert_int_equal(load("a.conf", &settings, &extra, &error), 0);
	assert_int_equal(settings.mode, BRIDGE);
}

static void an_include_in_a_comment_or_string_is_none(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;

	(void)state;
	file_put("a.conf", D "# \n/*\n@include \"none.conf\"\n*/\n#@include \"none.conf\"\n");
	assert_int_equal(load("a.conf", &settings, &extra, &error), 0);
	file_put("a.conf", D "label = \"\n@include \";\n");
	assert_int_equal(load("a.conf", &settings, &extra, &error), -EINVAL);
	assert_string_equal(
		error.text,
		"a.conf:2: label: found \"\n@include \", expected a string of 0 to 7 bytes");
}

static void files_that_cannot_be_read_are_told(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;

	(void)state;
	assert_int_equal(load("none.conf", &settings, &extra, &error), -ENOENT);
	assert_string_equal(error.text, "none.conf: No such file or directory");
	assert_int_equal(load("sub", &settings, &extra, &error), -EISDIR);
	assert_string_equal(error.text, "sub: Is a directory");
	assert_int_equal(load("/dev/zero", &settings, &extra, &error), -EFBIG);
	assert_string_equal(error.text, "/dev/zero: File too large");
	file_write("a.conf", "level = 1;\nlevel\0 = 2;", 22);
	assert_int_equal(load("a.conf", &settings, &extra, &error), -EINVAL);
	assert_string_equal(error.text, "a.conf:2: a NUL byte");
}

static void a_default_outside_its_range_is_refused(void **state)
{
	uint8_t value = 0;
	const struct conf_key keys[] = {
		{ .name = "a", .type = CONF_INT, .size = 1, .max = 9, .def = "10" },
		{ .name = "b", .type = CONF_INT, .size = 1, .max = 9, .def = "" },
		{ .name = "c", .type = CONF_INT, .size = 3, .max = 9, .def = "1" },
		{ .name = "d", .type = CONF_BOOL, .size = 1, .def = "yes" },
		{ .name = "e", .type = CONF_STRING, .size = 1, .def = "x" },
	};
	struct conf_error error;

	(void)state;
	file_put("a.conf", "");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct conf_section section = { &keys[i], 1, &value, 1, NULL };

		assert_int_equal(conf_load("a.conf", &section, 1, &error), -EINVAL);
		assert_non_null(strstr(error.text, "found the default"));
	}
}

static void long_messages_are_cut_not_overrun(void **state)
{
	struct settings settings;
	struct extra extra;
	struct conf_error error;
	char text[4096];

	(void)state;
	memset(text, 'k', sizeof(text));
	memcpy(text + sizeof(text) - 6, " = 1;", 6);
	file_put("a.conf", text);
	assert_int_equal(load("a.conf", &settings, &extra, &error), -EINVAL);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static int directory_setup(void **state)
{
	static char directory[] = "/tmp/test_conf.XXXXXX";

	if (!mkdtemp(directory) || chdir(directory) || mkdir("sub", 0755))
		return -1;
	*state = directory;
	file_put("loop.conf", "\n@include \"loop.conf\"\n");
	file_put("sub/lease.conf", "# the lease\nlease_s = 0;");
	file_put("sub/outer.conf", "@include \"lease.conf\"\n");
	file_put("sub/outer2.conf", "@include \"mode.conf\"\n");
	file_put("sub/mode.conf", "mode = \"bridge\";\n");
	file_put("sub/cut.conf", "max_flows = 9999999999;\n");
	file_put("sub/syntax.conf", "\nmode = ;\n");
	return 0;
}

static int directory_teardown(void **state)
{
	static const char *const files[] = { "a.conf",         "loop.conf",       "sub/lease.conf",
					     "sub/outer.conf", "sub/outer2.conf", "sub/mode.conf",
					     "sub/cut.conf",   "sub/syntax.conf" };

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(files[i]);
	return rmdir("sub") || chdir("/") || rmdir(*state) ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bad_file_is_refused_with_its_line),
		cmocka_unit_test(defaults_fill_what_the_file_leaves_out),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(the_largest_and_smallest_of_32_bits_need_no_suffix),
		cmocka_unit_test(each_section_takes_its_own_keys_of_a_shared_list),
		cmocka_unit_test(includes_start_at_the_directory_of_their_file),
		cmocka_unit_test(an_include_in_a_comment_or_string_is_none),
		cmocka_unit_test(files_that_cannot_be_read_are_told),
		cmocka_unit_test(a_default_outside_its_range_is_refused),
		cmocka_unit_test(long_messages_are_cut_not_overrun),
	};

	return cmocka_run_group_tests(tests, directory_setup, directory_teardown);
}
