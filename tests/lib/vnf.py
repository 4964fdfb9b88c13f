# SPDX-License-Identifier: BSD-2-Clause
# Vnf: one of the project's binaries running in a lab namespace, and what it shows.
import json
import os
import shutil
import subprocess
import threading

from lib.lab import stop_process, wait_until
from lib.stories import Skip

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BPFFS = "/sys/fs/bpf"


def libconfig(value):
	"""A Python value in libconfig's words: dicts are groups, lists are lists."""
	if isinstance(value, bool):
		return "true" if value else "false"
	if isinstance(value, (int, float)):
		return str(value)
	if isinstance(value, dict):
		return "{ " + " ".join("%s = %s;" % (k, libconfig(v)) for k, v in value.items()) + " }"
	if isinstance(value, (list, tuple)):
		return "( " + ", ".join(libconfig(item) for item in value) + " )"
	return '"%s"' % value.replace("\\", "\\\\").replace('"', '\\"')


class Vnf:
	"""build/bin/<binary> in a namespace; the Lab ends it and removes what it pinned."""

	def __init__(self, namespace, binary="efw", ports=("rl", "rr"), **keys):
		"""keys: further config keys, e.g. lease_s=3."""
		self.path = os.path.join(ROOT, "build", "bin", binary)
		if not os.access(self.path, os.X_OK):
			raise Skip("build/bin/%s is not built" % binary)
		self.namespace, self.process, self.log = namespace, None, []
		self.name = namespace.lab.name.replace("-", "x")
		conf = {"name": self.name, "ports": [{"interface": port} for port in ports], **keys}
		self.conf = namespace.lab.file(self.name + ".conf", "".join(
			"%s = %s;\n" % (key, libconfig(value)) for key, value in conf.items()))
		namespace.lab.closers.append(self._remove)

	def start(self, timeout_s=20):
		"""Runs it and waits for `ready`; returns itself."""
		self.log = []
		self.process = self.namespace.popen([self.path, "run", "-c", self.conf],
						    stderr=subprocess.PIPE, text=True)
		threading.Thread(target=self._read, args=(self.process, self.log),
				 daemon=True).start()
		wait_until(self._ready, timeout_s, "%s ready" % self.path)
		return self

	@staticmethod
	def _read(process, log):
		for line in process.stderr:
			log.append(line.rstrip())

	def times_ready(self):
		"""How often it has said so: once, and once for every reload."""
		return sum(line.endswith(": ready") for line in self.log)

	def _ready(self):
		if self.times_ready():
			return True
		if self.process.poll() is not None:
			raise AssertionError("%s ended with %d before it was ready: %s" % (
				self.path, self.process.returncode, "\n".join(self.log)))
		return False

	def stop(self):
		"""A clean stop; returns the exit status."""
		return stop_process(self.process, grace_s=10)

	def kill9(self):
		self.process.kill()
		self.process.wait()

	def command(self, *words):
		"""Runs `<binary> words -c conf`; returns stdout."""
		return self.namespace.run([self.path, *words, "-c", self.conf])

	def show(self, what):
		"""`show what --json`, parsed."""
		return json.loads(self.command("show", what, "--json"))

	def flows(self):
		return self.show("flows")["flows"]

	def ports(self):
		"""The sums over all ports of what `show ports` counts."""
		sums = {}
		for port in self.show("ports")["ports"]:
			for key, value in port.items():
				if not isinstance(value, str):
					sums[key] = sums.get(key, 0) + value
		return sums

	def reason(self, name):
		"""Packets counted under a reason such as HIT or NEW_FLOW."""
		return self.show("counters")[name]["packets"]

	def pins(self):
		"""The pin directories of this instance, one per version."""
		found = []
		root = os.path.join(BPFFS, "evnf")
		for version in os.listdir(root) if os.path.isdir(root) else ():
			path = os.path.join(root, version, self.name)
			if os.path.isdir(path):
				found.append(path)
		return found

	def _remove(self):
		if self.process:
			stop_process(self.process)
		for path in self.pins():
			shutil.rmtree(path, ignore_errors=True)
