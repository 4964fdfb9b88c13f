/* SPDX-License-Identifier: BSD-2-Clause */
/* VIDs: reads a list of VLANs such as "10,20-29" or "all". */
#ifndef EVNF_EFWD_VIDS_H
#define EVNF_EFWD_VIDS_H

#include "efwd/bridge.h"

/* Reads VIDs from 1 to 4094, single or as first-last, with commas between them; "all" is all of
 * them, nothing is none. Sets a bit for each. Returns 0, or -EINVAL with vids untouched. */
int vids_parse(const char *text, __u64 vids[static VIDS / 64]);

#endif
