# SPDX-License-Identifier: BSD-2-Clause
# Learn: rows of how efw learns of connections: how soon, and how many a second.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.50           efw              10.2.0.50
import glob
import json
import os
import time

from bench.walk import conntrack_room
from lib import generator
from lib.lab import Routed, wait_until
from lib.vnf import ROOT, Vnf

CONNECTIONS = 2000 # opened one after the other
PARTS = 5          # of them, that spreads are told by
ROUNDS = 3
BURST_S, BURST_PPS = 5, 60000 # new flows, if the generator can
ROOM = 1000000

BENCH = os.path.join(ROOT, "build", "bench")
REFLECT = os.path.join(ROOT, "build", "obj", "tests", "bench", "reflect.bpf.o")


def lab_make():
	lab = Routed()
	lab.protect("-p tcp --dport 80", "-p udp --dport 9", ipv6=False)
	lab.neighbor(lab.router, "rl", lab.client_mac, "10.1.0.50")
	lab.neighbor(lab.router, "rr", lab.server_mac, "10.2.0.50")
	lab.router.ip("route add 11.0.0.0/8 via " + lab.client4)
	return lab


def percentile(values, share):
	return sorted(values)[int(share * (len(values) - 1))]


def lag(take):
	with lab_make() as lab:
		vnf = Vnf(lab.router).start()
		out = lab.router.run([os.path.join(BENCH, "lag"), lab.client.path, lab.server.path,
				      vnf.pins()[0], str(CONNECTIONS)], timeout_s=60)
	us = json.loads(out)
	parts = [us[part::PARTS] for part in range(PARTS)]
	for name, share in (("efw.offload.lag.p50", 0.5), ("efw.offload.lag.p99", 0.99)):
		spread = [percentile(part, share) / 1000 for part in parts]
		take(name, percentile(us, share) / 1000, min(spread), max(spread))


def run_s(process):
	"""CPU seconds of a process, all its threads."""
	total = 0
	for path in glob.glob("/proc/%d/task/*/schedstat" % process.pid):
		with open(path) as file:
			total += int(file.read().split()[0])
	return total / 1e9


def records(vnf):
	return int(vnf.namespace.run([os.path.join(BENCH, "records"), vnf.pins()[0]]))


def answered(lab):
	"""UDP flows that conntrack has seen a reply of."""
	listed = lab.router.run("conntrack -L -p udp", timeout_s=60)
	return sum("UNREPLIED" not in line for line in listed.splitlines())


def burst():
	"""Opens UDP flows for some seconds and waits until efw has the records of all that were
	answered. Returns how many a second one CPU of its own would keep up with."""
	with lab_make() as lab:
		vnf = Vnf(lab.router, max_flows4=ROOM).start()
		lab.server.run("ip link set dev s0 xdp object %s program reflect" % REFLECT)
		generator.drop_at(lab.client, "c0") # the answers
		idle_s, began = run_s(vnf.process), time.monotonic()
		time.sleep(BURST_S)
		idle_share = (run_s(vnf.process) - idle_s) / (time.monotonic() - began)
		busy_s, began = run_s(vnf.process), time.monotonic()
		generator.run(lab.client, "c0", seconds=BURST_S, pps=BURST_PPS,
			      **generator.through_router(lab, src="11.0.0.0", flows=ROOM, dport=9))
		flows = answered(lab)
		wait_until(lambda: records(vnf) >= 2 * flows, 20, "a record of each flow", every_s=0.2)
		busy_s = run_s(vnf.process) - busy_s - idle_share * (time.monotonic() - began)
	return flows * (1 - idle_share) / busy_s


def newflows(take):
	with conntrack_room(ROOM):
		each = sorted(burst() for _ in range(ROUNDS))
	take("efw.newflows", each[ROUNDS // 2], each[0], each[-1])


def measure(take):
	lag(take)
	newflows(take)
	return []
