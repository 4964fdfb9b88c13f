/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Plain: recognises what nearly every packet is, the only shape that flow entries are applied to.
 */
#ifndef EVNF_FASTPATH_PLAIN_BPF_H
#define EVNF_FASTPATH_PLAIN_BPF_H

#include "fastpath/packet.bpf.h"

/* Plain is a packet without IPv4 options or IPv6 extension headers, no fragment, whole, and either
 * TCP amid a connection or UDP. packet_parse() says the same of it; all that it would find odd is
 * not plain. */

#define TCP_FLAGS_JUDGED (TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST | TCP_FLAG_ACK)

/* TCP with its whole header and, of the flags that begin and end connections, none but ACK; or UDP
 * with its whole length. `room` is what the IP header says there is, bytes, no more than the frame
 * has. */
static __always_inline int l4_is_plain(const struct headers *h, __u8 proto, __u32 room)
{
	const struct tcphdr *tcp = h->l4;
	const struct udphdr *udp = h->l4;

	if (proto == IPPROTO_TCP)
		return (void *)(tcp + 1) <= h->end && tcp->doff >= 5 && tcp->doff * 4 <= room &&
		       (tcp_flag_word(tcp) & TCP_FLAGS_JUDGED) == TCP_FLAG_ACK;
	return proto == IPPROTO_UDP && (void *)(udp + 1) <= h->end &&
	       bpf_ntohs(udp->len) >= sizeof(*udp) && bpf_ntohs(udp->len) <= room;
}

/* Sets h->l4. Returns the bytes of the IPv4 packet at h->l3, or 0 when it is not plain. */
static __always_inline __u32 ip4_plain(struct xdp_md *ctx, struct headers *h)
{
	const struct iphdr *ip = h->l3;
	__u32 bytes;

	h->l4 = h->l3 + sizeof(*ip);
	if (h->l4 > h->end || *(const __u8 *)ip != 0x45 || ip->frag_off & bpf_htons(0x3fff))
		return 0;
	bytes = length_read(ip->tot_len);
	if (bytes < sizeof(*ip) || frame_shorter(ctx, ip, h, bytes))
		return 0;
	return l4_is_plain(h, ip->protocol, bytes - sizeof(*ip)) ? bytes : 0;
}

/* The same of an IPv6 packet. */
static __always_inline __u32 ip6_plain(struct xdp_md *ctx, struct headers *h)
{
	const struct ipv6hdr *ip = h->l3;
	__u32 payload;

	h->l4 = h->l3 + sizeof(*ip);
	if (h->l4 > h->end || ip->version != 6)
		return 0;
	payload = length_read(ip->payload_len);
	if (frame_shorter(ctx, ip, h, sizeof(*ip) + payload))
		return 0;
	return l4_is_plain(h, ip->nexthdr, payload) ? sizeof(*ip) + payload : 0;
}

#endif
