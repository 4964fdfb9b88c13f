# SPDX-License-Identifier: BSD-2-Clause
# Measure: what a packet and a request cost, in CPU time that holds on a busy machine too.
import contextlib
import glob
import re
import resource
import time

from lib import generator
from lib.traffic import Client, Conversation, Peer, TcpServer


def generator_floor(lab, seconds=1.0, windows=5):
	"""CPU ns per packet of the generator alone: the router drops at its port. Before a VNF runs."""
	generator.drop_at(lab.router, "rl")
	try:
		done = generator.run(lab.client, "c0", sink=(lab.router, "rl"), seconds=seconds,
				     windows=windows, warmup=0.5, **generator.through_router(lab))
	finally:
		lab.router.run("ip link set dev rl xdp off")
	return done["cpu_ns_per_packet"]


class LiveFlow:
	"""A hand-made TCP connection through the lab's router, measured by live frames."""

	def __init__(self, lab, port=40000, server_port=80):
		"""Opens it and lets both ends speak, so that conntrack has it as assured."""
		self.lab = lab
		self.client, self.server = Peer.client(lab, port), Peer.server(lab, server_port)
		self._talk = Conversation(self.client, self.server)
		with self._talk:
			self._talk.open()
			self._speak()

	def _speak(self):
		self._talk.say(self.client, b"hello")
		self._talk.say(self.server, b"hello")

	def wait_offloaded(self, timeout_s=3):
		"""Speaks until the router's kernel no longer forwards it."""
		with self._talk:
			return self.lab.wait_offloaded(self._speak, timeout_s)

	def options(self):
		seq = self._talk.seq
		return {"proto": "tcp", "src": self.client.address, "dst": self.server.address,
			"src_mac": self.lab.client_mac, "dst_mac": self.lab.left_mac,
			"sport": self.client.port, "dport": self.server.port,
			"seq": seq[self.client], "ack": seq[self.server]}

	def cost(self, seconds=1.0, windows=5):
		"""What the generator reports of this flow's packets, dropped as they reach the server:
		cpu_ns_per_packet includes the generator's own, see generator_floor()."""
		generator.drop_at(self.lab.server, "s0")
		try:
			return generator.run(self.lab.client, "c0", sink=(self.lab.server, "s0"),
					     seconds=seconds, windows=windows, warmup=0.5,
					     **self.options())
		finally:
			self.lab.server.run("ip link set dev s0 xdp off")


def _run_ns(pid):
	"""CPU time of a process and all its threads."""
	total = 0
	for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
		with open(path) as file:
			total += int(file.read().split()[0])
	return total


def _family_ns(pid):
	"""CPU time of a process and all below it, as nginx is master and workers."""
	with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
		children = file.read().split()
	return _run_ns(pid) + sum(_family_ns(int(child)) for child in children)


def cpu_ns(pid):
	"""CPU time so far of a process, all below it, and the kernel's softirq threads.

	The kernel charges work on packets to the process it interrupts. Where these processes send
	and receive all packets, the sum holds the cost of forwarding, also on a busy machine.
	"""
	return _family_ns(pid) + _softirq_ns()


def _softirq_ns():
	"""CPU time of the kernel threads that finish the softirqs left over."""
	total = 0
	for path in glob.glob("/proc/[0-9]*/comm"):
		with contextlib.suppress(OSError): # ended meanwhile
			with open(path) as file:
				if file.read().startswith("ksoftirqd/"):
					total += _run_ns(int(path.split("/")[2]))
	return total


def _ended_children_ns():
	used = resource.getrusage(resource.RUSAGE_CHILDREN)
	return int((used.ru_utime + used.ru_stime) * 1e9)


class Requests:
	"""What a run of wrk against nginx did, and what a request cost wrk, nginx and forwarding."""

	def __init__(self, lab, nginx, url, seconds=4, connections=32):
		def used():
			return cpu_ns(nginx.pid) + _ended_children_ns()

		before = used()
		out = lab.client.run("wrk -t1 -c%d -d%ds %s" % (connections, seconds, url),
				     timeout_s=seconds + 20)
		self.requests = int(re.search(r"(\d+) requests in", out).group(1))
		self.per_second = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
		self.cpu_us = (used() - before) / 1000 / max(self.requests, 1)


def bulk_gbits(lab, port, seconds=2):
	"""Gigabits a second of one TCP stream from server to client; the rules must allow the port."""
	def pour(connection):
		while True: # until the client closes
			connection.sendall(block)

	block, room = bytes(1 << 20), bytearray(1 << 20)
	server = TcpServer(lab.server, lab.server4, port, pour)
	with Client(lab.client, lab.server4, port) as client:
		began, got = time.monotonic(), 0
		while time.monotonic() - began < seconds:
			got += client.socket.recv_into(room)
		took = time.monotonic() - began
	server.close()
	return got * 8 / took / 1e9
