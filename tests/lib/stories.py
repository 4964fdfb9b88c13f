# SPDX-License-Identifier: BSD-2-Clause
# Stories: tests whose name is a sentence; runs those of a file, a line each, and adds them up.
import os
import shutil
import signal
import sys
import time
import traceback

_stories = []


class Skip(Exception):
	"""Raised by a story that cannot be told here; the text says what is missing."""


class TooSlow(BaseException):
	"""A story ran over its time. Not an Exception: no retry loop may swallow it."""


def story(sentence, limit_s=60):
	"""Registers the decorated function as a story that is true when it returns.

	sentence: its name; limit_s: seconds after which it counts as failed.
	"""
	def register(function):
		_stories.append((sentence, function, limit_s))
		return function
	return register


def need(*commands):
	"""Skips the story unless every command is installed; with STRICT=1 it fails instead."""
	for command in commands:
		if shutil.which(command) is None:
			if os.environ.get("STRICT") == "1":
				raise AssertionError("%s is not installed" % command)
			raise Skip("%s is not installed" % command)


def _stop(signum, _frame):
	raise KeyboardInterrupt(signal.Signals(signum).name)


def catch_signals():
	"""Turns SIGTERM and SIGHUP into KeyboardInterrupt, so that `with` blocks clean up."""
	for signum in (signal.SIGTERM, signal.SIGHUP):
		signal.signal(signum, _stop)


def _run_one(function, limit_s):
	def expire(_signum, _frame):
		raise TooSlow("took longer than %d s" % limit_s)

	signal.signal(signal.SIGALRM, expire)
	signal.alarm(limit_s)
	try:
		function()
	except Skip as skip:
		return "skip", str(skip), None
	except (Exception, TooSlow) as error:
		return "FAIL", "%s: %s" % (type(error).__name__, error), traceback.format_exc()
	finally:
		signal.alarm(0)
	return "ok", "", None


def main():
	"""Runs the stories registered so far, those whose sentence contains argv[1] if there is one.

	Prints a line per story and `N passed, N failed, N skipped`; exits 1 if one failed, 2 if run
	without root.
	"""
	if os.geteuid() != 0:
		sys.exit("these stories build network namespaces: run them as root")
	catch_signals()
	wanted = sys.argv[1] if len(sys.argv) > 1 else ""
	sums = {"ok": 0, "FAIL": 0, "skip": 0}
	for sentence, function, limit_s in _stories:
		if wanted not in sentence:
			continue
		began = time.monotonic()
		result, why, trace = _run_one(function, limit_s)
		sums[result] += 1
		took = "%.1f s" % (time.monotonic() - began)
		print("%-4s %s (%s)%s" % (result, sentence, took, ": " + why if why else ""))
		if trace:
			print(trace, file=sys.stderr)
		sys.stdout.flush()
	print("%d passed, %d failed, %d skipped" % (sums["ok"], sums["FAIL"], sums["skip"]))
	sys.exit(1 if sums["FAIL"] else 0)
