# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw coming and going: killed, restarted, reloaded, flushed, stopped; no packet is lost.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
import contextlib
import os
import socket
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import Client, Sender, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

ACCEPT = ("-p tcp --dport 7", "-p udp --dport 7")


@contextlib.contextmanager
def under_load(started=True, **keys):
	"""A lab with efw and a TCP and a UDP conversation, offloaded if it is started; yields (lab, vnf,
	senders). In the end nothing may have been lost."""
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 7, echo)
		UdpEcho(lab.server, lab.server4, 7)
		vnf = Vnf(lab.router, **keys)
		if started:
			vnf.start()
		with Client(lab.client, lab.server4, 7) as tcp, \
				Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM) as udp, \
				Sender(tcp) as tcp_sender, Sender(udp) as udp_sender:
			if started:
				wait_until(lambda: share(lab, 0.1) > 0.9, 5, "offload")
			yield lab, vnf, (tcp_sender, udp_sender)
		assert (tcp_sender.lost, udp_sender.lost) == (0, 0), (tcp_sender.lost, udp_sender.lost)
		for host in (lab.client, lab.server):
			assert host.segments_lost() <= 0, host.role


def share(lab, seconds=0.5):
	with lab.measured() as measured:
		time.sleep(seconds)
	return measured.fast_share


@story("efw starts under load, takes the flows over and loses no packet")
def started_under_load():
	for _ in range(3):
		with under_load(started=False) as (lab, vnf, _):
			time.sleep(0.2)
			vnf.start()
			wait_until(lambda: share(lab, 0.1) > 0.9, 5, "offload")


@story("after kill -9 offloaded flows go on for the lease, then by the kernel, and nothing is lost")
def killed():
	with under_load(lease_s=3) as (lab, vnf, _):
		vnf.kill9()
		assert share(lab, 1) > 0.9
		wait_until(lambda: share(lab, 0.2) < 0.05, 5, "the kernel takes over")
		assert share(lab, 1) < 0.05
		with Client(lab.client, lab.server4, 7) as client: # a new flow: the kernel's alone
			client.chat(5)


@story("with efw dead a blocked port stays blocked")
def killed_blocks():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 25, echo)
		vnf = Vnf(lab.router).start()
		vnf.kill9()
		with lab.client.socket() as probe:
			probe.settimeout(1.5)
			try:
				probe.connect((lab.server4, 25))
			except socket.timeout:
				return
		raise AssertionError("port 25 answered")


@story("a restart within the lease adopts the flows: they stay offloaded and nothing is lost")
def adopted():
	with under_load(lease_s=10) as (lab, vnf, _):
		generation = vnf.show("chain")["generation"]
		vnf.kill9()
		time.sleep(0.5)
		vnf.start()
		assert share(lab) > 0.9
		assert vnf.show("chain")["generation"] == generation, "\n".join(vnf.log)
		time.sleep(1)
		assert share(lab) > 0.9


@story("a restart after the lease ran out offloads again")
def after_the_lease():
	with under_load(lease_s=2) as (lab, vnf, _):
		vnf.kill9()
		wait_until(lambda: share(lab, 0.2) < 0.05, 5, "the kernel takes over")
		vnf.start()
		wait_until(lambda: share(lab, 0.2) > 0.9, 5, "the fast path takes over")


@story("a restart finds what changed meanwhile before it offloads anything")
def changed_meanwhile():
	for tables in ("iptables-nft", "iptables-legacy"):
		with Routed() as lab:
			lab.protect(*ACCEPT, tables=tables)
			UdpEcho(lab.server, lab.server4, 7)
			vnf = Vnf(lab.router, lease_s=30).start()
			with Client(lab.client, lab.server4, 7, socket.SOCK_DGRAM, timeout_s=0.1) as client:
				lab.wait_offloaded(client.answers)
				vnf.kill9()
				lab.router.run(tables + " -I FORWARD -p udp --dport 7 -j DROP")
				assert client.answers(), "the lease holds"
				vnf.start()
				assert not client.answers(), tables


@story("a clean stop gives every flow back to the kernel and leaves nothing attached or pinned")
def stopped():
	with under_load() as (lab, vnf, _):
		assert vnf.pins()
		assert vnf.stop() == 0
		assert share(lab) < 0.05
		assert vnf.pins() == []
		for port in ("rl", "rr"):
			assert "xdp" not in lab.router.run("ip link show " + port)
			for hook in ("ingress", "egress"):
				assert lab.router.run("tc filter show dev %s %s" % (port, hook)) == ""


@story("flush gives every flow back to the kernel, which may offload it again")
def flushed():
	with under_load() as (lab, vnf, _):
		before = lab.router.forwarded()
		vnf.command("flush")
		time.sleep(0.2)
		assert lab.router.forwarded() > before
		vnf.command("flush")
		time.sleep(0.5)


@story("a hundred reloads under load lose no packet", limit_s=400)
def reloaded():
	with under_load() as (lab, vnf, senders):
		for number in range(100):
			ready = vnf.times_ready()
			if number % 2:
				vnf.command("reload")
			else:
				vnf.process.send_signal(1) # SIGHUP
			wait_until(lambda: vnf.times_ready() > ready, 20, "reload %d" % number)
		assert vnf.process.poll() is None
		wait_until(lambda: share(lab, 0.2) > 0.9, 5, "offloaded again")
	assert all(sender.asked > 1000 for sender in senders), [sender.asked for sender in senders]


@story("a reload with a wrong configuration changes nothing and goes on")
def wrong_reload():
	with under_load() as (lab, vnf, _):
		with open(vnf.conf, "a") as conf:
			conf.write("no_such_key = 1;\n")
		vnf.process.send_signal(1)
		time.sleep(1)
		assert vnf.process.poll() is None
		assert share(lab) > 0.9
		assert any("no_such_key" in line for line in vnf.log), vnf.log


@story("a second efw of the same name refuses to start and changes nothing")
def second():
	with under_load() as (lab, vnf, _):
		again = lab.router.popen([vnf.path, "run", "-c", vnf.conf], stderr=-3)
		assert again.wait(10) == 1
		assert share(lab) > 0.9


@story("efw check finds a wrong configuration, says where, and ends with 2")
def checked():
	with Routed() as lab:
		vnf = Vnf(lab.router)
		vnf.command("check")
		for wrong, says in (("no_such_key = 1;", "no_such_key"), ("lease_s = \"long\";", "lease_s"),
				    ("max_flows4 = 99999999999;", "max_flows4")):
			conf = lab.file("wrong.conf", "name = \"wrong\";\nports = ( { interface = \"rl\"; } );\n"
					+ wrong + "\n")
			ran = lab.router.popen([vnf.path, "check", "-c", conf], stderr=-1, text=True)
			_, said = ran.communicate(timeout=10)
			assert ran.returncode == 2 and "wrong.conf:3" in said and says in said, said


if __name__ == "__main__":
	stories.main()
