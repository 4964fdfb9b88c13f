// SPDX-License-Identifier: BSD-2-Clause
// Rulesets: what an established packet may meet keeps its flows with netfilter, nothing else does.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util/cleanup.h"
#include "efw/finding.h"
#include "efw/ruleset.h"

#define NONE 0
#define TCP4 FINDING_TCP4
#define UDP4 FINDING_UDP4
#define IP4 FINDING_IP4
#define IP6 FINDING_IP6
#define TCP (FINDING_TCP4 | FINDING_TCP6)
#define ALL FINDING_ALL

#define EST "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
#define LOG "-A FORWARD -j LOG --log-prefix \"x \"\n"
#define TEXT_BYTES (1 << 20)

/* Rules of one table of iptables, the chains of their own first; why: of the first finding. */
struct case_iptables {
	const char *says, *table, *rules;
	uint8_t touches;
	const char *why;
};

static const struct case_iptables iptables_cases[] = {
	{ "an empty table offloads all", "filter", "", NONE, NULL },
	{ "an accept of established ends the walk", "filter", EST LOG, NONE, NULL },
	{ "a log before it is met", "filter", LOG EST, IP4, "records each packet" },
	{ "a log of new connections is not met", "filter",
	  "-A FORWARD -m conntrack --ctstate NEW -j LOG\n" EST, NONE, NULL },
	{ "a log of related connections is not met", "filter",
	  "-A FORWARD -m conntrack --ctstate RELATED -j LOG\n" EST, NONE, NULL },
	{ "a log of invalid packets is not met", "filter",
	  "-A FORWARD -m conntrack --ctstate INVALID -j LOG\n" EST, NONE, NULL },
	{ "the old state match is the same", "filter",
	  "-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n" LOG, NONE, NULL },
	{ "what is not NEW or INVALID is established", "filter",
	  "-A FORWARD -m conntrack ! --ctstate INVALID,NEW -j ACCEPT\n" LOG, NONE, NULL },
	{ "what is not established is not met", "filter",
	  "-A FORWARD -m conntrack ! --ctstate ESTABLISHED -j LOG\n", NONE, NULL },
	{ "a state not known is not trusted", "filter",
	  "-A FORWARD -m conntrack --ctstate STRANGE -j ACCEPT\n", IP4, "state that is not known" },
	{ "a state without a value is not trusted", "filter",
	  "-A FORWARD -m conntrack --ctstate -j ACCEPT\n", IP4, "state that is not known" },
	{ "an accept on one port does not end the walk for others", "filter",
	  "-A FORWARD -i eth0 -m conntrack --ctstate ESTABLISHED -j ACCEPT\n" LOG, IP4,
	  "records each packet" },
	{ "an accept of TCP ends the walk of TCP", "filter",
	  "-A FORWARD -p tcp -m conntrack --ctstate ESTABLISHED -j ACCEPT\n" LOG, UDP4,
	  "records each packet" },
	{ "a rule for TCP touches TCP", "filter", "-A FORWARD -p tcp -m tcp --dport 80 -j LOG\n",
	  TCP4, "records each packet" },
	{ "a rule for all but TCP touches UDP", "filter", "-A FORWARD ! -p tcp -j LOG\n", UDP4,
	  "records each packet" },
	{ "a rule for ICMP is not met", "filter",
	  "-A FORWARD -p icmp -m icmp --icmp-type 8 -m limit --limit 1/sec -j ACCEPT\n", NONE,
	  NULL },
	{ "SYN packets are the kernel's", "filter",
	  "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 1/sec -j "
	  "ACCEPT\n",
	  NONE, NULL },
	{ "all but SYN packets are met", "filter",
	  "-A FORWARD -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j LOG\n", TCP4,
	  "records each packet" },
	{ "every packet has ACK", "filter",
	  "-A FORWARD -p tcp -m tcp --tcp-flags ACK ACK -j ACCEPT\n" LOG, UDP4,
	  "records each packet" },
	{ "a null scan has no ACK", "filter",
	  "-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE -j LOG\n", NONE,
	  NULL },
	{ "PSH differs from packet to packet", "filter",
	  "-A FORWARD -p tcp -m tcp --tcp-flags PSH PSH -j DROP\n", TCP4, "TCP flags" },
	{ "TCP options differ from packet to packet", "filter",
	  "-A FORWARD -p tcp -m tcp --tcp-option 5 -j DROP\n", TCP4, "TCP options" },
	{ "a clamp of SYN packets is not met", "mangle",
	  "-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n", NONE,
	  NULL },
	{ "a clamp of all packets is met", "mangle", "-A FORWARD -p tcp -j TCPMSS --set-mss 900\n",
	  TCP4, "changes each packet" },
	{ "addresses, ports and comments are the same each time", "filter",
	  "-A FORWARD -s 10.0.0.0/8 ! -d 10.1.0.0/16 -i a -o b -p tcp -m tcp --sport 1:9 -m "
	  "multiport --dports 80,443 -m comment --comment \"a -j \\\"b\\\"\" -m iprange "
	  "--src-range "
	  "10.0.0.1-10.0.0.9 -m addrtype --dst-type LOCAL -m mark --mark 0x1 -j DROP\n",
	  NONE, NULL },
	{ "a comment may look like a target", "filter",
	  "-A FORWARD -m comment --comment -j -j LOG\n", IP4, "records each packet" },
	{ "limit decides by rate", "filter", "-A FORWARD -m limit --limit 5/sec -j ACCEPT\n", IP4,
	  "rate over time" },
	{ "limit counts established packets even of a rule for new ones", "filter",
	  "-A FORWARD -m limit --limit 5/sec -m conntrack --ctstate NEW -j ACCEPT\n", IP4,
	  "rate over time" },
	{ "limit behind the state of new ones counts only those", "filter",
	  "-A FORWARD -m conntrack --ctstate NEW -m limit --limit 5/sec -j ACCEPT\n", NONE, NULL },
	{ "recent remembers without a target", "filter",
	  "-A FORWARD -m recent --set --name x --mask 255.255.255.255 --rsource\n", IP4,
	  "remembers" },
	{ "length before the state of new ones does nothing", "filter",
	  "-A FORWARD -m length --length 9 -m conntrack --ctstate NEW -j DROP\n", NONE, NULL },
	{ "length decides by the packet", "filter", "-A FORWARD -m length --length 9 -j DROP\n",
	  IP4, "length of each packet" },
	{ "hashlimit", "filter",
	  "-A FORWARD -m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 5 --hashlimit-name a "
	  "-j "
	  "ACCEPT\n",
	  IP4, "rate over time" },
	{ "string", "filter", "-A FORWARD -m string --string \"-m\" --algo bm --to 65535 -j DROP\n",
	  IP4, "bytes of each packet" },
	{ "statistic", "filter",
	  "-A FORWARD -m statistic --mode random --probability 0.5 -j DROP\n", IP4, "chance" },
	{ "quota", "filter", "-A FORWARD -m quota --quota 9 -j ACCEPT\n", IP4, "bytes carried" },
	{ "connbytes", "filter",
	  "-A FORWARD -m connbytes --connbytes 9 --connbytes-mode bytes --connbytes-dir both -j "
	  "DROP\n",
	  IP4, "bytes carried" },
	{ "time", "filter", "-A FORWARD -m time --timestart 08:00:00 -j DROP\n", IP4,
	  "time of day" },
	{ "ttl", "filter", "-A FORWARD -m ttl --ttl-lt 5 -j DROP\n", IP4, "TTL" },
	{ "u32", "filter", "-A FORWARD -m u32 --u32 \"0x0=0x1\" -j DROP\n", IP4, "bytes of each" },
	{ "dscp", "filter", "-A FORWARD -m dscp --dscp 0x01 -j DROP\n", IP4, "DSCP" },
	{ "mac", "filter", "-A FORWARD -m mac --mac-source 00:11:22:33:44:55 -j DROP\n", IP4,
	  "MAC" },
	{ "physdev", "filter", "-A FORWARD -m physdev --physdev-in x -j DROP\n", IP4, "bridge" },
	{ "an ipset", "filter", "-A FORWARD -m set --match-set bad src -j DROP\n", IP4, "ipset" },
	{ "a connection's mark", "filter", "-A FORWARD -m connmark --mark 0x1 -j DROP\n", IP4,
	  "may change" },
	{ "a connection's status", "filter",
	  "-A FORWARD -m conntrack --ctstatus ASSURED -j ACCEPT\n", IP4, "during a connection" },
	{ "a connection's direction and first addresses stay", "filter",
	  "-A FORWARD -m conntrack --ctorigdst 10.0.0.1 --ctdir ORIGINAL -j DROP\n", NONE, NULL },
	{ "a connection stays translated", "filter",
	  "-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n", NONE, NULL },
	{ "a match not known", "filter", "-A FORWARD -m moonphase --full -j DROP\n", IP4,
	  "match that is not known" },
	{ "a match not known may act before the state of new ones", "filter",
	  "-A FORWARD -m moonphase --full -m conntrack --ctstate NEW -j DROP\n", IP4,
	  "match that is not known" },
	{ "a match not known of other protocols is not met", "filter",
	  "-A FORWARD -p sctp -m moonphase --full -j DROP\n", NONE, NULL },
	{ "a target not known", "filter", "-A FORWARD -j MOON\n", IP4, "target that is not known" },
	{ "an option not known to the parser", "filter",
	  "-A FORWARD -m limit [unsupported revision] -j DROP\n", IP4, "not understood" },
	{ "words behind an accept", "filter", "-A FORWARD -j ACCEPT --when it rains\n", IP4,
	  "not understood" },
	{ "a protocol without a value", "filter", "-A FORWARD -p\n", IP4, "not understood" },
	{ "an open quote", "filter", "-A FORWARD -m comment --comment \"x -j ACCEPT\n", IP4,
	  "not understood" },
	{ "NFQUEUE", "filter", "-A FORWARD -j NFQUEUE --queue-num 1\n", IP4, "another program" },
	{ "MARK", "mangle", "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff\n", IP4, "marks" },
	{ "CONNMARK", "mangle", "-A PREROUTING -j CONNMARK --restore-mark\n", IP4, "marks" },
	{ "DSCP", "mangle", "-A POSTROUTING -j DSCP --set-dscp 0x01\n", IP4,
	  "changes each packet" },
	{ "TTL", "mangle", "-A POSTROUTING -j TTL --ttl-set 5\n", IP4, "changes each packet" },
	{ "TEE", "mangle", "-A PREROUTING -j TEE --gateway 10.0.0.1\n", IP4, "copies" },
	{ "CT", "raw", "-A PREROUTING -p udp -m udp --dport 53 -j CT --notrack\n", UDP4,
	  "tracked" },
	{ "CT with a helper", "raw", "-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp\n",
	  0, NULL },
	{ "CT with a helper and more", "raw",
	  "-A PREROUTING -p tcp -m tcp --dport 21 -j CT --helper ftp --zone 3\n", TCP4, "tracked" },
	{ "TRACE", "raw", "-A PREROUTING -p tcp -j TRACE\n", TCP4, "records each packet" },
	{ "the state is not known before conntrack", "raw",
	  "-A PREROUTING -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A PREROUTING -j TRACE\n",
	  IP4, "records each packet" },
	{ "a drop before conntrack is the same each time", "raw",
	  "-A PREROUTING -s 10.0.0.0/8 -j DROP\n-A PREROUTING -m rpfilter --invert -j DROP\n", NONE,
	  NULL },
	{ "rules for local packets are not met", "filter",
	  "-A INPUT -m limit --limit 1/sec -j ACCEPT\n-A OUTPUT -j LOG\n", NONE, NULL },
	{ "rules of nat see first packets only", "nat",
	  "-A PREROUTING -m limit --limit 1/sec -j LOG\n-A POSTROUTING -j MASQUERADE\n", NONE,
	  NULL },
	{ "a table not known", "quantum", LOG, IP4, "table that is not known" },
	{ "a called chain is walked", "filter", ":x - [0:0]\n-A FORWARD -j x\n-A x -j LOG\n", IP4,
	  "records each packet" },
	{ "a chain nobody calls is not", "filter", ":x - [0:0]\n-A x -j LOG\n", NONE, NULL },
	{ "a chain called for new connections is not", "filter",
	  ":x - [0:0]\n-A FORWARD -m conntrack --ctstate NEW -j x\n-A x -j LOG\n", NONE, NULL },
	{ "an accept in a called chain ends the walk", "filter",
	  ":x - [0:0]\n-A FORWARD -j x\n" LOG "-A x -m conntrack --ctstate ESTABLISHED -j ACCEPT\n",
	  NONE, NULL },
	{ "of a chain called for some it does not", "filter",
	  ":x - [0:0]\n-A FORWARD -i a -j x\n" LOG
	  "-A x -m conntrack --ctstate ESTABLISHED -j ACCEPT\n",
	  IP4, "records each packet" },
	{ "a return ends a called chain, not the walk", "filter",
	  ":x - [0:0]\n-A FORWARD -j x\n" LOG "-A x -j RETURN\n-A x -j ACCEPT\n", IP4,
	  "records each packet" },
	{ "a return of some leaves the walk open", "filter",
	  ":x - [0:0]\n-A FORWARD -j x\n" LOG "-A x -s 10.0.0.1/32 -j RETURN\n-A x -j DROP\n", IP4,
	  "records each packet" },
	{ "behind a goto nothing of the chain is met", "filter",
	  ":x - [0:0]\n-A FORWARD -g x\n" LOG, NONE, NULL },
	{ "behind a goto of some the rest is met", "filter",
	  ":x - [0:0]\n-A FORWARD -s 10.0.0.1/32 -g x\n" LOG, IP4, "records each packet" },
	{ "a goto returns to the caller's caller", "filter",
	  ":x - [0:0]\n:y - [0:0]\n-A FORWARD -j x\n" LOG "-A x -g y\n-A x -j ACCEPT\n", IP4,
	  "records each packet" },
	{ "chains in a loop end", "filter",
	  ":x - [0:0]\n:y - [0:0]\n-A FORWARD -j x\n-A x -j y\n-A y -j x\n", IP4, "loop" },
	{ "counters before rules are passed over", "filter",
	  "[1:60] -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n[0:0] " LOG, NONE,
	  NULL },
	{ "a chain that hides a target", "filter", ":LOG - [0:0]\n" LOG, IP4, "understood" },
	{ "a rule of a chain that is not there", "filter", "-A x -j ACCEPT\n", IP4, "understood" },
	{ "a line that is no rule", "filter", "hello\n", IP4, "understood" },
	{ "a REJECT with its options ends the walk", "filter",
	  "-A FORWARD -j REJECT --reject-with icmp-port-unreachable\n" LOG, NONE, NULL },
	{ "fragments are the kernel's", "filter", "-A FORWARD -f -j LOG\n", NONE, NULL },
	{ "all but fragments are met", "filter", "-A FORWARD ! -f -j LOG\n", IP4,
	  "records each packet" },
};

#define OBJECT(kind, members) ",{\"" kind "\":{\"family\":\"inet\"," members "}}"
#define RULE_OF(chain, expr) \
	OBJECT("rule", "\"table\":\"t\",\"chain\":\"" chain "\",\"handle\":7,\"expr\":[" expr "]")
#define RULE(expr) RULE_OF("forw", expr)
#define CHAIN(name) OBJECT("chain", "\"table\":\"t\",\"name\":\"" name "\",\"handle\":2")
#define BASE(name, type, hook, prio)                                             \
	OBJECT("chain", "\"table\":\"t\",\"name\":\"" name "\",\"type\":\"" type \
			"\",\"hook\":\"" hook "\",\"prio\":" prio ",\"policy\":\"accept\"")
#define SET(kind, name, more) \
	OBJECT(kind,          \
	       "\"name\":\"" name "\",\"table\":\"t\",\"type\":\"ipv4_addr\",\"handle\":3" more)
#define MATCH(op, left, right) \
	"{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define STATE "{\"ct\":{\"key\":\"state\"}}"
#define META(key) "{\"meta\":{\"key\":\"" key "\"}}"
#define PAYLOAD(proto, field) "{\"payload\":{\"protocol\":\"" proto "\",\"field\":\"" field "\"}}"
#define FLAGS PAYLOAD("tcp", "flags")
#define MASKED(left, mask) "{\"&\":[" left "," mask "]}"
#define SADDR PAYLOAD("ip", "saddr")
#define ACCEPT ",{\"accept\":null}"
#define DROP ",{\"drop\":null}"
#define NFT_LOG "{\"log\":null}"
#define VMAP(key, data) "{\"vmap\":{\"key\":" key ",\"data\":" data "}}"
#define NFT_EST RULE(MATCH("in", STATE, "[\"established\",\"related\"]") ACCEPT)

/* Objects behind `table inet t` and its chain `forw` of the hook forward. */
struct case_nft {
	const char *says, *objects;
	uint8_t touches;
	const char *why;
};

static const struct case_nft nft_cases[] = {
	{ "an empty chain offloads all", "", NONE, NULL },
	{ "an accept of established ends the walk", NFT_EST RULE(NFT_LOG), NONE, NULL },
	{ "a log before it is met", RULE(NFT_LOG) NFT_EST, ALL, "records each packet" },
	{ "a set of states is the same",
	  RULE(MATCH("==", STATE, "{\"set\":[\"established\",\"related\"]}") ACCEPT) RULE(NFT_LOG),
	  NONE, NULL },
	{ "one state is not established", RULE(MATCH("in", STATE, "\"new\"") "," NFT_LOG), NONE,
	  NULL },
	{ "not new is established", RULE(MATCH("!=", STATE, "\"new\"") ACCEPT) RULE(NFT_LOG), NONE,
	  NULL },
	{ "none of these states",
	  RULE(MATCH("!", STATE, "[\"established\",\"related\"]") "," NFT_LOG), NONE, NULL },
	{ "a state in a named set is not known", RULE(MATCH("==", STATE, "\"@states\"") ACCEPT),
	  ALL, "set that is not there" },
	{ "a verdict map of states ends the walk",
	  RULE(VMAP(STATE, "{\"set\":[[\"invalid\",{\"drop\":null}],[\"established\",{\"accept\":"
			   "null}]]}")) RULE(NFT_LOG),
	  NONE, NULL },
	{ "one without established does not",
	  RULE(VMAP(STATE, "{\"set\":[[\"invalid\",{\"drop\":null}]]}")) RULE(NFT_LOG), ALL,
	  "records each packet" },
	{ "a map with a default is walked",
	  CHAIN("sub") RULE(VMAP(STATE, "{\"set\":[[\"*\",{\"jump\":{\"target\":\"sub\"}}]]}"))
		  RULE_OF("sub", NFT_LOG),
	  ALL, "records each packet" },
	{ "a map of ports is walked on every way",
	  CHAIN("sub")
		  RULE(VMAP(PAYLOAD("tcp", "dport"),
			    "{\"set\":[[22,{\"drop\":null}],[23,{\"jump\":{\"target\":\"sub\"}}"
			    "]]}")) RULE_OF("sub", NFT_LOG),
	  TCP, "records each packet" },
	{ "a map by chance",
	  RULE(VMAP("{\"numgen\":{\"mode\":\"random\",\"mod\":2,\"offset\":0}}",
		    "{\"set\":[[0,{\"drop\":null}]]}")),
	  ALL, "numgen" },
	{ "a map that rules fill, even empty",
	  SET("map", "m", ",\"map\":\"verdict\"") RULE(VMAP(SADDR, "\"@m\""))
		  RULE(MATCH("in", STATE, "\"new\"") ",{\"map\":{\"op\":\"add\",\"elem\":" SADDR
						     ",\"data\":\"x\",\"map\":\"@m\"}}"),
	  IP4, "set that rules change" },
	{ "nfproto and l4proto tell apart",
	  RULE(MATCH("==", META("nfproto"), "\"ipv6\"") "," MATCH("==", META("l4proto"),
								  "\"udp\"") "," NFT_LOG),
	  FINDING_UDP6, "records each packet" },
	{ "a set of protocols",
	  RULE(MATCH("==", META("l4proto"), "{\"set\":[\"tcp\",\"udp\"]}") ACCEPT) RULE(NFT_LOG),
	  NONE, NULL },
	{ "a range of protocols is not understood, but the same each time",
	  RULE(MATCH("==", META("l4proto"), "{\"range\":[6,17]}") ACCEPT) RULE(NFT_LOG), ALL,
	  "records each packet" },
	{ "IPv4 addresses are of IPv4", RULE(MATCH("==", SADDR, "\"10.0.0.1\"") "," NFT_LOG), IP4,
	  "records each packet" },
	{ "TCP ports are of TCP", RULE(MATCH("!=", PAYLOAD("tcp", "dport"), "22") "," NFT_LOG), TCP,
	  "records each packet" },
	{ "ICMP is not met",
	  RULE(MATCH("==", PAYLOAD("icmp", "type"),
		     "\"echo-request\"") ",{\"limit\":{\"rate\":1}}"),
	  NONE, NULL },
	{ "SYN packets are the kernel's", RULE(MATCH("in", FLAGS, "\"syn\"") "," NFT_LOG), NONE,
	  NULL },
	{ "SYN among others",
	  RULE(MATCH("==", MASKED(FLAGS, "[\"fin\",\"syn\",\"rst\",\"ack\"]"),
		     "\"syn\"") "," NFT_LOG),
	  NONE, NULL },
	{ "no SYN among others ends the walk of TCP",
	  RULE(MATCH("!=", MASKED(FLAGS, "[\"fin\",\"syn\",\"rst\",\"ack\"]"), "\"syn\"") ACCEPT)
		  RULE(NFT_LOG),
	  FINDING_UDP4 | FINDING_UDP6, "records each packet" },
	{ "exactly ACK differs from packet to packet", RULE(MATCH("==", FLAGS, "\"ack\"") DROP),
	  TCP, "TCP flags" },
	{ "a set of flags without plain ACK is not met",
	  RULE(MATCH("==", FLAGS, "{\"set\":[{\"|\":[\"fin\",\"syn\"]},\"syn\"]}") "," NFT_LOG),
	  NONE, NULL },
	{ "limit", RULE("{\"limit\":{\"rate\":5,\"per\":\"second\"}}" ACCEPT), ALL, "rate" },
	{ "limit before the state of new ones",
	  RULE("{\"limit\":{\"rate\":5,\"per\":\"second\"}}," MATCH("in", STATE, "\"new\"") ACCEPT),
	  ALL, "rate" },
	{ "length before the state of new ones",
	  RULE(MATCH("==", META("length"), "5") "," MATCH("in", STATE, "\"new\"") DROP), NONE,
	  NULL },
	{ "length", RULE(MATCH("==", META("length"), "5") DROP), ALL, "meta length" },
	{ "a mark nobody sets", RULE(MATCH("==", META("mark"), "5") DROP), NONE, NULL },
	{ "a mark set", RULE("{\"mangle\":{\"key\":" META("mark") ",\"value\":5}}"), ALL, "marks" },
	{ "a connection's mark", RULE(MATCH("==", "{\"ct\":{\"key\":\"mark\"}}", "5") DROP), ALL,
	  "ct mark" },
	{ "a translated connection",
	  RULE(MATCH("in", "{\"ct\":{\"key\":\"status\"}}", "\"dnat\"") ACCEPT), NONE, NULL },
	{ "an assured connection",
	  RULE(MATCH("in", "{\"ct\":{\"key\":\"status\"}}", "\"assured\"") ACCEPT), ALL,
	  "ct status" },
	{ "DSCP", RULE(MATCH("==", PAYLOAD("ip", "dscp"), "1") DROP), IP4, "ip dscp" },
	{ "raw bytes",
	  RULE(MATCH("==", "{\"payload\":{\"base\":\"transport\",\"offset\":0,\"len\":16}}", "1")
		       DROP),
	  ALL, "the bytes" },
	{ "routes",
	  RULE(MATCH("==", "{\"fib\":{\"result\":\"oif\",\"flags\":[\"saddr\",\"iif\"]}}", "false")
		       DROP),
	  NONE, NULL },
	{ "an expression not known", RULE(MATCH("==", "{\"moon\":{\"key\":\"phase\"}}", "1") DROP),
	  ALL, "not known: moon" },
	{ "a statement not known", RULE("{\"moon\":null}"), ALL, "statement that is not known" },
	{ "a statement that is no object", RULE("5"), ALL, "statement that is not known" },
	{ "a part of iptables without its text",
	  RULE("{\"xt\":{\"type\":\"match\",\"name\":\"x\"}}"), ALL, "only iptables" },
	{ "a set of addresses",
	  SET("set", "s", ",\"flags\":[\"interval\"],\"elem\":[\"10.0.0.1\"]")
		  RULE(MATCH("==", SADDR, "\"@s\"") DROP),
	  NONE, NULL },
	{ "a set with counters",
	  SET("set", "s",
	      ",\"stmt\":[{\"counter\":null}],\"elem\":[{\"elem\":{\"val\":\"10.0.0.1\","
	      "\"counter\":{\"packets\":1,\"bytes\":60}}}]")
		  RULE(MATCH("==", SADDR, "\"@s\"") DROP),
	  NONE, NULL },
	{ "a set with timeouts",
	  SET("set", "s", ",\"flags\":[\"timeout\"]") RULE(MATCH("==", SADDR, "\"@s\"") DROP), IP4,
	  "changes by itself" },
	{ "a set with a timeout, as newer tools write its flag",
	  SET("set", "s", ",\"flags\":\"timeout\"") RULE(MATCH("==", SADDR, "\"@s\"") DROP), IP4,
	  "changes by itself" },
	{ "a set whose elements limit",
	  SET("set", "s", ",\"stmt\":[{\"limit\":null}]") RULE(MATCH("==", SADDR, "\"@s\"") DROP),
	  IP4, "changes by itself" },
	{ "a set that a rule for new ones changes",
	  SET("set", "s", ",\"size\":9") RULE(MATCH("==", SADDR, "\"@s\"") DROP)
		  RULE(MATCH("in", STATE, "\"new\"") ",{\"set\":{\"op\":\"add\",\"elem\":" SADDR
						     ",\"set\":\"@s\"}}"),
	  IP4, "set that rules change" },
	{ "a set that is in a concatenation",
	  SET("set", "s", ",\"flags\":[\"timeout\"]") RULE(MATCH(
		  "==", "{\"concat\":[" SADDR "," PAYLOAD("tcp", "dport") "]}", "\"@s\"") DROP),
	  TCP4, "changes by itself" },
	{ "a change of a set is an effect",
	  SET("set", "s", "") RULE("{\"set\":{\"op\":\"add\",\"elem\":" SADDR ",\"set\":\"@s\"}}"),
	  ALL, "changes a set" },
	{ "a jump is followed",
	  CHAIN("sub") RULE("{\"jump\":{\"target\":\"sub\"}}") RULE_OF("sub", NFT_LOG), ALL,
	  "records each packet" },
	{ "a jump to nowhere", RULE("{\"jump\":{\"target\":\"sub\"}}"), ALL, "not there" },
	{ "chains in a loop end",
	  CHAIN("sub") RULE("{\"jump\":{\"target\":\"sub\"}}")
		  RULE_OF("sub", "{\"goto\":{\"target\":\"sub\"}}"),
	  ALL, "loop" },
	{ "the state is not known before conntrack",
	  BASE("early", "filter", "prerouting", "-200") RULE_OF(
		  "early", MATCH("in", STATE, "\"established\"") ACCEPT) RULE_OF("early", NFT_LOG),
	  ALL, "records each packet" },
	{ "right behind conntrack it is",
	  BASE("early", "filter", "prerouting", "-199") RULE_OF(
		  "early", MATCH("in", STATE, "\"established\"") ACCEPT) RULE_OF("early", NFT_LOG),
	  NONE, NULL },
	{ "chains of nat see first packets only",
	  BASE("nat", "nat", "postrouting", "100") RULE_OF("nat", NFT_LOG ",{\"masquerade\":null}"),
	  NONE, NULL },
	{ "chains for local packets are not met",
	  BASE("in", "filter", "input", "0") RULE_OF("in", NFT_LOG), NONE, NULL },
	{ "the hook ingress", BASE("in", "filter", "ingress", "0"), ALL, "hook ingress" },
	{ "a hook not known", BASE("in", "filter", "orbit", "0"), ALL, "hook orbit" },
	{ "a chain type not known", BASE("in", "moon", "forward", "0"), ALL, "hook forward" },
	{ "a flowtable", OBJECT("flowtable", "\"table\":\"t\",\"name\":\"f\""), ALL, "flowtable" },
	{ "an object not known", OBJECT("moon", "\"table\":\"t\",\"name\":\"f\""), ALL,
	  "kind that is not known" },
	{ "named objects alone do nothing",
	  OBJECT("ct helper", "\"table\":\"t\",\"name\":\"f\"")
		  OBJECT("quota", "\"table\":\"t\",\"name\":\"q\""),
	  NONE, NULL },
	{ "a named counter", RULE("{\"counter\":\"c\"}"), NONE, NULL },
	{ "a helper", RULE(MATCH("==", PAYLOAD("tcp", "dport"), "21") ",{\"ct helper\":\"ftp\"}"),
	  TCP, "tracked" },
	{ "a rule of a chain that is not there", RULE_OF("sub", NFT_LOG), ALL, "understood" },
	{ "two chains of one name", CHAIN("forw"), ALL, "understood" },
	{ "an empty chain of a bridge",
	  ",{\"chain\":{\"family\":\"bridge\",\"table\":\"b\",\"name\":\"f\",\"type\":\"filter\","
	  "\"hook\":\"forward\",\"prio\":0,\"policy\":\"accept\"}}",
	  NONE, NULL },
	{ "a chain of a bridge that drops",
	  ",{\"chain\":{\"family\":\"bridge\",\"table\":\"b\",\"name\":\"f\",\"type\":\"filter\","
	  "\"hook\":\"forward\",\"prio\":0,\"policy\":\"drop\"}}",
	  ALL, "hook forward" },
};

#define TABLE                                                               \
	"{\"nftables\":[{\"metainfo\":{\"json_schema_version\":1}}" OBJECT( \
		"table", "\"name\":\"t\"") BASE("forw", "filter", "forward", "0")

static unsigned mistakes;

static void expect(const char *says, const struct findings *found, uint8_t touches, const char *why)
{
	bool right = found->touches == touches && !found->count == !why;

	if (right && why)
		right = strstr(found->list[0].why, why);
	if (right)
		return;
	mistakes++;
	print_error("%s: touches %x instead of %x: %s | %s\n", says, found->touches, touches,
		    found->list[0].where, found->list[0].why);
}

static void iptables_rules_are_judged(void **state)
{
	char text[4096];

	(void)state;
	mistakes = 0;
	for (size_t i = 0; i < sizeof(iptables_cases) / sizeof(*iptables_cases); i++) {
		const struct case_iptables *row = &iptables_cases[i];
		struct findings found = {}, found6 = {};

		snprintf(text, sizeof(text),
			 "# made\n*%s\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n"
			 ":FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [1:2]\n"
			 "%sCOMMIT\n# done\n",
			 row->table, row->rules);
		ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
		expect(row->says, &found, row->touches, row->why);
		ruleset_judge(&(struct ruleset){ .compat6 = text }, &found6);
		expect(row->says, &found6, row->touches << 2, row->why);
	}
	assert_int_equal(mistakes, 0);
}

static void nftables_rules_are_judged(void **state)
{
	char text[4096];

	(void)state;
	mistakes = 0;
	for (size_t i = 0; i < sizeof(nft_cases) / sizeof(*nft_cases); i++) {
		const struct case_nft *row = &nft_cases[i];
		struct findings found = {};

		snprintf(text, sizeof(text), TABLE "%s]}", row->objects);
		ruleset_judge(&(struct ruleset){ .nft = text }, &found);
		expect(row->says, &found, row->touches, row->why);
	}
	assert_int_equal(mistakes, 0);
}

/* A file of tests/unit/rulesets, a string for free(). */
static char *text_read(const char *name)
{
	char path[128], *text = calloc(1, TEXT_BYTES);
	__cleanup_file FILE *file = NULL;

	snprintf(path, sizeof(path), "tests/unit/rulesets/%s", name);
	file = fopen(path, "re");
	if (!file || !text || !fread(text, 1, TEXT_BYTES - 1, file))
		fail_msg("%s cannot be read", path);
	return text;
}

static void rulesets_of_well_known_tools_offload(void **state)
{
	static const struct {
		const char *file;
		size_t place; /* in struct ruleset */
	} files[] = {
		{ "docker.txt", offsetof(struct ruleset, legacy4) },
		{ "router.txt", offsetof(struct ruleset, legacy4) },
		{ "ufw.txt", offsetof(struct ruleset, legacy4) },
		{ "ufw6.txt", offsetof(struct ruleset, legacy6) },
		{ "router.txt", offsetof(struct ruleset, compat4) },
		{ "firewalld.json", offsetof(struct ruleset, nft) },
		{ "openwrt.json", offsetof(struct ruleset, nft) },
	};

	(void)state;
	mistakes = 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		__cleanup_free char *text = text_read(files[i].file);
		struct ruleset ruleset = {};
		struct findings found = {};

		*(const char **)((char *)&ruleset + files[i].place) = text;
		ruleset_judge(&ruleset, &found);
		expect(files[i].file, &found, NONE, NULL);
	}
	assert_int_equal(mistakes, 0);
}

static void tables_of_iptables_nft_are_judged_by_their_text(void **state)
{
	__cleanup_free char *nft = text_read("compat.json"), *text = text_read("compat.txt");
	struct findings alone = {}, both = {};

	(void)state;
	ruleset_judge(&(struct ruleset){ .nft = nft }, &alone);
	assert_int_equal(alone.touches, IP4);
	assert_string_equal(alone.list[0].why, "has a part that only iptables can tell");
	ruleset_judge(&(struct ruleset){ .nft = nft, .compat4 = text }, &both);
	assert_int_equal(both.count, 1);
	assert_int_equal(both.touches, TCP4);
	assert_string_equal(
		both.list[0].where,
		"iptables-nft mangle FORWARD: -p tcp -m length --length 0:1500 -j ACCEPT");
}

/* Someone added, by nft, what iptables has no words for. */
static void tables_of_iptables_nft_that_nft_changed_are_not_trusted(void **state)
{
	static const char *const changes[] = {
		"{\"chain\": {\"family\": \"ip\", \"table\": \"filter\", \"name\": \"x\", "
		"\"type\": "
		"\"filter\", \"hook\": \"forward\", \"prio\": 5, \"policy\": \"accept\"}}",
		"{\"rule\": {\"family\": \"ip\", \"table\": \"filter\", \"chain\": \"FORWARD\", "
		"\"handle\": 99, \"expr\": [{\"notrack\": null}]}}",
		"{\"rule\": {\"family\": \"ip\", \"table\": \"filter\", \"chain\": \"FORWARD\", "
		"\"handle\": 99, \"expr\": [" MATCH("==", PAYLOAD("ip", "dscp"), "1") "]}}",
		"{\"rule\": {\"family\": \"ip\", \"table\": \"filter\", \"chain\": \"FORWARD\", "
		"\"handle\": 99, \"expr\": [" MATCH("==", SADDR, "{\"set\": [\"1.1.1.1\"]}") "]}}",
		"{\"rule\": {\"family\": \"ip\", \"table\": \"filter\", \"chain\": \"FORWARD\", "
		"\"handle\": 99, \"expr\": [{\"limit\": {\"rate\": 1}}, " MATCH(
			"==", SADDR, "\"1.1.1.1\"") "]}}",
	};
	__cleanup_free char *nft = text_read("compat.json"), *text = text_read("compat.txt");

	(void)state;
	*strrchr(nft, ']') = '\0';
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		__cleanup_free char *changed = malloc(TEXT_BYTES);
		struct findings found = {};

		snprintf(changed, TEXT_BYTES, "%s, %s]}", nft, changes[i]);
		ruleset_judge(&(struct ruleset){ .nft = changed, .compat4 = text }, &found);
		assert_int_equal(found.touches, IP4);
		assert_true(found.count > 1);
	}
}

static void a_thousand_rules_before_established_offload(void **state)
{
	__cleanup_free char *text = malloc(TEXT_BYTES);
	struct findings found = {};
	size_t used = sprintf(text, "*filter\n:FORWARD ACCEPT [0:0]\n");

	(void)state;
	for (int i = 0; i < 1000; i++)
		used += sprintf(text + used,
				"-A FORWARD -s 10.%d.%d.0/24 -p tcp -m tcp --dport %d -j DROP\n",
				i / 250, i % 250, i + 1);
	sprintf(text + used, EST "COMMIT\n");
	ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
	assert_int_equal(found.touches, NONE);
	sprintf(text + used, "-A FORWARD -p udp -m length --length 9 -j DROP\nCOMMIT\n");
	ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
	assert_int_equal(found.touches, UDP4);
}

static void chains_that_call_each_other_often_are_walked_once(void **state)
{
	__cleanup_free char *text = malloc(TEXT_BYTES);
	struct findings found = {};
	size_t used = sprintf(text, "*filter\n:FORWARD ACCEPT [0:0]\n");

	(void)state;
	for (int i = 0; i < 40; i++)
		used += sprintf(text + used, ":c%d - [0:0]\n", i);
	used += sprintf(text + used, "-A FORWARD -j c0\n");
	for (int i = 0; i < 39; i++) /* 2^39 ways */
		used += sprintf(text + used, "-A c%d -s 10.0.0.1/32 -j c%d\n-A c%d -j c%d\n", i,
				i + 1, i, i + 1);
	sprintf(text + used, "-A c39 -j LOG\nCOMMIT\n");
	ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
	assert_int_equal(found.count, 1);
	assert_int_equal(found.touches, IP4);
}

static void chains_nested_without_end_are_a_finding(void **state)
{
	__cleanup_free char *text = malloc(TEXT_BYTES);
	struct findings found = {};
	size_t used = sprintf(text, "*filter\n:FORWARD ACCEPT [0:0]\n");

	(void)state;
	for (int i = 0; i < 9999; i++)
		used += sprintf(text + used, ":c%d - [0:0]\n", i);
	used += sprintf(text + used, "-A FORWARD -j c0\n");
	for (int i = 0; i < 9998; i++)
		used += sprintf(text + used, "-A c%d -j c%d\n", i, i + 1);
	sprintf(text + used, "COMMIT\n");
	ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
	assert_int_equal(found.touches, IP4);
}

/* Cut anywhere but between two tables, where nothing shows it. */
static void saved_text_cut_off_offloads_nothing(void **state)
{
	static const char *const files[] = { "router.txt", "docker.txt", "ufw.txt" };

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		__cleanup_free char *text = text_read(files[f]);

		for (size_t length = strlen(text) - 1; length > 0; length--) {
			struct findings found = {};
			bool whole = length >= 7 && !strncmp(text + length - 7, "COMMIT\n", 7);

			text[length] = '\0';
			ruleset_judge(&(struct ruleset){ .legacy4 = text }, &found);
			if (!whole && found.touches != IP4)
				fail_msg("%s: %zu bytes offload", files[f], length);
		}
	}
}

static void json_cut_off_offloads_nothing(void **state)
{
	__cleanup_free char *text = text_read("openwrt.json");

	(void)state;
	for (size_t length = strrchr(text, '}') - text; length > 0; length -= length > 9 ? 7 : 1) {
		struct findings found = {};

		text[length] = '\0';
		ruleset_judge(&(struct ruleset){ .nft = text }, &found);
		assert_int_equal(found.touches, ALL);
	}
}

static void json_of_another_shape_offloads_nothing(void **state)
{
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"nftables\":{}}",
		"{\"nftables\":[5]}",
		"{\"nftables\":[{}]}",
		"{\"nftables\":[{\"rule\":{},\"chain\":{}}]}",
		"{\"nftables\":[{\"rule\":{}}]}",
		"{\"nftables\":[{\"rule\":null}]}",
		"{\"nftables\":[{\"chain\":null},{\"chain\":null}]}",
		TABLE OBJECT("rule", "\"table\":\"t\",\"chain\":\"forw\",\"expr\":{}") "]}",
		TABLE RULE(MATCH("==", "null", "null") ACCEPT) RULE("{}") "]}",
		TABLE RULE("{\"vmap\":[]}") "]}",
		TABLE RULE(VMAP(STATE, "{\"set\":[5]}")) "]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct findings found = {};

		ruleset_judge(&(struct ruleset){ .nft = texts[i] }, &found);
		if (found.touches != ALL)
			fail_msg("offloads %x: %s", ALL & ~found.touches, texts[i]);
	}
}

static uint64_t hash_of(const char *legacy4, const char *nft)
{
	return ruleset_hash(&(struct ruleset){ .legacy4 = legacy4, .nft = nft });
}

#define COUNTED(a, b)                                                                      \
	"# at " a "\n*filter\n:FORWARD ACCEPT [" a ":" b "]\n[" b ":" a "] -A FORWARD -j " \
	"DROP\nCOMMIT\n"

static void counters_and_comments_do_not_change_the_hash(void **state)
{
	(void)state;
	assert_true(hash_of(COUNTED("1", "2"), NULL) == hash_of(COUNTED("30", "40"), NULL));
	assert_true(hash_of(COUNTED("1", "2"), NULL) != hash_of(NULL, NULL));
	assert_true(hash_of("*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", NULL) !=
		    hash_of("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", NULL));
}

/* Both of a pair hash the same, or they do not. */
static void json_hashes_by_what_it_means(void **state)
{
#define TIMED(ip) SET("set", "s", ",\"flags\":[\"timeout\"],\"elem\":[\"" ip "\"]")
#define FIXED(elements) SET("set", "s", ",\"elem\":[" elements "]")
#define COUNT(n) RULE("{\"counter\":{\"packets\":" n ",\"bytes\":" n "}}")
#define HANDLE(n) OBJECT("rule", "\"chain\":\"x\",\"handle\":" n ",\"expr\":[]")
#define NAMED(n) OBJECT("counter", "\"name\":\"c\",\"packets\":" n ",\"bytes\":" n)
#define QUOTA(n) OBJECT("quota", "\"name\":\"c\",\"bytes\":9,\"used\":" n)
	static const struct {
		const char *says, *a, *b;
		bool same;
	} pairs[] = {
		{ "counters", COUNT("1"), COUNT("2"), true },
		{ "named counters", NAMED("1"), NAMED("2"), true },
		{ "used quotas", QUOTA("1"), QUOTA("2"), true },
		{ "handles", HANDLE("1"), HANDLE("2"), true },
		{ "elements that time out", TIMED("1"), TIMED("2"), true },
		{ "the order of elements", FIXED("1,2"), FIXED("2,1"), true },
		{ "elements", FIXED("1,2"), FIXED("1,3"), false },
		{ "values", RULE(MATCH("==", SADDR, "1")), RULE(MATCH("==", SADDR, "2")), false },
		{ "kinds of value", RULE(MATCH("==", SADDR, "1")),
		  RULE(MATCH("==", SADDR, "\"1\"")), false },
		{ "the order of rules", RULE("1") RULE("2"), RULE("2") RULE("1"), false },
		{ "another rule", RULE("1"), RULE("1") RULE("1"), false },
	};
	char a[1024], b[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		snprintf(a, sizeof(a), TABLE "%s]}", pairs[i].a);
		snprintf(b, sizeof(b), TABLE "%s]}", pairs[i].b);
		if ((hash_of(NULL, a) == hash_of(NULL, b)) != pairs[i].same)
			fail_msg("%s", pairs[i].says);
	}
	assert_true(hash_of(NULL, "{cut") != hash_of(NULL, "{cut off"));
}

static void a_full_list_still_keeps_back(void **state)
{
	struct findings found = {};
	char where[32];

	(void)state;
	for (int i = 0; i < FINDINGS_MAX; i++) {
		snprintf(where, sizeof(where), "place %d", i);
		findings_add(&found, FINDING_TCP4, where, "why");
	}
	assert_false(found.more);
	findings_add(&found, FINDING_UDP4, "place 5", "why");
	assert_false(found.more);
	assert_int_equal(found.list[5].touches, FINDING_TCP4 | FINDING_UDP4);
	findings_add(&found, FINDING_UDP6, "another place", "why %d", 5);
	assert_true(found.more);
	assert_int_equal(found.count, FINDINGS_MAX);
	assert_false(findings_allow(&found, AF_INET6, IPPROTO_UDP));
	assert_true(findings_allow(&found, AF_INET6, IPPROTO_TCP));
	assert_false(findings_allow(&found, AF_INET6, IPPROTO_SCTP));
	assert_false(findings_allow(&found, AF_UNIX, IPPROTO_TCP));
}

static void a_finding_is_printable(void **state)
{
	struct findings found = {};

	(void)state;
	findings_add(&found, 0, "a\x1b[31m\nb", "of kind %s", "x");
	assert_string_equal(found.list[0].where, "a?[31m?b");
	assert_string_equal(found.list[0].why, "of kind x");
	assert_true(findings_allow(&found, AF_INET, IPPROTO_TCP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(iptables_rules_are_judged),
		cmocka_unit_test(nftables_rules_are_judged),
		cmocka_unit_test(rulesets_of_well_known_tools_offload),
		cmocka_unit_test(tables_of_iptables_nft_are_judged_by_their_text),
		cmocka_unit_test(tables_of_iptables_nft_that_nft_changed_are_not_trusted),
		cmocka_unit_test(a_thousand_rules_before_established_offload),
		cmocka_unit_test(chains_that_call_each_other_often_are_walked_once),
		cmocka_unit_test(chains_nested_without_end_are_a_finding),
		cmocka_unit_test(saved_text_cut_off_offloads_nothing),
		cmocka_unit_test(json_cut_off_offloads_nothing),
		cmocka_unit_test(json_of_another_shape_offloads_nothing),
		cmocka_unit_test(counters_and_comments_do_not_change_the_hash),
		cmocka_unit_test(json_hashes_by_what_it_means),
		cmocka_unit_test(a_full_list_still_keeps_back),
		cmocka_unit_test(a_finding_is_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
