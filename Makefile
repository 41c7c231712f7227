# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# Every job is one target; `make help` lists them. Everything that is made lies
# in build/. Useful variables: V=1 (show the commands), WERROR= (warnings do not
# stop the build), CC, CLANG, CFLAGS, PREFIX, DESTDIR, ARGS, SECONDS.

VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
PKG_CONFIG ?= pkg-config
CROSS ?= aarch64-linux-gnu-
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
WERROR ?= -Werror
SECONDS ?= 300

# Asked once, and only by a job that needs the answer.
once = $(eval $(1) := $(shell $(2)))$($(1))
ARCH ?= $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
MULTIARCH = $(call once,MULTIARCH,$(CC) -print-multiarch)
PACKAGES := libbpf libelf zlib sqlite3 libseccomp libcap-ng
# Whose static library Debian's own is not enough for: a static program does without.
SHARED_PACKAGES := libmicrohttpd
# Whose library is loaded at run time, by those processes that need it (user/sink/libcurl.c).
HEADER_PACKAGES := libcurl
PACKAGE_CFLAGS = $(call once,PACKAGE_CFLAGS,$(PKG_CONFIG) --cflags $(PACKAGES) $(SHARED_PACKAGES))
PACKAGE_LIBS = $(call once,PACKAGE_LIBS,$(PKG_CONFIG) --libs $(PACKAGES) $(SHARED_PACKAGES))
PACKAGE_STATIC_LIBS = $(call once,PACKAGE_STATIC_LIBS,$(PKG_CONFIG) --static --libs $(PACKAGES))

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
Q := $(if $(V),,@)
PARALLEL = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
say = $(if $(V),,@printf '  %-8s %s\n' $(1) $(2))

# ---- who builds ----
#
# `sudo make trace` in a user's own tree: what is root's business runs as root,
# but the build runs as the tree's owner, or the next plain `make` could not
# write to build/. A tree that the owner cannot reach is built as root.

ifeq ($(shell id -u),0)
OWNER := $(shell stat -c %u .)
ifneq ($(OWNER),0)
DROP := --reuid=$(OWNER) --regid=$(shell stat -c %g .) --clear-groups
ifeq ($(shell setpriv $(DROP) test -w . && echo yes),yes)
SHELL := $(shell command -v setpriv)
.SHELLFLAGS := $(DROP) /bin/sh -c
ROOT_JOBS := deps deps-test deps-arm64 trace test golden live e2e e2e-all vm bench bench-peers install uninstall clean
$(ROOT_JOBS): private SHELL := /bin/sh
$(ROOT_JOBS): private .SHELLFLAGS := -c
endif
endif
endif

# ---- files ----

USER := $(sort $(wildcard user/*.c user/*/*.c user/*/*/*.c))
LIBRARY := $(filter-out user/main.c,$(USER))
UNIT := $(sort $(wildcard tests/unit/test_*.c))
UNIT_SHARED := $(filter-out $(UNIT),$(sort $(wildcard tests/unit/*.c)))
FUZZ := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FACTORY := $(sort $(wildcard tests/live/factory*.c))
MANUAL := $(sort $(wildcard tools/manual/*.c))
UNIT_PROGRAMS := $(UNIT:tests/%.c=build/%)
FUZZ_PROGRAMS := $(FUZZ:tests/%.c=build/%)

# ---- flags ----

WARN := -Wall -Wextra $(WERROR) -Wmissing-prototypes -Wstrict-prototypes -Wshadow
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
RELRO := -Wl,-z,relro,-z,now
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
BASE = -std=gnu11 -D_GNU_SOURCE $(WARN) -DPORTSNOOP_VERSION='"$(VERSION)"' -Iinclude -Iuser

# The variants of the user side: compiler, flags, link flags, libraries, and the
# folder of the BPF objects that the program carries.
program_CC = $(CC)
program_FLAGS = $(BASE) $(PACKAGE_CFLAGS) $(HARDEN) $(CPPFLAGS) $(CFLAGS)
program_LINK = -pie $(RELRO) $(LDFLAGS)
program_LIBS = $(PACKAGE_LIBS) -lm
program_BPF := build

static_CC = $(CC)
static_FLAGS = $(program_FLAGS) -DPORTSNOOP_STATIC
static_LINK = -static-pie $(RELRO) $(LDFLAGS)
static_LIBS = $(PACKAGE_STATIC_LIBS) -lm
static_BPF := build

san_CC = $(CC)
san_FLAGS = $(BASE) $(PACKAGE_CFLAGS) $(SANITIZE) -O1 -g
san_LIBS = $(PACKAGE_LIBS) -lm
san_BPF := build

fuzz_CC = $(CLANG)
fuzz_FLAGS = $(BASE) $(PACKAGE_CFLAGS) $(SANITIZE) -fsanitize=fuzzer-no-link -O1 -g
fuzz_LINK = -fsanitize=fuzzer
fuzz_LIBS = $(PACKAGE_LIBS) -lm
fuzz_BPF := build

SYSROOT := build/sysroot-arm64
arm64_CC = $(CROSS)gcc
arm64_FLAGS = $(BASE) -idirafter $(SYSROOT)/usr/include/aarch64-linux-gnu \
	-idirafter $(SYSROOT)/usr/include $(HARDEN) \
	$(CPPFLAGS) $(CFLAGS) -DPORTSNOOP_STATIC
arm64_LINK = -static-pie $(RELRO) -L$(SYSROOT)/usr/lib/aarch64-linux-gnu $(LDFLAGS)
arm64_LIBS = $(PACKAGE_STATIC_LIBS) -lm
arm64_BPF := build/arm64

live_CC = $(CC)
# Also runs as the only program of a guest.
live_FLAGS = -std=gnu11 $(WARN) -O1 -g
live_LINK = -static -pthread

BPF_FLAGS = -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter $(WERROR) \
	-Iinclude -Ivmlinux -Ibpf $(PACKAGE_CFLAGS) -idirafter /usr/include/$(MULTIARCH)

# ---- jobs ----

.PHONY: all
all: build/portsnoop ## build the program: build/portsnoop (the default)

.PHONY: static
static: build/portsnoop-static ## build one static binary for any machine: build/portsnoop-static

.PHONY: arm64
arm64: build/arm64/portsnoop ## cross-build a static arm64 binary: build/arm64/portsnoop

.PHONY: trace
trace: ## sudo make trace: install what the build needs, build, watch this machine (ARGS="...")
	@tools/install-deps.sh build
	@$(MAKE) $(PARALLEL) all
	@build/portsnoop trace $(ARGS)

.PHONY: test
test: ## sudo make test: install what the tests need, build, run every suite
	@tools/install-deps.sh build test
	@$(MAKE) $(PARALLEL) -k suites || { tools/run-tests.sh --broken; exit 1; }
	@tools/run-tests.sh lint unit golden fuzz live e2e vm

.PHONY: lint
lint: ## check the C files' format, clang-tidy, shellcheck, licences
	@tools/run-tests.sh lint

.PHONY: format
format: ## rewrite the C files as .clang-format says
	@tools/lint.sh --format

.PHONY: unit
unit: $(UNIT_PROGRAMS) ## run the unit tests, with ASan and UBSan
	@tools/run-tests.sh unit

.PHONY: golden
golden: build/san/portsnoop build/manual/portsnoop.8 ## compare the output for recorded streams, with ASan and UBSan
	@tools/run-tests.sh golden

.PHONY: live
live: build/portsnoop build/live/factory build/live/tally_reader ## sudo make live: trace real claims of every kind
	@tools/run-tests.sh live

.PHONY: e2e
e2e: build/portsnoop ## sudo make e2e: feed real log shippers and databases, compare what arrives
	@tools/run-tests.sh e2e

.PHONY: e2e-all
e2e-all: build/portsnoop ## sudo make e2e-all: and those that are big, or that must be built first
	@E2E=all tools/run-tests.sh e2e

.PHONY: vm
vm: build/portsnoop-static build/live/tally_reader $(if $(shell command -v $(arm64_CC)),build/arm64/portsnoop) ## boot real kernels, run the live suite in each (KERNEL=6.12 TIER=kprobe: one cell)
	@tests/vm/run.py $(if $(KERNEL)$(TIER),,--table README.md)

.PHONY: fuzz
fuzz: $(FUZZ_PROGRAMS) ## fuzz each target for SECONDS=300, keeping what was found
	@tools/fuzz.sh --keep $(SECONDS)

.PHONY: bench-peers
bench-peers: build/portsnoop-static ## what bindsnoop, tcpconnect and others see of the same claims, in one guest
	@tests/bench/peers.py --readme tests/bench/README.md

ifneq ($(wildcard tests/bench/run.sh),)
.PHONY: bench
bench: build/portsnoop build/live/tally_reader ## sudo make bench: measure, and print a table a part (ARGS="tally who memory start soak store history report record")
	@tests/bench/run.sh $(ARGS)
endif

.PHONY: manual
manual: build/manual/portsnoop.8 ## write the manual pages and shell completions: build/manual/

.PHONY: deb
deb: ## sudo make deb: install what it needs, build the Debian package: build/portsnoop_VERSION_ARCH.deb
	@tools/install-deps.sh build package
	@tools/packaging/deb.sh $(VERSION)

# What an install may be told, in the environment or here.
PLACES = DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' SYSTEMD='$(SYSTEMD)'

.PHONY: install
install: build/portsnoop build/manual/portsnoop.8 ## install to DESTDIR=/PREFIX=/usr/local, with manual, completions and unit
	@$(PLACES) tools/packaging/install.sh install

.PHONY: uninstall
uninstall: ## remove what install put there
	@$(PLACES) tools/packaging/install.sh uninstall

.PHONY: deps
deps: ## sudo make deps: install what the build needs
	@tools/install-deps.sh build

.PHONY: deps-test
deps-test: ## sudo make deps-test: and what the tests need
	@tools/install-deps.sh build test

.PHONY: deps-arm64
deps-arm64: ## sudo make deps-arm64: and what the cross build needs
	@tools/install-deps.sh build arm64

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## list the jobs
	@awk -F ':[^#]*## ' '/^[a-z0-9-]+:[^=].*## / { printf "  %-11s  %s\n", $$1, $$2 }' Makefile \
		$(if $(wildcard tests/bench/run.sh),,| grep -v '^  bench ')

# Every program that the suites run.
.PHONY: suites
suites: all static manual build/san/portsnoop $(UNIT_PROGRAMS) $(FUZZ_PROGRAMS) build/live/factory \
	build/live/tally_reader

# ---- how ----

.PHONY: check-tools FORCE
check-tools:
	@tools/check-tools.sh $(call quote,$(CLANG)) $(call quote,$(LLVM_STRIP)) $(call quote,$(CC)) \
		$(call quote,$(PKG_CONFIG)) $(PACKAGES) $(SHARED_PACKAGES) $(HEADER_PACKAGES)

# Remembers words. Objects depend on the words of their compiler's command,
# programs on those of their linker's, so that a changed flag or a source that
# went away makes them anew.
build/flags/%: FORCE | check-tools
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(words_$*)) | cmp -s - $@ || \
		printf '%s\n' $(call quote,$(words_$*)) >$@
quote = '$(subst ','\'',$(1))'

# bpf_object: folder, architecture, name
define bpf_object
$(1)/$(3).bpf.o: bpf/$(3).bpf.c build/flags/bpf-$(2) | check-tools
	@mkdir -p $$(@D)
	$$(call say,BPF,$$@)
	$$(Q)$$(CLANG) $$(BPF_FLAGS) -D__TARGET_ARCH_$(2) -MMD -MP -MF $(1)/$(3).bpf.d -MT $$@ \
		-c -o $(1)/$(3).whole.o $$<
	$$(Q)$$(LLVM_STRIP) -g -o $$@ $(1)/$(3).whole.o

-include $(1)/$(3).bpf.d
endef

# bpf_objects: folder, architecture
define bpf_objects
words_bpf-$(2) = $$(CLANG) $$(BPF_FLAGS)
$(call bpf_object,$(1),$(2),portsnoop)
$(call bpf_object,$(1),$(2),lookup)
$(call bpf_object,$(1),$(2),bucket)
endef

# variant: name, what must be there first. Its objects lie in build/obj/NAME/.
define variant
words_$(1) = $$($(1)_CC) $$($(1)_FLAGS)
$$(if $$($(1)_BPF),build/obj/$(1)/user/probe/object.o: $$($(1)_BPF)/portsnoop.bpf.o)
$$(if $$($(1)_BPF),build/obj/$(1)/user/probe/lookup_iter.o: $$($(1)_BPF)/lookup.bpf.o)
$$(if $$($(1)_BPF),build/obj/$(1)/user/probe/bucket.o: $$($(1)_BPF)/bucket.bpf.o)
build/obj/$(1)/%.o: %.c build/flags/$(1) | check-tools $(2)
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$($(1)_CC) $$($(1)_FLAGS) -DPORTSNOOP_BPF_OBJECT='"$$($(1)_BPF)/portsnoop.bpf.o"' \
		-DPORTSNOOP_LOOKUP_OBJECT='"$$($(1)_BPF)/lookup.bpf.o"' \
		-DPORTSNOOP_BUCKET_OBJECT='"$$($(1)_BPF)/bucket.bpf.o"' -MMD -MP -c -o $$@ $$<
endef

# program: path, variant, sources, more libraries
define program
words_$(subst /,-,$(1)) = $$($(2)_LINK) $(4) $$($(2)_LIBS) $(3)
$(1): $(3:%.c=build/obj/$(2)/%.o) build/flags/$(subst /,-,$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$($(2)_CC) $$($(2)_FLAGS) $$($(2)_LINK) -o $$@ $$(filter %.o,$$^) $(4) $$($(2)_LIBS)
endef

$(eval $(call bpf_objects,build,$(ARCH)))
$(eval $(call bpf_objects,build/arm64,arm64))
$(foreach name,program static san fuzz live,$(eval $(call variant,$(name))))
$(eval $(call variant,arm64,$(SYSROOT)/.done))

$(eval $(call program,build/portsnoop,program,$(USER)))
$(eval $(call program,build/portsnoop-static,static,$(USER)))
$(eval $(call program,build/san/portsnoop,san,$(USER)))
$(eval $(call program,build/arm64/portsnoop,arm64,$(USER)))
$(eval $(call program,build/live/factory,live,$(FACTORY)))
$(eval $(call program,build/live/tally_reader,static,tests/live/tally_reader.c $(LIBRARY)))
$(eval $(call program,build/manual/generate,program,$(MANUAL) $(LIBRARY)))
$(foreach test,$(UNIT),$(eval $(call program,$(test:tests/%.c=build/%),san,\
	$(test) $(UNIT_SHARED) $(filter-out %/main.c,$(MANUAL)) $(LIBRARY),-lcmocka)))
$(foreach target,$(FUZZ),$(eval $(call program,$(target:tests/%.c=build/%),fuzz,\
	$(target) $(LIBRARY))))

# Manual pages and completions, from the tables of the commands.
build/manual/portsnoop.8: build/manual/generate
	$(call say,MANUAL,$(@D))
	$(Q)rm -f build/manual/*.[58]
	$(Q)build/manual/generate $(@D)

# arm64 libraries from this distribution's own archive, unpacked, not installed.
$(SYSROOT)/.done: tools/arm64-sysroot.sh | check-tools
	@command -v $(arm64_CC) >/dev/null || { echo "make: missing for the cross build: $(arm64_CC);" \
		'`sudo make deps-arm64` installs it' >&2; exit 1; }
	@tools/arm64-sysroot.sh $(SYSROOT)
	@touch $@

-include $(shell find build/obj -name '*.d' 2>/dev/null)
