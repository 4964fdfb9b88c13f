# SPDX-License-Identifier: BSD-2-Clause
# Stories of the frame sources: every kind gives each frame once and sends frames back.
#
#   sender a0 ------------ b0 receiver        the driver build/tests/net/sources runs in the receiver,
#                             t0 (a TAP)      with sources on b0 or t0
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import stories
from lib.lab import Lab, stop_process
from lib.stories import Skip, story

DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "tests", "net",
		      "sources")
NUMBERED, ECHO = b"\x88\xb5", b"\x88\xb6"
MAC_A, MAC_B = b"\x02\0\0\0\0\xaa", b"\x02\0\0\0\0\xbb"


def numbered(n, tag=b"", ethertype=NUMBERED):
	"""Frame n as the driver expects it."""
	length = 60 + n % 1455
	count = bytes((n + i) & 255 for i in range(length - 18))
	return MAC_B + MAC_A + tag + ethertype + n.to_bytes(4, "big") + count


class Pair(Lab):
	"""The topology above; queues: receive queues of b0."""

	def __init__(self, queues=1):
		super().__init__()
		if not os.path.exists(DRIVER):
			raise Skip("build/tests/net/sources is not built")
		try:
			self.sender, self.receiver = self.namespace("a"), self.namespace("b")
			size = "numrxqueues %d numtxqueues %d" % (queues, queues)
			self.sender.ip("link add a0 address 02:00:00:00:00:aa %s type veth "
				       "peer name b0 address 02:00:00:00:00:bb %s netns %s"
				       % (size, size, self.receiver.name), "link set a0 up")
			self.receiver.ip("link set b0 up")
		except BaseException:
			self.close()
			raise

	def ifindex(self, interface):
		return self.receiver.link(interface)["ifindex"]

	def driver(self, count, *specs, mode="native"):
		return Driver(self, [DRIVER, mode, str(count), *specs])


class Driver:
	"""The driver while it runs; result() waits for its end and its report."""

	def __init__(self, lab, command):
		self.process = lab.receiver.popen(command, stdout=subprocess.PIPE, text=True)
		self.began_ns = time.time_ns()
		self.first_line = self.process.stdout.readline()

	def result(self):
		line = self.first_line
		if line == "ready\n":
			line = self.process.stdout.readline()
		self.ended_ns = time.time_ns()
		self.process.wait(10)
		return json.loads(line)


class Echoes:
	"""Counts by number the echoes that arrive at an interface inside the `with`."""

	def __init__(self, namespace, interface):
		self.counts = {}
		self.raw = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B6))
		self.raw.setsockopt(socket.SOL_SOCKET, 33, 64 << 20) # SO_RCVBUFFORCE
		self.raw.bind((interface, 0x88B6))

	def collect(self):
		# the TAP has gone with the driver: an error that is told once, before what was received
		self.raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
		with contextlib.suppress(BlockingIOError):
			while True:
				frame, (_, _, kind, _, _) = self.raw.recvfrom(4096, socket.MSG_DONTWAIT)
				if kind != socket.PACKET_OUTGOING:
					number = int.from_bytes(frame[14:18], "big")
					self.counts[number] = self.counts.get(number, 0) + 1
		return self.counts


def send(namespace, interface, frames):
	"""Sends frames in bursts of 32, 1 ms apart: on two CPUs receivers keep up with that."""
	with namespace.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
		raw.bind((interface, 0))
		for at, frame in enumerate(frames):
			if at % 32 == 0:
				time.sleep(0.001)
			raw.send(frame)


def assert_each_once(result, count, order=True):
	got = {key: result[key] for key in ("error", "distinct", "repeated", "damaged", "send_errors")}
	assert got == {"error": "", "distinct": count, "repeated": 0, "damaged": 0, "send_errors": 0}, result
	assert not order or result["reordered"] == 0, result
	assert sum(source["numbered"] for source in result["sources"]) == count, result
	for source in result["sources"]:
		assert source["stats"] == 0 and source["dropped"] == 0, result
		assert source["received"] >= source["numbered"], result


def delivers(spec, interface, mode="native", count=4000):
	"""Each frame once, whole, in order, with time and port; each echo once, none seen by the source."""
	with Pair() as lab:
		driver = lab.driver(count, spec, mode=mode)
		assert driver.first_line == "ready\n", driver.first_line
		peer = (lab.receiver, "t0") if interface == "t0" else (lab.sender, "a0")
		echoes = Echoes(*peer)
		send(*peer, [numbered(n) for n in range(count)])
		port = lab.ifindex(interface)
		result = driver.result()
		assert_each_once(result, count)
		source, = result["sources"]
		assert source["port"] == port and source["queue"] == 0, (port, source)
		assert driver.began_ns < source["first_ns"] <= source["last_ns"] < driver.ended_ns, source
		assert result["echoes"] == 0, result
		assert echoes.collect() == {n: 1 for n in range(count)}


@story("an AF_XDP socket gives each frame once and sends each back")
def xsk():
	delivers("xsk:b0:0", "b0")


@story("an AF_XDP socket does so behind generic XDP too")
def xsk_generic():
	delivers("xsk:b0:0", "b0", mode="generic")


@story("a capture gives each frame once and sends each back")
def pcap():
	delivers("pcap:b0", "b0")


@story("a capture does not give what others send out of its interface")
def outgoing():
	with Pair() as lab:
		driver = lab.driver(1, "pcap:b0")
		send(lab.receiver, "b0", [numbered(0, ethertype=ECHO)] * 10)
		send(lab.sender, "a0", [numbered(0)])
		result = driver.result()
		assert_each_once(result, 1)
		assert result["echoes"] == 0, result


@story("a TAP device gives each frame once and sends each into the kernel")
def tap():
	delivers("tap:t0", "t0")


@story("VLAN tags stay in the frames of every kind")
def tags():
	tag = b"\x81\0\x20\x05"
	for spec in ("xsk:b0:0", "pcap:b0", "tap:t0"):
		with Pair() as lab:
			driver = lab.driver(100, spec)
			peer = (lab.receiver, "t0") if spec == "tap:t0" else (lab.sender, "a0")
			send(*peer, [numbered(n, tag) for n in range(100)])
			result = driver.result()
			assert_each_once(result, 100)
			assert result["tagged"] == 100, (spec, result)


@story("two queues have a socket each and lose nothing between them")
def queues():
	with Pair(queues=2) as lab:
		driver = lab.driver(4000, "xsk:b0:0", "xsk:b0:1")
		# the sender picks a queue by a hash, which of such frames sees only the VLAN
		send(lab.sender, "a0", [numbered(n, b"\x81\0\0" + bytes([1 + n % 200])) for n in range(4000)])
		result = driver.result()
		assert_each_once(result, 4000, order=False)
		assert [source["queue"] for source in result["sources"]] == [0, 1], result
		assert all(source["numbered"] > 1000 for source in result["sources"]), result


@story("a queue is free again once its socket is closed, and busy until then")
def busy():
	with Pair() as lab:
		first = lab.driver(1, "xsk:b0:0")
		assert lab.driver(1, "xsk:b0:0").result()["error"] == "EBUSY"
		first.process.kill()
		second = lab.driver(1, "xsk:b0:0") # the kernel may still hold the queue
		send(lab.sender, "a0", [numbered(0)])
		assert_each_once(second.result(), 1)


@story("every kind says so when its interface goes away")
def gone():
	for spec, interface, errors in (("xsk:b0:0", "b0", ("ENETDOWN",)),
					("pcap:b0", "b0", ("ENODEV", "ENETDOWN")),
					("tap:t0", "t0", ("ENODEV",))):
		with Pair() as lab:
			driver = lab.driver(1, spec)
			began = time.monotonic()
			lab.receiver.ip("link del " + interface)
			result = driver.result()
			assert result["error"] in errors, (spec, result)
			assert time.monotonic() - began < 5, spec


@story("frames lost to a stopped reader are counted")
def dropped():
	for spec, count in (("xsk:b0:0", 4000), ("pcap:b0", 30000), ("tap:t0", 4000)):
		with Pair() as lab:
			driver = lab.driver(100000, spec)
			peer = (lab.receiver, "t0") if spec == "tap:t0" else (lab.sender, "a0")
			frames = [numbered(n) for n in range(count)]
			driver.process.send_signal(signal.SIGSTOP)
			send(*peer, frames)
			driver.process.send_signal(signal.SIGCONT)
			time.sleep(0.5)
			driver.process.terminate()
			result = driver.result()
			source, = result["sources"]
			assert source["dropped"] >= 500, (spec, result)
			assert source["numbered"] + source["dropped"] >= count, (spec, result)
			assert source["received"] + source["dropped"] < count + 100, (spec, result)
			assert result["repeated"] == 0 and result["damaged"] == 0, (spec, result)


if __name__ == "__main__":
	stories.main()
