# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw under a flood: known flows stay fast, full tables lose nothing.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#   and 1 000 000
#   sources
import contextlib
import os
import socket
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import generator, stories
from lib.lab import Routed
from lib.stories import story
from lib.traffic import Client, Sender, UdpEcho
from lib.vnf import Vnf

ACCEPT = ("-p udp --dport 7", "-p udp --dport 9", "-p tcp --dport 9")
SOURCES = 1_000_000
FLOOD_PPS = 100_000
KNOWN = 16


@contextlib.contextmanager
def known_flows(lab, n=KNOWN):
	"""n offloaded UDP flows in conversation; yields their senders."""
	UdpEcho(lab.server, lab.server4, 7)
	with contextlib.ExitStack() as stack:
		clients = [stack.enter_context(Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM))
			   for _ in range(n)]
		for client in clients:
			lab.wait_offloaded(client.ask)
		senders = [stack.enter_context(Sender(client, pause_s=0.01)) for client in clients]
		yield senders


def lost_by_the_link_only(senders):
	"""Flood and flows share the wire's queue, and a busy machine drains it late: as many may be lost
	there as may miss."""
	assert sum(s.lost for s in senders) <= 0.01 * sum(s.asked for s in senders)


def flood(lab, seconds, **options):
	lab.client.ip("route add 10.16.0.0/12 dev c0")
	return generator.run(lab.client, "c0", seconds=seconds, pps=FLOOD_PPS, flows=SOURCES,
			     **generator.through_router(lab, src="10.16.0.0", **options))


def hit_ratio(vnf, senders, attack):
	"""Runs the attack; returns the share of the known flows' packets, questions and answers,
	that were hits. The flood has none: no source of it is ever answered."""
	hits, asked = vnf.reason("HIT"), sum(sender.asked for sender in senders)
	sent = attack()
	asked = sum(sender.asked for sender in senders) - asked
	hits = vnf.reason("HIT") - hits
	assert asked > 200 and sent["sent"] > FLOOD_PPS, (asked, sent)
	return hits / (2 * asked)


@story("a flood of a million sources that the rules drop leaves known flows a hit ratio of 0.99")
def dropped_flood():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		vnf = Vnf(lab.router).start()
		with known_flows(lab) as senders:
			for proto, flags in (("udp", 16), ("tcp", 16), ("tcp", 2)):
				ratio = hit_ratio(vnf, senders, lambda: flood(
					lab, 4, proto=proto, tcp_flags=flags, dport=99, random=True))
				lab.client.ip("route del 10.16.0.0/12 dev c0")
				assert ratio >= 0.99, (proto, flags, ratio)
		lost_by_the_link_only(senders)


@story("a flood of a million sources that the rules accept leaves known flows a hit ratio of 0.99")
def accepted_flood():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		lab.server.run("iptables -I INPUT -p udp --dport 9 -j DROP") # answers nobody
		vnf = Vnf(lab.router).start()
		with known_flows(lab) as senders:
			ratio = hit_ratio(vnf, senders, lambda: flood(lab, 4, dport=9, random=True))
			assert ratio >= 0.99, ratio
		lost_by_the_link_only(senders)


@story("more flows than max_flows4: those beyond stay with the kernel, counted, and none is lost")
def overrun():
	flows = 300
	with Routed() as lab:
		lab.protect(*ACCEPT)
		UdpEcho(lab.server, lab.server4, 7)
		vnf = Vnf(lab.router, max_flows4=100).start()
		with contextlib.ExitStack() as stack:
			clients = [stack.enter_context(Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM))
				   for _ in range(flows)]
			for _ in range(10):
				for client in clients:
					assert client.ask() == b"hello"
				time.sleep(0.1)
			offloaded = len(vnf.flows())
			assert 100 <= offloaded <= 200, offloaded # two entries a flow
			kernel = lab.passed_by_kernel(lambda: [client.ask() for client in clients])
			assert 2 * flows - 210 <= kernel <= 2 * flows - 90, kernel
		chain = vnf.show("chain")
		assert sum(value for key, value in chain.items() if "full" in key) > 0, chain


@story("flows that ended make room for new ones in a full table")
def room():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		lab.router.sysctl("netfilter.nf_conntrack_udp_timeout", 6)
		lab.router.sysctl("netfilter.nf_conntrack_udp_timeout_stream", 6)
		UdpEcho(lab.server, lab.server4, 7)
		Vnf(lab.router, max_flows4=100, lease_s=2).start()
		old = [Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) for _ in range(150)]
		for client in old * 4:
			client.ask()
		time.sleep(11)
		with Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as client:
			lab.wait_offloaded(client.ask)


if __name__ == "__main__":
	stories.main()
