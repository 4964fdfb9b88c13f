# SPDX-License-Identifier: BSD-2-Clause
# Builds, tests, measures and installs evnf: `make help` tells the targets. A new function is one word in VNFS.
VNFS := efw efwd

# Libraries by the name the linker knows: for everything, and what one part needs beside.
LIBS := xdp bpf mnl config pcap elf z
efw_LIBS := nftables jansson
tests_LIBS := cmocka $(foreach v,$(VNFS),$($(v)_LIBS))

# Debian packages by what needs them.
deb = $(patsubst libz-dev,zlib1g-dev,$(1:%=lib%-dev))
TOOLS := gcc clang bpftool make libc6-dev
build_DEPS := $(TOOLS) $(sort $(call deb,$(LIBS) $(tests_LIBS)))
packet_DEPS := python3 iproute2
net_DEPS := $(packet_DEPS) iptables nftables ipset conntrack ethtool procps iputils-ping traceroute curl \
	nginx-light iperf3 tcpdump netcat-openbsd vsftpd
demo_DEPS := $(packet_DEPS) iptables nftables conntrack procps iputils-ping curl nginx-light wrk
bench_DEPS := $(demo_DEPS) ethtool
unit_DEPS := python3
san_DEPS := $(packet_DEPS)
fuzz_DEPS := python3 libclang-rt-14-dev
lint_DEPS := python3 git clang-format clang-tidy
kernel_DEPS := python3 qemu-system-x86 busybox-static cpio xz-utils

PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
TIERS ?= unit packet net
ONLY ?=
B := build$(if $(SAN),/san)
WARNINGS := -Wall -Wextra -Werror
SANITIZE := $(if $(SAN),-fsanitize=address -fsanitize=undefined -fno-sanitize-recover=all)
# Hidden, or a name of ours takes the place of the same one in a library (jansson has json_string, too).
COMPILE = $(CC) -std=gnu11 $(WARNINGS) -fvisibility=hidden -MMD -MP -I. -Ibuild $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
LINK = $(CC) $(SANITIZE) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^)
BPF_COMPILE = clang -target bpf -mcpu=v3 -O2 -g $(WARNINGS) -Wno-unused-parameter -MMD -MP -I. -Ibuild \
	-I/usr/include/$(shell gcc -print-multiarch)
export PATH := $(PATH):/usr/sbin:/sbin
export STRICT ONLY

# What this machine lacks decides which parts are built; the others are named with the package they need.
MISSING := $(shell tests/deps --missing $(build_DEPS))
lacks = $(filter $(TOOLS) $(call deb,$(LIBS) $($(1)_LIBS)),$(MISSING))
parts = $(foreach part,$(1),$(if $(call lacks,$(part)),,$(part)))
BUILT := $(call parts,$(foreach v,$(VNFS),$(if $(wildcard $(v)/$(v).c),$(v))))
TESTED := $(call parts,tests)

sources = $(filter-out %.bpf.c,$(foreach dir,$(1),$(wildcard $(dir)/*.c)))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
skeletons = $(patsubst %.bpf.c,build/skel/%.skel.h,$(notdir $(foreach dir,$(1),$(wildcard $(dir)/*.bpf.c))))
programs = $(if $(TESTED),$(patsubst $(1)/%.c,$(B)/$(2)/%,$(wildcard $(1)/$(3).c)))
LIB_SOURCES := $(call sources,common/util slowpath)
VNF_SOURCES := $(filter-out $(join $(VNFS),$(VNFS:%=/%.c)),$(call sources,$(VNFS)))
TEST_SOURCES := $(filter-out tests/unit/test_% tests/packet/test_%,$(call sources,tests/lib tests/unit tests/packet))
BPF_OBJECTS := $(patsubst %.c,build/obj/%.o,$(wildcard $(addsuffix /*.bpf.c,fastpath $(VNFS) tests/packet tests/net tests/bench)))
BINARIES := $(BUILT:%=$(B)/bin/%)
UNIT := $(call programs,tests/unit,tests/unit,test_*)
PACKET := $(call programs,tests/packet,tests/packet,test_*)
FUZZ := $(call programs,tests/fuzz,fuzz,fuzz_*)
NET := $(filter-out %.bpf,$(call programs,tests/net,tests/net,*))
BENCH := $(filter-out %.bpf,$(call programs,tests/bench,bench,*))

TIER_TARGETS := test-unit test-packet test-net test-kernel test-lint test-san test-fuzz
.PHONY: all skipped help deps test $(TIER_TARGETS) demo bench lint format install clean
.PHONY: for-unit for-packet for-net for-kernel for-lint for-san for-fuzz for-bench
.SECONDARY:
$(if $(V),,.SILENT:)
.DELETE_ON_ERROR:
.SECONDEXPANSION:
PERCENT := %

all: skipped $(BINARIES) ## build every function into build/bin (SAN=1: with ASan and UBSan into build/san)

skipped: # say what is not built and why; STRICT=1 makes that an error
	$(foreach part,$(VNFS) tests,$(if $(call lacks,$(part)),echo "$(part): not built for lack of \
		$(call lacks,$(part)) (sudo make deps)" >&2;)) $(if $(STRICT),test -z "$(MISSING)",:)

help: ## this list
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	echo "  STRICT=1: what is missing is an error; ONLY=word: only tests with the word in their name; V=1: show the commands"

deps: ## install what building, testing, lint and demo need and this Debian lacks (as root)
	$(call need,net demo bench lint kernel fuzz)

# The sub-make sees the machine as it is after the installation. Root leaves build/ to who called sudo.
remake = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
own = r=$$?; test -z "$$SUDO_UID" || chown -R "$$SUDO_UID:$$SUDO_GID" build; exit $$r
need = tests/deps $(sort $(build_DEPS) $(foreach part,$(1),$($(part)_DEPS)))

test: ## install what is missing, build, and run the tiers TIERS="unit packet net kernel lint san fuzz"
	$(call need,$(TIERS))
	+$(remake) $(TIERS:%=for-%)
	tests/run $(TIERS); $(own)

test-unit: ## the pure logic, no root needed
test-packet: ## BPF programs through BPF_PROG_TEST_RUN (root)
test-net: ## stories in network namespaces (root)
test-kernel: ## the packet tier in a QEMU guest with Debian 12's own kernel
test-san: ## unit and packet tiers under ASan and UBSan (root)
test-fuzz: ## each fuzzer for a few seconds
$(TIER_TARGETS): test-%:
	$(MAKE) --no-print-directory test TIERS=$*

for-unit: skipped $(UNIT) $(BINARIES)
for-packet for-kernel: skipped $(PACKET)
for-net for-bench: skipped $(BINARIES) $(BENCH) $(NET)
for-fuzz: skipped $(FUZZ)
for-lint: $(call skeletons,fastpath $(VNFS) tests/packet tests/net tests/bench)
for-san: for-unit for-packet
	+$(remake) SAN=1 for-unit for-packet

demo: ## an existing iptables firewall before and with efw, live (root)
	$(call need,demo)
	+$(remake) for-net
	demo/run; $(own)

bench: ## measure; the table goes to the terminal and to build/bench/results.json (root)
	$(call need,bench)
	+$(remake) for-bench
	tests/bench/run; $(own)

lint: test-lint ## layout, static analysis, layer rule, first lines of files

format: ## lay out every C file by .clang-format
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

install: all ## into $(DESTDIR)$(PREFIX): sbin, share/evnf, share/man
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,sbin share/evnf share/man/man8)
	$(if $(BINARIES),install $(BINARIES) $(DESTDIR)$(PREFIX)/sbin)
	install -m 644 $(foreach v,$(BUILT),$(wildcard $(v)/*.conf)) README.md $(DESTDIR)$(PREFIX)/share/evnf
	$(if $(wildcard docs/*.8),install -m 644 $(wildcard docs/*.8) $(DESTDIR)$(PREFIX)/share/man/man8)

clean: ## remove build/
	rm -rf build

# BPF programs and the headers that carry them; a program's name is unique in the tree.
$(BPF_OBJECTS): build/obj/%.o: %.c Makefile
	echo "  BPF   $@"
	mkdir -p $(@D)
	$(BPF_COMPILE) -c $< -o $@

build/skel/%.skel.h: $$(filter $$(PERCENT)/$$*.bpf.o,$(BPF_OBJECTS))
	mkdir -p $(@D)
	bpftool gen skeleton $< name $*_bpf > $@

# Userspace. Which skeleton a file includes is known after its first compilation; until then it waits for all.
$(B)/obj/tests/%.o: tests/%.c Makefile | $(call skeletons,fastpath $(VNFS) tests/packet tests/net tests/bench)
	echo "  CC    $@"
	mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

$(B)/obj/%.o: %.c Makefile | $(call skeletons,fastpath $(VNFS))
	echo "  CC    $@"
	mkdir -p $(@D)
	$(COMPILE) -c $< -o $@

$(B)/libevnf.a: $(call objects,$(LIB_SOURCES))
$(B)/libvnfs.a: $(call objects,$(VNF_SOURCES))
$(B)/libtest.a: $(call objects,$(TEST_SOURCES))
$(B)/%.a:
	mkdir -p $(@D)
	rm -f $@
	$(AR) rcs $@ $^

$(B)/bin/%: $$(call objects,$$(call sources,$$*)) $(B)/libevnf.a
	echo "  LINK  $@"
	mkdir -p $(@D)
	$(LINK) $(addprefix -l,$(LIBS) $($*_LIBS))

# A fuzzer includes the file it fuzzes, so that this is instrumented too.
$(FUZZ): $(B)/%: tests/%.c Makefile $(B)/libvnfs.a $(B)/libevnf.a
	echo "  FUZZ  $@"
	mkdir -p $(@D)
	clang -std=gnu11 $(WARNINGS) -MMD -MP -MF $@.d -I. -Ibuild -O1 -g -fsanitize=fuzzer,address,undefined -o $@ $< \
		$(filter %.a,$^) $(addprefix -l,$(LIBS) $(tests_LIBS))

$(BENCH): $(B)/%: $(B)/obj/tests/%.o
$(UNIT) $(PACKET) $(NET): $(B)/%: $(B)/obj/%.o
$(UNIT) $(PACKET) $(NET) $(BENCH): $(B)/libtest.a $(B)/libvnfs.a $(B)/libevnf.a
	echo "  LINK  $@"
	mkdir -p $(@D)
	$(LINK) $(addprefix -l,$(LIBS) $(tests_LIBS))

-include $(shell find build -name '*.d' 2>/dev/null)
