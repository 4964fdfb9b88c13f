# SPDX-License-Identifier: BSD-2-Clause
# Live: rows of packets that cross a router of veth pairs, netfilter alone against the same with efw.
#
#   client c0 ------ rl router rr ------ s0 server
#   generator        1000 rules, NAT        XDP drops
from lib import measure as cost
from lib.lab import Routed
from lib.vnf import Vnf

RULES = 1000
ROUNDS = 3 # each with netfilter alone and with efw, so that both see the machine as busy
WINDOWS = {"seconds": 2.8, "windows": 7}
BACKENDS = ("iptables-legacy", "iptables-nft")


def ruleset(established_first):
	"""Text for iptables-restore: 1000 rules that none of our packets match, before or behind the
	state rule, and MASQUERADE."""
	state = ["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"]
	others = ["-A FORWARD -s 172.16.%d.%d/32 -p tcp -m tcp --dport %d -j DROP" %
		  (n // 250, n % 250 + 1, 1024 + n) for n in range(RULES)]
	rules = state + others if established_first else others + state
	return "\n".join(["*filter", ":FORWARD DROP [0:0]", *rules,
			  "-A FORWARD -i rl -p tcp -m tcp --dport 80 -j ACCEPT", "COMMIT",
			  "*nat", ":POSTROUTING ACCEPT [0:0]", "-A POSTROUTING -o rr -j MASQUERADE",
			  "COMMIT", ""])


def rounds(backend, established_first):
	"""Yields CPU ns of a packet, above its making: of netfilter alone, and with efw."""
	with Routed() as lab:
		lab.router.run(backend + "-restore", input=ruleset(established_first))
		flow = cost.LiveFlow(lab)
		vnf = Vnf(lab.router)
		for _ in range(ROUNDS):
			floor = cost.generator_floor(lab, **WINDOWS)
			alone = flow.cost(**WINDOWS)["cpu_ns_per_packet"]
			vnf.start()
			flow.wait_offloaded()
			with_efw = flow.cost(**WINDOWS)["cpu_ns_per_packet"]
			vnf.stop()
			yield alone - floor, with_efw - floor


def measure(take):
	notes = []
	for name, established_first in (("efw.live.stateful1000", True), ("efw.live.every1000", False)):
		ratios = {}
		for backend in BACKENDS:
			costs = sorted(rounds(backend, established_first), key=lambda c: c[0] / c[1])
			ratios[backend] = [alone / efw for alone, efw in costs]
			notes.append("%s: %s: netfilter alone %.0f ns, with efw %.0f ns, %.1f times" % (
				name, backend, *costs[ROUNDS // 2], ratios[backend][ROUNDS // 2]))
		worst = min(ratios.values(), key=lambda all: all[ROUNDS // 2])
		take(name, worst[ROUNDS // 2], worst[0], worst[-1])
	return notes
