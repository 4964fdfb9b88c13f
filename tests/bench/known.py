# SPDX-License-Identifier: BSD-2-Clause
# Known: rows of packets whose flow has an entry, from build/bench/known.
import json
import subprocess

from lib.vnf import ROOT

PATH = ROOT + "/build/bench/known"


def measure(take):
	done = subprocess.run([PATH], stdout=subprocess.PIPE, check=True, timeout=300)
	rows = {row["name"]: [row[key] for key in ("value", "low", "high")]
		for row in json.loads(done.stdout)}
	take("floor", *rows["floor.b_ns"])
	for name, row in rows.items():
		if name.startswith("efw.") and not name.endswith("_ns"):
			take(name, *row)
	return [
		"known: the floor against itself: %.3f [%.3f, %.3f]. The wrapper alone, in every figure: "
		"%.1f ns." % (*rows["known.same"], rows["floor.a_ns"][0])] + [
		"known: %s: floor %.1f ns, entry %.1f ns; without the wrapper's %.1f ns: x %.2f" % (
			name, rows[name + ".a_ns"][0], rows[name + ".b_ns"][0], rows["floor.a_ns"][0],
			(rows[name + ".b_ns"][0] - rows["floor.a_ns"][0]) /
			(rows[name + ".a_ns"][0] - rows["floor.a_ns"][0]))
		for name in rows if name.startswith("efw.") and not name.endswith("_ns")]
