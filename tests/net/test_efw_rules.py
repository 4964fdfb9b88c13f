# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw and the rules: what changes them takes effect on offloaded flows, too.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#   fd01::2    fd01::1         fd02::1   fd02::2
import os
import socket
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import stories
from lib.lab import Routed, wait_until
from lib.stories import story
from lib.traffic import Client, TcpServer, UdpEcho, echo
from lib.vnf import Vnf

ACCEPT = ("-p tcp --dport 7", "-p udp --dport 7")
POLL_S = 0.5
NFT_S = 0.1
PATIENCE_S = 0.05 # what an answer may take on a busy machine before it counts as missing


def flow(lab, address=Routed.server4):
	"""A UDP flow to an echo, offloaded."""
	UdpEcho(lab.server, address, 7)
	client = Client(lab.client, address, 7, socket.SOCK_DGRAM, timeout_s=PATIENCE_S)
	lab.wait_offloaded(client.answers)
	return client


def cut_off(client, limit_s, says):
	"""The flow's last answered question must have been asked within limit_s of now."""
	began = time.monotonic()
	last, lost = began, 0
	while lost < 3: # one may be lost to a busy machine
		asked = time.monotonic()
		if client.answers():
			last, lost = asked, 0
		else:
			lost += 1
		assert last - began < limit_s + 2, "%s: not cut off" % says
	took = last - began
	assert took < limit_s, "%s: answered until %.3f s after the change" % (says, took)


def goes_on(lab, client, says):
	wait_until(client.answers, 2, says + ": goes on")
	lab.wait_offloaded(client.answers)


def blocked_and_back(lab, client, block, unblock, limit_s):
	time.sleep(0.2) # a change within 100 ms of another one may wait that long
	lab.router.run(block)
	cut_off(client, limit_s, block)
	lab.router.run(unblock)
	goes_on(lab, client, unblock)


@story("an iptables-nft rule that drops an offloaded flow takes effect within 100 ms")
def iptables_nft():
	with Routed() as lab:
		lab.protect(*ACCEPT, tables="iptables-nft")
		Vnf(lab.router).start()
		rule = "FORWARD -p udp --dport 7 -j DROP"
		for command, address in (("iptables-nft", lab.server4), ("ip6tables-nft", lab.server6)):
			with flow(lab, address) as client:
				blocked_and_back(lab, client, "%s -I %s" % (command, rule),
						 "%s -D %s" % (command, rule), NFT_S)


@story("an iptables-legacy rule that drops an offloaded flow takes effect within the poll")
def iptables_legacy():
	with Routed() as lab:
		lab.protect(*ACCEPT, tables="iptables-legacy")
		Vnf(lab.router, ruleset_poll_ms=500).start()
		rule = "FORWARD -p udp --dport 7 -j DROP"
		for command, address in (("iptables-legacy", lab.server4),
					 ("ip6tables-legacy", lab.server6)):
			with flow(lab, address) as client:
				blocked_and_back(lab, client, "%s -I %s" % (command, rule),
						 "%s -D %s" % (command, rule), POLL_S + NFT_S)


NFT_SET = """
table inet filter {
	set blocked { type ipv4_addr; }
	chain forward {
		type filter hook forward priority filter; policy drop;
		ip saddr @blocked drop
		ct state established,related accept
		iifname "rl" udp dport 7 accept
	}
}"""


@story("an address added to an nftables set that drops takes effect within 100 ms")
def nft_set():
	with Routed() as lab:
		lab.router.run("nft -f -", input=NFT_SET)
		Vnf(lab.router).start()
		element = "element inet filter blocked { %s }" % lab.client4
		with flow(lab) as client:
			blocked_and_back(lab, client, "nft add " + element, "nft delete " + element, NFT_S)


@story("a new nftables table that drops takes effect within 100 ms")
def nft_table():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		with flow(lab) as client:
			lab.router.run("nft -f -", input="""
				table inet other {
					chain c {
						type filter hook forward priority 10;
						udp dport 7 drop
					}
				}""")
			cut_off(client, NFT_S, "a table")
			lab.router.run("nft delete table inet other")
			goes_on(lab, client, "without the table")


@story("a route that leads elsewhere takes an offloaded flow along within 100 ms")
def routes():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		Vnf(lab.router).start()
		with flow(lab) as client:
			for route in ("blackhole %s" % lab.server4, "%s via 10.1.0.99" % lab.server4):
				blocked_and_back(lab, client, "ip route add " + route,
						 "ip route del " + route, NFT_S)


# Rules that decide by more than the connection: what show rules must name, the rule.
PER_PACKET = (
	("limit", "-m limit --limit 1000/second -j ACCEPT"),
	("hashlimit", "-m hashlimit --hashlimit-upto 1000/sec --hashlimit-name h -j ACCEPT"),
	("recent", "-m recent --set --name r"),
	("string", "-m string --algo bm --string forbidden -j DROP"),
	("length", "-m length --length 1000:1100 -j DROP"),
	("statistic", "-m statistic --mode random --probability 0.5 -m mark --mark 9 -j DROP"),
	("quota", "-m quota --quota 1000000000 -j ACCEPT"),
	("connbytes", "-m connbytes --connbytes 100000000: --connbytes-dir both "
		      "--connbytes-mode bytes -j DROP"),
	("time", "-m time --timestart 00:00 --timestop 23:59 -j ACCEPT"),
	("ttl", "-m ttl --ttl-lt 3 -j DROP"),
	("LOG", "-m limit --limit 1/hour -j LOG"),
	("NFQUEUE", "-p udp --dport 99 -j NFQUEUE --queue-bypass"),
	("u32", "-m u32 --u32 6&0xFF=1 -j DROP"),
)


@story("with a rule that decides per packet flows stay with netfilter, and show rules says why")
def per_packet():
	for tables in ("iptables-nft", "iptables-legacy"):
		with Routed() as lab:
			lab.protect(*ACCEPT, tables=tables, ipv6=False)
			vnf = Vnf(lab.router).start()
			with flow(lab) as client:
				for name, rule in PER_PACKET:
					lab.router.run("%s -I FORWARD 1 %s" % (tables, rule))
					wait_until(lambda: name.lower() in vnf.command("show", "rules").lower(),
						   POLL_S + 0.5, "%s: show rules names %s" % (tables, name))
					time.sleep(0.1)
					passed = lab.passed_by_kernel(lambda: client.chat(5))
					assert passed == 10, (tables, rule, passed)
					lab.router.run("%s -D FORWARD 1" % tables)
				goes_on(lab, client, "without such rules")


@story("a per-packet rule that no packet of the flow can meet keeps nothing from being offloaded")
def elsewhere():
	with Routed() as lab:
		lab.protect(*ACCEPT, ipv6=False)
		lab.router.run("iptables -A INPUT -m limit --limit 1/second -j ACCEPT")
		Vnf(lab.router).start()
		flow(lab).socket.close()


@story("a shaper, a tc filter, a routing rule or a netdev hook on the way keep flows with netfilter")
def path():
	changes = (
		("tc qdisc add dev rr root tbf rate 1gbit burst 100kb latency 50ms",
		 "tc qdisc del dev rr root"),
		("tc qdisc add dev rl root htb", "tc qdisc del dev rl root"),
		("ip rule add from 10.9.9.9 lookup 100", "ip rule del from 10.9.9.9 lookup 100"),
		("nft add table netdev hooks { chain c { type filter hook ingress device rl priority 0; "
		 "udp dport 4444 drop; } ; }", "nft delete table netdev hooks"),
	)
	with Routed() as lab:
		lab.protect(*ACCEPT)
		vnf = Vnf(lab.router).start()
		with flow(lab) as client:
			for change, back in changes:
				lab.router.run(change)
				wait_until(lambda: lab.passed_by_kernel(client.answers) == 2, 1,
					   change + ": back to the kernel")
				time.sleep(0.2)
				assert lab.passed_by_kernel(lambda: client.chat(5)) == 10, (
					change, vnf.command("show", "rules"))
				lab.router.run(back)
				goes_on(lab, client, back)


@story("a flow goes on unharmed while the rules change twenty times")
def many_changes():
	with Routed() as lab:
		lab.protect(*ACCEPT)
		TcpServer(lab.server, lab.server4, 7, echo)
		Vnf(lab.router).start()
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
			for _ in range(10):
				lab.router.run("iptables -A FORWARD -s 172.16.0.1 -j DROP")
				client.chat(10)
				lab.router.run("iptables -D FORWARD -s 172.16.0.1 -j DROP")
				client.chat(10)
			lab.wait_offloaded(client.ask)
		assert lab.client.segments_lost() <= 0


if __name__ == "__main__":
	stories.main()
