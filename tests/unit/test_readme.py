#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
# README.md: what it shows is run, as far as that needs no root; what needs root must at least exist.
import os
import re
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
README = open("README.md").read()


def shell_blocks():
	return re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)


def commands():
	"""Every command shown in a block, with the output shown below it: `$ COMMAND` has one, others have none."""
	for block in shell_blocks():
		if not re.search(r"^\$ ", block, re.M):
			yield from ((line.split("  #")[0].strip(), None) for line in block.splitlines() if line.strip())
			continue
		for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
			command, _, output = part.partition("\n")
			yield command.strip(), output


def run(command):
	return subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
		stderr=subprocess.STDOUT, text=True, timeout=50)


def make_targets():
	return set(re.findall(r"^  make ([a-z-]+)", run("make help").stdout, re.M))


def test_begins_with_two_commands():
	first = [re.split(r"\s+#", line)[0] for line in shell_blocks()[0].splitlines()]
	assert first == ["sudo make demo", "sudo make test"], first
	assert README.index("```sh") < 40, "something stands before them"


def test_targets_exist():
	targets = make_targets()
	shown = set(re.findall(r"`(?:sudo )?make ([a-z-]+)", README))
	shown |= {match[1] for command, _ in commands() if (match := re.match(r"(?:sudo )?make ([a-z-]+)", command))}
	assert shown and shown <= targets, shown - targets


def test_commands_say_what_is_shown():
	"""An output line `...` stands for any lines."""
	for command, shown in commands():
		if shown is None or command.startswith("sudo "):
			continue
		program = command.split()[0]
		if program.startswith("build/") and not os.path.exists(program):
			return "%s is not built" % program
		said = run(command)
		assert said.returncode == 0, "%s: exit code %d: %s" % (command, said.returncode, said.stdout)
		lines = [".*" if line == "..." else re.escape(line + "\n") for line in shown.splitlines()]
		assert re.fullmatch("".join(lines), said.stdout, re.S), "%s says:\n%s" % (command, said.stdout)
	return None


def test_subcommands_exist():
	for command, _ in commands():
		match = re.match(r"sudo (?:build/bin/)?(e[a-z]+) ([a-z]+)", command)
		if not match:
			continue
		if not os.path.exists("build/bin/" + match[1]):
			return "build/bin/%s is not built" % match[1]
		assert re.search(r"\b%s\b" % match[2], run("build/bin/%s --help" % match[1]).stdout), command
	return None


def test_links_lead_somewhere():
	for target in re.findall(r"\]\(([^)#]+)", README):
		assert target.startswith("http") or os.path.exists(target), target


TESTS = [
	("README begins with the demo and the tests", test_begins_with_two_commands),
	("every make target that README names exists", test_targets_exist),
	("every command shown that needs no root says what README shows", test_commands_say_what_is_shown),
	("every command shown that needs root is a command of its program", test_subcommands_exist),
	("every link of README leads to a file", test_links_lead_somewhere),
]


def main():
	passed = failed = skipped = 0
	for sentence, test in TESTS:
		try:
			missing = test()
		except Exception as error:  # a test that breaks has failed, the others go on
			failed += 1
			print("FAIL %s: %s: %s" % (sentence, type(error).__name__, error))
			continue
		skipped += bool(missing)
		passed += not missing
		print("skip %s: %s" % (sentence, missing) if missing else "ok   %s" % sentence)
	print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
	sys.exit(1 if failed else 0)


if __name__ == "__main__":
	main()
