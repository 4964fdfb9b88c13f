# SPDX-License-Identifier: BSD-2-Clause
# Memory: the row of what a connection costs in the kernel, both directions.
import glob
import json
import os
import subprocess

from lib.lab import Routed
from lib.vnf import Vnf

SMALL = 1000 # what does not grow with the tables is in this size too


def map_bytes(flows):
	"""What the kernel says the maps of an efw with room for so many IPv4 connections take."""
	with Routed() as lab:
		vnf = Vnf(lab.router, max_flows4=flows, max_flows6=SMALL).start()
		total = 0
		for path in glob.glob(vnf.pins()[0] + "/*"):
			shown = subprocess.run(["bpftool", "-j", "map", "show", "pinned", path],
					       capture_output=True, text=True, check=False)
			if shown.returncode == 0:
				total += int(json.loads(shown.stdout)["bytes_memlock"])
		return total


def measure(take):
	base = map_bytes(SMALL)

	def per_flow(flows):
		return (map_bytes(flows) - base) / (flows - SMALL)

	# A hash table has a power of two of buckets: just at one is the best case, just over the worst.
	take("efw.memory", per_flow(1000000), per_flow(1 << 20), per_flow((1 << 20) + 1))
	return []
