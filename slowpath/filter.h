/* SPDX-License-Identifier: BSD-2-Clause */
/* Filter: selects Ethernet frames by an expression in tcpdump's language, see pcap-filter(7). */
#ifndef EVNF_SLOWPATH_FILTER_H
#define EVNF_SLOWPATH_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#define FILTER_ERROR_MAX 256

struct filter;

/* Compiles an expression; the empty one matches every frame. Returns 0 and *filter, -ENOMEM, or
 * -EINVAL with what is wrong in error, in libpcap's words. */
int filter_compile(const char *expression, struct filter **filter, char error[FILTER_ERROR_MAX]);

/* True when the frame matches. data: captured bytes of it, from the destination MAC on; length: of
 * the whole frame, which `greater` and `less` ask for; sent: by us, which `outbound` asks for. What
 * lies behind the captured bytes does not match. */
bool filter_match(const struct filter *filter, const void *data, uint32_t captured, uint32_t length,
		  bool sent);

void filter_free(struct filter *filter); /* NULL is fine */

static inline void cleanup_filter(struct filter **filter)
{
	filter_free(*filter);
}
#define __cleanup_filter __attribute__((cleanup(cleanup_filter)))

#endif
