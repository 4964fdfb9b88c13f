# SPDX-License-Identifier: BSD-2-Clause
# Traffic: servers and clients inside lab namespaces: echoes, transfers, nginx and raw TCP peers.
import array
import contextlib
import hashlib
import socket
import threading
import time

from lib import packets
from lib.lab import wait_until


def family_of(address):
	return socket.AF_INET6 if ":" in address else socket.AF_INET


class TcpServer:
	"""Accepts on an address and hands each connection to serve(socket) in a thread."""

	def __init__(self, namespace, address, port, serve):
		self._listener = namespace.socket(family_of(address))
		self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		self._listener.bind((address, port))
		self._listener.listen(64)
		self._serve = serve
		self.peers = [] # address and port of every client, as seen here
		namespace.lab.closers.append(self.close)
		threading.Thread(target=self._accept, daemon=True).start()

	def _accept(self):
		while True:
			try:
				connection, peer = self._listener.accept()
			except OSError:
				return
			self.peers.append(peer[:2])
			threading.Thread(target=self._run, args=(connection,), daemon=True).start()

	def _run(self, connection):
		with connection, contextlib.suppress(OSError):
			self._serve(connection)

	def close(self):
		with contextlib.suppress(OSError): # close() alone does not wake accept()
			self._listener.shutdown(socket.SHUT_RDWR)
		self._listener.close()


def echo(connection):
	"""Sends back what comes, until the peer has finished."""
	while True:
		data = connection.recv(65536)
		if not data:
			return
		connection.sendall(data)


def pattern(size):
	"""size bytes in which no two 4-byte words are alike: a swap or a repeat shows."""
	return array.array("I", range((size + 3) // 4)).tobytes()[:size]


class UdpEcho:
	"""Sends every datagram back to where it came from."""

	def __init__(self, namespace, address, port):
		self._socket = namespace.socket(family_of(address), socket.SOCK_DGRAM)
		self._socket.bind((address, port))
		self.peers = []
		namespace.lab.closers.append(self.close)
		threading.Thread(target=self._run, daemon=True).start()

	def _run(self):
		with contextlib.suppress(OSError):
			while True:
				data, peer = self._socket.recvfrom(65536)
				if not peer: # closed
					return
				if peer[:2] not in self.peers:
					self.peers.append(peer[:2])
				self._socket.sendto(data, peer)

	def close(self):
		with contextlib.suppress(OSError):
			self._socket.shutdown(socket.SHUT_RDWR)
		self._socket.close()


class Client:
	"""A connected TCP or UDP socket in a namespace."""

	def __init__(self, namespace, address, port, kind=socket.SOCK_STREAM, source=None,
		     timeout_s=3):
		"""source: (address, port) to send from."""
		self.socket = namespace.socket(family_of(address), kind)
		self.socket.settimeout(timeout_s)
		if kind == socket.SOCK_STREAM:
			self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
			self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		if source:
			self.socket.bind(source)
		self.socket.connect((address, port))
		self.port = self.socket.getsockname()[1]
		self._stream = kind == socket.SOCK_STREAM

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.socket.close()

	def ask(self, data=b"hello"):
		"""Sends data and returns what an echo answers: as many bytes, or one datagram."""
		self.socket.sendall(data)
		if not self._stream:
			return self.socket.recv(65536)
		answer = b""
		while len(answer) < len(data):
			more = self.socket.recv(len(data) - len(answer))
			if not more:
				raise ConnectionError("the peer closed after %d bytes" % len(answer))
			answer += more
		return answer

	def answers(self, data=b"hello"):
		"""Whether an echo comes back within the socket's timeout."""
		try:
			return self.ask(data) == data
		except OSError:
			return False

	def chat(self, times, size=64, pause_s=0.0):
		"""Asks `times` times; raises unless every answer is right."""
		for number in range(times):
			data = number.to_bytes(4, "big") * (size // 4)
			if self.ask(data) != data:
				raise AssertionError("answer %d differs from what was sent" % number)
			if pause_s:
				time.sleep(pause_s)


def download(namespace, address, port, size, timeout_s=20):
	"""Reads size bytes from a server that sends pattern(size); returns whether all are right."""
	with Client(namespace, address, port, timeout_s=timeout_s) as client:
		got, digest = 0, hashlib.sha256()
		while got < size:
			data = client.socket.recv(1 << 18)
			if not data:
				break
			got += len(data)
			digest.update(data)
	return digest.digest() == hashlib.sha256(pattern(size)).digest()


class Sender:
	"""A thread that asks an echo over and over and counts what went wrong."""

	def __init__(self, client, pause_s=0.001, size=64):
		self.client, self.pause_s, self.size = client, pause_s, size
		self.asked = self.lost = 0
		self.longest_s = 0.0
		self._stop = False
		self._thread = threading.Thread(target=self._run, daemon=True)

	def __enter__(self):
		self._thread.start()
		return self

	def __exit__(self, *_):
		self._stop = True
		self._thread.join()

	def _run(self):
		while not self._stop:
			data = (self.asked % 2**32).to_bytes(4, "big") * (self.size // 4)
			began = time.monotonic()
			self.lost += not self.client.answers(data)
			self.longest_s = max(self.longest_s, time.monotonic() - began)
			self.asked += 1
			time.sleep(self.pause_s)


def wait_listening(namespace, process, address, port):
	"""Waits until a server process of the namespace accepts connections."""
	def listening():
		if process.poll() is not None:
			raise AssertionError("%s ended with %d" % (process.args, process.returncode))
		with namespace.socket() as probe:
			return probe.connect_ex((address, port)) == 0

	wait_until(listening, 5, "%s listens" % process.args)


NGINX_CONF = """
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	keepalive_requests 10000000;
	types { }
	default_type application/octet-stream;
	server {
		%s
		root .;
		location = /hello { return 200 "hello\\n"; }
	}
}
"""


def nginx_start(namespace, address, ports=(80,), files=None):
	"""nginx on an address: /hello, and files (name to bytes). Returns the process, listening."""
	lab = namespace.lab
	for name, data in (files or {}).items():
		with open("%s/%s" % (lab.directory, name), "wb") as file:
			file.write(data)
	listens = "\n\t\t".join("listen %s:%d;" % (address, port) for port in ports)
	conf = lab.file("nginx.conf", NGINX_CONF % listens)
	process = namespace.popen(["nginx", "-p", lab.directory, "-c", conf, "-e", "stderr"])
	wait_listening(namespace, process, address, ports[0])
	return process


class Peer:
	"""One end of a hand-made TCP or UDP conversation: an address no kernel owns, so that nobody
	answers but the test. The lab's router must know its MAC (Peer.make does so)."""

	def __init__(self, namespace, interface, address, port, mac, router_mac):
		self.namespace, self.interface = namespace, interface
		self.address, self.port, self.mac, self.router_mac = address, port, mac, router_mac

	@classmethod
	def client(cls, lab, port=40000, address=None):
		address = address or "10.1.0.77"
		lab.neighbor(lab.router, "rl", lab.client_mac, address)
		return cls(lab.client, "c0", address, port, lab.client_mac, lab.left_mac)

	@classmethod
	def server(cls, lab, port=80, address=None):
		address = address or "10.2.0.77"
		lab.neighbor(lab.router, "rr", lab.server_mac, address)
		return cls(lab.server, "s0", address, port, lab.server_mac, lab.right_mac)

	def frame(self, to, segment, proto=packets.TCP, tags=(), ip=None):
		"""A frame to (address, port). segment: the L4 bytes; ip: arguments of packets.ip()."""
		kind = packets.ETH_IPV6 if ":" in self.address else packets.ETH_IPV4
		return packets.eth(self.router_mac, self.mac, kind,
				   packets.ip(self.address, to[0], proto, segment, **(ip or {})), tags)

	def tcp(self, to, seq, ack, flags=packets.ACK, payload=b"", tags=(), ip=None, **kwargs):
		"""kwargs: of packets.tcp()."""
		segment = packets.tcp(self.address, to[0], self.port, to[1], seq, ack, flags, payload,
				      **kwargs)
		return self.frame(to, segment, packets.TCP, tags, ip)

	def udp(self, to, payload=b"", tags=(), ip=None, **kwargs):
		"""kwargs: of packets.udp()."""
		segment = packets.udp(self.address, to[0], self.port, to[1], payload, **kwargs)
		return self.frame(to, segment, packets.UDP, tags, ip)

	def send(self, *frames):
		self.namespace.send(self.interface, *frames)


class Conversation:
	"""A hand-made TCP connection through the router: both ends are Peers, every segment that one
	sends is awaited at the other. Both are watched inside the `with`, which may be entered again."""

	def __init__(self, client, server, client_seq=1000, server_seq=5000):
		self.client, self.server = client, server
		self.seq = {client: client_seq, server: server_seq}
		self.to = {client: (server.address, server.port), server: None}

	def __enter__(self):
		self.at_client = self.client.namespace.capture(self.client.interface).__enter__()
		self.at_server = self.server.namespace.capture(self.server.interface).__enter__()
		return self

	def __exit__(self, *_):
		self.at_client.__exit__()
		self.at_server.__exit__()

	def open(self):
		"""The three-way handshake. Learns, behind NAT, whom the server must answer."""
		client, server = self.client, self.server
		client.send(client.tcp(self.to[client], self.seq[client], 0, packets.SYN))
		seen = self.at_server.wait(dport=server.port, flags=packets.SYN)[-1]
		self.to[server] = (seen.src, seen.sport)
		self.seq[client] += 1
		server.send(server.tcp(self.to[server], self.seq[server], self.seq[client],
				       packets.SYN | packets.ACK))
		self.at_client.wait(dport=client.port, flags=packets.SYN | packets.ACK)
		self.seq[server] += 1
		client.send(client.tcp(self.to[client], self.seq[client], self.seq[server]))
		self.at_server.wait(dport=server.port, flags=packets.ACK)
		return self

	def segment(self, sender, payload=b"", flags=packets.ACK | packets.PSH, **kwargs):
		"""The next segment of sender, as a frame; its sequence number moves on."""
		other = self.server if sender is self.client else self.client
		frame = sender.tcp(self.to[sender], self.seq[sender], self.seq[other], flags, payload,
				   **kwargs)
		self.seq[sender] += len(payload) + bool(flags & packets.FIN)
		return frame

	def say(self, sender, payload, timeout_s=2, **kwargs):
		"""Sends a segment and waits for it at the other end; returns it as it arrived."""
		capture, port = (self.at_server, self.server.port) if sender is self.client else \
			(self.at_client, self.client.port)
		had = len(capture.matching(dport=port, data=payload))
		sender.send(self.segment(sender, payload, **kwargs))
		return capture.wait(had + 1, timeout_s, dport=port, data=payload)[-1]
