# SPDX-License-Identifier: BSD-2-Clause
# Stories of efwd as a bridge: it learns, moves, ages and floods, and keeps VLANs apart.
#
#   h1 e0 ------ p1 bridge p2 ------ e0 h2
#   10.3.0.1       p3 ...            10.3.0.2
#   fd03::1        |                 fd03::2
#                e0 h3  10.3.0.3  fd03::3
import contextlib
import itertools
import os
import socket
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Bridged, wait_until
from lib.packets import ETH_IPV4, ETH_QINQ, ETH_VLAN
from lib.stories import story
from lib.traffic import Client, Sender, TcpServer, UdpEcho, download, echo, pattern
from lib.vnf import Vnf, libconfig

BROADCAST, MULTICAST, NOBODY = "ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03", "02:00:00:00:99:99"
_numbers = itertools.count(1)


def start(lab, ports=None, stations=(), **keys):
	"""ports: for each port the further keys of its group."""
	vnf = Vnf(lab.bridge, "efwd", mode="bridge", stations=list(stations), **keys)
	configure(lab, vnf, ports or [{}] * len(lab.ports), stations=list(stations), **keys)
	return vnf.start()


def configure(lab, vnf, ports, **keys):
	groups = [{"interface": name, **more} for name, more in zip(lab.ports, ports)]
	conf = {"name": vnf.name, "mode": "bridge", "ports": groups, **keys}
	with open(vnf.conf, "w") as file:
		file.writelines("%s = %s;\n" % (key, libconfig(value)) for key, value in conf.items())


class Wires:
	"""What arrives at every host, inside the `with`."""

	def __init__(self, lab):
		self.lab, self._stack = lab, contextlib.ExitStack()

	def __enter__(self):
		self._at = [self._stack.enter_context(host.capture("e0")) for host in self.lab.hosts]
		return self

	def __exit__(self, *_):
		self._stack.close()

	def _settle(self, arrived):
		"""Waits until something has arrived, and for what may follow it."""
		with contextlib.suppress(AssertionError):
			wait_until(arrived, 0.2)
		time.sleep(0.02)
		return arrived()

	def send(self, sender, dst, tags=(), src=None, flow=0):
		"""Sends a UDP frame from a host (by number) to a MAC address; returns, by host number, the
		frame's tags where it arrived: {2: [10]}. None stands for more than one copy."""
		host, data = self.lab.hosts[sender - 1], b"number %d" % next(_numbers)
		segment = packets.udp("10.3.0.201", "10.3.0.202", 1000 + sender, 2000 + flow, data)
		host.send("e0", packets.eth(dst, src or host.mac, ETH_IPV4,
					    packets.ipv4("10.3.0.201", "10.3.0.202", packets.UDP,
							 segment), tags))

		def arrived():
			tags = {}
			for number, capture in enumerate(self._at, 1):
				seen = capture.matching(data=data)
				for packet in seen:
					assert packet.faults() == [], packet
					assert packet.dst_mac == dst
					assert packet.src_mac == (src or host.mac)
					tags[number] = packet.tags if len(seen) == 1 else None
			return tags

		return self._settle(arrived)

	def send_raw(self, sender, frame):
		"""The same for any frame: returns the numbers of the hosts it arrives at as it was sent."""
		self.lab.hosts[sender - 1].send("e0", frame)
		return self._settle(lambda: [
			number for number, capture in enumerate(self._at, 1)
			if any(packet.frame == frame for packet in list(capture.packets))])

	def learn(self, vnf, *numbers, tags=()):
		"""Each host says something to nobody; returns when its station is known."""
		for number in numbers:
			self.send(number, NOBODY, tags)
			wait_until(lambda number=number: place(vnf, self.lab.hosts[number - 1].mac), 2,
				   "station of h%d" % number)


def place(vnf, mac, vlan=None):
	"""The port of a station, or None."""
	for station in vnf.show("stations")["stations"]:
		if station["mac"] == mac and vlan in (None, station["vlan"]):
			return station["port"]
	return None


def bumps(vnf):
	return vnf.show("chain")["bumps"]


@story("hosts reach each other over IPv4 and IPv6, from the second packet on by flow entries")
def forwards():
	with Bridged(3) as lab:
		vnf = start(lab)
		one, two, three = lab.hosts
		for address in (two.address4, two.address6):
			assert one.ping(address, 3, interval_s=0.1) == 3
			assert three.ping(address, 3, interval_s=0.1) == 3
			assert one.ping(address, 3, extra="-s 4000") == 3 # in fragments
			TcpServer(two, address, 7, echo)
			UdpEcho(two, address, 7)
			for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
				with Client(one, address, 7, kind) as client:
					client.chat(3)
					walked, hit = vnf.reason("WALKED"), vnf.reason("HIT")
					client.chat(100)
				assert vnf.reason("HIT") - hit >= 196
				assert vnf.reason("WALKED") - walked <= 8
		assert place(vnf, one.mac) == "p1" and place(vnf, two.mac) == "p2"
		assert "yes" not in vnf.command("show", "stations")


@story("the bytes of downloads are those that were sent")
def intact():
	size = 4 << 20
	with Bridged(2) as lab:
		start(lab)
		one, two = lab.hosts
		for address in (two.address4, two.address6):
			TcpServer(two, address, 9, lambda to: to.sendall(pattern(size)))
			assert download(one, address, 9, size)
		for table in ("Tcp", "Udp"):
			assert one.snmp(table, "InCsumErrors") == 0


@story("broadcast, multicast and frames to nobody known are flooded, never back to their port")
def floods():
	with Bridged(4, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		for sender in (1, 3):
			others = {number: [] for number in range(1, 5) if number != sender}
			for dst in (BROADCAST, MULTICAST, NOBODY):
				assert wires.send(sender, dst) == others, (sender, dst)
		assert vnf.reason("FLOODED") == 6 and not vnf.flows()


@story("a frame to a known station goes to its port only, and nowhere from that port itself")
def learns():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		wires.learn(vnf, 1, 2)
		one, two, _ = lab.hosts
		for turn in range(6): # walked, installed, by the entry
			assert wires.send(1, two.mac) == {2: []}, turn
			assert wires.send(2, one.mac) == {1: []}, turn
		assert vnf.reason("HIT") >= 2
		assert wires.send(2, two.mac, src="02:00:00:00:77:77") == {}
		assert vnf.reason("SAME_PORT") == 1


@story("a station that moves is followed by the next frame it sends, without a bump")
def moves():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		wires.learn(vnf, 1, 2)
		one = lab.hosts[0]
		for _ in range(4):
			assert wires.send(2, one.mac) == {1: []}
		before = bumps(vnf)
		wires.send(3, NOBODY, src=one.mac) # h1 is behind p3 now
		wait_until(lambda: place(vnf, one.mac) == "p3", 1, "move")
		hit = vnf.reason("HIT")
		for _ in range(2):
			assert wires.send(2, one.mac) == {3: []}
		assert vnf.reason("HIT") == hit + 2 and bumps(vnf) == before
		# To the port it comes from it must not go by the entry either.
		wires.send(2, NOBODY, src=one.mac)
		wait_until(lambda: place(vnf, one.mac) == "p2", 1, "move")
		assert wires.send(2, one.mac) == {}


@story("a silent station is forgotten; one whose frames all pass by a flow entry is not")
def ages():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, station_age_s=10)
		wires.learn(vnf, 1, 2, 3)
		one, two, three = lab.hosts
		until = time.monotonic() + 14
		while time.monotonic() < until:
			assert wires.send(1, two.mac, flow=1) == {2: []}
			wires.send(2, NOBODY)
		assert place(vnf, one.mac) == "p1" and place(vnf, three.mac) is None
		assert wires.send(1, three.mac) == {2: [], 3: []}
		assert vnf.reason("HIT") > 20


@story("a configured station neither moves nor ages, and flush leaves it")
def fixed():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		one, two, three = lab.hosts
		vnf = start(lab, stations=[{"mac": three.mac, "interface": "p3"}])
		assert wires.send(1, three.mac) == {3: []}
		wires.send(2, NOBODY, src=three.mac) # somebody else says he is h3
		time.sleep(0.3)
		assert place(vnf, three.mac) == "p3"
		wires.learn(vnf, 1, 2)
		vnf.command("flush")
		assert place(vnf, one.mac) is None and place(vnf, three.mac) == "p3"
		assert wires.send(1, two.mac) == {2: [], 3: []} and wires.send(1, three.mac) == {3: []}
		wires.learn(vnf, 1, 2)
		assert wires.send(1, two.mac) == {2: []}


@story("stations behind a port without a link are forgotten")
def link_down():
	with Bridged(3, quiet=True) as lab:
		vnf = start(lab)
		with Wires(lab) as wires:
			wires.learn(vnf, 1, 2)
		lab.hosts[0].ip("link set e0 down")
		wait_until(lambda: place(vnf, lab.hosts[0].mac) is None, 3, "station forgotten")
		assert place(vnf, lab.hosts[1].mac) == "p2"


# h1: access 10; h2: access 20; h3: trunk 10,20 with native 30; h4: trunk 10-19 without; h5: access 30
VLAN_PORTS = [{"vlan": 10}, {"vlan": 20}, {"vlan": 30, "trunk": "10,20"},
	      {"vlan": 0, "trunk": "10-19"}, {"vlan": 30}]


def q(*vids):
	return [(ETH_VLAN, vid) for vid in vids]


@story("floods stay in their VLAN, and leave each port with the tag it wants")
def vlans_flood():
	cases = [(1, q(), {3: [10], 4: [10]}),
		 (2, q(), {3: [20]}),
		 (3, q(), {5: []}),
		 (3, q(30), {5: []}), # the native VLAN, tagged
		 (3, q(10), {1: [], 4: [10]}),
		 (3, q(20), {2: []}),
		 (4, q(10), {1: [], 3: [10]}),
		 (4, q(15), {}),
		 (5, q(), {3: []}),
		 (1, q(0), {3: [10], 4: [10]}), # a priority tag is none
		 (1, q(0, 77), {3: [10, 77], 4: [10, 77]}),
		 (3, q(10, 77), {1: [77], 4: [10, 77]}),
		 (1, [(ETH_QINQ, 20)], {3: [10, 20], 4: [10, 20]}), # 802.1ad is payload
		 (1, [(ETH_QINQ, 20), (ETH_VLAN, 5)], {3: [10, 20, 5], 4: [10, 20, 5]}),
		 (3, [(ETH_VLAN, 10), (ETH_QINQ, 5)], {1: [5], 4: [10, 5]})]
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, VLAN_PORTS, vlans=True)
		for sender, tags, expected in cases:
			for dst in (BROADCAST, NOBODY):
				arrived = wires.send(sender, dst, tags)
				assert arrived == expected, (sender, tags, dst, arrived)
		flooded = vnf.reason("FLOODED")
		assert flooded == 2 * len(cases), flooded
		ports = vnf.ports()
		assert ports["tx_lost"] == 0, ports # what was withheld is not lost
		assert ports["tx_packets"] == 2 * sum(len(expected) for _, _, expected in cases)


@story("a VLAN that a port does not carry is refused there")
def vlans_refused():
	cases = [(1, q(20)), (1, q(10)), (3, q(40)), (4, q()), (4, q(0)), (4, q(20)), (4, q(4095)),
		 (5, q(30))]
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, VLAN_PORTS, vlans=True)
		wires.learn(vnf, 5)
		for number, (sender, tags) in enumerate(cases, 1):
			for dst in (BROADCAST, lab.hosts[4].mac):
				assert wires.send(sender, dst, tags) == {}, (sender, tags)
			assert vnf.reason("NOT_MEMBER") == 2 * number, (sender, tags)


@story("known unicast has its tag put on, taken off and changed, walked and by flow entries")
def vlans_unicast():
	cases = [(1, q(), 3, q(10), [10], []),        # access to trunk, and back
		 (1, q(), 4, q(10), [10], []),
		 (2, q(), 3, q(20), [20], []),
		 (5, q(), 3, q(), [], []),            # access to the native VLAN
		 (3, q(10), 4, q(10), [10], [10]),    # trunk to trunk
		 (1, q(0), 3, q(10), [10], []), # a priority tag
		 (1, [(ETH_QINQ, 7)], 3, [(ETH_VLAN, 10), (ETH_QINQ, 7)], [10, 7], [7]),
		 (3, q(10, 8), 4, q(10, 8), [10, 8], [10, 8])]
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, VLAN_PORTS, vlans=True)
		for turn, (one, one_tags, two, two_tags, there, back) in enumerate(cases):
			macs = ["02:00:00:00:05:%02x" % (2 * turn + end) for end in (0, 1)]
			for sender, tags, mac in ((one, one_tags, macs[0]), (two, two_tags, macs[1])):
				wires.send(sender, NOBODY, tags, src=mac)
				wait_until(lambda mac=mac: place(vnf, mac), 2, "station")
			hit = vnf.reason("HIT")
			for _ in range(8): # walked, given a context, installed, by the entry
				arrived = wires.send(one, macs[1], one_tags, src=macs[0], flow=turn)
				assert arrived == {two: there}, (turn, arrived)
				arrived = wires.send(two, macs[0], two_tags, src=macs[1], flow=turn)
				assert arrived == {one: back}, (turn, arrived)
			assert vnf.reason("HIT") - hit >= 4, (turn, vnf.reason("HIT") - hit)


@story("frames that differ in their tags only never share a flow entry")
def vlans_apart():
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, VLAN_PORTS, vlans=True)
		wires.learn(vnf, 1)
		mac = lab.hosts[0].mac
		wires.send(3, NOBODY, q(10))
		wires.send(3, NOBODY, q(20))
		for _ in range(6):
			assert wires.send(3, mac, q(10)) == {1: []}
		assert vnf.reason("HIT") >= 2
		hit = vnf.reason("HIT")
		assert wires.send(3, mac, q(20)) == {2: []}   # unknown in VLAN 20: flooded there
		assert wires.send(3, mac, q()) == {5: []}     # and in 30
		assert wires.send(3, mac, q(40)) == {}
		assert wires.send(3, mac, [(ETH_QINQ, 10)]) == {5: [10]}
		assert wires.send(3, mac, q(10, 10)) == {1: [10]}
		assert vnf.reason("HIT") == hit


@story("the priority of a tag that stays is kept")
def priority():
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		start(lab, VLAN_PORTS, vlans=True)
		for vid, sender in ((0xA00A, 3), (0xA000, 1)): # priority 5 of VLAN 10; of none
			with lab.hosts[3].capture("e0") as seen:
				wires.send(sender, BROADCAST, [(ETH_VLAN, vid)])
				frame = seen.wait(dport=2000)[-1].frame
			assert frame[12:16] == bytes.fromhex("8100a00a"), frame[:18].hex()


@story("a station moves between ports that tag and ports that do not")
def vlans_moves():
	with Bridged(5, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, VLAN_PORTS, vlans=True)
		mac = "02:00:00:00:05:01"
		wires.send(4, NOBODY, q(10))
		wires.send(1, NOBODY, src=mac)
		wait_until(lambda: place(vnf, mac, 10) == "p1", 2, "station")
		for _ in range(5):
			assert wires.send(4, mac, q(10)) == {1: []}
		hit = vnf.reason("HIT")
		wires.send(3, NOBODY, q(10), src=mac)
		wait_until(lambda: place(vnf, mac, 10) == "p3", 2, "move")
		assert wires.send(4, mac, q(10)) == {3: [10]} and vnf.reason("HIT") == hit + 1
		# In another VLAN the same address is another station.
		wires.send(3, NOBODY, q(20), src=mac)
		wait_until(lambda: place(vnf, mac, 20) == "p3", 2, "station")
		assert wires.send(4, mac, q(10)) == {3: [10]}


@story("without vlans, tags are carried unread")
def tags_unread():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		wires.learn(vnf, 1, 2)
		for tags in (q(10), q(10, 20), [(ETH_QINQ, 10)], q(0)):
			vids = [vid for _, vid in tags]
			assert wires.send(1, BROADCAST, tags) == {2: vids, 3: vids}
			for _ in range(5):
				assert wires.send(1, lab.hosts[1].mac, tags) == {2: vids}
		assert vnf.reason("HIT") >= 4


@story("STP, LLDP, LACP and pause frames are not forwarded unless the configuration says so")
def reserved():
	frames = [packets.eth("01:80:c2:00:00:0%x" % last, "02:00:00:00:03:01", kind, b"\x42" * 50)
		  for last, kind in ((0, 0x0026), (1, 0x8808), (2, 0x8809), (0xe, 0x88cc))]
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		for frame in frames:
			assert wires.send_raw(1, frame) == []
		assert vnf.reason("RESERVED_MAC") == len(frames)
		other = b"\x01\x80\xc2\0\0\x10" + frames[0][6:]
		assert wires.send_raw(1, other) == [2, 3]
		vnf.stop()
		start(lab, reserved_macs="allow")
		for frame in frames:
			assert wires.send_raw(1, frame) == [2, 3]


@story("malformed frames, impossible senders and too many tags are refused; the rest is no business")
def refused():
	ip = packets.ipv4("127.0.0.1", "127.0.0.1", packets.UDP,
			  packets.udp("127.0.0.1", "127.0.0.1", 1, 2, b"x"), ttl=0)
	frame = packets.eth(BROADCAST, "02:00:00:00:03:01", ETH_IPV4, ip)
	cases = [("MALFORMED", packets.eth(BROADCAST, "02:00:00:00:03:01", ETH_IPV4, b"\x41" * 40)),
		 ("MARTIAN", packets.eth(BROADCAST, "03:00:00:00:03:01", ETH_IPV4, ip)),
		 ("MARTIAN", packets.eth(BROADCAST, "00:00:00:00:00:00", ETH_IPV4, ip)),
		 ("TAGS", packets.eth(BROADCAST, "02:00:00:00:03:01", ETH_IPV4, ip, q(1, 2, 3))),
		 ("TAGS", packets.eth(BROADCAST, "02:00:00:00:03:01", 0x9100, b"\0\1" + ip))]
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		for reason, bad in cases:
			before = vnf.reason(reason)
			assert wires.send_raw(1, bad) == [] and vnf.reason(reason) == before + 1, reason
		assert wires.send_raw(1, frame) == [2, 3] # martian addresses, TTL 0: a router's matters
		assert wires.send_raw(1, packets.eth(NOBODY, "02:00:00:00:03:01", 0x1234, b"?" * 46)) \
			== [2, 3]
		vnf.stop()
		start(lab, malformed="allow", martians="allow", tags="allow")
		for reason, bad in cases:
			assert wires.send_raw(1, bad) == [2, 3], reason


@story("what is sent to the bridge's own port goes to its kernel")
def for_the_host():
	with Bridged(2, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab)
		mac = lab.bridge.link("p1")["address"]
		assert wires.send(1, mac) == {} and vnf.reason("FOR_HOST") == 1


@story("a storm is cut to the limit of its port; known unicast and other ports are not")
def storm():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, [{"storm_pps": 100}, {}, {}])
		wires.learn(vnf, 1, 2)
		one, two, _ = lab.hosts
		segment = packets.udp("10.3.0.1", "10.3.0.255", 1, 2, b"storm")
		frame = packets.eth(BROADCAST, one.mac, ETH_IPV4, packets.ipv4(
			"10.3.0.1", "10.3.0.255", packets.UDP, segment))
		began, flooded = time.monotonic(), vnf.reason("FLOODED")
		while time.monotonic() < began + 1:
			one.send("e0", *[frame] * 20)
			time.sleep(0.002)
		took = time.monotonic() - began
		assert wires.send(1, two.mac) == {2: []}
		assert wires.send(2, BROADCAST) == {1: [], 3: []}
		passed = vnf.reason("FLOODED") - flooded
		assert 50 <= passed <= 100 * (took + 0.3), passed
		assert vnf.reason("STORM") > 200


@story("a flood of new senders fills the table and no more; known flows keep their entries")
def many_senders():
	with Bridged(3) as lab, Wires(lab) as wires:
		vnf = start(lab, max_stations=100)
		one, two, three = lab.hosts
		wires.learn(vnf, 1, 2)
		UdpEcho(two, two.address4, 7)
		with Sender(Client(one, two.address4, 7, socket.SOCK_DGRAM)) as sender:
			frames = [packets.eth(NOBODY, "02:00:00:01:%02x:%02x" % divmod(number, 256),
					      0x1234, b"new" * 20) for number in range(2000)]
			for first in range(0, len(frames), 50): # a veth takes 256 at once
				three.send("e0", *frames[first:first + 50])
				time.sleep(0.005)
			wait_until(lambda: vnf.reason("FLOODED") >= 2000, 3, "floods")
			asked = sender.asked
			wait_until(lambda: sender.asked > asked + 100, 3, "traffic")
		assert sender.lost == 0
		assert len(vnf.show("stations")["stations"]) == 100
		assert vnf.reason("HIT") > 2 * 100


@story("efwd killed: the bridge goes on and follows who moves; a restart adopts it without loss")
def killed():
	with Bridged(3) as lab, Wires(lab) as wires:
		vnf = start(lab, lease_s=2)
		one, two, _ = lab.hosts
		UdpEcho(two, two.address4, 7)
		with Sender(Client(one, two.address4, 7, socket.SOCK_DGRAM)) as sender:
			wait_until(lambda: vnf.reason("HIT") > 50, 3, "traffic")
			vnf.kill9()
			time.sleep(2.5)
			assert vnf.show("chain")["lease_lost"] == 1
			vnf.start()
			hit = vnf.reason("HIT")
			wait_until(lambda: vnf.reason("HIT") > hit + 50, 3, "traffic")
		assert sender.lost == 0, sender.lost
		assert place(vnf, one.mac) == "p1"
		vnf.kill9()
		wait_until(lambda: vnf.show("chain")["lease_lost"], 4, "lease lost")
		wires.send(3, NOBODY, src=one.mac)
		assert wires.send(2, one.mac) == {1: [], 3: []} # flooded
		vnf.start()


@story("a reload with other VLANs takes effect, and stations that no longer fit are forgotten")
def reload():
	with Bridged(3, quiet=True) as lab, Wires(lab) as wires:
		vnf = start(lab, [{"vlan": 10}, {"vlan": 10}, {"vlan": 20}], vlans=True)
		wires.learn(vnf, 1, 2)
		one, two, _ = lab.hosts
		for _ in range(4):
			assert wires.send(1, two.mac) == {2: []}
		configure(lab, vnf, [{"vlan": 10}, {"vlan": 20}, {"vlan": 20}], vlans=True)
		generation = vnf.show("chain")["generation"]
		vnf.command("reload")
		wait_until(lambda: vnf.show("chain")["generation"] > generation and
			   sum(line.endswith(": ready") for line in vnf.log) == 2, 5, "reload")
		assert wires.send(1, two.mac) == {} and wires.send(2, BROADCAST) == {3: []}
		assert place(vnf, one.mac, 10) == "p1" and place(vnf, two.mac, 10) is None


@story("ports show their tags and are promiscuous while the bridge runs, then as before")
def promiscuous():
	with Bridged(2) as lab:
		lab.bridge.ip("link set p2 promisc on")
		lab.bridge.run("ethtool -K p1 rxvlan on")
		vnf = start(lab)
		flags = [set(lab.bridge.link(port)["flags"]) for port in lab.ports]
		assert all("PROMISC" in each for each in flags), flags
		assert "rx-vlan-offload: off" in lab.bridge.run("ethtool -k p1")
		vnf.kill9()
		vnf.start()
		vnf.stop()
		flags = ["PROMISC" in lab.bridge.link(port)["flags"] for port in lab.ports]
		assert flags == [False, True] and not vnf.pins(), flags


@story("what is wrong in the configuration is told with its line")
def check():
	cases = [({"vlans": True, "mode": "router"}, [{}, {}], "vlans: needs mode"),
		 ({}, [{"vlan": 10}, {}], "ports[0].vlan: needs vlans = true"),
		 ({}, [{}, {"trunk": "10"}], "ports[1].trunk: needs vlans = true"),
		 ({"vlans": True}, [{}, {"trunk": "10-"}], 'ports[1].trunk: found "10-", expected VLANs'),
		 ({"vlans": True}, [{"vlan": 0}, {}], "ports[0].vlan: the port would carry nothing"),
		 ({}, [{"vlan": 4095}, {}], "ports[0].vlan: found 4095, expected an integer"),
		 ({}, [{"mtu": 9}, {}], "ports[0].mtu: unknown key, expected one of interface vlan"),
		 ({"stations": [{"mac": "01:00:00:00:00:01", "interface": "p1"}]}, [{}, {}],
		  "stations[0].mac: found"),
		 ({"stations": [{"mac": "02:00:00:00:00:01", "interface": "p1", "vlan": 3}]}, [{}, {}],
		  "stations[0].vlan: needs vlans = true")]
	with Bridged(2) as lab:
		vnf = Vnf(lab.bridge, "efwd")
		for keys, ports, expected in cases:
			configure(lab, vnf, ports, **keys)
			done = lab.bridge.popen([vnf.path, "check", "-c", vnf.conf], stderr=-1, text=True)
			_, said = done.communicate()
			assert done.returncode == 2 and expected in said and ".conf:" in said, said


if __name__ == "__main__":
	stories.main()
