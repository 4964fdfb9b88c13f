// SPDX-License-Identifier: BSD-2-Clause
// VIDs: from a list as people write it into one bit per VLAN.
#include "efwd/vids.h"

#include <errno.h>
#include <string.h>

#define VID_FIRST 1
#define VID_LAST 4094 /* 4095 is reserved (802.1Q, table 9-2) */

/* Reads a VID, digits only. Returns what follows it, or NULL. */
static const char *vid_parse(const char *text, unsigned int *vid)
{
	unsigned int value = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9'; c++) {
		value = value * 10 + (*c - '0');
		if (value > VID_LAST)
			return NULL;
	}
	if (c == text || value < VID_FIRST)
		return NULL;
	*vid = value;
	return c;
}

int vids_parse(const char *text, __u64 vids[static VIDS / 64])
{
	__u64 read[VIDS / 64] = {};
	unsigned int first, last;

	if (!strcmp(text, "all"))
		text = "1-4094";
	for (const char *c = text; *c;) {
		c = vid_parse(c, &first);
		last = first;
		if (c && *c == '-')
			c = vid_parse(c + 1, &last);
		if (!c || last < first || (*c && (*c != ',' || !c[1])))
			return -EINVAL;
		for (unsigned int vid = first; vid <= last; vid++)
			read[vid / 64] |= 1ULL << vid % 64;
		c += *c == ',';
	}
	memcpy(vids, read, sizeof(read));
	return 0;
}
