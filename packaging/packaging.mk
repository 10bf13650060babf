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

# The documents as HTML, by pandoc.
.PHONY: docs
docs:
	@command -v pandoc >/dev/null || { echo "make docs needs pandoc" >&2; exit 1; }
	@mkdir -p $(BUILD)/html
	@(echo '<nav>'; for page in $(top)/README.md $(top)/docs/*.md $(top)/CHANGELOG.md; do name=$$(basename $$page .md); \
	  echo "<a href=\"$$name.html\">$$name</a>"; done; echo '</nav>') > $(BUILD)/html/nav.inc
	@for page in $(top)/README.md $(top)/CHANGELOG.md $(top)/CONTRIBUTING.md $(top)/docs/*.md $(top)/bench/README.md; do \
	  name=$$(basename $$page .md); [ $$page != $(top)/bench/README.md ] || name=bench; \
	  sed -E 's,\]\((\.\./)?bench/README\.md,](bench.html,;s,\]\(docs/([a-z-]+\.svg)\),](\1),;s,\]\((\.\./)?(docs/)?([A-Za-z0-9_-]+)\.md(#[a-z-]*)?\),](\3.html\4),g' $$page | \
	    pandoc -f gfm -t html5 -s --metadata pagetitle="pg_standby_clone: $$name" -B $(BUILD)/html/nav.inc --css style.css -o $(BUILD)/html/$$name.html || exit 1; \
	done
	@cp $(top)/docs/*.svg $(top)/docs/json-schema.json $(top)/LICENSE $(BUILD)/html/
	@rm $(BUILD)/html/nav.inc
	@printf 'nav{font-size:85%%;border-bottom:1px solid #bbb;padding-bottom:.5em}nav a{margin-right:.9em}table{display:block;overflow-x:auto}td code{overflow-wrap:anywhere}img{max-width:100%%}body{max-width:66em;margin:2em auto;font-family:sans-serif;line-height:1.45}table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.25em .6em;vertical-align:top}pre{background:#f4f4f4;padding:.7em;overflow-x:auto}\n' > $(BUILD)/html/style.css
	@echo "build/html/README.html"
