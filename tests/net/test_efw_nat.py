# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw and NAT: translated flows are offloaded both ways, with right checksums.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#   fd01::2    fd01::1  NAT    fd02::1   fd02::2
import os
import socket
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Routed
from lib.stories import story
from lib.traffic import Client, Conversation, Peer, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

FREE4 = "10.2.0.50" # on the server's link, nobody's: for SNAT
ACCEPT = ("-p tcp --dport 7", "-p udp --dport 7")


def nat(lab, *rules, tables="iptables"):
	for rule in rules:
		lab.router.run("%s -t nat %s" % (tables, rule))


def chat_translated(lab, target, port, peer, says):
	"""TCP and UDP to target are offloaded, arrive from `peer` with right checksums, and so do the
	answers."""
	server = lab.server6 if ":" in target else lab.server4
	for kind, proto, serve in ((socket.SOCK_STREAM, packets.TCP, TcpServer),
				   (socket.SOCK_DGRAM, packets.UDP, UdpEcho)):
		echoed = serve(lab.server, server, 7, *([echo] if serve is TcpServer else []))
		with Client(lab.client, target, port, kind) as client:
			lab.wait_offloaded(client.ask)
			with lab.server.capture("s0") as there, lab.client.capture("c0") as back:
				kernel = lab.passed_by_kernel(lambda: client.chat(20, size=256))
				came = there.wait(20, proto=proto, dport=7)
				answers = back.wait(20, proto=proto, sport=port)
		assert kernel == 0, (says, kernel)
		for packet in came + answers:
			assert packet.faults() == [], (says, packet, packet.faults())
		assert {packet.src for packet in came} == {peer}, (says, came)
		assert {packet.src for packet in answers} == {target}, (says, answers)
		assert [seen[0] for seen in echoed.peers] == [peer], (says, echoed.peers)
		echoed.close()


def told(says, rules, target=Routed.server4, port=7, peer=Routed.client4, tables="iptables"):
	with Routed() as lab:
		lab.protect(*ACCEPT)
		nat(lab, *rules, tables=tables)
		lab.neighbor(lab.server, "s0", lab.right_mac, FREE4)
		Vnf(lab.router).start()
		chat_translated(lab, target, port, peer, says)


@story("MASQUERADE is offloaded both ways, IPv4 and IPv6")
def masquerade():
	rules = ["-A POSTROUTING -o rr -j MASQUERADE"]
	told("nft", rules, peer=Routed.right4, tables="iptables-nft")
	told("legacy", rules, peer=Routed.right4, tables="iptables-legacy")
	told("IPv6", rules, target=Routed.server6, peer=Routed.right6, tables="ip6tables")


@story("SNAT to another address and other ports is offloaded both ways")
def snat():
	told("address", ["-A POSTROUTING -o rr -j SNAT --to-source " + FREE4], peer=FREE4)
	told("ports", ["-A POSTROUTING -o rr -p %s -j SNAT --to-source %s:3000-3010" % (proto, FREE4)
		       for proto in ("tcp", "udp")], peer=FREE4)


@story("DNAT of the router's own address and port is offloaded both ways")
def dnat():
	told("own address", ["-A PREROUTING -i rl -p %s --dport 8007 -j DNAT --to %s:7" %
			     (proto, Routed.server4) for proto in ("tcp", "udp")],
	     target=Routed.left4, port=8007)
	told("foreign address", ["-A PREROUTING -d 192.0.2.1 -j DNAT --to " + Routed.server4],
	     target="192.0.2.1")
	told("IPv6", ["-A PREROUTING -d 2001:db8::1 -j DNAT --to " + Routed.server6],
	     target="2001:db8::1", peer=Routed.client6, tables="ip6tables")


@story("DNAT and MASQUERADE of the same flow are offloaded together")
def both():
	told("both", ["-A PREROUTING -d 192.0.2.1 -j DNAT --to " + Routed.server4,
		      "-A POSTROUTING -o rr -j MASQUERADE"], target="192.0.2.1", peer=Routed.right4)


@story("a flow redirected to the router itself stays with the kernel and works")
def redirect():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		nat(lab, "-A PREROUTING -i rl -p tcp --dport 7 -j REDIRECT --to-ports 7777")
		vnf = Vnf(lab.router).start()
		TcpServer(lab.router, lab.left4, 7777, echo)
		with Client(lab.client, lab.server4, 7) as client:
			client.chat(50)
		assert vnf.flows() == [], vnf.flows()


@story("two clients that share a source port keep their own translations")
def same_port():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		nat(lab, "-A POSTROUTING -o rr -j MASQUERADE")
		Vnf(lab.router).start()
		lab.client.ip("address add 10.1.0.3/24 dev c0")
		lab.neighbor(lab.router, "rl", lab.client_mac, "10.1.0.3")
		server = TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7, source=(lab.client4, 5000)) as one, \
				Client(lab.client, lab.server4, 7, source=("10.1.0.3", 5000)) as two:
			for client in (one, two):
				lab.wait_offloaded(client.ask)
			one.chat(20)
			two.chat(20)
			assert one.ask(b"for one") == b"for one" and two.ask(b"for two") == b"for two"
		assert len(set(server.peers)) == 2 and {peer[0] for peer in server.peers} == {lab.right4}


@story("a UDP checksum of 0 stays 0, and one that comes out as 0 is sent as ffff")
def udp_zero():
	with Routed() as lab:
		lab.protect("-p udp")
		nat(lab, "-A POSTROUTING -o rr -j MASQUERADE")
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab, port=7)
		target = (server.address, server.port)
		with lab.server.capture("s0") as there, lab.client.capture("c0") as back:
			def ask(payload=b"ab", **kwargs):
				had = len(there.matching(dport=7)), len(back.matching(sport=7))
				client.send(client.udp(target, payload, **kwargs))
				came = there.wait(had[0] + 1, dport=7)[-1]
				server.send(server.udp((came.src, came.sport), payload))
				back.wait(had[1] + 1, sport=7)
				return came

			lab.wait_offloaded(ask)
			kernel = lab.router.forwarded()
			assert ask(no_sum=True).segment[6:8] == b"\0\0"
			inverse = ask(b"\0\0").segment[6:8]
			came = ask(inverse) # adds its own inverse: the sum is now ffff, its complement 0
			assert came.segment[6:8] == b"\xff\xff" and came.faults() == [], came
			assert lab.router.forwarded() == kernel


@story("wrong checksums are not made right on the way")
def wrong_sum():
	with Routed() as lab:
		lab.protect(*ACCEPT, "-p tcp --dport 80")
		nat(lab, "-A POSTROUTING -o rr -j MASQUERADE")
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			lab.wait_offloaded(lambda: (talk.say(client, b"one"), talk.say(server, b"two")))
			client.send(talk.segment(client, b"damaged", bad_sum=True))
			talk.say(client, b"whole")
			for damaged in talk.at_server.matching(data=b"damaged"):
				assert damaged.faults() == ["checksum of protocol 6"], damaged.faults()


if __name__ == "__main__":
	stories.main()
