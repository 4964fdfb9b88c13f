# SPDX-License-Identifier: BSD-2-Clause
# Packets: builds frames with right checksums and deliberate faults, and takes captured ones apart.
import ipaddress
import socket
import struct

ETH_IPV4, ETH_IPV6, ETH_VLAN, ETH_QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
ICMP, TCP, UDP, FRAGMENT6, ICMP6 = 1, 6, 17, 44, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
WITH_SUM_AT = {ICMP: 2, TCP: 16, UDP: 6, ICMP6: 2}


def fold(data):
	"""One's complement sum of big-endian 16-bit words (RFC 1071), not inverted."""
	if len(data) % 2:
		data += b"\0"
	total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
	while total >> 16:
		total = (total & 0xFFFF) + (total >> 16)
	return total


def checksum(data):
	return 0xFFFF - fold(data)


def mac(text):
	return bytes.fromhex(text.replace(":", ""))


def eth(dst, src, ethertype, payload, tags=()):
	"""A frame. tags: (tag type, VID) from the outside in."""
	out = mac(dst) + mac(src)
	for tag_type, vid in tags:
		out += struct.pack("!HH", tag_type, vid)
	return out + struct.pack("!H", ethertype) + payload


def ipv4(src, dst, proto, payload, ttl=64, ident=0, flags_offset=0, options=b"", total=None,
	 header_sum=None):
	"""An IPv4 packet. flags_offset: the 16-bit field, e.g. 0x4000 for DF; total and header_sum
	override what is right."""
	ihl = 5 + len(options) // 4
	length = ihl * 4 + len(payload) if total is None else total
	head = struct.pack("!BBHHHBBH4s4s", 0x40 | ihl, 0, length, ident, flags_offset, ttl, proto, 0,
			   socket.inet_aton(src), socket.inet_aton(dst)) + options
	right = checksum(head) if header_sum is None else header_sum
	return head[:10] + struct.pack("!H", right) + head[12:] + payload


def ipv6(src, dst, proto, payload, hops=64, total=None):
	length = len(payload) if total is None else total
	return struct.pack("!IHBB", 6 << 28, length, proto, hops) + \
		socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload


def ip(src, dst, proto, payload, ttl=64, **kwargs):
	"""An IPv4 or IPv6 packet, as the addresses are."""
	if ":" in src:
		return ipv6(src, dst, proto, payload, hops=ttl, **kwargs)
	return ipv4(src, dst, proto, payload, ttl=ttl, **kwargs)


def pseudo(src, dst, proto, length):
	a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
	if len(a) == 4:
		return a + b + struct.pack("!BBH", 0, proto, length)
	return a + b + struct.pack("!II", length, proto)


def _with_sum(segment, at, head, fault):
	value = checksum(head + segment)
	if fault:
		value ^= 0x5555
	return segment[:at] + struct.pack("!H", value) + segment[at + 2:]


def udp(src, dst, sport, dport, payload=b"", bad_sum=False, no_sum=False, length=None):
	"""A UDP datagram. no_sum: checksum 0, as IPv4 allows; length overrides the length field."""
	right = 8 + len(payload)
	segment = struct.pack("!HHHH", sport, dport, right if length is None else length, 0) + payload
	if no_sum:
		return segment
	return _with_sum(segment, 6, pseudo(src, dst, UDP, right), bad_sum)


def tcp(src, dst, sport, dport, seq=0, ack=0, flags=ACK, payload=b"", window=65535, options=b"",
	bad_sum=False, data_offset=None):
	"""A TCP segment. data_offset (in words) overrides what is right."""
	words = 5 + len(options) // 4 if data_offset is None else data_offset
	segment = struct.pack("!HHIIBBHHH", sport, dport, seq % 2**32, ack % 2**32, words << 4, flags,
			      window, 0, 0) + options + payload
	return _with_sum(segment, 16, pseudo(src, dst, TCP, len(segment)), bad_sum)


def icmp(kind, code, rest, payload=b""):
	"""An ICMP message; rest: the second word, an int."""
	return _with_sum(struct.pack("!BBHI", kind, code, 0, rest) + payload, 2, b"", False)


def icmp6(src, dst, kind, code, rest, payload=b""):
	segment = struct.pack("!BBHI", kind, code, 0, rest) + payload
	return _with_sum(segment, 2, pseudo(src, dst, ICMP6, len(segment)), False)


class Packet:
	"""A captured frame, taken apart as far as it goes.

	src, dst, proto, ttl and payload of the IP packet are None when it is not IP; sport, dport
	when it has no ports or is a later fragment; seq, ack, flags when it is not TCP.
	"""
	def __init__(self, frame, partial=False):
		"""partial: the L4 checksum was left to offload, as AF_PACKET tells."""
		self.frame, self.partial = frame, partial
		self.src = self.dst = self.proto = self.ttl = self.sport = self.dport = None
		self.seq = self.ack = self.flags = None
		self.tags, self.segment, self.data, self.fragment = [], b"", b"", False
		self.dst_mac, self.src_mac = frame[:6].hex(":"), frame[6:12].hex(":")
		at, (self.ethertype,) = 14, struct.unpack_from("!H", frame, 12)
		while self.ethertype in (ETH_VLAN, ETH_QINQ):
			self.tags.append(struct.unpack_from("!H", frame, at)[0] & 0xFFF)
			(self.ethertype,) = struct.unpack_from("!H", frame, at + 2)
			at += 4
		self.ip_packet = frame[at:]
		if self.ethertype == ETH_IPV4:
			self._parse_ipv4()
		elif self.ethertype == ETH_IPV6:
			self._parse_ipv6()
		if self.proto is not None and not self.fragment:
			self._parse_l4()

	def _parse_ipv4(self):
		packet = self.ip_packet
		length, self.ident, offset = struct.unpack_from("!HHH", packet, 2)
		self.header = packet[:(packet[0] & 15) * 4]
		self.ttl, self.proto = packet[8], packet[9]
		self.src, self.dst = (socket.inet_ntoa(packet[at:at + 4]) for at in (12, 16))
		self.fragment = bool(offset & 0x3FFF)
		self.segment = packet[len(self.header):length]

	def _parse_ipv6(self):
		packet = self.ip_packet
		length, self.proto, self.ttl = struct.unpack_from("!HBB", packet, 4)
		self.header = packet[:40]
		self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, packet[at:at + 16])
				      for at in (8, 24))
		self.segment = packet[40:40 + length]
		self.fragment = self.proto == FRAGMENT6

	def _parse_l4(self):
		segment = self.segment
		if self.proto == UDP and len(segment) >= 8:
			self.sport, self.dport = struct.unpack_from("!HH", segment)
			self.data = segment[8:]
		elif self.proto == TCP and len(segment) >= 20:
			self.sport, self.dport, self.seq, self.ack = struct.unpack_from("!HHII", segment)
			self.flags = segment[13]
			self.data = segment[(segment[12] >> 4) * 4:]
		elif self.proto in (ICMP, ICMP6) and len(segment) >= 8:
			self.data = segment[8:]

	def faults(self):
		"""Says which checksum of the frame is wrong: a list, empty when all are right."""
		wrong = []
		if self.ethertype == ETH_IPV4 and fold(self.header) != 0xFFFF:
			wrong.append("IPv4 header checksum")
		if self.fragment or self.partial or self.proto not in WITH_SUM_AT:
			return wrong
		at = WITH_SUM_AT[self.proto]
		if self.proto == UDP and self.segment[at:at + 2] == b"\0\0" and ":" not in self.src:
			return wrong
		head = b"" if self.proto == ICMP else \
			pseudo(self.src, self.dst, self.proto, len(self.segment))
		if fold(head + self.segment) != 0xFFFF:
			wrong.append("checksum of protocol %d" % self.proto)
		return wrong

	def __repr__(self):
		ports = "" if self.sport is None else " %d>%d" % (self.sport, self.dport)
		return "<%s>%s proto %s%s ttl %s flags %s %d bytes>" % (
			self.src, self.dst, self.proto, ports, self.ttl, self.flags, len(self.frame))
