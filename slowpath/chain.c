// SPDX-License-Identifier: BSD-2-Clause
// Chain: loads, shares, attaches and adopts the programs and maps of the fast path.
#include "slowpath/chain.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/util/cleanup.h"
#include "common/programs.h"
#include "skel/clock.skel.h"
#include "skel/entry.skel.h"
#include "skel/finish.skel.h"
#include "skel/sent.skel.h"
#include "slowpath/devices.h"

static const struct {
	const char *map;
	bool ip6;
} sized[] = { { "flows4", false }, { "conns4", false }, { "flows6", true }, { "conns6", true } };

/* Entries of a sized map; 0 for any other. */
static uint32_t map_size(const struct chain *chain, const char *name)
{
	for (size_t i = 0; i < sizeof(sized) / sizeof(sized[0]); i++)
		if (!strcmp(name, sized[i].map))
			return 2 * (sized[i].ip6 ? chain->options.max_flows6
						 : chain->options.max_flows4);
	return 0;
}

static int map_pin(struct bpf_map *map, const char *path)
{
	__cleanup_fd int fd = -1;

	/* The kernel adds BPF_F_RDONLY_PROG to a devmap's flags, and libbpf then finds a mismatch
	 * with what the object declares: such a map is reused by hand. */
	if (bpf_map__type(map) == BPF_MAP_TYPE_DEVMAP)
		fd = bpf_obj_get(path);
	if (fd < 0)
		return bpf_map__set_pin_path(map, path);
	if (bpf_map__set_pin_path(map, NULL))
		return -errno;
	return bpf_map__reuse_fd(map, fd);
}

int chain_prepare(const struct chain *chain, struct bpf_object *object)
{
	struct bpf_map *map;
	char path[PINS_PATH_MAX + BPF_OBJ_NAME_LEN];

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map);
		const bool globals = !strcmp(name, ".data.chain"); /* bpffs takes no dots */
		uint32_t size = map_size(chain, name);
		int r = size ? bpf_map__set_max_entries(map, size) : 0;

		snprintf(path, sizeof(path), "%s/%s", chain->pins, globals ? "chain" : name);
		if (!r && (globals || bpf_map__pin_path(map)))
			r = map_pin(map, path);
		if (r)
			return r;
	}
	return 0;
}

/* Opens, prepares and loads one of the chain's own objects through its skeleton. */
#define OBJECT_LOAD(chain, type, configure)                                 \
	({                                                                  \
		struct type##_bpf *skel_ = type##_bpf__open();              \
		int r_ = skel_ ? chain_prepare(chain, skel_->obj) : -errno; \
		if (!r_) {                                                  \
			configure;                                          \
			r_ = type##_bpf__load(skel_);                       \
		}                                                           \
		if (r_) {                                                   \
			type##_bpf__destroy(skel_);                         \
			skel_ = NULL;                                       \
			errno = -r_;                                        \
		}                                                           \
		skel_;                                                      \
	})

/* True when the pinned map has the size this configuration asks for. */
static bool pinned_fits(const struct chain *chain, const char *name)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);
	__cleanup_fd int fd = pins_open(chain->pins, name);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length) &&
	       info.max_entries == map_size(chain, name);
}

/* Pins from before are adopted whole or not at all. */
static int pins_adopt(struct chain *chain)
{
	char links[PINS_PATH_MAX + 8];
	__cleanup_fd int fd = pins_open(chain->pins, "chain");
	int r;

	chain->adopted = fd >= 0 && pinned_fits(chain, "flows4") && pinned_fits(chain, "flows6");
	if (fd < 0 || chain->adopted)
		return 0;
	r = pins_remove(chain->pins);
	snprintf(links, sizeof(links), "%s/links", chain->pins);
	if (r || mkdir(chain->pins, 0700) || mkdir(links, 0700))
		return r ? r : -errno;
	return 0;
}

/* One run of the clock program starts the kernel timer. */
static int clock_start(struct chain *chain)
{
	char frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(frame));
	int r = bpf_prog_test_run_opts(bpf_program__fd(chain->clock->progs.evnf_clock), &options);

	if (r)
		return r;
	return options.retval ? -ENOMEM : 0;
}

static int counters_attach(struct chain *chain)
{
	struct {
		struct bpf_program *program;
		const char *leaf;
	} all[] = { { chain->sent->progs.evnf_sent, "links/sent" },
		    { chain->sent->progs.evnf_redirect_failed, "links/redirect_failed" },
		    { chain->sent->progs.evnf_aborted, "links/aborted" } };
	char path[PINS_PATH_MAX + 32];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct bpf_link *link = bpf_program__attach(all[i].program);
		int r;

		if (!link)
			return -errno;
		snprintf(path, sizeof(path), "%s/%s", chain->pins, all[i].leaf);
		unlink(path); /* the old program counts into the same map until now */
		r = bpf_link__pin(link, path);
		bpf_link__destroy(link);
		if (r)
			return r;
	}
	return 0;
}

static int fds_open(struct chain *chain)
{
	struct {
		int *fd;
		const char *leaf;
	} all[] = { { &chain->flows4, "flows4" },     { &chain->flows6, "flows6" },
		    { &chain->contexts, "contexts" }, { &chain->next_hop_ids, "next_hop_ids" },
		    { &chain->tx_ports, "tx_ports" }, { &chain->hops, "hops" },
		    { &chain->devices, "devices" },   { &chain->port_contexts, "port_contexts" } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		*all[i].fd = pins_open(chain->pins, all[i].leaf);
		if (*all[i].fd < 0)
			return *all[i].fd;
	}
	chain->state = pins_map(chain->pins, "chain", sizeof(*chain->state));
	chain->next_hops =
		pins_map(chain->pins, "next_hops", NEXT_HOPS_MAX * sizeof(*chain->next_hops));
	chain->epochs = pins_map(chain->pins, "epochs", EPOCH_BUCKETS * sizeof(*chain->epochs));
	return chain->state && chain->next_hops && chain->epochs ? 0 : -errno;
}

static int objects_load(struct chain *chain)
{
	const struct chain_options *options = &chain->options;

	chain->clock = OBJECT_LOAD(chain, clock, );
	if (chain->clock)
		chain->sent = OBJECT_LOAD(chain, sent, );
	if (chain->sent)
		chain->finish = OBJECT_LOAD(chain, finish,
					    skel_->rodata->config.inserts_per_tick =
						    (options->inserts_per_s + TICKS_PER_S - 1) /
						    TICKS_PER_S;
					    skel_->rodata->config.doorkeeper = options->doorkeeper);
	return chain->finish ? 0 : -errno;
}

int chain_open(struct chain *chain, const char *pins, const struct chain_options *options)
{
	int r;

	memset(chain, 0, sizeof(*chain));
	chain->flows4 = chain->flows6 = chain->contexts = chain->next_hop_ids = -1;
	chain->tx_ports = chain->hops = chain->devices = chain->port_contexts = -1;
	chain->options = *options;
	snprintf(chain->pins, sizeof(chain->pins), "%s", pins);
	if ((r = pins_adopt(chain)) || (r = objects_load(chain)) || (r = fds_open(chain)) ||
	    (r = counters_attach(chain)) || (r = clock_start(chain))) {
		chain_close(chain);
		return r;
	}
	if (!chain->state->generation)
		chain->state->generation = 1; /* 0 is no stamp */
	return 0;
}

void chain_close(struct chain *chain)
{
	const int fds[] = { chain->flows4,   chain->flows6, chain->contexts, chain->next_hop_ids,
			    chain->tx_ports, chain->hops,   chain->devices,  chain->port_contexts };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (chain->state)
		munmap((void *)chain->state, sizeof(*chain->state));
	if (chain->next_hops)
		munmap(chain->next_hops, NEXT_HOPS_MAX * sizeof(*chain->next_hops));
	if (chain->epochs)
		munmap(chain->epochs, EPOCH_BUCKETS * sizeof(*chain->epochs));
	for (int i = 0; i < PORTS_MAX; i++)
		entry_bpf__destroy(chain->entries[i]);
	finish_bpf__destroy(chain->finish);
	sent_bpf__destroy(chain->sent);
	clock_bpf__destroy(chain->clock);
	memset(chain, 0, sizeof(*chain));
}

int chain_set_hop(struct chain *chain, unsigned int hop, int program)
{
	uint32_t slot = chain->state->bank * HOPS_MAX + hop, behind = slot + 1;
	int finish = bpf_program__fd(chain->finish->progs.evnf_finish);

	if (hop + 1 >= HOPS_MAX)
		return -ENOSPC;
	if (bpf_map_update_elem(chain->hops, &behind, &finish, BPF_ANY) ||
	    bpf_map_update_elem(chain->hops, &slot, &program, BPF_ANY))
		return -errno;
	return 0;
}

/* The index this interface had, or the lowest one no interface has. */
static int port_index_find(struct chain *chain, uint32_t ifindex, uint16_t *index)
{
	struct device_key key = { netns_inode(), ifindex }, *previous = NULL, next;
	uint64_t used = 0;
	uint32_t value;

	if (!bpf_map_lookup_elem(chain->devices, &key, &value)) {
		*index = value;
		return 0;
	}
	while (!bpf_map_get_next_key(chain->devices, previous, &next)) {
		if (!bpf_map_lookup_elem(chain->devices, &next, &value))
			used |= 1ULL << value;
		key = next;
		previous = &key;
	}
	if (used == UINT64_MAX)
		return -ENOSPC;
	*index = __builtin_ctzll(~used);
	return 0;
}

int chain_find_port(struct chain *chain, const char *name, struct port *port)
{
	struct port found = {};
	struct ifreq request = {};
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct device_key key;
	uint32_t index;
	int r;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	memcpy(found.name, request.ifr_name, sizeof(found.name));
	if (ioctl(fd, SIOCGIFINDEX, &request))
		return -errno;
	found.ifindex = request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFMTU, &request))
		return -errno;
	found.mtu = request.ifr_mtu;
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		return -errno;
	memcpy(found.mac, request.ifr_hwaddr.sa_data, sizeof(found.mac));
	r = port_index_find(chain, found.ifindex, &found.index);
	if (r)
		return r;
	key = (struct device_key){ netns_inode(), found.ifindex };
	index = found.index;
	if (bpf_map_update_elem(chain->devices, &key, &index, BPF_ANY))
		return -errno;
	*port = found;
	return 0;
}

/* Linux 6.3 and later redirect frames of several buffers; it came with the netdev family. */
static bool redirects_frags(void)
{
	struct utsname name;
	unsigned int major = 0, minor = 0;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 3);
}

static struct entry_config entry_configure(const struct chain *chain, const struct port *port)
{
	struct entry_config config = {
		.ifindex = port->ifindex,
		.context = port_context(port->index),
		.port = port->index,
		.router = chain->options.router,
		.multi_buffer = redirects_frags(),
	};

	memcpy(&config.mac_high, port->mac, 4);
	memcpy(&config.mac_low, port->mac + 4, 2);
	return config;
}

int chain_load_port(struct chain *chain, const struct port *port)
{
	struct bpf_devmap_val out = { .ifindex = port->ifindex, .bpf_prog.fd = -1 };
	uint32_t index = port->index, context = port_context(port->index);
	struct entry_bpf *entry =
		OBJECT_LOAD(chain, entry, skel_->rodata->config = entry_configure(chain, port));

	if (!entry)
		return -errno;
	entry_bpf__destroy(chain->entries[index]);
	chain->entries[index] = entry;
	if (bpf_map_update_elem(chain->tx_ports, &index, &out, BPF_ANY) ||
	    bpf_map_update_elem(chain->port_contexts, &port->ifindex, &context, BPF_ANY))
		return -errno;
	return bpf_program__fd(entry->progs.evnf_entry);
}

static void link_path(const struct chain *chain, const char *name, char *path, size_t size)
{
	char safe[IFNAMSIZ];

	snprintf(safe, sizeof(safe), "%s", name);
	for (char *c = safe; *c; c++)
		if (*c == '.')
			*c = ':'; /* bpffs takes no dots */
	snprintf(path, size, "%s/links/port_%s", chain->pins, safe);
}

static int xdp_attach(int program, uint32_t ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int link = bpf_link_create(program, ifindex, BPF_XDP, &options);

	return link < 0 ? -errno : link;
}

/* Native where the driver can, else generic, as allowed. Sets *native. */
static int xdp_attach_best(int program, uint32_t ifindex, enum attach how, bool *native)
{
	int link = how == ATTACH_GENERIC ? -EOPNOTSUPP
					 : xdp_attach(program, ifindex, XDP_FLAGS_DRV_MODE);

	*native = link >= 0;
	if (link == -EOPNOTSUPP && how != ATTACH_NATIVE)
		link = xdp_attach(program, ifindex, XDP_FLAGS_SKB_MODE);
	return link;
}

int chain_attach_port(struct chain *chain, struct port *port, enum attach how)
{
	char path[PINS_PATH_MAX + 32];
	int program = bpf_program__fd(chain->entries[port->index]->progs.evnf_entry);
	__cleanup_fd int link = -1;

	link_path(chain, port->name, path, sizeof(path));
	link = bpf_obj_get(path);
	if (link >= 0) {
		if (!bpf_link_update(link, program, NULL)) {
			port->native = device_attach_mode(port->ifindex) == XDP_ATTACHED_DRV;
			port->attached = true;
			return 0;
		}
		if (errno != ENOLINK) /* the interface of that name is another one now */
			return -errno;
		unlink(path);
	}
	link = xdp_attach_best(program, port->ifindex, how, &port->native);
	if (link < 0)
		return link;
	if (bpf_obj_pin(link, path))
		return -errno;
	port->attached = true;
	return 0;
}

static bool link_wanted(const struct chain *chain, const char *leaf, const struct port *ports,
			unsigned int n)
{
	char path[PINS_PATH_MAX + 32];

	for (unsigned int i = 0; i < n; i++) {
		link_path(chain, ports[i].name, path, sizeof(path));
		if (!strcmp(strrchr(path, '/') + 1, leaf))
			return true;
	}
	return false;
}

/* Detaches before it unpins: the kernel frees a link at its leisure, and its program would run on
 * after the programs it calls are gone. */
static void link_detach(const char *path)
{
	__cleanup_fd int link = bpf_obj_get(path);

	if (link >= 0)
		bpf_link_detach(link);
	unlink(path);
}

int chain_detach_others(struct chain *chain, const struct port *ports, unsigned int n)
{
	char links[PINS_PATH_MAX + 8], path[PINS_PATH_MAX + 8 + 256];
	struct dirent *entry;
	DIR *dir;

	snprintf(links, sizeof(links), "%s/links", chain->pins);
	dir = opendir(links);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "port_", 5) ||
		    link_wanted(chain, entry->d_name, ports, n))
			continue;
		snprintf(path, sizeof(path), "%s/%s", links, entry->d_name);
		link_detach(path);
	}
	closedir(dir);
	return 0;
}

void chain_set_next_hop(struct chain *chain, unsigned int slot, const struct next_hop *hop)
{
	uint64_t words[2];
	uint64_t *to = (uint64_t *)&chain->next_hops[slot];

	memcpy(words, hop, sizeof(words));
	__atomic_store_n(&to[1], words[1], __ATOMIC_RELEASE);
	__atomic_store_n(&to[0], words[0], __ATOMIC_RELEASE);
}

void chain_bump(struct chain *chain)
{
	__atomic_fetch_add(&chain->state->generation, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&chain->state->bumps, 1, __ATOMIC_RELAXED);
}

void chain_bump_flow4(struct chain *chain, const struct flow4_key *key)
{
	__atomic_fetch_add(&chain->epochs[flow4_bucket(key)], 1, __ATOMIC_SEQ_CST);
}

void chain_bump_flow6(struct chain *chain, const struct flow6_key *key)
{
	__atomic_fetch_add(&chain->epochs[flow6_bucket(key)], 1, __ATOMIC_SEQ_CST);
}

void chain_renew(struct chain *chain, unsigned int lease_s)
{
	__atomic_store_n(&chain->state->lease_until, chain->state->tick + lease_s * TICKS_PER_S,
			 __ATOMIC_SEQ_CST);
	chain->state->lease_lost = 0; /* the clock would see it at its next tick */
}
