# SPDX-License-Identifier: BSD-2-Clause
# Pcapng: reads the files that `trace` writes, with what tcpdump does not print: port and direction.
import struct

from lib import packets

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
IF_NAME, EPB_FLAGS = 2, 2


class Frame:
	"""A traced frame: port (name), sent (False: received), time_s and the packets.Packet."""

	def __init__(self, port, sent, time_ns, length, data):
		self.port, self.sent, self.time_s, self.length = port, sent, time_ns / 1e9, length
		self.packet = packets.Packet(data)

	def __repr__(self):
		return "%s %s %r" % (self.port, "out" if self.sent else "in", self.packet)


def _options(data):
	"""The options of a block, code to value."""
	found, at = {}, 0
	while at + 4 <= len(data):
		code, length = struct.unpack_from("HH", data, at)
		if not code:
			break
		found[code] = data[at + 4:at + 4 + length]
		at += 4 + (length + 3 & ~3)
	return found


def read(path):
	"""All frames of a file; raises AssertionError when its blocks are not whole."""
	with open(path, "rb") as file:
		data = file.read()
	at, ports, frames = 0, [], []
	while at < len(data):
		kind, length = struct.unpack_from("II", data, at)
		assert data[at + length - 4:at + length] == data[at + 4:at + 8], "cut or damaged block"
		block = data[at + 8:at + length - 4]
		if kind == INTERFACE:
			ports.append(_options(block[8:])[IF_NAME].decode())
		elif kind == PACKET:
			port, high, low, captured, whole = struct.unpack_from("5I", block)
			sent = _options(block[20 + (captured + 3 & ~3):])[EPB_FLAGS][0] & 3 == 2
			frames.append(Frame(ports[port], sent, high << 32 | low, whole,
					    block[20:20 + captured]))
		else:
			assert kind == SECTION, kind
		at += length
	return frames
