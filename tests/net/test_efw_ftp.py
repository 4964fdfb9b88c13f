# SPDX-License-Identifier: BSD-2-Clause
# Stories of efw and FTP: data connections that conntrack's helper expects keep working.
#
#   client c0 ------ rl router rr ------ s0 server
#   10.1.0.2  10.1.0.1  efw    10.2.0.1  10.2.0.2
#                    MASQUERADE           vsftpd
import ftplib
import io
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import stories
from lib.lab import Routed
from lib.stories import story
from lib.traffic import Client, TcpServer, echo, pattern, wait_listening
from lib.vnf import Vnf

VSFTPD_CONF = """
listen=YES
background=NO
listen_address=%s
anonymous_enable=YES
no_anon_password=YES
anon_root=%s
anon_max_rate=0
local_enable=NO
connect_from_port_20=YES
secure_chroot_dir=%s
seccomp_sandbox=NO
xferlog_enable=NO
"""
SIZE = 2 << 20
SMALL = 100


def ftp_server(lab):
	"""vsftpd on the server, with two files for anonymous."""
	root, empty = (os.path.join(lab.directory, name) for name in ("ftp", "empty"))
	for directory in (root, empty):
		os.mkdir(directory, 0o555)
	for name, size in (("file", SIZE), ("small", SMALL)):
		with open(os.path.join(root, name), "wb") as file:
			file.write(pattern(size))
	conf = lab.file("vsftpd.conf", VSFTPD_CONF % (lab.server4, root, empty))
	process = lab.server.popen(["vsftpd", conf])
	wait_listening(lab.server, process, lab.server4, 21)


def firewall(lab, helper):
	"""Only the control connection is allowed by name; data connections only as RELATED."""
	lab.protect("-p tcp -m multiport --dports 7,21", ipv6=False)
	lab.router.run("iptables -t nat -A POSTROUTING -o rr -j MASQUERADE")
	if helper:
		lab.router.run("iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp")


def fetch(lab, passive, name="file"):
	"""Downloads a file; returns its bytes."""
	got = io.BytesIO()
	with lab.client.entered(): # so that ftplib's sockets are the client's
		ftp = ftplib.FTP(lab.server4, timeout=5)
		ftp.login()
		ftp.set_pasv(passive)
		ftp.retrbinary("RETR " + name, got.write)
		ftp.quit()
	return got.getvalue()


@story("FTP downloads work, passive and active, through NAT and the helper")
def downloads():
	stories.need("vsftpd")
	with Routed() as lab:
		firewall(lab, helper=True)
		ftp_server(lab)
		vnf = Vnf(lab.router).start()
		for passive in (True, False):
			for name, size in (("file", SIZE), ("small", SMALL)):
				assert fetch(lab, passive, name) == pattern(size), (passive, name)
		assert vnf.process.poll() is None


@story("the control connection that the helper reads stays with netfilter")
def control():
	stories.need("vsftpd")
	with Routed() as lab:
		firewall(lab, helper=True)
		ftp_server(lab)
		Vnf(lab.router).start()
		with lab.client.entered():
			ftp = ftplib.FTP(lab.server4, timeout=5)
			ftp.login()
		assert lab.passed_by_kernel(lambda: [ftp.voidcmd("NOOP") for _ in range(20)]) >= 40
		ftp.close()


@story("without the helper data connections are refused as before, and other flows are offloaded")
def no_helper():
	stories.need("vsftpd")
	with Routed() as lab:
		firewall(lab, helper=False)
		ftp_server(lab)
		TcpServer(lab.server, lab.server4, 7, echo)
		Vnf(lab.router).start()
		with Client(lab.client, lab.server4, 7) as client:
			lab.wait_offloaded(client.ask)
		for passive in (True, False):
			try:
				fetch(lab, passive)
			except ftplib.all_errors:
				continue
			raise AssertionError("a data connection passed")


if __name__ == "__main__":
	stories.main()
