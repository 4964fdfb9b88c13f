// SPDX-License-Identifier: BSD-2-Clause
// The socket filter of conntrack events: in the kernel, before they take room in the queue.
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "efw/conntrack_message.h"

/* Instructions with their place in the program. Those on two lines take two places. */
#define LOAD(at, size, offset) [at] = BPF_STMT(BPF_LD | (size) | BPF_ABS, offset)
#define JUMP(at, op, value, yes, no) \
	[at] = BPF_JUMP(BPF_JMP | (op) | BPF_K, value, (yes) - (at + 1), (no) - (at + 1))
#define RETURN(at, bytes) [at] = BPF_STMT(BPF_RET | BPF_K, bytes)
/* A: where the message's attributes begin. */
#define ATTRS_LOAD(at) [at] = BPF_STMT(BPF_LD | BPF_IMM, CT_ATTRS_AT)
/* From attributes at A, or from those nested in the attribute at A: A becomes the offset of the one
 * of that type, 0: none. */
#define FIND(at, type) \
	[at] = BPF_STMT(BPF_LDX | BPF_IMM, type), LOAD(at + 1, BPF_W, SKF_AD_OFF + SKF_AD_NLATTR)
#define FIND_NESTED(at, type)                     \
	[at] = BPF_STMT(BPF_LDX | BPF_IMM, type), \
	LOAD(at + 1, BPF_W, SKF_AD_OFF + SKF_AD_NLATTR_NEST)
/* A: what the attribute at A carries, in host order. */
#define PAYLOAD_LOAD(at, size)                  \
	[at] = BPF_STMT(BPF_MISC | BPF_TAX, 0), \
	[at + 1] = BPF_STMT(BPF_LD | (size) | BPF_IND, NLA_HDRLEN)

int ct_filter_attach(int fd, uint32_t portid)
{
	enum { REPLIED = 10, ASSURED = 23, ACCEPT = 39, DROP = 40 };
	const uint16_t destroy = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	struct sock_filter program[] = {
		LOAD(0, BPF_W, offsetof(struct nlmsghdr, nlmsg_pid)),
		JUMP(1, BPF_JEQ, htonl(portid), DROP, 2),
		ATTRS_LOAD(2),
		FIND(3, CTA_STATUS),
		JUMP(5, BPF_JEQ, 0, ACCEPT, 6),
		PAYLOAD_LOAD(6, BPF_W),
		JUMP(8, BPF_JSET, IPS_ASSURED, ASSURED, 9),
		JUMP(9, BPF_JSET, IPS_SEEN_REPLY, REPLIED, DROP),

		ATTRS_LOAD(REPLIED),
		FIND(11, CTA_TUPLE_ORIG),
		JUMP(13, BPF_JEQ, 0, ACCEPT, 14),
		FIND_NESTED(14, CTA_TUPLE_PROTO),
		JUMP(16, BPF_JEQ, 0, ACCEPT, 17),
		FIND_NESTED(17, CTA_PROTO_NUM),
		JUMP(19, BPF_JEQ, 0, ACCEPT, 20),
		PAYLOAD_LOAD(20, BPF_B),
		JUMP(22, BPF_JEQ, IPPROTO_UDP, ACCEPT, DROP),

		LOAD(ASSURED, BPF_H, offsetof(struct nlmsghdr, nlmsg_type)),
		JUMP(24, BPF_JEQ, htons(destroy), ACCEPT, 25),
		ATTRS_LOAD(25),
		FIND(26, CTA_PROTOINFO),
		JUMP(28, BPF_JEQ, 0, ACCEPT, 29),
		FIND_NESTED(29, CTA_PROTOINFO_TCP),
		JUMP(31, BPF_JEQ, 0, ACCEPT, 32),
		FIND_NESTED(32, CTA_PROTOINFO_TCP_STATE),
		JUMP(34, BPF_JEQ, 0, ACCEPT, 35),
		PAYLOAD_LOAD(35, BPF_B),
		JUMP(37, BPF_JGE, TCP_CONNTRACK_CLOSE_WAIT, 38, ACCEPT),
		JUMP(38, BPF_JGT, TCP_CONNTRACK_TIME_WAIT, ACCEPT, DROP),

		RETURN(ACCEPT, UINT32_MAX),
		RETURN(DROP, 0),
	};
	const struct sock_fprog filter = { sizeof(program) / sizeof(*program), program };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return -errno;
	return 0;
}
