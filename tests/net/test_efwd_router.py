# SPDX-License-Identifier: BSD-2-Clause
# Stories of efwd as a router: it forwards as the kernel's routes say, and follows them at once.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1 efwd    10.2.0.1  10.2.0.2
#   fd01::2    fd01::1         fd02::1   fd02::2
import os
import socket
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import Client, Conversation, Peer, Sender, TcpServer, UdpEcho, download, echo, \
	pattern
from lib.vnf import Vnf

GATEWAYS = {"02:00:00:00:02:0a": "10.2.0.10", "02:00:00:00:02:0b": "10.2.0.11"}
FAR = "10.9.0.1"


def start(lab, **keys):
	return Vnf(lab.router, "efwd", mode="router", **keys).start()


def add_gateways(lab):
	"""Two next hops beyond rr; frames to either arrive at s0, told apart by their MAC."""
	for mac, address in GATEWAYS.items():
		lab.neighbor(lab.router, "rr", mac, address)
	lab.server.ip("link set s0 promisc on")
	return list(GATEWAYS)


class Stream:
	"""Sends a numbered UDP datagram to FAR every millisecond, out of one flow."""

	def __init__(self, lab, to=FAR):
		self._peer, self._to = Peer.client(lab), to
		self.sent, self._stop = 0, False
		self._thread = threading.Thread(target=self._run, daemon=True)
		self._raw = lab.client.socket(socket.AF_PACKET, socket.SOCK_RAW)
		self._raw.bind(("c0", 0))

	def __enter__(self):
		self._thread.start()
		return self

	def __exit__(self, *_):
		self._stop = True
		self._thread.join()

	def _run(self):
		while not self._stop:
			self._raw.send(self._peer.udp((self._to, 9), self.sent.to_bytes(4, "big")))
			self.sent += 1
			time.sleep(0.001)

	@staticmethod
	def number(packet):
		return int.from_bytes(packet.data, "big")


@story("TCP and UDP over IPv4 and IPv6 pass, from the second packet on by flow entries")
def forwards():
	with Routed() as lab:
		vnf = start(lab)
		for address in (lab.server4, lab.server6):
			TcpServer(lab.server, address, 7, echo)
			UdpEcho(lab.server, address, 7)
			for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
				with Client(lab.client, address, 7, kind) as client:
					client.chat(2)
					walked, kernel = vnf.reason("WALKED"), lab.router.forwarded()
					client.chat(100)
				assert vnf.reason("WALKED") - walked <= 4, (address, kind)
				assert lab.router.forwarded() == kernel
		assert vnf.reason("HIT") >= 4 * 200


@story("the bytes of downloads are those that were sent")
def intact():
	size = 4 << 20
	with Routed() as lab:
		start(lab)
		for address in (lab.server4, lab.server6):
			TcpServer(lab.server, address, 9, lambda to: to.sendall(pattern(size)))
			with lab.measured() as measured:
				assert download(lab.client, address, 9, size)
			assert measured.fast_share > 0.9, measured.fast_share


@story("a packet leaves with one hop less, the router's MAC and right checksums, walked or not")
def as_a_router_does():
	with Routed() as lab:
		start(lab)
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			for payload in (b"first", b"second", b"third"):
				for sender, src, dst in ((client, lab.right_mac, lab.server_mac),
							 (server, lab.left_mac, lab.client_mac)):
					seen = talk.say(sender, payload, ip={"ttl": 9})
					assert seen.ttl == 8 and seen.faults() == [], seen
					assert (seen.src_mac, seen.dst_mac) == (src, dst), seen
		assert lab.router.forwarded() == 0


@story("pings and fragments pass by the walk, without a flow entry")
def walked():
	with Routed() as lab:
		vnf = start(lab)
		for address in (lab.server4, lab.server6):
			assert lab.client.ping(address, 5) == 5
			assert lab.client.ping(address, 5, extra="-s 4000") == 5
		assert lab.router.forwarded() == 0 and not vnf.flows()


@story("the router itself answers, is asked for its MAC address and speaks to its neighbors")
def for_the_host():
	with Routed(static_neighbors=False) as lab:
		start(lab)
		for address in (lab.left4, lab.left6, lab.right4, lab.right6, lab.server4, lab.server6):
			assert lab.client.ping(address, 3, interval_s=0.2) == 3, address
			assert lab.router.ping(lab.client4) == 1


@story("TTL 1 is answered by the kernel: traceroute sees the router")
def traceroute():
	stories.need("traceroute")
	with Routed() as lab:
		start(lab)
		for address, hop in ((lab.server4, lab.left4), (lab.server6, lab.left6)):
			out = lab.client.run("traceroute -n -q 1 -w 1 -m 3 %s" % address)
			hops = [line.split()[1] for line in out.splitlines()[1:]]
			assert hops == [hop, address], out


@story("what is larger than the way out is refused with `too big`, or fragmented")
def mtu():
	with Routed(mtu=1500, right_mtu=1300) as lab:
		start(lab)
		out = lab.client.run("ping -n -c 2 -W 1 -M do -s 1400 " + lab.server4, check=False)
		assert "mtu = 1300" in out or "mtu=1300" in out, out
		lab.client.run("ip route flush cache")
		assert lab.client.ping(lab.server4, 3, extra="-M dont -s 1400") == 3
		size = 1 << 20
		for address in (lab.server4, lab.server6):
			TcpServer(lab.server, address, 9, lambda to: to.sendall(pattern(size)))
			assert download(lab.client, address, 9, size)


@story("impossible addresses, TTL 0 and malformed packets are dropped, other frames left alone")
def refused():
	with Routed() as lab:
		vnf = start(lab)
		client = Peer.client(lab)
		good = client.udp((lab.server4, 9), b"good")

		def frame(src, dst, **ip):
			return packets.eth(lab.left_mac, lab.client_mac, packets.ETH_IPV4,
					   packets.ipv4(src, dst, packets.UDP,
							packets.udp(src, dst, 1, 9, b"bad"), **ip))

		cases = [("MARTIAN", frame("127.0.0.1", lab.server4)),
			 ("MARTIAN", frame("224.0.0.1", lab.server4)),
			 ("MARTIAN", frame("250.0.0.1", lab.server4)),
			 ("MARTIAN", frame(lab.server4, lab.server4)),
			 ("TTL_ZERO", frame(lab.client4, lab.server4, ttl=0)),
			 ("MALFORMED", frame(lab.client4, lab.server4, total=900)),
			 ("SOURCE_ROUTE", frame(lab.client4, lab.server4,
						options=b"\x83\x07\x04\x0a\x02\x00\x02\x00")),
			 ("NOT_FOR_US", b"\x02\0\0\0\x09\x09" + good[6:]),
			 ("TAGGED", packets.eth(lab.left_mac, lab.client_mac, packets.ETH_IPV4,
						good[14:], [(packets.ETH_VLAN, 5)]))]
		with lab.server.capture("s0") as seen:
			for reason, bad in cases:
				before = vnf.reason(reason)
				client.send(bad)
				wait_until(lambda: vnf.reason(reason) == before + 1, 2, reason)
			client.send(good)
			seen.wait(data=b"good")
			assert not seen.matching(data=b"bad")


@story("reverse path filtering is honoured, strict and loose, and when it is switched on later")
def reverse_path():
	with Routed() as lab:
		lab.router.sysctl("ipv4.conf.rl.rp_filter", 1)
		lab.server.socket(kind=socket.SOCK_DGRAM).bind((lab.server4, 9)) # no errors come back
		vnf = start(lab)
		client = Peer.client(lab)

		def passes(src):
			data = b"from " + src.encode() + b" %d" % time.monotonic_ns()
			client.send(packets.eth(lab.left_mac, lab.client_mac, packets.ETH_IPV4, packets.ipv4(
				src, lab.server4, packets.UDP, packets.udp(src, lab.server4, 1, 9, data))))
			client.send(client.udp((lab.server4, 9), b"after " + data))
			seen.wait(data=b"after " + data)
			return bool(seen.matching(data=data))

		with lab.server.capture("s0") as seen:
			lab.router.ip("route add 10.8.0.0/16 via " + lab.server4)
			for filtering, elsewhere, nowhere in ((1, False, False), (2, True, False),
							      (0, True, True), (1, False, False)):
				lab.router.sysctl("ipv4.conf.rl.rp_filter", filtering)
				time.sleep(0.4)
				odd = vnf.reason("ODD")
				for _ in range(3):
					assert passes("10.1.0.99")
					assert passes("10.8.0.1") == elsewhere, filtering
					assert passes("192.0.2.1") == nowhere, filtering
				refused = (not elsewhere) + (not nowhere)
				assert vnf.reason("ODD") - odd == 3 * refused, filtering


@story("a changed route carries traffic within 100 ms, and nothing goes to the old next hop")
def route_changes():
	with Routed() as lab:
		start(lab)
		macs = add_gateways(lab)
		addresses = list(GATEWAYS.values())
		lab.router.ip("route add %s/32 via %s" % (FAR, addresses[0]))
		with lab.server.capture("s0") as seen, Stream(lab) as stream:
			for turn in range(1, 7):
				time.sleep(0.12 if turn % 2 else 0.25)
				lab.router.ip("route replace %s/32 via %s" % (FAR, addresses[turn % 2]))
				changed = stream.sent
				time.sleep(0.1)
				late = stream.sent
				time.sleep(0.05)
				new = [packet for packet in seen.matching(dport=9)
				       if stream.number(packet) > late]
				assert new and {packet.dst_mac for packet in new} == {macs[turn % 2]}, turn
			total = stream.sent
		wait_until(lambda: len(seen.matching(dport=9)) >= total - 1, 2, "all packets")
		assert changed < late < total
		assert lab.router.forwarded() < total / 4 # the fast path did it


@story("a policy rule chooses the table, and its removal takes effect")
def policy_rules():
	with Routed() as lab:
		start(lab)
		macs = add_gateways(lab)
		addresses = list(GATEWAYS.values())
		lab.router.ip("route add %s/32 via %s" % (FAR, addresses[0]),
			      "route add %s/32 via %s table 100" % (FAR, addresses[1]))

		def settles_on(mac):
			first = stream.sent
			time.sleep(0.1)
			late = stream.sent
			wait_until(lambda: [packet for packet in seen.matching(dport=9)
					    if stream.number(packet) > late + 10], 2, "traffic")
			assert late > first
			assert all(packet.dst_mac == mac for packet in seen.matching(dport=9)
				   if stream.number(packet) > late), mac

		with lab.server.capture("s0") as seen, Stream(lab) as stream:
			settles_on(macs[0])
			for rule in ("iif rl", "from 10.1.0.0/24 ipproto udp dport 9"):
				lab.router.ip("rule add %s table 100" % rule)
				settles_on(macs[1])
				lab.router.ip("rule del %s table 100" % rule)
				settles_on(macs[0])


@story("of several next hops each flow takes the one the kernel takes")
def multipath():
	for policy in (0, 1):
		with Routed() as lab:
			lab.router.sysctl("ipv4.fib_multipath_hash_policy", policy)
			add_gateways(lab)
			lab.router.ip("route add 10.9.0.0/24 " + " ".join(
				"nexthop via " + address for address in GATEWAYS.values()))
			client = Peer.client(lab)

			def choices():
				frames = []
				for flow in range(40):
					client.port = 2000 + flow
					frames.append(client.udp(("10.9.0.%d" % flow, 9), b"x"))
				with lab.server.capture("s0") as seen:
					client.send(*frames)
					seen.wait(40, dport=9)
				return {packet.sport: packet.dst_mac
					for packet in seen.matching(dport=9)}

			by_kernel = choices()
			vnf = start(lab)
			kernel = lab.router.forwarded()
			assert len(set(by_kernel.values())) == 2
			for _ in range(6): # each CPU has a doorkeeper of its own
				assert choices() == by_kernel, policy
			assert lab.router.forwarded() == kernel
			assert vnf.reason("HIT") >= 80


@story("neighbors in use stay alive though the kernel sees none of the traffic")
def neighbors_stay():
	with Routed(static_neighbors=False) as lab:
		for interface in ("rl", "rr"): # they go stale within a second, and are asked for after one
			lab.router.sysctl("ipv4.neigh.%s.base_reachable_time_ms" % interface, 500)
			lab.router.sysctl("ipv4.neigh.%s.delay_first_probe_time" % interface, 1)
			lab.router.sysctl("ipv4.neigh.%s.gc_stale_time" % interface, 1)
		start(lab)
		UdpEcho(lab.server, lab.server4, 7)
		with Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as client:
			client.chat(10, pause_s=0.05)
			kernel = lab.router.forwarded()
			client.chat(700, pause_s=0.01)
			assert lab.router.forwarded() == kernel


@story("a next hop that dies gets no more packets, and the kernel looks for it")
def neighbor_dies():
	with Routed() as lab:
		vnf = start(lab)
		macs = add_gateways(lab)
		lab.router.ip("route add %s/32 via %s" % (FAR, GATEWAYS[macs[0]]))
		with lab.server.capture("s0") as seen, Stream(lab) as stream:
			seen.wait(20, dport=9)
			lab.router.ip("neighbor del %s dev rr" % GATEWAYS[macs[0]])
			time.sleep(0.1)
			late = stream.sent
			wait_until(lambda: stream.sent > late + 50, 2, "more traffic")
			assert vnf.reason("NO_NEIGHBOR") > 0
		assert not [packet for packet in seen.matching(dport=9) if stream.number(packet) > late]
		assert seen.matching(ethertype=0x0806), "the kernel asks who has the next hop"


@story("a next hop that died while efwd was dead gets no packets after the restart")
def neighbor_dies_unseen():
	with Routed() as lab:
		vnf = start(lab)
		macs = add_gateways(lab)
		lab.router.ip("route add %s/32 via %s" % (FAR, GATEWAYS[macs[0]]))
		with lab.server.capture("s0") as seen, Stream(lab) as stream:
			wait_until(lambda: vnf.reason("HIT") > 20, 2, "traffic")
			time.sleep(1) # until the restart would adopt the flows
			vnf.kill9()
			lab.router.ip("neighbor del %s dev rr" % GATEWAYS[macs[0]])
			vnf.start()
			late = stream.sent + 50
			wait_until(lambda: stream.sent > late + 50, 2, "more traffic")
		assert not [packet for packet in seen.matching(dport=9) if stream.number(packet) > late]


@story("an address, a link or forwarding taken away is followed at once")
def taken_away():
	with Routed() as lab:
		start(lab)
		UdpEcho(lab.server, lab.server4, 7)
		with Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM, timeout_s=0.2) as client:
			for off, on in (("ip route del 10.2.0.0/24", "ip route add 10.2.0.0/24 dev rr"),
					("sysctl -qw net.ipv4.conf.rl.forwarding=0",
					 "sysctl -qw net.ipv4.conf.rl.forwarding=1")):
				client.chat(20)
				lab.router.run(off)
				time.sleep(0.1)
				assert not client.answers(b"never"), off
				lab.router.run(on)
				time.sleep(0.1)
				assert client.answers(b"again"), on


@story("efwd killed: traffic goes on, first by the fast path, then by the kernel; a restart adopts it")
def killed():
	with Routed() as lab:
		vnf = start(lab, lease_s=2)
		UdpEcho(lab.server, lab.server4, 7)
		with Sender(Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM)) as sender:
			wait_until(lambda: vnf.reason("HIT") > 50, 3, "traffic")
			vnf.kill9()
			kernel = lab.router.forwarded()
			time.sleep(1)
			assert lab.router.forwarded() == kernel
			wait_until(lambda: lab.router.forwarded() > kernel + 50, 4, "kernel's turn")
			vnf.start()
			kernel = lab.router.forwarded()
			asked = sender.asked
			wait_until(lambda: sender.asked > asked + 200, 5, "traffic")
			assert lab.router.forwarded() - kernel < 20
		assert sender.lost == 0, sender.lost


@story("a clean stop gives everything back to the kernel, without loss")
def stopped():
	with Routed() as lab:
		vnf = start(lab)
		UdpEcho(lab.server, lab.server4, 7)
		with Sender(Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM)) as sender:
			wait_until(lambda: vnf.reason("HIT") > 50, 3, "traffic")
			assert vnf.stop() == 0
			kernel = lab.router.forwarded()
			wait_until(lambda: lab.router.forwarded() > kernel + 50, 3, "kernel's turn")
		assert sender.lost == 0 and not vnf.pins()


@story("what the ports received is what left, was dropped, or went to the kernel")
def conservation():
	with Routed() as lab:
		vnf = start(lab)

		def unseen():
			received = lab.router.received("rl") + lab.router.received("rr")
			return received - vnf.ports()["rx_packets"]

		before = unseen() # what came before efwd did
		UdpEcho(lab.server, lab.server4, 7)
		with Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as client:
			client.chat(500)
		assert lab.client.ping(lab.server6, 20) == 20
		lab.client.send("c0", *[packets.eth(lab.left_mac, lab.client_mac, packets.ETH_IPV4,
						    b"\x41" * 40)] * 5)
		wait_until(lambda: unseen() == before, 3, "every packet received is counted")
		seen = vnf.ports()
		left, lost = seen["tx_packets"], seen["tx_lost"]
		assert left >= 1040 and seen["fast_packets"] == left + lost, seen
		assert seen["rx_packets"] == left + lost + seen["kernel_packets"] + \
			seen["dropped_packets"], seen


if __name__ == "__main__":
	stories.main()
