# SPDX-License-Identifier: BSD-2-Clause
# Lab: network namespaces joined by veth pairs, with what runs in them, all removed at the end.
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from lib import packets

CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_GDRVINFO, ETHTOOL_GSTRINGS, ETHTOOL_GSTATS = 0x8946, 3, 0x1B, 0x1D
ETH_SS_STATS = 1
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def wait_until(condition, timeout_s=5, what="condition", every_s=0.002):
	"""Polls until condition() is true; returns (its value, seconds it took).

	Raises AssertionError, naming `what`, when timeout_s have passed.
	"""
	began = time.monotonic()
	while True:
		value = condition()
		took = time.monotonic() - began
		if value:
			return value, took
		if took > timeout_s:
			raise AssertionError("%s: not within %.1f s" % (what, timeout_s))
		time.sleep(every_s)


def stop_process(process, grace_s=3):
	"""Ends a process we started: SIGTERM, after grace_s SIGKILL. Returns its exit status."""
	if process.poll() is None:
		process.terminate()
		try:
			process.wait(grace_s)
		except subprocess.TimeoutExpired:
			process.kill()
	return process.wait()


def _ethtool(any_socket, interface, command, size, arguments=b""):
	"""An SIOCETHTOOL call; returns the `size` bytes the kernel filled (linux/ethtool.h)."""
	data = ctypes.create_string_buffer(struct.pack("I", command) + arguments, size)
	request = struct.pack("16sP8x", interface.encode(), ctypes.addressof(data))
	fcntl.ioctl(any_socket, SIOCETHTOOL, request)
	return data.raw


def _set_netns(fd):
	if _libc.setns(fd, CLONE_NEWNET):
		raise OSError(ctypes.get_errno(), "setns")


class Namespace:
	"""A network namespace; made and removed by its Lab."""

	def __init__(self, lab, role):
		self.lab, self.role = lab, role
		self.name = "%s-%s" % (lab.name, role)
		self.path = "/run/netns/" + self.name
		subprocess.run(["ip", "netns", "add", self.name], check=True)

	@contextlib.contextmanager
	def entered(self):
		"""This thread is in the namespace inside the `with`; sockets made there stay there."""
		home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
		there = os.open(self.path, os.O_RDONLY)
		try:
			_set_netns(there)
			yield
		finally:
			_set_netns(home)
			os.close(there)
			os.close(home)

	def command(self, command):
		"""The argument list that runs command (str or list) here. /sys stays that of the host."""
		words = shlex.split(command) if isinstance(command, str) else list(command)
		return ["nsenter", "--net=" + self.path, "--"] + words

	def run(self, command, check=True, timeout_s=30, **kwargs):
		"""Runs a command to its end; returns stdout. Raises AssertionError with its output when it
		fails and check is set."""
		done = subprocess.run(self.command(command), text=True, stdout=subprocess.PIPE,
				      stderr=subprocess.PIPE, timeout=timeout_s, **kwargs)
		if check and done.returncode:
			raise AssertionError("%s: %s: exit %d: %s%s" % (
				self.role, command, done.returncode, done.stdout, done.stderr))
		return done.stdout

	def succeeds(self, command, timeout_s=30):
		return subprocess.run(self.command(command), stdout=subprocess.DEVNULL,
				      stderr=subprocess.DEVNULL, timeout=timeout_s).returncode == 0

	def popen(self, command, **kwargs):
		"""Starts a command in the background; the Lab ends it."""
		process = subprocess.Popen(self.command(command), **kwargs)
		self.lab.processes.append(process)
		return process

	def sysctl(self, key, value=None):
		"""Reads, or with value writes, a /proc/sys/net key such as `ipv4.ip_forward`."""
		with self.entered():
			path = "/proc/sys/net/" + key.replace(".", "/")
			if value is None:
				with open(path) as file:
					return file.read().strip()
			with open(path, "w") as file:
				file.write(str(value))
		return str(value)

	def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
		with self.entered():
			made = socket.socket(family, kind, proto)
		self.lab.sockets.append(made)
		return made

	def ip(self, *lines):
		"""Runs `ip` commands, a line each, in one batch."""
		subprocess.run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines),
			       text=True, check=True)

	def link(self, interface):
		"""What `ip -s link` says of an interface, as a dict."""
		shown = subprocess.run(["ip", "-n", self.name, "-s", "-j", "link", "show", interface],
				       capture_output=True, text=True, check=True)
		return json.loads(shown.stdout)[0]

	def received(self, interface):
		"""Packets the interface has received."""
		return self.link(interface)["stats64"]["rx"]["packets"]

	def driver_counts(self, interface):
		"""What `ethtool -S` shows, as a dict; by ioctl, as a process would take too long for
		counts that must fit together."""
		with self.entered(), socket.socket() as any_socket:
			info = _ethtool(any_socket, interface, ETHTOOL_GDRVINFO, 196)
			n = struct.unpack_from("I", info, 180)[0]
			names = _ethtool(any_socket, interface, ETHTOOL_GSTRINGS, 12 + 32 * n,
					 struct.pack("II", ETH_SS_STATS, n))
			values = _ethtool(any_socket, interface, ETHTOOL_GSTATS, 8 + 8 * n,
					  struct.pack("I", n))
		return {names[12 + 32 * i:44 + 32 * i].split(b"\0")[0].decode():
			struct.unpack_from("Q", values, 8 + 8 * i)[0] for i in range(n)}

	def snmp(self, table, field):
		"""A counter of the namespace's IP stack, e.g. ("Ip", "ForwDatagrams"), ("Ip6", ...)."""
		with self.entered():
			if table.endswith("6"):
				with open("/proc/thread-self/net/snmp6") as file:
					values = dict(line.split() for line in file)
				return int(values[table + field])
			with open("/proc/thread-self/net/snmp") as file:
				rows = [line.split() for line in file if line.startswith(table + ":")]
		return int(dict(zip(*rows))[field])

	def segments_lost(self):
		"""TCP segments that had to be sent again, less those that the peer had got already: on a
		busy machine an answer comes late without being lost."""
		with self.entered(), open("/proc/thread-self/net/netstat") as file:
			rows = [line.split() for line in file if line.startswith("TcpExt:")]
		return self.snmp("Tcp", "RetransSegs") - int(dict(zip(*rows))["TCPDSACKRecv"])

	def forwarded(self):
		"""Packets the kernel of this namespace has forwarded, IPv4 and IPv6."""
		return self.snmp("Ip", "ForwDatagrams") + self.snmp("Ip6", "OutForwDatagrams")

	def ping(self, address, count=1, interval_s=0.01, extra=""):
		"""How many of count pings were answered."""
		out = self.run("ping -n -q -c %d -i %g -W 1 %s %s" % (count, interval_s, extra, address),
			       check=False, timeout_s=count * (interval_s + 1) + 5)
		found = re.search(r"(\d+) received", out)
		return int(found.group(1)) if found else 0

	def conntrack(self, arguments="-L", ipv6=False):
		"""The conntrack entries `conntrack -L` prints, a dict each (see conntrack_parse)."""
		family = "ipv6" if ipv6 else "ipv4"
		out = self.run("conntrack %s -f %s -o id" % (arguments, family), check=False)
		return [conntrack_parse(line) for line in out.splitlines() if "src=" in line]

	def send(self, interface, *frames):
		"""Sends raw frames out of an interface."""
		with self.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
			raw.bind((interface, 0))
			for frame in frames:
				raw.send(frame)

	def capture(self, interface):
		return Capture(self, interface)


def conntrack_parse(line):
	"""Takes a line of `conntrack -L` apart: proto, timeout_s, state, src dst sport dport (original
	direction), reply (the same four, reply direction), flags (a set such as ASSURED), id, ..."""
	words = line.split()
	entry = {"proto": words[0], "state": None, "reply": {}, "flags": set(), "timeout_s": None}
	numbers = [word for word in words[1:4] if word.isdigit()]
	if len(numbers) > 1:
		entry["timeout_s"] = int(numbers[1])
	target = entry
	for word in words[1:]:
		if word.startswith("["):
			entry["flags"].add(word.strip("[]"))
		elif "=" in word:
			name, value = word.split("=", 1)
			if name == "src" and "src" in entry:
				target = entry["reply"]
			if name in ("mark", "use", "id", "helper", "zone"):
				entry[name] = value
			else:
				target[name] = int(value) if name in ("sport", "dport") else value
		elif word.isupper():
			entry["state"] = word
	return entry


class Capture:
	"""Frames that arrive at an interface, from the `with` on, as packets.Packet."""

	SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
	CSUM_NOT_READY, VLAN_VALID = 8, 16
	SO_RCVBUFFORCE = 33

	def __init__(self, namespace, interface):
		self.packets = []
		self._stop = False
		self._raw = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
		self._raw.setsockopt(self.SOL_PACKET, self.PACKET_IGNORE_OUTGOING, 1)
		self._raw.setsockopt(self.SOL_PACKET, self.PACKET_AUXDATA, 1)
		self._raw.setsockopt(socket.SOL_SOCKET, self.SO_RCVBUFFORCE, 32 << 20)
		self._raw.bind((interface, 3))
		self._raw.settimeout(0.1)
		self._thread = threading.Thread(target=self._listen, daemon=True)

	def __enter__(self):
		self._thread.start()
		return self

	def __exit__(self, *_):
		self._stop = True
		self._thread.join()
		self._raw.close()

	def _listen(self):
		while not self._stop:
			try:
				frame, notes, _, _ = self._raw.recvmsg(65600, 128)
			except socket.timeout:
				continue
			self.packets.append(self._packet(frame, notes))

	def _packet(self, frame, notes):
		status = tci = tag_type = 0
		for level, kind, data in notes:
			if level == self.SOL_PACKET and kind == self.PACKET_AUXDATA:
				status = int.from_bytes(data[:4], sys.byteorder)
				tci = int.from_bytes(data[16:18], sys.byteorder)
				tag_type = int.from_bytes(data[18:20], sys.byteorder)
		if status & self.VLAN_VALID: # the kernel took the outer tag off: put it back
			tag = (tag_type or packets.ETH_VLAN).to_bytes(2, "big") + tci.to_bytes(2, "big")
			frame = frame[:12] + tag + frame[12:]
		return packets.Packet(frame, partial=bool(status & self.CSUM_NOT_READY))

	def matching(self, **fields):
		"""The packets so far whose fields (src, dport, proto, ...) have these values."""
		return [packet for packet in list(self.packets)
			if all(getattr(packet, name) == value for name, value in fields.items())]

	def wait(self, count=1, timeout_s=2, **fields):
		"""Waits for count packets of these fields; returns all that match."""
		wait_until(lambda: len(self.matching(**fields)) >= count, timeout_s,
			   "capture of %d packets with %s" % (count, fields))
		return self.matching(**fields)


class Lab:
	"""Namespaces, links and processes; leaving the `with` removes all of them."""

	def __init__(self):
		self.name = "ev%d-%d" % (os.getpid(), next(_numbers))
		self.namespaces, self.processes, self.sockets, self.closers = [], [], [], []
		self.wired = [] # (namespace, interface) of every end
		self.directory = tempfile.mkdtemp(prefix=self.name + "-")
		os.chmod(self.directory, 0o755) # servers drop root and still read their files

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.close()

	def namespace(self, role):
		made = Namespace(self, role)
		self.namespaces.append(made)
		made.sysctl("ipv6.conf.default.accept_dad", 0)
		made.sysctl("ipv6.conf.default.router_solicitations", 0)
		made.ip("link set lo up")
		return made

	def wire(self, left, left_if, left_mac, right, right_if, right_mac, mtu=1500):
		"""A veth pair between two namespaces, up, its offloads as XDP needs them."""
		left.ip("link add %s address %s mtu %d type veth peer name %s address %s mtu %d netns %s"
			% (left_if, left_mac, mtu, right_if, right_mac, mtu, right.name),
			"link set %s up" % left_if)
		right.ip("link set %s up" % right_if)
		self.wired += [(left, left_if), (right, right_if)]
		self.offloads(False, self.wired[-2:])

	def offloads(self, default, wired=None):
		"""The offloads of all wires: those a veth has by default, or those XDP needs: checksums in
		software, as a redirected frame must carry a whole one, and GRO, as a veth takes XDP frames
		only so."""
		for namespace, interface in wired or self.wired:
			namespace.run("ethtool -K %s %s" % (
				interface, "tx on tso on gso on gro off" if default else "tx off gro on"))

	def file(self, name, text):
		path = os.path.join(self.directory, name)
		with open(path, "w") as file:
			file.write(text)
		return path

	def close(self):
		"""Ends processes, closes sockets, removes namespaces and files. Goes on over errors."""
		for closer in reversed(self.closers):
			with contextlib.suppress(Exception):
				closer()
		for process in reversed(self.processes):
			with contextlib.suppress(Exception):
				stop_process(process)
		for made in self.sockets:
			with contextlib.suppress(OSError):
				made.close()
		for namespace in self.namespaces:
			self._end_strays(namespace)
			subprocess.run(["ip", "netns", "del", namespace.name], check=False)
		shutil.rmtree(self.directory, ignore_errors=True)

	@staticmethod
	def _end_strays(namespace):
		"""Children that a server left behind; nobody else can be in a namespace of ours."""
		pids = subprocess.run(["ip", "netns", "pids", namespace.name], capture_output=True,
				      text=True, check=False).stdout.split()
		for pid in pids:
			if int(pid) != os.getpid():
				with contextlib.suppress(ProcessLookupError):
					os.kill(int(pid), signal.SIGKILL)


class Routed(Lab):
	"""The usual lab:

	  client c0 ------ rl router rr ------ s0 server
	  10.1.0.2  10.1.0.1        10.2.0.1  10.2.0.2
	  fd01::2    fd01::1         fd02::1   fd02::2
	"""
	client4, left4, right4, server4 = "10.1.0.2", "10.1.0.1", "10.2.0.1", "10.2.0.2"
	client6, left6, right6, server6 = "fd01::2", "fd01::1", "fd02::1", "fd02::2"
	client_mac, left_mac = "02:00:00:00:01:02", "02:00:00:00:01:01"
	right_mac, server_mac = "02:00:00:00:02:01", "02:00:00:00:02:02"

	def __init__(self, mtu=1500, right_mtu=None, static_neighbors=True):
		"""mtu: of both links; right_mtu: of the server's if it differs."""
		super().__init__()
		try:
			self._build(mtu, right_mtu or mtu, static_neighbors)
		except BaseException:
			self.close()
			raise

	def _build(self, mtu, right_mtu, static_neighbors):
		self.client, self.router, self.server = (
			self.namespace(role) for role in ("client", "router", "server"))
		self.router.sysctl("ipv4.ip_forward", 1)
		self.router.sysctl("ipv6.conf.all.forwarding", 1)
		self.wire(self.client, "c0", self.client_mac, self.router, "rl", self.left_mac, mtu)
		self.wire(self.server, "s0", self.server_mac, self.router, "rr", self.right_mac, right_mtu)
		self._address(self.client, "c0", self.client4, self.client6, self.left4, self.left6)
		self._address(self.server, "s0", self.server4, self.server6, self.right4, self.right6)
		self._address(self.router, "rl", self.left4, self.left6)
		self._address(self.router, "rr", self.right4, self.right6)
		if static_neighbors:
			self.neighbor(self.client, "c0", self.left_mac, self.left4, self.left6)
			self.neighbor(self.server, "s0", self.right_mac, self.right4, self.right6)
			self.neighbor(self.router, "rl", self.client_mac, self.client4, self.client6)
			self.neighbor(self.router, "rr", self.server_mac, self.server4, self.server6)

	@staticmethod
	def _address(namespace, interface, address4, address6, gateway4=None, gateway6=None):
		lines = ["address add %s/24 dev %s" % (address4, interface),
			 "address add %s/64 dev %s nodad" % (address6, interface)]
		if gateway4:
			lines += ["route add default via " + gateway4, "route add default via " + gateway6]
		namespace.ip(*lines)

	@staticmethod
	def neighbor(namespace, interface, mac, *addresses):
		"""Makes addresses permanent neighbors with that MAC."""
		namespace.ip(*("neighbor replace %s lladdr %s dev %s nud permanent" %
			       (address, mac, interface) for address in addresses))

	def protect(self, *accept, tables="iptables", ipv6=True):
		"""The usual stateful ruleset in FORWARD: policy DROP, established traffic accepted, then
		from the client what `accept` says, a match such as "-p tcp --dport 7" each.

		tables: iptables, iptables-nft or iptables-legacy; ipv6: ip6tables too.
		"""
		rules = ["-P FORWARD DROP",
			 "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
		rules += ["-A FORWARD -i rl %s -m conntrack --ctstate NEW -j ACCEPT" % match
			  for match in accept]
		for command in (tables, "ip6" + tables[2:])[:2 if ipv6 else 1]:
			for rule in rules:
				self.router.run("%s %s" % (command, rule))

	def passed_by_kernel(self, exchange):
		"""How many packets the router's kernel forwarded while exchange() ran."""
		before = self.router.forwarded()
		exchange()
		return self.router.forwarded() - before

	def wait_offloaded(self, exchange, timeout_s=3):
		"""Repeats exchange() until none of its packets is forwarded by the kernel; returns the
		seconds that took."""
		return wait_until(lambda: self.passed_by_kernel(exchange) == 0, timeout_s,
				  "offload")[1]

	@contextlib.contextmanager
	def measured(self):
		"""Counts, over the `with`, packets that reached the hosts and those of them that the
		router's ports sent for XDP, as their driver says: yields a Measured, filled at the
		end."""
		result = Measured()
		before = self._counts()
		yield result
		result.arrived, result.by_xdp = (b - a for a, b in zip(before, self._counts()))

	def _counts(self):
		arrived = self.client.driver_counts("c0"), self.server.driver_counts("s0")
		sent = self.router.driver_counts("rl"), self.router.driver_counts("rr")
		return (sum(counts["rx_queue_0_xdp_packets"] for counts in arrived),
			sum(counts["tx_queue_0_xdp_xmit"] for counts in sent))


class Bridged(Lab):
	"""Hosts on one bridge:

	  h1 e0 ------ p1 bridge p2 ------ e0 h2
	  10.3.0.1       p3 ...            10.3.0.2
	  fd03::1        |                 fd03::2
	               e0 h3  10.3.0.3  fd03::3
	"""

	def __init__(self, hosts=3, mtu=1500, quiet=False):
		"""quiet: hosts without addresses, whose kernels say nothing by themselves."""
		super().__init__()
		try:
			self._build(hosts, mtu, quiet)
		except BaseException:
			self.close()
			raise

	def _build(self, hosts, mtu, quiet):
		self.bridge = self.namespace("bridge")
		self.bridge.sysctl("ipv6.conf.default.disable_ipv6", 1) # its ports say nothing
		self.hosts, self.ports = [], []
		for number in range(1, hosts + 1):
			host, port = self.namespace("h%d" % number), "p%d" % number
			host.sysctl("ipv6.conf.default.disable_ipv6", int(quiet))
			host.address4, host.address6 = "10.3.0.%d" % number, "fd03::%d" % number
			host.mac, host.port = "02:00:00:00:03:%02x" % number, port
			self.wire(host, "e0", host.mac, self.bridge, port,
				  "02:00:00:00:04:%02x" % number, mtu)
			if not quiet:
				host.ip("address add %s/24 dev e0" % host.address4,
					"address add %s/64 dev e0 nodad" % host.address6)
			self.hosts.append(host)
			self.ports.append(port)


class Measured:
	arrived = by_xdp = 0

	@property
	def fast_share(self):
		"""Share of the packets that arrived that XDP sent."""
		return self.by_xdp / self.arrived if self.arrived else 0.0
