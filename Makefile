# Makefile: the front door. The server side is built by extension/extension.mk (PGXS), the
# program on the standby host by helper/helper.mk; everything made lies below build/.
#
#   make                     build both            make test         all tests, on a staged copy
#   make install             install both          make unit-test    the C++ tests alone
#   make tap TAP=FILE...     some of the tests with servers
#   make installcheck        test what is installed, on a running server
#   make fuzz                each decoder against made-up bytes (needs clang)
#   make check-boundaries    what a machine can see of the rules of the code
#   make demo                a clone, from nothing to streaming, in about a minute
#   make bench               measured against its peers   make micro-bench  its parts alone
#   make package-test        Debian packages, built and tried in a clean tree
#   make clean, make dist
#
# PG_CONFIG chooses the PostgreSQL to build for, BINDIR where the program is installed
# (default: beside pg_basebackup), UNITDIR where the agent's systemd unit, CXX the compiler; WERROR=
# lets warnings pass.

top := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
export top

PG_CONFIG ?= pg_config
export PG_CONFIG
PG_MAJOR := $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
VERSION := $(shell sed -n 's/.*kVersion\[\] = "\(.*\)".*/\1/p' $(top)/protocol/version.h)

BUILD ?= $(top)/build
STAGE ?= $(BUILD)/stage-$(PG_MAJOR)

# A checkout is for developers, who want to hear of warnings; a released archive is not.
WERROR ?= $(if $(wildcard $(top)/.git),-Werror)
export WERROR

BINDIR ?= $(shell $(PG_CONFIG) --bindir)
MANDIR ?= $(shell $(PG_CONFIG) --mandir)
UNITDIR ?= $(if $(PREFIX),$(PREFIX),/usr/local)/lib/systemd/system
UNIT := pg_standby_clone-agent@.service

.PHONY: all extension helper install install-extension install-helper uninstall installcheck \
        stage test unit-test regress tap server-tests fuzz check-boundaries run-demo run-bench demo bench dist clean

all: extension helper

include $(top)/helper/helper.mk
include $(top)/packaging/packaging.mk
include $(top)/bench/bench.mk

EXTENSION_BUILD = $(BUILD)/pg$(PG_MAJOR)
EXTENSION_MAKE = mkdir -p $(EXTENSION_BUILD) && \
  $(MAKE) --no-print-directory -C $(EXTENSION_BUILD) -f $(top)/extension/extension.mk \
          VPATH=$(top) PG_CONFIG=$(PG_CONFIG) VERSION=$(VERSION)

extension:
	@test -n "$(PG_MAJOR)" || { echo "no pg_config found: run ci/packages, or say where with PG_CONFIG=..." >&2; exit 1; }
	+@$(EXTENSION_MAKE) all

install: install-extension install-helper

install-extension: extension
	+@$(EXTENSION_MAKE) install

install-helper: helper
	mkdir -p '$(DESTDIR)$(BINDIR)'
	install -m 755 $(HELPER) '$(DESTDIR)$(BINDIR)/pg_standby_clone'
	install -m 755 $(top)/packaging/patroni/pg_standby_clone_patroni '$(DESTDIR)$(BINDIR)/'
	mkdir -p '$(DESTDIR)$(MANDIR)/man1'
	install -m 644 $(top)/docs/pg_standby_clone.1 '$(DESTDIR)$(MANDIR)/man1/'
	mkdir -p '$(DESTDIR)$(UNITDIR)'
	sed 's,@BINDIR@,$(BINDIR),' '$(top)/systemd/$(UNIT)' > '$(DESTDIR)$(UNITDIR)/$(UNIT)'
	chmod 644 '$(DESTDIR)$(UNITDIR)/$(UNIT)'

# Completion needs perl to be made; without it there is none.
	@if command -v perl >/dev/null; then $(MAKE) --no-print-directory install-completions; fi

uninstall:
	+@$(EXTENSION_MAKE) uninstall
	rm -f '$(DESTDIR)$(BINDIR)/pg_standby_clone' '$(DESTDIR)$(BINDIR)/pg_standby_clone_patroni' \
	  '$(DESTDIR)$(MANDIR)/man1/pg_standby_clone.1' '$(DESTDIR)$(UNITDIR)/$(UNIT)' \
	  '$(DESTDIR)$(DATADIR)/bash-completion/completions/pg_standby_clone' \
	  '$(DESTDIR)$(DATADIR)/zsh/vendor-completions/_pg_standby_clone'

# A copy of the PostgreSQL installation with our files in it: tests never touch the
# system's, and need no rights there.
stage: all
	@PG_CONFIG=$(PG_CONFIG) $(top)/ci/make-stage $(STAGE)
	@$(MAKE) --no-print-directory install DESTDIR=$(STAGE) BINDIR=$(shell $(PG_CONFIG) --bindir) >$(STAGE)/install.log

# Where ci/packages may install pg_config, all else is for a make that is started afterwards: this
# one has already looked for it.
test:
	@$(top)/ci/packages
	@$(MAKE) --no-print-directory unit-test stage check-boundaries
	@$(MAKE) --no-print-directory server-tests

server-tests: stage
	@$(top)/ci/run-tests regress tap $(TAP)

regress: stage
	@$(top)/ci/run-tests regress

tap: stage
	@$(top)/ci/run-tests tap $(TAP)

installcheck:
	@INSTALLED=1 $(top)/ci/run-tests installcheck $(TAP)

fuzz:
	@$(top)/fuzz/run $(FUZZ_SECONDS)

check-boundaries: helper
	@$(top)/ci/check-meta
	@$(top)/ci/check-boundaries $(HELPER)

demo:
	@$(top)/ci/packages
	@$(MAKE) --no-print-directory run-$@

bench:
	@ALSO="iproute2 rsync pgbackrest" $(top)/ci/packages
	@$(MAKE) --no-print-directory run-$@

run-demo: stage
	@$(top)/demo/run

run-bench: stage
	@$(top)/bench/run $(BENCH_OPTIONS)

dist:
	@mkdir -p $(BUILD)
	git -C $(top) archive --format=zip --prefix=pg_standby_clone-$(VERSION)/ \
	    -o $(BUILD)/pg_standby_clone-$(VERSION).zip HEAD

clean:
	rm -rf $(BUILD)

export BUILD STAGE PG_MAJOR VERSION HELPER
