// SPDX-License-Identifier: BSD-2-Clause
// Are there rules of iptables-legacy or ip6tables-legacy, told without creating their tables?
// they the same?
#ifndef EVNF_EFW_POLICY_LEGACY_H
#define EVNF_EFW_POLICY_LEGACY_H

/* Are there tables of this family (AF_INET, AF_INET6) in the caller's network namespace? Returns 1,
 * 0 or -errno. To ask a tool instead would create them. */
int legacy_tables_exist(int family);

#endif
