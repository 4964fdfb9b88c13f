# SPDX-License-Identifier: BSD-2-Clause
# Stories of the laboratory itself: with netfilter alone it carries, counts and captures rightly.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1        10.2.0.1  10.2.0.2
#   fd01::2    fd01::1         fd02::1   fd02::2
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import generator, packets, stories
from lib.lab import Routed
from lib.stories import story
from lib.traffic import (Client, Conversation, Peer, TcpServer, UdpEcho, download, echo, nginx_start,
			 pattern)

MASQUERADE = "iptables -t nat -A POSTROUTING -o rr -j MASQUERADE"


@story("without a VNF every packet is forwarded by the kernel")
def kernel_only():
	with Routed() as lab:
		TcpServer(lab.server, lab.server4, 7, echo)
		TcpServer(lab.server, lab.server6, 7, echo)
		for address in (lab.server4, lab.server6):
			with Client(lab.client, address, 7) as client, lab.measured() as measured:
				client.chat(100)
			assert measured.arrived >= 200, measured.arrived
			assert measured.fast_share < 0.05, measured.fast_share


@story("bytes of a download, of curl and of UDP arrive intact")
def intact():
	stories.need("nginx", "curl")
	with Routed() as lab:
		size = 3 << 20
		TcpServer(lab.server, lab.server4, 9, lambda to: to.sendall(pattern(size)))
		assert download(lab.client, lab.server4, 9, size)
		nginx_start(lab.server, lab.server4, files={"file": b"12345"})
		url = "http://%s" % lab.server4
		assert lab.client.run("curl -s %s/hello" % url) == "hello\n"
		assert lab.client.run("curl -s %s/file" % url) == "12345"
		UdpEcho(lab.server, lab.server6, 7)
		with Client(lab.client, lab.server6, 7, kind=2) as client:
			client.chat(10)
		assert lab.client.ping(lab.server4, count=3) == 3


@story("conntrack entries are read with both tuples")
def conntrack():
	with Routed() as lab:
		lab.router.run(MASQUERADE)
		server = TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7) as client:
			client.chat(2)
			entry, = lab.router.conntrack("-L -p tcp")
		assert server.peers == [(lab.right4, client.port)], server.peers
		assert entry["state"] == "ESTABLISHED" and "ASSURED" in entry["flags"], entry
		assert entry["sport"] == client.port and entry["reply"]["dst"] == lab.right4, entry
		# 300 s while the last data is not acknowledged, else 5 days
		assert entry["timeout_s"] in range(295, 432001), entry


@story("a hand-made connection through MASQUERADE has right checksums, and faults are found")
def hand_made():
	with Routed() as lab:
		lab.router.run(MASQUERADE)
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			for sender in (client, server):
				arrived = talk.say(sender, b"some data")
				assert arrived.faults() == [] and arrived.ttl == 63, arrived
			assert arrived.dst == client.address and arrived.src == server.address
			bad = packets.Packet(talk.segment(client, b"bad", bad_sum=True))
			assert bad.faults() == ["checksum of protocol 6"], bad.faults()
			tagged = packets.Packet(talk.segment(client, tags=[(packets.ETH_VLAN, 5)]))
			assert tagged.tags == [5] and tagged.dport == 80


@story("the generator sends each flow in whole packets, at the rate asked for")
def generated():
	with Routed() as lab:
		source, sink = (lab.client, "c0"), (lab.server, "s0")
		for src, dst in ((lab.client4, lab.server4), (lab.client6, lab.server6)):
			for proto in ("tcp", "udp"):
				with lab.server.capture("s0") as capture:
					sent = generator.run(*source, sink=sink, proto=proto, flows=200, ports=10,
						seconds=0.3, pps=5000, size=100, dport=4000,
						**generator.through_router(lab, src=src, dst=dst))
					arrived = capture.wait(sent["sent"], dport=4000)
				assert all(packet.faults() == [] for packet in arrived)
				assert len({(packet.src, packet.sport) for packet in arrived}) == 200
				assert len({packet.src for packet in arrived}) == 20
				assert 200 <= sent["sent"] <= 1600, sent # a busy machine sends less


@story("a lab leaves no namespace, process or file behind, also after an error")
def leaves_nothing():
	try:
		with Routed() as lab:
			sleeper = lab.client.popen("sleep 100")
			raise KeyError("on purpose")
	except KeyError:
		pass
	listed = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
	assert lab.name not in listed and sleeper.poll() is not None
	assert not os.path.exists(lab.directory)


if __name__ == "__main__":
	stories.main()
