# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw and conntrack: what the kernel knows of a connection stays true while XDP carries it.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
import os
import socket
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import packets, stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import Client, Conversation, Peer, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

ACCEPT = ("-p tcp --dport 7", "-p udp --dport 7", "-p tcp --dport 80")
GIB = 1 << 30
LEASE_S = 2 # a connection that may end within the lease is not offloaded


def entries(lab, **fields):
	return [entry for entry in lab.router.conntrack()
		if all(entry.get(name) == value for name, value in fields.items())]


def deleted(arguments):
	"""Flows that no rule would accept anew end within 100 ms when conntrack forgets them."""
	with Routed() as lab:
		lab.protect(*ACCEPT)
		lab.router.sysctl("netfilter.nf_conntrack_tcp_loose", 0)
		TcpServer(lab.server, lab.server4, 7, echo)
		Vnf(lab.router).start()
		clients = [Client(lab.client, lab.server4, 7, timeout_s=0.5) for _ in range(3)]
		for client in clients:
			lab.wait_offloaded(client.ask)
		lab.router.run("conntrack " + arguments)
		time.sleep(0.1)
		with lab.server.capture("s0") as capture:
			assert not any(client.answers() for client in clients)
			time.sleep(0.3)
			assert capture.matching(dport=7) == [], "packets passed"


@story("conntrack -D of a connection takes effect on the fast path within 100 ms")
def delete():
	deleted("-D -p tcp --dport 7")


@story("conntrack -F takes effect on the fast path within 100 ms")
def flush():
	deleted("-F")


def timeouts(lab, seconds):
	"""An idle TCP or UDP connection of the router lives this long."""
	for kind in ("udp_timeout", "udp_timeout_stream", "tcp_timeout_established",
		     "tcp_timeout_unacknowledged", "tcp_timeout_max_retrans"):
		lab.router.sysctl("netfilter.nf_conntrack_" + kind, seconds)


@story("an active offloaded connection never times out")
def active():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		timeouts(lab, 12)
		TcpServer(lab.server, lab.server4, 7, echo)
		UdpEcho(lab.server, lab.server4, 7)
		Vnf(lab.router, lease_s=LEASE_S).start()
		with Client(lab.client, lab.server4, 7) as tcp, \
				Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as udp:
			for client in (tcp, udp):
				lab.wait_offloaded(client.ask)
			ids = {entry["id"] for entry in entries(lab, dport=7)}
			assert len(ids) == 2, ids
			with lab.measured() as measured:
				until = time.monotonic() + 30
				while time.monotonic() < until:
					tcp.ask()
					udp.ask()
					time.sleep(0.25)
					now = {entry["id"] for entry in entries(lab, dport=7)}
					assert now == ids, (now, ids)
			assert measured.fast_share > 0.9, measured.fast_share


def idle(kind, serve, configure=timeouts, must_offload=True):
	timeout_s = 6
	with Routed() as lab:
		lab.protect(*ACCEPT)
		configure(lab, timeout_s)
		serve(lab)
		Vnf(lab.router, lease_s=LEASE_S).start()
		with Client(lab.client, lab.server4, 7, kind) as client:
			if must_offload:
				lab.wait_offloaded(client.ask)
			until = time.monotonic() + timeout_s + 2 # longer than its timeout
			while time.monotonic() < until:
				client.ask()
				time.sleep(0.2)
			last = time.monotonic()
			_, took = wait_until(lambda: not entries(lab, dport=7), timeout_s + 8,
					     "the idle connection ends", every_s=0.1)
		took = time.monotonic() - last
		assert timeout_s - 1.1 < took < timeout_s + 2.1, took # looked at every 0.1 s


@story("an idle offloaded UDP connection ends within 2 s of the configured timeout")
def idle_udp():
	idle(socket.SOCK_DGRAM, lambda lab: UdpEcho(lab.server, lab.server4, 7))


@story("an idle offloaded TCP connection ends within 2 s of the configured timeout")
def idle_tcp():
	idle(socket.SOCK_STREAM, lambda lab: TcpServer(lab.server, lab.server4, 7, echo))


@story("an idle connection under a timeout policy, offloaded or not, ends within 2 s of that policy's timeout")
def idle_policy():
	def policy(lab, seconds):
		lab.router.run("nft -f -", input="""
			table ip policies {
				ct timeout short {
					protocol udp; l3proto ip;
					policy = { replied : %d };
				}
				chain c {
					type filter hook prerouting priority 0;
					udp dport 7 ct timeout set "short"
				}
			}""" % seconds)

	idle(socket.SOCK_DGRAM, lambda lab: UdpEcho(lab.server, lab.server4, 7), policy, False)


def offloaded_conversation(lab):
	client, server = Peer.client(lab), Peer.server(lab)
	talk = Conversation(client, server)
	talk.__enter__()
	lab.closers.append(talk.__exit__)
	talk.open()
	lab.wait_offloaded(lambda: (talk.say(client, b"one"), talk.say(server, b"two")))
	return talk


def far_ahead(talk, rounds):
	"""Moves the client's sequence numbers on by rounds * 1 GiB, all of it by the fast path, and
	takes the time that would take at 10 Gbit/s."""
	for number in range(rounds):
		talk.seq[talk.client] += GIB
		talk.say(talk.client, b"far %d" % number)
		talk.say(talk.server, b"seen %d" % number)
		time.sleep(0.85)


@story("netfilter alone takes sequence numbers 1 GiB ahead for invalid")
def control():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		client, server = Peer.client(lab), Peer.server(lab)
		with Conversation(client, server) as talk:
			talk.open()
			talk.say(client, b"one")
			talk.say(server, b"two")
			talk.seq[client] += GIB
			client.send(talk.segment(client, b"far"))
			time.sleep(0.3)
			assert talk.at_server.matching(data=b"far") == []


@story("a RST after 3 GiB of offloaded bytes is valid, passes and ends the connection")
def late_rst():
	for sender_is_client in (True, False):
		with Routed() as lab:
			lab.protect(*ACCEPT)
			Vnf(lab.router).start()
			talk = offloaded_conversation(lab)
			kernel = lab.router.forwarded()
			far_ahead(talk, 3)
			assert lab.router.forwarded() == kernel
			sender = talk.client if sender_is_client else talk.server
			capture = talk.at_server if sender_is_client else talk.at_client
			sender.send(talk.segment(sender, flags=packets.RST | packets.ACK))
			capture.wait(flags=packets.RST | packets.ACK)
			wait_until(lambda: entries(lab, dport=80)[0]["state"] == "CLOSE", 1, "state CLOSE")


@story("a FIN after 3 GiB of offloaded bytes is valid, passes and closes the connection")
def late_fin():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		talk = offloaded_conversation(lab)
		far_ahead(talk, 3)
		for sender, capture in ((talk.client, talk.at_server), (talk.server, talk.at_client)):
			sender.send(talk.segment(sender, flags=packets.FIN | packets.ACK))
			capture.wait(flags=packets.FIN | packets.ACK)
		talk.client.send(talk.segment(talk.client, flags=packets.ACK))
		wait_until(lambda: entries(lab, dport=80)[0]["state"] == "TIME_WAIT", 1, "TIME_WAIT")


@story("a connection that closes is known as closed and leaves no flow behind")
def closed():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 7, echo)
		vnf = Vnf(lab.router).start()
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			assert len(vnf.flows()) == 2, vnf.flows()
		wait_until(lambda: entries(lab, dport=7)[0]["state"] == "TIME_WAIT", 1, "TIME_WAIT")
		assert vnf.flows() == []


@story("connections born before efw are offloaded, and their end is noticed")
def born_before():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 7, echo)
		with Client(lab.client, lab.server4, 7, timeout_s=0.5) as client:
			client.chat(3)
			lab.router.sysctl("netfilter.nf_conntrack_tcp_loose", 0)
			Vnf(lab.router, resync_ms=1000).start()
			lab.wait_offloaded(client.ask)
			lab.router.run("conntrack -D -p tcp --dport 7")
			wait_until(lambda: not client.answers(), 3, "the end is noticed")


@story("the global liberal switch and the state of connections are left as they were")
def switches():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 7, echo)
		Vnf(lab.router).start()
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			assert lab.router.sysctl("netfilter.nf_conntrack_tcp_be_liberal") == "0"
			assert entries(lab, dport=7)[0]["state"] == "ESTABLISHED"


if __name__ == "__main__":
	stories.main()
