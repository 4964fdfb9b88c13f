# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw and odd packets: beside an offloaded flow they get what netfilter gives them.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#   fd01::2    fd01::1   |ro   fd02::1   fd02::2
#                        |
#   other o0 ------------+   10.3.0.2 -- 10.3.0.1
import os
import re
import socket
import struct
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import Client, Conversation, Peer, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

ACCEPT = ("-p tcp -m multiport --dports 7,9,80", "-p udp --dport 7", "-p icmp")
MASQUERADE = "iptables -t nat -A POSTROUTING -o rr -j MASQUERADE"
TIME_EXCEEDED, UNREACHABLE = 11, 3


def offload(lab, talk):
	lab.wait_offloaded(lambda: (talk.say(talk.client, b"one"), talk.say(talk.server, b"two")))


@story("fragmented datagrams of an offloaded flow arrive whole, both ways, with NAT and without")
def fragments():
	for masquerade in (False, True):
		with Routed() as lab:
			lab.protect(*ACCEPT)
			if masquerade:
				lab.router.run(MASQUERADE)
			Vnf(lab.router).start()
			for address in (lab.server4, lab.server6):
				UdpEcho(lab.server, address, 7)
				with Client(lab.client, address, 7, socket.SOCK_DGRAM) as client:
					lab.wait_offloaded(client.ask)
					for size in (1600, 4000, 9000):
						data = os.urandom(size)
						assert client.ask(data) == data, (address, size)
					lab.wait_offloaded(client.ask)


@story("a fragment that looks like a packet of an offloaded flow is not forwarded as one")
def lone_fragment():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			segment = packets.tcp(client.address, server.address, client.port, server.port,
					      talk.seq[client], talk.seq[server], payload=b"evil")
			client.send(client.frame(talk.to[client], segment, ip={"flags_offset": 100}),
				    client.frame(talk.to[client], segment, ip={"flags_offset": 0x2000}))
			time.sleep(0.3)
			assert not talk.at_server.matching(data=b"evil")
			assert not [p for p in talk.at_server.packets if p.fragment]


@story("a tagged copy of an offloaded flow's packet does not pass; one with VID 0 does")
def tags():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			for number, stack in enumerate(([(packets.ETH_VLAN, 5)], [(packets.ETH_QINQ, 5)],
							[(packets.ETH_QINQ, 5), (packets.ETH_VLAN, 6)],
							[(packets.ETH_VLAN, 5)] * 3)):
				client.send(talk.segment(client, b"tagged %d" % number, tags=stack))
			talk.say(client, b"priority", tags=[(packets.ETH_VLAN, 0)])
			talk.say(client, b"untagged")
			assert not [p for p in talk.at_server.packets if p.data.startswith(b"tagged")]


@story("traceroute shows the router, and a TTL of 1 in an offloaded flow is answered through NAT")
def traceroute():
	stories.need("traceroute")
	with Routed() as lab:
		lab.protect("-p udp", "-p tcp", "-p icmp")
		lab.router.run(MASQUERADE)
		Vnf(lab.router).start()
		for method in ("-I", "-U", "-T"):
			out = lab.client.run("traceroute -n %s -q 1 -w 1 -m 3 %s" % (method, lab.server4))
			hops = re.findall(r"^ *\d+ +([\d.]+)", out, re.M)
			assert hops == [lab.left4, lab.server4], (method, out)
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			client.send(talk.segment(client, b"short-lived", ip={"ttl": 1}))
			error = talk.at_client.wait(proto=packets.ICMP, src=lab.left4)[-1]
			assert error.segment[0] == TIME_EXCEEDED and error.faults() == []
			quoted = packets.Packet(b"\0" * 12 + b"\x08\0" + error.data)
			assert (quoted.src, quoted.dst) == (client.address, server.address), quoted
			assert struct.unpack_from("!HH", error.data, 20) == (client.port, server.port)


@story("an ICMP error from behind the router is translated back, and so is what it quotes")
def icmp_through_nat():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		lab.router.run(MASQUERADE)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			there = talk.say(client, b"too long for the way on")
			error = packets.icmp(UNREACHABLE, 4, 1300, there.ip_packet[:28])
			server.send(server.frame((lab.right4, 0), error, packets.ICMP))
			came = talk.at_client.wait(proto=packets.ICMP)[-1]
			assert (came.dst, came.src) == (client.address, server.address), came
			assert came.faults() == [] and came.segment[:2] == bytes((UNREACHABLE, 4)), came
			quoted = packets.Packet(b"\0" * 12 + b"\x08\0" + came.data)
			assert packets.fold(quoted.header) == 0xFFFF
			assert (quoted.src, quoted.dst) == (client.address, server.address), quoted
			assert struct.unpack_from("!HH", came.data, 20) == (client.port, server.port)


@story("path MTU discovery works through an offloaded flow, IPv4 and IPv6, with NAT and without")
def path_mtu():
	for nat in (False, True):
		with Routed(right_mtu=1400) as lab:
			lab.protect(*ACCEPT)
			if nat:
				lab.router.run(MASQUERADE)
			Vnf(lab.router).start()
			for route in ("-4 route replace default via " + lab.right4,
				      "-4 route replace 10.2.0.0/24 dev s0", # behind NAT: the router itself
				      "-6 route replace default via " + lab.right6):
				# offer the client longer segments than fit the way
				lab.server.run("ip %s advmss 1420" % route)
			for address in (lab.server4, lab.server6):
				TcpServer(lab.server, address, 7, echo)
				with Client(lab.client, address, 7) as client:
					lab.wait_offloaded(client.ask)
					client.chat(20, size=60000)
					lab.wait_offloaded(client.ask)
			assert lab.client.snmp("Icmp", "InDestUnreachs") > 0
			assert lab.client.snmp("Icmp6", "InPktTooBigs") > 0


@story("an oversized packet with DF in an offloaded flow is answered with fragmentation needed")
def too_big():
	with Routed(right_mtu=1400) as lab:
		lab.protect(*ACCEPT)
		lab.router.run(MASQUERADE)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			talk.say(client, b"f" * 1360) # 1400 bytes of IP packet: just fits
			client.send(talk.segment(client, b"g" * 1361, ip={"flags_offset": 0x4000}))
			error = talk.at_client.wait(proto=packets.ICMP, src=lab.left4)[-1]
			assert error.segment[:2] == bytes((UNREACHABLE, 4)) and error.faults() == []
			assert struct.unpack_from("!H", error.segment, 6)[0] == 1400
			assert not talk.at_server.matching(data=b"g" * 1361)


@story("a packet with IP options in an offloaded flow passes as the kernel passes it")
def options():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			kernel = lab.router.forwarded()
			came = talk.say(client, b"with options", ip={"options": b"\1\1\1\1"})
			assert came.faults() == [] and came.ttl == 63 and len(came.header) == 24
			assert lab.router.forwarded() == kernel + 1


def third_port(lab):
	"""A host `other` at the router's port ro."""
	other = lab.namespace("other")
	lab.wire(other, "o0", "02:00:00:00:03:02", lab.router, "ro", "02:00:00:00:03:01")
	lab.router.ip("address add 10.3.0.1/24 dev ro")
	lab.router.sysctl("ipv4.conf.all.rp_filter", 0)
	for port in ("rl", "rr", "ro"):
		lab.router.sysctl("ipv4.conf.%s.rp_filter" % port, 0)
	return other


@story("a spoofed packet of an offloaded flow that comes by another port does not pass")
def spoofed():
	with Routed() as lab:
		other = third_port(lab)
		for rule in ("-P FORWARD DROP", "-A FORWARD -i rl -p tcp --dport 80 -j ACCEPT",
			     "-A FORWARD -i rr -m conntrack --ctstate ESTABLISHED -j ACCEPT"):
			lab.router.run("iptables " + rule)
		Vnf(lab.router, ports=("rl", "rr", "ro")).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			segment = packets.tcp(client.address, server.address, client.port, server.port,
					      talk.seq[client], talk.seq[server], payload=b"spoofed")
			spoof = packets.eth("02:00:00:00:03:01", "02:00:00:00:03:02", packets.ETH_IPV4,
					    packets.ipv4(client.address, server.address, packets.TCP, segment))
			other.send("o0", *[spoof] * 20)
			for _ in range(5):
				talk.say(client, b"the real one")
				other.send("o0", *[spoof] * 20)
			time.sleep(0.2)
			assert not talk.at_server.matching(data=b"spoofed")
			offload(lab, talk)


@story("a frame of an offloaded flow for another MAC address is not forwarded")
def other_mac():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			frame = talk.segment(client, b"misled")
			client.send(packets.mac("02:00:00:00:01:77") + frame[6:])
			talk.say(client, b"rightly addressed")
			assert not talk.at_server.matching(data=b"misled")


def reset(client):
	"""Closes with a RST: no TIME_WAIT keeps the port."""
	client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
	client.socket.close()


@story("a 5-tuple used again is a new connection: it works, is offloaded, or is blocked anew")
def reused():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		lab.router.run(MASQUERADE)
		server = TcpServer(lab.server, lab.server4, 7, echo)
		Vnf(lab.router).start()
		for _ in range(5):
			client = Client(lab.client, lab.server4, 7, source=(lab.client4, 5000))
			lab.wait_offloaded(client.ask)
			reset(client)
		wait_until(lambda: len(server.peers) == 5, 1, "five connections")
		client = Client(lab.client, lab.server4, 7, source=(lab.client4, 5000))
		lab.wait_offloaded(client.ask)
		reset(client)
		lab.router.run("iptables -I FORWARD -p tcp --dport 7 --syn -j DROP")
		try:
			Client(lab.client, lab.server4, 7, source=(lab.client4, 5000), timeout_s=1)
		except socket.timeout:
			return
		raise AssertionError("connected against the rule")


@story("a SYN inside an offloaded connection goes to the kernel, which judges it")
def syn_inside():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		vnf = Vnf(lab.router, resync_ms=1000).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			offload(lab, talk)
			control = vnf.reason("TCP_CONTROL")
			client.send(client.tcp(talk.to[client], talk.seq[client] + 5000, 0, packets.SYN))
			wait_until(lambda: vnf.reason("TCP_CONTROL") == control + 1, 1, "the SYN is walked")
			talk.say(client, b"still there")
			offload(lab, talk)


if __name__ == "__main__":
	stories.main()
