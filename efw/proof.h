/* SPDX-License-Identifier: BSD-2-Clause */
/* Proof: puts the stamp and the witness on the ports, by tc, and takes them off again. */
#ifndef EVNF_EFW_PROOF_H
#define EVNF_EFW_PROOF_H

#include "slowpath/chain.h"

struct witness_bpf;

/* Loads the programs. Returns 0 or -errno. */
int proof_open(const struct chain *chain, struct witness_bpf **programs);
void proof_close(struct witness_bpf *programs);

/* Adds both programs to a port, or replaces those of an earlier process: by tcx links where the
 * kernel has them (6.6), else in a clsact qdisc, which is added if there is none. Returns 0 or
 * -errno. */
int proof_attach(const struct chain *chain, struct witness_bpf *programs, const struct port *port);

/* Removes both, and the qdisc if it was ours, from every port but these n. Returns 0 or -errno. */
int proof_detach_others(const struct chain *chain, const struct port *ports, unsigned int n);

#endif
