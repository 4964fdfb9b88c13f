// SPDX-License-Identifier: BSD-2-Clause
// VNF: the command line of every function, and what its subcommands do.
#include "slowpath/vnf.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "common/util/log.h"
#include "slowpath/filter.h"
#include "slowpath/trace.h"

#ifndef EVNF_VERSION
#define EVNF_VERSION "0.1"
#endif

#define TRACE_SECONDS_MAX 1000000

/* Options without a letter. */
enum { OPTION_COUNT = 256, OPTION_SECONDS };

enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static const char *const attach_words[] = { "auto", "native", "generic", NULL };

static const struct conf_key port_keys[] = {
	{ .name = "interface",
	  .type = CONF_STRING,
	  CONF_FIELD(__typeof__(((struct vnf_conf *)0)->ports[0]), interface),
	  .min = 1,
	  .help = "name of the interface" },
};

static const struct conf_key common_keys[] = {
	{ .name = "name",
	  .type = CONF_STRING,
	  CONF_FIELD(struct vnf_conf, name),
	  .min = 1,
	  .help = "name of this instance, unique on the machine" },
	{ .name = "bpffs",
	  .type = CONF_STRING,
	  CONF_FIELD(struct vnf_conf, bpffs),
	  .min = 1,
	  .def = PINS_BPFFS,
	  .help = "where the BPF file system is, or shall be mounted" },
	{ .name = "ports",
	  .type = CONF_GROUPS,
	  CONF_LIST(struct vnf_conf, ports, n_ports),
	  .min = 1,
	  .keys = port_keys,
	  .n_keys = sizeof(port_keys) / sizeof(port_keys[0]),
	  .help = "the interfaces to attach to" },
	{ .name = "attach",
	  .type = CONF_WORD,
	  CONF_FIELD(struct vnf_conf, attach),
	  .words = attach_words,
	  .def = "auto",
	  .help = "XDP in the driver (native), behind it (generic), or the better there is" },
	{ .name = "max_flows4",
	  .type = CONF_INT,
	  CONF_FIELD(struct vnf_conf, max_flows4),
	  .min = 0,
	  .max = 1 << 26,
	  .def = "0",
	  .unit = "connections",
	  .help = "IPv4 connections to have room for; 0: by the memory of the machine" },
	{ .name = "max_flows6",
	  .type = CONF_INT,
	  CONF_FIELD(struct vnf_conf, max_flows6),
	  .min = 0,
	  .max = 1 << 26,
	  .def = "0",
	  .unit = "connections",
	  .help = "the same for IPv6" },
	{ .name = "lease_s",
	  .type = CONF_INT,
	  CONF_FIELD(struct vnf_conf, lease_s),
	  .min = 2,
	  .max = 3600,
	  .def = "10",
	  .unit = "s",
	  .help = "how long flow entries hold when the slow path is dead" },
	{ .name = "flow_idle_s",
	  .type = CONF_INT,
	  CONF_FIELD(struct vnf_conf, flow_idle_s),
	  .min = 1,
	  .max = 86400,
	  .def = "60",
	  .unit = "s",
	  .help = "idle flow entries are dropped after this; they come back by a walk" },
	{ .name = "inserts_per_s",
	  .type = CONF_INT,
	  CONF_FIELD(struct vnf_conf, inserts_per_s),
	  .min = 10,
	  .max = 10000000,
	  .def = "100000",
	  .unit = "1/s",
	  .help = "flow entries one CPU may insert" },
};

/* A port that is not there is an error of the file, and told at its line. */
static int ports_check(const void *values, const struct conf *conf, struct conf_error *error)
{
	const struct vnf_conf *common = values;
	char key[64];

	for (const char *c = common->name; *c; c++)
		if (*c == '/' || *c == '.')
			return conf_error_at(conf, error, "name", "'%c' is not allowed in a name",
					     *c);
	for (size_t i = 0; i < common->n_ports; i++) {
		const char *interface = common->ports[i].interface;

		snprintf(key, sizeof(key), "ports[%zu].interface", i);
		if (!if_nametoindex(interface))
			return conf_error_at(conf, error, key, "no interface %s here", interface);
		for (size_t other = 0; other < i; other++)
			if (!strcmp(common->ports[other].interface, interface))
				return conf_error_at(conf, error, key, "%s is listed twice",
						     interface);
	}
	return 0;
}

/* By default the tables take at most an eighth (IPv4) and a sixteenth (IPv6) of the memory, and
 * never more than a million connections each. */
static uint32_t flows_default(unsigned int share, size_t bytes)
{
	struct sysinfo info;
	uint64_t flows;

	if (sysinfo(&info))
		return 65536;
	flows = (uint64_t)info.totalram * info.mem_unit / share / bytes;
	return flows > 1000000 ? 1000000 : flows < 1024 ? 1024 : flows;
}

int vnf_configure(struct slowpath *slowpath)
{
	const struct vnf *vnf = slowpath->vnf;
	const struct conf_section sections[] = {
		{ .keys = common_keys,
		  .n = sizeof(common_keys) / sizeof(common_keys[0]),
		  .out = &slowpath->conf,
		  .out_size = sizeof(slowpath->conf),
		  .check = ports_check },
		{ .keys = vnf->keys,
		  .n = vnf->n_keys,
		  .out = slowpath->own,
		  .out_size = vnf->conf_size,
		  .check = vnf->check },
	};
	struct conf_error error = {};
	int r = conf_load(slowpath->path, sections, vnf->keys ? 2 : 1, &error);

	if (r) {
		log_error("%s", error.text[0] ? error.text : strerror(-r));
		return r;
	}
	if (!slowpath->conf.max_flows4)
		slowpath->conf.max_flows4 = flows_default(8, FLOW4_BYTES * 2);
	if (!slowpath->conf.max_flows6)
		slowpath->conf.max_flows6 = flows_default(16, FLOW6_BYTES * 2);
	return 0;
}

/* What the command line says. */
struct command {
	const char *word;
	char **words; /* those behind it, n of them */
	int n;
	const char *path, *name, *bpffs, *output;
	unsigned long count, seconds;
	bool json;
};

static void usage(const struct vnf *vnf, FILE *out)
{
	fprintf(out,
		"%s: %s\n\n"
		"  %s run -c FILE             attach and run in the foreground\n"
		"  %s check -c FILE           read the configuration and say what is wrong\n"
		"  %s show WHAT [--json]      what the fast path holds; needs no running %s\n"
		"  %s flush                   give every flow back to the slow path\n"
		"  %s reload                  make the running %s read its configuration anew\n"
		"  %s trace [FILTER]          frames at the ports, offloaded ones too, as pcapng;\n"
		"                              FILTER is in tcpdump's language\n\n"
		"  -c, --config FILE   configuration; all but run and check find the instance by "
		"it\n"
		"  -n, --name NAME     or by its name (%s)\n"
		"      --bpffs DIR     and where its BPF file system is (" PINS_BPFFS ")\n"
		"  -w, --write FILE    trace: where to write, - is stdout (-)\n"
		"      --count N       trace: end after N frames\n"
		"      --seconds S     trace: end after S seconds\n"
		"  -j, --json          show: for machines\n"
		"  -v, --verbose       say more\n"
		"  -h, --help   -V, --version\n\n"
		"show: ports, counters, flows, chain",
		vnf->name, vnf->summary, vnf->name, vnf->name, vnf->name, vnf->name, vnf->name,
		vnf->name, vnf->name, vnf->name, vnf->name);
	for (const struct vnf_show *show = vnf->shows; show && show->what; show++)
		fprintf(out, ", %s", show->what);
	fprintf(out, "\nExit codes: 0 ok, 1 failed, 2 wrong usage or configuration\n");
}

/* Reads a limit of 1 or more. Returns false after saying what is wrong. */
static bool limit_parse(const char *option, const char *text, unsigned long max,
			unsigned long *limit)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > max) {
		log_error("--%s wants a number from 1 to %lu, not '%s'", option, max, text);
		return false;
	}
	*limit = value;
	return true;
}

/* Returns -1 to go on, or the exit code. */
static int command_parse(const struct vnf *vnf, int argc, char **argv, struct command *command)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
						 { "name", required_argument, NULL, 'n' },
						 { "bpffs", required_argument, NULL, 'b' },
						 { "write", required_argument, NULL, 'w' },
						 { "count", required_argument, NULL, OPTION_COUNT },
						 { "seconds", required_argument, NULL,
						   OPTION_SECONDS },
						 { "json", no_argument, NULL, 'j' },
						 { "verbose", no_argument, NULL, 'v' },
						 { "help", no_argument, NULL, 'h' },
						 { "version", no_argument, NULL, 'V' },
						 {} };
	int option;

	*command = (struct command){ .name = vnf->name, .bpffs = PINS_BPFFS };
	while ((option = getopt_long(argc, argv, "c:n:w:jvhV", options, NULL)) >= 0) {
		switch (option) {
		case 'c':
			command->path = optarg;
			break;
		case 'n':
			command->name = optarg;
			break;
		case 'b':
			command->bpffs = optarg;
			break;
		case 'w':
			command->output = optarg;
			break;
		case OPTION_COUNT:
			if (!limit_parse("count", optarg, INT_MAX, &command->count))
				return EXIT_USAGE;
			break;
		case OPTION_SECONDS:
			if (!limit_parse("seconds", optarg, TRACE_SECONDS_MAX, &command->seconds))
				return EXIT_USAGE;
			break;
		case 'j':
			command->json = true;
			break;
		case 'v':
			log_set_level(LOG_LEVEL_DEBUG);
			break;
		case 'h':
			usage(vnf, stdout);
			return EXIT_OK;
		case 'V':
			printf("%s " EVNF_VERSION "\n", vnf->name);
			return EXIT_OK;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind == argc) {
		usage(vnf, stderr);
		return EXIT_USAGE;
	}
	command->word = argv[optind++];
	command->words = argv + optind;
	command->n = argc - optind;
	return -1;
}

/* Where the pins of the instance are: by its configuration if one is given, else by name. */
static int pins_of(struct slowpath *slowpath, const struct command *command,
		   char path[PINS_PATH_MAX])
{
	const char *name = command->name, *bpffs = command->bpffs;
	int r;

	if (command->path) {
		if (vnf_configure(slowpath))
			return EXIT_USAGE;
		name = slowpath->conf.name;
		bpffs = slowpath->conf.bpffs;
	}
	r = pins_find(bpffs, name, path);
	if (r) {
		log_error("%s is not running, and left nothing: no %s/evnf/" PINS_VERSION "/%s",
			  name, bpffs, name);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int do_run(struct slowpath *slowpath, const struct command *command)
{
	int r;

	if (!command->path) {
		log_error("run needs a configuration: -c FILE");
		return EXIT_USAGE;
	}
	if (vnf_configure(slowpath))
		return EXIT_USAGE;
	r = vnf_run(slowpath);
	return slowpath->reload ? -1 : r;
}

static int do_check(struct slowpath *slowpath, const struct command *command)
{
	if (!command->path) {
		log_error("check needs a configuration: -c FILE");
		return EXIT_USAGE;
	}
	if (vnf_configure(slowpath))
		return EXIT_USAGE;
	printf("%s: ok\n", command->path);
	return EXIT_OK;
}

static int do_show(struct slowpath *slowpath, const struct command *command)
{
	char pins[PINS_PATH_MAX];
	const char *what = command->words[0];
	int r = pins_of(slowpath, command, pins);

	if (r)
		return r;
	r = vnf_show(slowpath->vnf, pins, what, command->json, stdout);
	if (r == -EOPNOTSUPP) {
		log_error("nothing to show called '%s'; see --help", what);
		return EXIT_USAGE;
	}
	if (r)
		log_err(r, "show %s", what);
	return r ? EXIT_FAILED : EXIT_OK;
}

/* State first, then the bump: no flow is installed from what is gone. */
static int do_flush(struct slowpath *slowpath, const struct command *command)
{
	volatile struct chain_state *state;
	char pins[PINS_PATH_MAX];
	int r = pins_of(slowpath, command, pins);

	if (r)
		return r;
	r = slowpath->vnf->flush ? slowpath->vnf->flush(pins) : 0;
	state = pins_map(pins, "chain", sizeof(*state));
	if (!state || r) {
		log_err(r ? r : -errno, "flush");
		return EXIT_FAILED;
	}
	__atomic_fetch_add(&state->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&state->bumps, 1, __ATOMIC_RELAXED);
	munmap((void *)state, sizeof(*state));
	return EXIT_OK;
}

static int do_reload(struct slowpath *slowpath, const struct command *command)
{
	volatile struct chain_state *state;
	char pins[PINS_PATH_MAX];
	int r = pins_of(slowpath, command, pins);
	pid_t pid;

	if (r)
		return r;
	state = pins_map(pins, "chain", sizeof(*state));
	pid = state ? (pid_t)state->pid : 0;
	if (state)
		munmap((void *)state, sizeof(*state));
	if (!pid || kill(pid, SIGHUP)) {
		log_error("%s is not running", slowpath->vnf->name);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* The words of a filter, one or many as the shell leaves them, are one expression. */
static int filter_of(const struct command *command, struct filter **filter)
{
	__cleanup_free char *expression = NULL;
	char error[FILTER_ERROR_MAX];
	size_t bytes;
	FILE *text = open_memstream(&expression, &bytes);
	int r;

	for (int i = 0; text && i < command->n; i++)
		fprintf(text, "%s%s", i ? " " : "", command->words[i]);
	if (!text || fclose(text)) {
		log_err(-errno, "filter");
		return EXIT_FAILED;
	}
	r = filter_compile(expression, filter, error);
	if (r == -EINVAL)
		log_error("filter '%s': %s", expression, error);
	else if (r)
		log_err(r, "filter");
	return r == -EINVAL ? EXIT_USAGE : r ? EXIT_FAILED : EXIT_OK;
}

static int trace_to(const struct slowpath *slowpath, const char *pins,
		    const struct trace_options *options)
{
	struct trace_result result;
	int r = trace_run(pins, options, &result);

	if (r == -EWOULDBLOCK)
		log_error("another trace of %s runs: there can be one at a time",
			  slowpath->vnf->name);
	else if (r == -ESTALE)
		log_error("%s was stopped", slowpath->vnf->name);
	else if (r)
		log_err(r, "trace");
	if (r != -EWOULDBLOCK)
		log_info("%llu frames written, %llu not seen as they came too fast",
			 (unsigned long long)result.written, (unsigned long long)result.lost);
	return r ? EXIT_FAILED : EXIT_OK;
}

static int do_trace(struct slowpath *slowpath, const struct command *command)
{
	const bool to_stdout = !command->output || !strcmp(command->output, "-");
	__cleanup_filter struct filter *filter = NULL;
	struct trace_options options = { .count = command->count, .seconds = command->seconds };
	char pins[PINS_PATH_MAX];
	int r = filter_of(command, &filter);

	if (r)
		return r;
	if (to_stdout && isatty(STDOUT_FILENO)) {
		log_error("a trace is no text for a terminal: write it to a file (-w FILE) or into "
			  "`tcpdump -r -`");
		return EXIT_USAGE;
	}
	r = pins_of(slowpath, command, pins);
	if (r)
		return r;
	options.filter = filter;
	options.out = to_stdout ? stdout : fopen(command->output, "we");
	if (!options.out) {
		log_err(-errno, "%s", command->output);
		return EXIT_FAILED;
	}
	signal(SIGPIPE, SIG_IGN); /* a reader that leaves is an error of writing */
	r = trace_to(slowpath, pins, &options);
	if (fclose(options.out) && !r) {
		log_err(-errno, "%s", to_stdout ? "stdout" : command->output);
		r = EXIT_FAILED;
	}
	return r;
}

static const struct subcommand {
	const char *word;
	int min, max; /* words behind it */
	int (*run)(struct slowpath *slowpath, const struct command *command);
} subcommands[] = { { "run", 0, 0, do_run },       { "check", 0, 0, do_check },
		    { "show", 1, 1, do_show },     { "flush", 0, 0, do_flush },
		    { "reload", 0, 0, do_reload }, { "trace", 0, INT_MAX, do_trace } };

static const struct subcommand *subcommand_find(const struct vnf *vnf,
						const struct command *command)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
		if (strcmp(subcommands[i].word, command->word))
			continue;
		if (command->n >= subcommands[i].min && command->n <= subcommands[i].max)
			return &subcommands[i];
		usage(vnf, stderr);
		return NULL;
	}
	log_error("no subcommand '%s'; see --help", command->word);
	return NULL;
}

int vnf_main(const struct vnf *vnf, int argc, char **argv)
{
	struct slowpath slowpath = { .vnf = vnf, .lock = PTHREAD_MUTEX_INITIALIZER };
	const struct subcommand *subcommand;
	struct command command;
	int r = command_parse(vnf, argc, argv, &command);

	if (r >= 0)
		return r;
	subcommand = subcommand_find(vnf, &command);
	if (!subcommand)
		return EXIT_USAGE;
	slowpath.path = command.path;
	slowpath.own = calloc(1, vnf->conf_size ? vnf->conf_size : 1);
	r = slowpath.own ? subcommand->run(&slowpath, &command) : EXIT_FAILED;
	free(slowpath.own);
	if (r >= 0)
		return r;
	execv("/proc/self/exe", argv); /* a reload is a restart within the lease, without the gap */
	log_err(-errno, "start again");
	return EXIT_FAILED;
}
