# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw forwarding: what netfilter has accepted passes, by the fast path and unharmed.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#   fd01::2    fd01::1         fd02::1   fd02::2
import os
import socket
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import (Client, Conversation, Peer, TcpServer, UdpEcho, download, echo, nginx_start,
			 pattern)
from lib.vnf import Vnf

ACCEPT = ("-p tcp -m multiport --dports 7,9,80", "-p udp --dport 7")
TABLES = ("iptables-nft", "iptables-legacy")


@story("accepted TCP and UDP over IPv4 and IPv6 is offloaded, with either iptables")
def offloaded():
	for tables in TABLES:
		with Routed() as lab:
			lab.protect(*ACCEPT, tables=tables)
			Vnf(lab.router).start()
			for address in (lab.server4, lab.server6):
				TcpServer(lab.server, address, 7, echo)
				UdpEcho(lab.server, address, 7)
				for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
					with Client(lab.client, address, 7, kind) as client:
						lab.wait_offloaded(client.ask)
						with lab.measured() as measured:
							client.chat(200)
					assert measured.fast_share > 0.9, (tables, address, kind,
									   measured.fast_share)


@story("nftables with ct state offloads as well")
def nftables():
	with Routed() as lab:
		lab.router.run("nft -f -", input="""
			table inet filter {
				chain forward {
					type filter hook forward priority filter; policy drop;
					ct state established,related accept
					iifname "rl" tcp dport 7 accept
				}
			}""")
		Vnf(lab.router).start()
		for address in (lab.server4, lab.server6):
			TcpServer(lab.server, address, 7, echo)
			with Client(lab.client, address, 7) as client:
				lab.wait_offloaded(client.ask)


@story("the bytes of downloads through the fast path are those that were sent")
def intact():
	size = 8 << 20
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		for address in (lab.server4, lab.server6):
			TcpServer(lab.server, address, 9, lambda to: to.sendall(pattern(size)))
			with lab.measured() as measured:
				assert download(lab.client, address, 9, size)
			assert measured.fast_share > 0.9, measured.fast_share
		for table in ("Tcp", "Udp"):
			assert lab.client.snmp(table, "InCsumErrors") == 0


@story("a thousand short connections are all answered")
def short_connections():
	stories.need("nginx", "curl")
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		nginx_start(lab.server, lab.server4)
		out = lab.client.run(["curl", "-s", "--no-keepalive", "-H", "Connection: close",
				      "http://%s/hello?[1-1000]" % lab.server4])
		assert out == "hello\n" * 1000, len(out)


@story("a packet of the fast path leaves with one hop less, the router's MAC and right checksums")
def as_a_router_does():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			lab.wait_offloaded(lambda: (talk.say(client, b"one"), talk.say(server, b"two")))
			for sender, src, dst in ((client, lab.right_mac, lab.server_mac),
						 (server, lab.left_mac, lab.client_mac)):
				kernel = lab.router.forwarded()
				arrived = talk.say(sender, b"a byte more", ip={"ttl": 9})
				assert lab.router.forwarded() == kernel
				assert arrived.ttl == 8 and arrived.faults() == [], arrived
				assert (arrived.src_mac, arrived.dst_mac) == (src, dst), arrived


@story("a port that the ruleset blocks stays blocked")
def blocked():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		TcpServer(lab.server, lab.server4, 7, echo)
		TcpServer(lab.server, lab.server4, 25, echo)
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
		try:
			Client(lab.client, lab.server4, 25, timeout_s=1.5)
		except socket.timeout:
			pass
		else:
			raise AssertionError("port 25 answered")


@story("what the ports received is what left, was dropped, or went to the kernel")
def conservation():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		vnf = Vnf(lab.router).start()

		def unseen():
			received = lab.router.received("rl") + lab.router.received("rr")
			return received - vnf.ports()["rx_packets"]

		before = unseen() # what came before efw did
		TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			client.chat(500)
		malformed = packets.eth(lab.left_mac, lab.client_mac, packets.ETH_IPV4, b"\x41" * 40)
		lab.client.send("c0", *[malformed] * 5)
		wait_until(lambda: unseen() == before, 3, "every packet received is counted")
		seen = vnf.ports()
		left, lost = seen["tx_packets"], seen["tx_lost"]
		assert left >= 1000 and seen["fast_packets"] == left + lost, seen
		assert seen["rx_packets"] == left + lost + seen["kernel_packets"] + \
			seen["dropped_packets"], seen


@story("neighbors that the kernel learns itself are used and stay alive")
def dynamic_neighbors():
	with Routed(static_neighbors=False) as lab:
		lab.protect(*ACCEPT, "-p icmp", ipv6=False)
		for interface in ("rl", "rr"): # they go stale within a second, and are asked for after one
			lab.router.sysctl("ipv4.neigh.%s.base_reachable_time_ms" % interface, 500)
			lab.router.sysctl("ipv4.neigh.%s.delay_first_probe_time" % interface, 1)
		Vnf(lab.router).start()
		TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			with lab.measured() as measured:
				client.chat(400, pause_s=0.01)
		assert measured.fast_share > 0.9, measured.fast_share


@story("a neighbor that was made permanent stays so while flows use it")
def permanent_neighbors():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			client.chat(120, pause_s=0.1)
		for address in (lab.client4, lab.server4):
			assert "PERMANENT" in lab.router.run("ip neighbor show " + address), address


@story("a next hop that gets another MAC address is followed")
def neighbor_moves():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			moved = "02:00:00:00:02:99"
			lab.server.ip("link set s0 address " + moved)
			lab.neighbor(lab.router, "rr", moved, lab.server4)
			client.chat(5)
			assert lab.wait_offloaded(client.ask) < 1


if __name__ == "__main__":
	stories.main()
