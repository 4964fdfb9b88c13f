# SPDX-License-Identifier: BSD-2-Clause
# Generator: runs build/bench/gen, the live-frames generator, from a lab namespace.
import json
import os
import subprocess

from lib.stories import Skip
from lib.vnf import ROOT

PATH = os.path.join(ROOT, "build", "bench", "gen")
OBJECT = os.path.join(ROOT, "build", "obj", "tests", "bench", "gen.bpf.o")


def available():
	return os.access(PATH, os.X_OK)


def start(namespace, interface, sink=None, **options):
	"""Starts sending out of an interface; returns what result() takes.

	sink: (namespace, interface) where the frames that arrive are counted; options: those of
	`gen --help` with _ for -, True for one without a value.
	"""
	if not available():
		raise Skip("build/bench/gen is not built")
	words = [PATH, "--netns", namespace.name, "--interface", interface]
	if sink:
		words += ["--sink-netns", sink[0].name, "--sink-interface", sink[1]]
	for name, value in options.items():
		words.append("--" + name.replace("_", "-"))
		if value is not True:
			words.append(str(value))
	process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
	namespace.lab.processes.append(process)
	return process


def result(process):
	"""Waits for its end; returns sent, delivered, seconds, cpu_ns_per_packet, ... as a dict."""
	out, errors = process.communicate()
	if process.returncode:
		raise AssertionError("gen: exit %d: %s" % (process.returncode, errors))
	return json.loads(out)


def run(namespace, interface, **options):
	return result(start(namespace, interface, **options))


def through_router(lab, **options):
	"""The options of a frame from the lab's client through its router to its server."""
	return {"src": lab.client4, "dst": lab.server4, "src_mac": lab.client_mac,
		"dst_mac": lab.left_mac, **options}


def drop_at(namespace, interface):
	"""Drops, in XDP, all that arrives at an interface: the end of a measured path."""
	namespace.run(["ip", "link", "set", "dev", interface, "xdp", "object", OBJECT,
		       "program", "drop"])
