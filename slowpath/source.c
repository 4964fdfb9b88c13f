// SPDX-License-Identifier: BSD-2-Clause
// Frame sources: from the spec to its kind.
#include "slowpath/source.h"

#include <errno.h>
#include <string.h>

#include "slowpath/source_kind.h"

static const struct source_kind *const source_kinds[] = { &source_xsk, &source_tap, &source_pcap,
							  &source_file };

int source_open(const char *spec, struct source **source)
{
	const char *colon = strchr(spec, ':');

	if (!colon)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(source_kinds) / sizeof(source_kinds[0]); i++) {
		const struct source_kind *kind = source_kinds[i];
		int r;

		if (strncmp(spec, kind->name, colon - spec) || kind->name[colon - spec])
			continue;
		r = kind->open(colon + 1, source);
		if (!r)
			(*source)->kind = kind;
		return r;
	}
	return -EINVAL;
}

int source_fd(const struct source *source)
{
	return source->fd;
}

int source_receive(struct source *source, unsigned int budget, source_frame_fn fn, void *arg)
{
	return source->kind->receive(source, budget, fn, arg);
}

int source_send(struct source *source, const void *frame, uint32_t n)
{
	return n ? source->kind->send(source, frame, n) : -EMSGSIZE;
}

int source_stats(const struct source *source, struct source_stats *stats)
{
	uint64_t dropped;
	int r = source->kind->dropped(source, &dropped);

	if (r)
		return r;
	*stats = (struct source_stats){ .received = source->received, .dropped = dropped };
	return 0;
}

int source_xsk_fd(const struct source *source)
{
	return source->kind == &source_xsk ? source->fd : -EOPNOTSUPP;
}

void source_close(struct source *source)
{
	if (source)
		source->kind->close(source);
}
