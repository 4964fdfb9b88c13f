/* SPDX-License-Identifier: BSD-2-Clause */
/* Proof: puts the stamp and the witness on the ports, by tc, and takes them off again. */
#ifndef EVNF_EFW_PROOF_H
#define EVNF_EFW_PROOF_H

#include "slowpath/chain.h"

struct witness_bpf;

/* Loads the programs. Returns 0 or -errno. */
int proof_open(const struct chain *chain, struct witness_bpf **programs);
void proof_close(struct witness_bpf *programs);

/* Adds both programs to a port, or replaces those of an earlier process. A clsact qdisc is added
 * where there is none. Returns 0 or -errno. */
int proof_attach(const struct chain *chain, struct witness_bpf *programs, const struct port *port);

/* Removes both, and the qdisc if it was ours. */
void proof_detach(const struct chain *chain, const struct port *port);

#endif
