# SPDX-License-Identifier: BSD-2-Clause
# Walk: rows of packets that efw knows no connection of: they walk, and then the kernel decides.
#
#   client c0 ------ rl router rr ------ s0 server
#   generator        usual rules, no NAT    XDP drops
import contextlib
import os

from lib import generator
from lib.lab import Routed
from lib.vnf import ROOT, Vnf

HELD = 1000000 # connections in all tables, in the second row
ROUNDS = 5
WINDOWS = {"seconds": 2.8, "windows": 7, "warmup": 0.5}
LIMITS = "/proc/sys/net/netfilter/nf_conntrack_"
ROOM = 4000000 # entries: no new flow is turned away while windows are measured

# Nearly every packet is the first of its flow: 2^24 sources, drawn at random; nobody answers.
NEW = {"src": "11.0.0.0", "flows": 1 << 24, "random": True, "dport": 9}
# Those that build/bench/fill made.
EXISTING = {"proto": "tcp", "src": "10.0.0.0", "sport": 1024, "ports": 16, "dst": "192.0.2.1",
	    "dport": 443, "flows": HELD, "random": True}


@contextlib.contextmanager
def conntrack_room(entries):
	"""Conntrack takes so many in all namespaces, in a hash table as large, as is its default."""
	before = {}
	for limit in ("max", "buckets"):
		with open(LIMITS + limit) as file:
			before[limit] = file.read()
	try:
		for limit in before:
			with open(LIMITS + limit, "w") as file:
				file.write(str(max(entries, int(before[limit]))))
		yield
	finally:
		for limit, value in before.items():
			with open(LIMITS + limit, "w") as file:
				file.write(value)


def lab_make():
	lab = Routed()
	lab.protect("-p udp --dport 9", "-p tcp --dport 443", ipv6=False)
	lab.router.ip("route add 192.0.2.0/24 via " + lab.server4)
	return lab


def packet_ns(lab, sink):
	"""CPU ns of a new flow's packet that is dropped as it arrives at `sink`, its making
	included. Conntrack forgets the flows of the last time first."""
	lab.router.run(["sh", "-c", "conntrack -D -p udp >/dev/null 2>&1 || true"], timeout_s=60)
	generator.drop_at(*sink)
	try:
		done = generator.run(lab.client, "c0", sink=sink,
				     **generator.through_router(lab, **WINDOWS, **NEW))
	finally:
		sink[0].run("ip link set dev %s xdp off" % sink[1])
	return done["cpu_ns_per_packet"]


def teach(vnf):
	"""Sends packets of the connections that conntrack holds until (nearly) each has its flow entry.
	"""
	lab = vnf.namespace.lab
	for _ in range(40):
		hits = vnf.reason("HIT")
		sent = generator.run(lab.client, "c0", seconds=3,
				     **generator.through_router(lab, **EXISTING))["sent"]
		if vnf.reason("HIT") - hits > 0.99 * sent:
			return
	raise AssertionError("not all of %d connections in conntrack got a flow entry" % HELD)


def rounds(vnf, prepare=lambda vnf: None):
	"""Yields CPU ns of a packet above its making: by the kernel alone, and with efw before it."""
	lab = vnf.namespace.lab
	for _ in range(ROUNDS):
		floor = packet_ns(lab, (lab.router, "rl"))
		alone = packet_ns(lab, (lab.server, "s0"))
		vnf.start(timeout_s=120)
		prepare(vnf)
		with_efw = packet_ns(lab, (lab.server, "s0"))
		vnf.stop()
		yield alone - floor, with_efw - floor


def row(take, name, costs):
	costs = sorted(costs, key=lambda cost: cost[1] / cost[0])
	ratios = [efw / alone for alone, efw in costs]
	take(name, ratios[ROUNDS // 2], ratios[ROUNDS // 4], ratios[-1 - ROUNDS // 4])
	return "%s: kernel alone %.0f ns, walk and kernel %.0f ns" % (name, *costs[ROUNDS // 2])


def measure(take):
	with conntrack_room(ROOM):
		with lab_make() as lab:
			vnf = Vnf(lab.router, max_flows4=HELD)
			notes = [row(take, "efw.walk.new.empty", rounds(vnf))]
		with lab_make() as lab:
			vnf = Vnf(lab.router, max_flows4=HELD, inserts_per_s=10000000)
			lab.router.run([os.path.join(ROOT, "build", "bench", "fill"), str(HELD)])
			notes.append(row(take, "efw.walk.new.full", rounds(vnf, teach)))
	return notes
