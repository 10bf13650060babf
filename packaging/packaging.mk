# packaging.mk: what packages take beside the programs: shell completion, made from the program's
# own --help, and the tests of the packages themselves.

DATADIR ?= $(if $(PREFIX),$(PREFIX)/share,/usr/local/share)
COMPLETIONS := $(BUILD)/completions

.PHONY: completions install-completions package-test test-managers test-monitoring check-versions

completions: $(HELPER)
	@mkdir -p $(COMPLETIONS)
	$(top)/packaging/completion/generate bash $(HELPER) > $(COMPLETIONS)/pg_standby_clone
	$(top)/packaging/completion/generate zsh $(HELPER) > $(COMPLETIONS)/_pg_standby_clone

install-completions: completions
	mkdir -p '$(DESTDIR)$(DATADIR)/bash-completion/completions' '$(DESTDIR)$(DATADIR)/zsh/vendor-completions'
	install -m 644 $(COMPLETIONS)/pg_standby_clone '$(DESTDIR)$(DATADIR)/bash-completion/completions/'
	install -m 644 $(COMPLETIONS)/_pg_standby_clone '$(DESTDIR)$(DATADIR)/zsh/vendor-completions/'

# Debian packages: built, installed in a clean tree, tried. The RPM spec: parsed.
package-test:
	@$(top)/ci/package-test

# Clones under Patroni and repmgr, the real ones.
test-managers: stage
	@$(top)/ci/test-managers

# Queries and dashboard of monitoring/, under the real exporters.
test-monitoring: stage
	@$(top)/ci/test-monitoring

# protocol/version.h has the version; wherever else it must be written, it is the same.
check-versions:
	@$(top)/ci/check-versions
