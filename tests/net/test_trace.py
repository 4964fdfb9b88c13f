# SPDX-License-Identifier: BSD-2-Clause
# Stories of `efw trace`: it shows what tcpdump cannot, selects, ends in time and leaves nothing on.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#                       NAT
import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, pcapng, stories
from lib.lab import Routed, stop_process, wait_until
from lib.stories import need, story
from lib.traffic import Client, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

LARGE = "greater 100" # frames of chat(), not of ask()
ENDS_S = 2 # what a killed trace may still cost


class Trace:
	"""A running `efw trace` of an instance; it is watching when made."""

	def __init__(self, vnf, *words):
		self.vnf = vnf
		self.path = "%s/trace%d.pcapng" % (vnf.namespace.lab.directory, time.monotonic_ns())
		self.process = vnf.namespace.popen(
			[vnf.path, "trace", "-n", vnf.name, "-w", self.path, *words],
			stderr=subprocess.PIPE, text=True)
		wait_until(lambda: watched(vnf) or self.process.poll() is not None, 3, "trace")

	def stop(self):
		"""Ends it and returns the frames."""
		assert stop_process(self.process) == 0, self.process.stderr.read()
		return self.frames()

	def frames(self):
		return pcapng.read(self.path)


def watched(vnf):
	return vnf.show("chain")["traced"]


def trace_status(vnf, *words, **kwargs):
	"""Runs a trace that ends by itself at once; returns (exit status, stderr)."""
	done = subprocess.run(vnf.namespace.command([vnf.path, "trace", "-n", vnf.name, *words]),
			      stderr=subprocess.PIPE, text=True, timeout=10, **kwargs)
	return done.returncode, done.stderr


@contextlib.contextmanager
def told():
	"""A lab with efw, NAT and echoes on TCP port 7 and UDP ports 7 and 9, both offloaded."""
	with Routed() as lab:
		lab.protect("-p tcp", "-p udp")
		lab.router.run("iptables -t nat -A POSTROUTING -o rr -j MASQUERADE")
		lab.vnf = Vnf(lab.router, lease_s=3).start()
		TcpServer(lab.server, lab.server4, 7, echo)
		for port in (7, 9):
			UdpEcho(lab.server, lab.server4, port)
		with Client(lab.client, lab.server4, 7) as lab.tcp, \
				Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as lab.udp, \
				Client(lab.client, lab.server4, 9, socket.SOCK_DGRAM) as lab.udp9:
			for client in (lab.tcp, lab.udp, lab.udp9):
				lab.wait_offloaded(client.ask)
			yield lab


def tcpdump(lab, interface):
	"""tcpdump on a port of the router; returns what ends it and tells how many packets it saw."""
	path = "%s/%s.pcap" % (lab.directory, interface)
	process = lab.router.popen(["tcpdump", "-Z", "root", "--immediate-mode", "-U", "-i",
				    interface, "-w", path, "udp port 7", "and", LARGE],
				   stderr=subprocess.PIPE, text=True)
	wait_until(lambda: "listening" in process.stderr.readline(), 3, "tcpdump")

	def seen():
		time.sleep(0.2)
		process.send_signal(signal.SIGINT)
		process.communicate()
		return len(tcpdump_read(path))
	return seen


def tcpdump_read(path):
	"""The lines `tcpdump -r` prints of a file."""
	done = subprocess.run(["tcpdump", "-n", "-r", path], capture_output=True, text=True, check=True)
	return done.stdout.splitlines()


@story("tcpdump on the ports sees no offloaded packet, trace sees each as it comes and as it leaves")
def offloaded():
	need("tcpdump")
	with told() as lab:
		generation = lab.vnf.show("chain")["generation"]
		seen = [tcpdump(lab, port) for port in ("rl", "rr")]
		assert lab.vnf.show("chain")["generation"] == generation, "promiscuous is no change"
		trace = Trace(lab.vnf, "udp port 7 and", LARGE)
		began = time.time()
		lab.udp.chat(20)
		frames = trace.stop()
		assert [end() for end in seen] == [0, 0]
		assert len(frames) == 80, frames
		came, left = frames[0:80:4], frames[1:80:4]
		for there, back in ((came, left), (frames[2:80:4], frames[3:80:4])):
			assert [frame.packet.data for frame in there] == [
				frame.packet.data for frame in back]
		for number, (before, after) in enumerate(zip(came, left)):
			assert (before.port, before.sent, after.port, after.sent) == (
				"rl", False, "rr", True), (before, after)
			assert (before.packet.src, after.packet.src) == (lab.client4, lab.right4)
			assert (before.packet.ttl, after.packet.ttl) == (64, 63)
			assert before.packet.data == number.to_bytes(4, "big") * 16
			assert before.packet.faults() == after.packet.faults() == []
			assert began <= before.time_s <= after.time_s <= time.time()
		assert len(tcpdump_read(trace.path)) == 80


@story("what goes to the kernel is seen as it comes")
def kernel():
	with told() as lab:
		trace = Trace(lab.vnf, "tcp[tcpflags] & tcp-syn != 0")
		with Client(lab.client, lab.server4, 7) as client:
			client.ask()
		frames = trace.stop()
		assert [(frame.port, frame.sent, frame.packet.dport == 7) for frame in frames] == [
			("rl", False, True), ("rr", False, False)], frames


@story("a filter selects flows and directions")
def selects():
	with told() as lab:
		trace = Trace(lab.vnf, "outbound", "and", "src", "host", lab.server4, "and udp port 9")
		for client in (lab.tcp, lab.udp, lab.udp9):
			client.chat(10)
		frames = trace.stop()
		assert len(frames) == 10, frames
		for frame in frames:
			assert (frame.port, frame.sent, frame.packet.sport) == ("rl", True, 9), frame


@story("a trace ends after its frames or its time, and at once when told; the file is whole")
def ends():
	with told() as lab:
		trace = Trace(lab.vnf, "--count", "7", "udp")
		lab.udp.chat(10)
		assert trace.process.wait(2) == 0 and len(trace.frames()) == 7
		assert not watched(lab.vnf)
		began = time.monotonic()
		trace = Trace(lab.vnf, "--seconds", "1")
		lab.udp.chat(10)
		assert trace.process.wait(3) == 0 and len(trace.frames()) >= 40
		assert 0.9 < time.monotonic() - began < 2
		trace = Trace(lab.vnf)
		lab.udp.chat(10)
		trace.process.send_signal(signal.SIGINT)
		assert trace.process.wait(1) == 0 and len(trace.frames()) >= 40
		assert "not seen" in trace.process.stderr.read() and not watched(lab.vnf)


@story("a trace can be read while it is written, and ends when its reader does")
def pipe():
	need("tcpdump")
	with told() as lab:
		command = "%s trace -n %s udp port 7 | tcpdump -n -r - -c 6" % (lab.vnf.path, lab.vnf.name)
		process = lab.router.popen(["sh", "-c", command], stdout=subprocess.PIPE,
					   stderr=subprocess.DEVNULL, text=True)
		wait_until(lambda: watched(lab.vnf), 3, "trace")
		lab.udp.chat(3)
		wait_until(lambda: lab.udp.answers() and process.poll() is not None, 3, "end")
		assert len(process.stdout.readlines()) == 6
		assert not watched(lab.vnf)


@story("a killed trace costs nothing two seconds later, and the next one begins empty")
def killed():
	with told() as lab:
		trace = Trace(lab.vnf, "udp")
		trace.process.kill()
		trace.process.wait()
		lab.udp.chat(10)
		wait_until(lambda: not watched(lab.vnf), ENDS_S, "the end of the watch")
		trace = Trace(lab.vnf, "udp")
		lab.udp.ask()
		assert len(trace.stop()) == 4


@story("one trace at a time: another is refused and disturbs nothing")
def one():
	with told() as lab:
		trace = Trace(lab.vnf, "udp")
		lab.udp.chat(5)
		assert trace_status(lab.vnf, "-w", "/dev/null") == (
			1, "efw: error: another trace of efw runs: there can be one at a time\n")
		lab.udp.chat(5)
		assert len(trace.stop()) == 40
		assert trace_status(lab.vnf, "--seconds", "1", "-w", "/dev/null")[0] == 0


@story("a trace needs no slow path, and tells when the fast path is gone")
def without():
	with told() as lab:
		lab.vnf.kill9()
		trace = Trace(lab.vnf, "udp")
		lab.udp.ask()
		time.sleep(4) # the lease is over: the kernel forwards
		lab.udp.ask()
		frames = trace.stop()
		assert [frame.sent for frame in frames] == [False, True] * 2 + [False] * 2, frames
		lab.vnf.start()
		trace = Trace(lab.vnf)
		assert lab.vnf.stop() == 0
		assert trace.process.wait(3) == 1
		assert "efw was stopped" in trace.process.stderr.read()


@story("what is no filter, no number or no place to write is refused with exit status 2 or 1")
def refused():
	with told() as lab:
		for words, status, why in (
				(["tcp port"], 2, "filter 'tcp port'"),
				(["--count", "0"], 2, "--count wants a number"),
				(["--seconds", "soon"], 2, "--seconds wants a number"),
				(["-w", "/nowhere/file"], 1, "/nowhere/file: No such file"),
				(["-w", "/dev/full", "--count", "1"], 1, "No space left")):
			got, said = trace_status(lab.vnf, *words, stdout=subprocess.DEVNULL)
			assert got == status and why in said, (words, got, said)
		ours, terminal = pty.openpty()
		got, said = trace_status(lab.vnf, stdout=terminal)
		assert got == 2 and "terminal" in said, (got, said)
		os.close(ours)
		os.close(terminal)


if __name__ == "__main__":
	stories.main()
