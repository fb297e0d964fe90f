# Hawser. `make run` and `make test` need nothing but Debian 12, Node 20 or later, and root.
SHELL := /bin/sh
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2
NODE := $(shell command -v node)

# Node reads every certificate in NODE_EXTRA_CA_CERTS when it starts; only npm has a use for them.
TSX := env -u NODE_EXTRA_CA_CERTS node --import tsx
CWARN := -std=gnu11 -Wall -Wextra -Werror
TS := $(shell find src -name '*.ts' -not -path '*/gen/*')
PROTO := $(shell find proto -name '*.proto')

.DELETE_ON_ERROR:
, := ,
.PHONY: ctr-table all setup build lib lint test test-client test-cli test-containerd test-cli-containerd recording test-unit test-shim test-nodes test-hawserd test-e2e test-cgroup2 test-systemd test-arm64 test-matrix test-daemons test-go test-nerdctl test-framework test-docs docs run bench bench-cgroup2 bench-daemon bench-systemd format soak-death soak-exec soak-gc soak-start soak-restart soak-upgrade install uninstall clean native-x64 native-arm64 dist deb packages test-install test-release

all: build

# ---- set-up --------------------------------------------------------------------------------------------------------

# What the tests and `make run` need of the machine: containerd, runc, dockerd, a compiler, busybox.
setup: node_modules/.ready
	@sh test/support/setup.sh

node_modules/.ready: package.json package-lock.json
	@# By force, as the package's own fields say for which machine it is packed, and a checkout is built on others too.
	npm ci --force --no-fund --no-audit --loglevel=error
	@touch $@

# ---- build ---------------------------------------------------------------------------------------------------------

SHIM_FILES := shim.cjs shim.bundle.js shim.debug.cjs shim.failpoint.cjs shim.upgrade.cjs shim.version shim.cache
CLI_FILES := hawser.cjs hawser.bundle.js hawser.ps.bundle.js hawser.undici.cjs hawser.yaml.cjs hawser.version hawser.cache hawser.ps.cache
NODE_FILES := find-node.sh node-version.cjs
PROGRAMS := containerd-shim-runc-v2 hawserd hawser

build: $(PROGRAMS:%=bin/%) dist/shim.cache dist/hawser.cache dist/hawser-stand-in dist/hawser-after dist/hawser-network.mjs dist/hawser.1 dist/LICENSES.txt

src/api/gen/services.ts: node_modules/.ready src/build/gen.ts $(PROTO)
	$(TSX) src/build/gen.ts
	@touch $@

# What copies and spawns is the monitor's, and where there is none the addon's.
ADDON := $(wildcard src/sys/*.c) src/monitor/answers.c src/monitor/copy.c src/monitor/entries.c src/monitor/recipe.c src/monitor/spawn.c
LAUNCHER := $(wildcard src/monitor/*.c)

dist/hawser_sys.node: node_modules/.ready $(ADDON) $(wildcard src/sys/*.h src/monitor/*.h)
	@mkdir -p dist
	$(CC) $(CWARN) $(CFLAGS) -fPIC -shared -s -I node_modules/node-api-headers/include -o $@ $(ADDON) -lpthread

# The programs as the package has them: they find their library by where they lie, and only so.
# Without dynamic linking it starts in half the time; where the C library can't be had statically, it goes without.
npm/containerd-shim-runc-v2: $(LAUNCHER) $(wildcard src/monitor/*.h)
	@mkdir -p npm
	$(CC) $(CWARN) $(CFLAGS) -s -static -o $@ $(LAUNCHER) 2>/dev/null || $(CC) $(CWARN) $(CFLAGS) -s -o $@ $(LAUNCHER)

npm/hawserd: src/daemon/packaging/hawserd.sh
	@mkdir -p npm
	install -m 755 $< $@

npm/hawser: src/cli/packaging/hawser.sh
	@mkdir -p npm
	install -m 755 $< $@

# And as they are run from the checkout: a copy that is put elsewhere finds its way back.
$(PROGRAMS:%=bin/%): bin/%: npm/% src/build/programs.ts node_modules/.ready $(NODE_FILES:%=dist/%) dist/hawser_sys.node dist/node
	@mkdir -p bin
	$(TSX) src/build/programs.ts "$(CURDIR)/dist" bin $<

bin/hawserd: dist/hawserd.mjs
bin/hawser: dist/hawser.cjs

$(NODE_FILES:%=dist/%): dist/%: src/monitor/%
	@mkdir -p dist
	install -m 644 $< $@

# Stands in for the runtime when a zygote rehearses.
dist/hawser-stand-in: src/shim/zygote/stand-in.c
	@mkdir -p dist
	$(CC) $(CWARN) $(CFLAGS) -s -static -o $@ $< 2>/dev/null || $(CC) $(CWARN) $(CFLAGS) -s -o $@ $<

dist/shim.cjs: src/api/gen/services.ts src/shim/load.cjs $(TS)
	@mkdir -p dist
	$(TSX) src/build/bundle.ts

dist/shim.cache: dist/shim.cjs dist/hawser_sys.node dist/hawser-stand-in dist/node src/monitor/flags.h
	$(TSX) src/build/code-cache.ts

dist/hawserd.mjs: src/api/gen/services.ts src/build/bundle-daemon.ts $(TS)
	@mkdir -p dist
	$(TSX) src/build/bundle-daemon.ts

dist/hawser.cjs: src/api/gen/services.ts src/build/bundle-cli.ts src/cli/packaging/load.cjs $(TS)
	@mkdir -p dist
	$(TSX) src/build/bundle-cli.ts

dist/hawser.cache: dist/hawser.cjs dist/hawser_sys.node dist/node src/build/code-cache-cli.ts
	$(TSX) src/build/code-cache-cli.ts

# What connects a container with its networks: a hook of its runtime.
dist/hawser-network.mjs: src/api/gen/services.ts src/build/bundle-network.ts $(TS)
	@mkdir -p dist
	$(TSX) src/build/bundle-network.ts

# Waits for the end of a container that is to be removed then.
dist/hawser-after: src/cli/after/main.c
	@mkdir -p dist
	$(CC) $(CWARN) $(CFLAGS) -s -static -o $@ $< 2>/dev/null || $(CC) $(CWARN) $(CFLAGS) -s -o $@ $<

# Of what is bundled.
dist/LICENSES.txt: dist/shim.cjs dist/hawserd.mjs dist/hawser.cjs dist/hawser-network.mjs src/build/licenses.ts
	$(TSX) src/build/licenses.ts >$@

dist/hawser.1: src/api/gen/services.ts src/build/manual.ts src/cli/packaging/hawser.1.in $(TS)
	@mkdir -p dist
	$(TSX) src/build/manual.ts >$@

# What is native, for another machine (ARCH as Node names it) or for this one, as packages have it: dist/native/ARCH. Those that
# are linked statically must be, as a package's may not depend on the C library of where it was built. LMDB's part is fetched.
MACHINE := $(shell node -p process.arch)
CC_x64 ?= $(if $(filter x64,$(MACHINE)),$(CC),x86_64-linux-gnu-gcc)
CC_arm64 ?= $(if $(filter arm64,$(MACHINE)),$(CC),aarch64-linux-gnu-gcc)
NATIVE_PARTS := containerd-shim-runc-v2 hawser-stand-in hawser-after hawser_sys.node
STATIC = @mkdir -p $(@D) && echo "$(CC_$*) -o $@" && $(CC_$*) $(CWARN) $(CFLAGS) -s -static -o $@

dist/native/%/containerd-shim-runc-v2: $(LAUNCHER) $(wildcard src/monitor/*.h)
	$(STATIC) $(LAUNCHER)

dist/native/%/hawser-stand-in: src/shim/zygote/stand-in.c
	$(STATIC) $<

dist/native/%/hawser-after: src/cli/after/main.c
	$(STATIC) $<

dist/native/%/hawser_sys.node: node_modules/.ready $(ADDON) $(wildcard src/sys/*.h src/monitor/*.h)
	@mkdir -p $(@D)
	$(CC_$*) $(CWARN) $(CFLAGS) -fPIC -shared -s -I node_modules/node-api-headers/include -o $@ $(ADDON) -lpthread

native-x64: $(NATIVE_PARTS:%=dist/native/x64/%)
native-arm64: $(NATIVE_PARTS:%=dist/native/arm64/%)

# The Node that the shim and the daemon run on, whatever PATH they are given.
dist/node:
	@mkdir -p dist
	ln -sfn "$(NODE)" $@

ROOMS := api cli client daemon oci runc shim sys text ttrpc

# The libraries, for `import … from 'hawser/ttrpc'`.
lib: src/api/gen/services.ts dist/hawser_sys.node
	@# What an earlier source had would be packed with what there is.
	rm -rf $(ROOMS:%=dist/%)
	node_modules/.bin/tsc -p .tsconfig.build.json
	@# Half of that is comments, which its declarations have, too: every program that connects would read them.
	@for dir in api ttrpc; do \
	  mkdir -p dist/$$dir/gen && cp src/$$dir/gen/*.d.ts dist/$$dir/gen/ && \
	  node_modules/.bin/esbuild --log-level=warning --minify-whitespace --charset=ascii --outdir=dist/$$dir/gen src/$$dir/gen/*.js || exit 1; \
	done
	$(TSX) src/build/bundle-client.ts

# The API reference of the libraries, from their docstrings: one that is missing is an error.
docs: dist/docs/README.md

dist/docs/README.md: src/api/gen/services.ts .typedoc.mjs $(TS)
	node_modules/.bin/typedoc --options .typedoc.mjs

# ---- checks --------------------------------------------------------------------------------------------------------

# That a docstring is missing is found by making the reference.
lint: src/api/gen/services.ts docs
	node_modules/.bin/prettier --check --log-level warn src test '.eslint.*.js'
	node_modules/.bin/tsc -p .
	node_modules/.bin/eslint -c .eslint.config.js src test

# Tests wait most of the time, so that three files at once take little more than one: HAWSER_TEST_LANES=1 shows them as they run.
export HAWSER_TEST_LANES ?= 3

# With `CGROUP2=`, a machine that cannot have the virtual machine for cgroup v2 fails; else it is only told so.
CGROUP2 ?= --where-possible

test: setup build lib test-unit test-shim test-hawserd test-client test-cli test-framework test-docs test-e2e test-go test-release test-containerd test-daemons test-nerdctl test-nodes
	$(TSX) test/vm/suite.ts $(CGROUP2)

TEST := $(TSX) test/support/suite.ts

test-unit:
	$(TEST) test/unit/*.test.ts

test-shim:
	$(TEST) test/shim/*.test.ts

# What is most particular to a version of Node, with those of the other lines that are supported: NODES=22 chooses.
NODE_TESTS := sleep death exec frugal
test-nodes: build
	NODES="$(NODES)" $(TSX) test/support/nodes.ts test/unit/*.test.ts $(NODE_TESTS:%=test/shim/%.test.ts)

test-hawserd:
	$(TEST) test/daemon/*.test.ts

# Test files on the machine's containerd, and on that of a newer Debian suite.
ON_CONTAINERD = $(TEST) $(1) && dir=$$(sh test/support/packages.sh containerd@forky | cut -d ' ' -f 3) && \
  HAWSER_TEST_CONTAINERD=$$dir/containerd HAWSER_TEST_CTR=$$dir/ctr HAWSER_TEST_STOCK=$$dir $(TEST) $(1)

# The client's tests, and those of the command line, against hawserd.
test-client: build lib
	HAWSER_TEST_DAEMON=hawserd $(TEST) test/client/*.test.ts

test-cli:
	HAWSER_TEST_DAEMON=hawserd $(TEST) test/cli/*.test.ts

# And against both of containerd's: of the command line what depends most on the daemon, which is all that a run of every change has
# time for.
CLI_ON_CONTAINERD := run containers habits interactive leftovers
test-containerd: export HAWSER_TEST_PART = the client and the command line on containerd
test-containerd: build lib
	$(call ON_CONTAINERD,test/client/*.test.ts $(CLI_ON_CONTAINERD:%=test/cli/%.test.ts))

test-e2e:
	$(TEST) test/e2e/*.test.ts

# All of the command line's: a quarter of an hour.
test-cli-containerd: build
	$(call ON_CONTAINERD,test/cli/*.test.ts)

# What the command line shows on a terminal, written down: src/cli/RECORDING.md.
recording: setup build
	HAWSER_TEST_DAEMON=hawserd $(TSX) test/cli/record.ts

# Programs on containerd's own Go modules, beside ours; left out where Go is missing. See test/go/README.md.
test-go: build
	$(TEST) $(filter-out %/nerdctl.test.ts,$(wildcard test/go/*.test.ts))

# Another: to build nerdctl takes Go several minutes, once.
test-nerdctl: export HAWSER_TEST_PART = nerdctl beside hawser
test-nerdctl: build
	$(TEST) test/go/nerdctl.test.ts

# Shims made with hawser/shim, from outside of the repository.
test-framework: setup build lib
	$(TEST) test/framework/*.test.ts

# Every sample in every page, run where the page's files, processes and mounts are its own.
test-docs: setup build lib docs
	$(TEST) test/docs/*.test.ts

# What has to do with cgroups, on a kernel that has cgroup v2 alone; see test/vm/README.md.
test-cgroup2: setup build
	$(TSX) test/vm/suite.ts

# On a whole Debian 13 with systemd, docker and containerd as services, in a virtual machine: ONLY=docker,services,cri,poweroff chooses.
test-systemd: setup build
	ONLY="$(ONLY)" $(TSX) test/vm/systemd.ts

# The archive for arm64 on an emulated arm64 machine, with pages of 4 and of 16 KiB: PAGES=16k chooses.
test-arm64: setup
	@$(MAKE) -s dist RELEASE=arm64
	PAGES="$(PAGES)" $(TSX) test/vm/arm64.ts

# Every daemon and runtime that Debian's suites have, each pair: ONLY=containerd-2.1/runc-1.3 chooses.
test-matrix: setup build
	$(TSX) test/support/matrix.ts $(ONLY)

# One pair for each version of the daemons that isn't the machine's own.
test-daemons:
	$(TSX) test/support/matrix.ts --small

# What ctr of two versions gets from hawserd, beside what it gets from its own containerd; test/daemon/ctr.test.ts holds it.
ctr-table: setup build
	@$(TSX) test/support/ctr-table.ts

# Beside Debian's Go shim and the newest, which is built where there is go: ROUNDS=5 is shorter, ONLY=exec,wake chooses rows, and
# PEER=/path/to/a/shim puts another one in the Go shims' place.
bench: setup build lib
	$(TSX) test/bench/bench.ts

# The same on a kernel that has cgroup v2 alone, emulated, so that only ratios mean anything: ROUNDS=4 ONLY=apart,sixteen takes some twenty
# minutes. FAVORDYNMODS=1 has the kernel make the moving of processes between cgroups cheap.
bench-cgroup2: setup build lib
	test/vm/run --mem 3000 --timeout 7200 --env ROUNDS --env ONLY --env DENSITY --env EXECS --env PEER --env PATH -- sh -c \
	  '$(if $(FAVORDYNMODS),mount -o remount$(,)favordynmods /sys/fs/cgroup && )exec $(TSX) test/bench/bench.ts'

# Lives under a containerd.service and a docker.service whose containers are scopes of systemd's, emulated: ratios alone mean anything.
bench-systemd: setup build
	$(TSX) test/vm/systemd.ts --bench

bench-daemon: setup build
	$(TSX) test/bench/daemon.ts

# N execs through one shim: what it has then must be what it had.
N ?= 2000
soak-exec: setup build
	$(TSX) test/bench/exec-soak.ts $(N)

# N starts while zygotes are killed at random: no container lost, nothing left.
soak-start: setup build
	$(TSX) test/bench/start-soak.ts $(N)

# N containers while workers are killed at random, at any step: each exit told once, nothing left.
soak-death: N = 500
soak-death: setup build
	$(TSX) test/bench/death-soak.ts $(N)

# N containers under dockerd end while containerd restarts: none may stay up.
soak-restart: N = 100
soak-restart: setup build
	$(TSX) test/bench/restart-soak.ts $(N)

# N containers with output, execs and a client each are given another version of their shim, three times: nothing may be noticed.
soak-upgrade: N = 200
soak-upgrade: setup build
	$(TSX) test/bench/upgrade-soak.ts $(N)

# N snapshots, most of images that are pulled, removed and collected at once: nothing that has a name loses its files.
soak-gc: setup build
	$(TSX) test/bench/gc-soak.ts $(N)

# Lines of 120 columns, as `make lint` wants them.
format: node_modules/.ready
	node_modules/.bin/prettier --write --log-level warn src test '.eslint.*.js'

# ---- packages ------------------------------------------------------------------------------------------------------

# Archives with Node inside, for amd64 and arm64, into dist/release: see src/docs/install.md. RELEASE=x64 makes one of them.
RELEASE ?= x64 arm64

dist: build
	@sh src/build/release/setup.sh $(RELEASE)
	@$(MAKE) -s $(RELEASE:%=native-%)
	$(TSX) src/build/release/tarball.ts $(RELEASE)

# Debian packages, hawser and hawser-node, into dist/release.
deb: build
	@sh src/build/release/setup.sh $(RELEASE)
	@$(MAKE) -s $(RELEASE:%=native-%)
	$(TSX) src/build/release/deb.ts $(RELEASE)

# Packages for npm, into dist/release: hawser, and @hawser/linux-x64 and so on with what is native.
packages: build lib
	@sh src/build/release/setup.sh $(RELEASE)
	@$(MAKE) -s $(RELEASE:%=native-%)
	$(TSX) src/build/release/npm-packages.ts $(RELEASE)

# What the packages are, as far as seconds tell, and what is native for arm64.
test-release: setup build lib
	@sh src/build/release/setup.sh x64 arm64
	@$(MAKE) -s native-arm64 native-$(MACHINE)
	$(TSX) src/build/release/tarball.ts $(MACHINE)
	$(TSX) src/build/release/deb.ts $(MACHINE) hawser
	$(TSX) src/build/release/npm-packages.ts $(MACHINE)
	$(TEST) test/release/*.test.ts

# Each way to install, on clean roots of Debian 12 and 13: see src/docs/install.md. ONLY=deb/trixie chooses.
test-install: setup
	@sh src/build/release/setup.sh --tests
	@$(MAKE) -s dist deb RELEASE=$(MACHINE)
	@$(MAKE) -s packages
	$(if $(ONLY),ONLY=$(ONLY)) $(TEST) test/release/release.test.ts test/install/*.test.ts

# ---- use -----------------------------------------------------------------------------------------------------------

run: setup build
	@$(TSX) test/support/run.ts

LIB = $(DESTDIR)$(PREFIX)/lib/hawser
# Where that will be in the end, whatever it is staged in.
PLACE = $(if $(filter /%,$(PREFIX)),,$(CURDIR)/)$(PREFIX)/lib/hawser
UNITS = $(DESTDIR)$(PREFIX)/lib/systemd/system
SHARE = $(DESTDIR)$(PREFIX)/share
MAN = $(SHARE)/man
SHIM := containerd-shim-runc-v2
# Earlier versions put the shim where every PATH finds it. What lies there may as well be another make's, or npm's link.
EARLIER = $(DESTDIR)$(PREFIX)/bin/$(SHIM)
HAS_EARLIER = { [ ! -L "$(EARLIER)" ] || [ "$$(readlink "$(EARLIER)")" = ../lib/hawser/bin/$(SHIM) ]; } && grep -qs "hawser's library: " "$(EARLIER)"
COMPLETIONS := bash-completion/completions zsh/site-functions fish/vendor_completions.d

install: build
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(LIB)/bin"
	install -m 644 $(SHIM_FILES:%=dist/%) $(NODE_FILES:%=dist/%) dist/LICENSES.txt "$(LIB)/"
	install -m 755 dist/hawser_sys.node "$(LIB)/hawser_sys.node"
	install -m 755 dist/hawser-stand-in "$(LIB)/hawser-stand-in"
	ln -sfn "$(NODE)" "$(LIB)/node"
	install -m 644 dist/hawserd.mjs dist/hawser-network.mjs $(CLI_FILES:%=dist/%) "$(LIB)/"
	install -m 755 dist/hawser-after "$(LIB)/hawser-after"
	install -m 755 dist/lmdb.node "$(LIB)/lmdb.node"
	@# After what they run: containers may be started meanwhile, and only an older program does with a newer library.
	$(TSX) src/build/programs.ts "$(PLACE)" "$(LIB)/bin" npm/$(SHIM)
	$(TSX) src/build/programs.ts "$(PLACE)" "$(DESTDIR)$(PREFIX)/bin" $(patsubst %,npm/%,$(filter-out $(SHIM),$(PROGRAMS)))
	@# What an earlier hawser was made of.
	rm -rf "$(LIB)/hawser.mjs" "$(LIB)/cli-parts"
	@# Configurations, and a hawserd that runs, name the one that an earlier version has put there.
	if $(HAS_EARLIER); then \
	  ln -sfn ../lib/hawser/bin/$(SHIM) "$(EARLIER).new" && mv -fT "$(EARLIER).new" "$(EARLIER)"; \
	  echo "$(EARLIER), of an earlier installation, now leads to this one; see src/docs/upgrade.md"; \
	fi
	install -d "$(UNITS)" "$(MAN)/man8" "$(MAN)/man1"
	install -m 644 dist/hawser.1 "$(MAN)/man1/hawser.1"
	install -d $(COMPLETIONS:%="$(SHARE)/%")
	bin/hawser completion bash >"$(SHARE)/bash-completion/completions/hawser"
	bin/hawser completion zsh >"$(SHARE)/zsh/site-functions/_hawser"
	bin/hawser completion fish >"$(SHARE)/fish/vendor_completions.d/hawser.fish"
	sed 's|@PREFIX@|$(PREFIX)|g' src/daemon/packaging/hawserd.service >"$(UNITS)/hawserd.service"
	chmod 644 "$(UNITS)/hawserd.service"
	install -m 644 src/daemon/packaging/hawserd.8 "$(MAN)/man8/hawserd.8"

uninstall:
	@if [ -z "$(DESTDIR)" ] && grep -rqsF "$(PREFIX)/lib/hawser/bin" /etc/systemd/system /etc/containerd /etc/docker; then \
	  echo "warning: daemons are told of $(PREFIX)/lib/hawser/bin, which goes now: take that back by \`hawser shim disable\` of another installation, or by hand" >&2; \
	fi
	if $(HAS_EARLIER); then rm -f "$(EARLIER)"; fi
	rm -rf "$(LIB)"
	rm -f "$(DESTDIR)$(PREFIX)/bin/hawser" "$(MAN)/man1/hawser.1" "$(SHARE)/bash-completion/completions/hawser" "$(SHARE)/zsh/site-functions/_hawser" "$(SHARE)/fish/vendor_completions.d/hawser.fish"
	rm -f "$(DESTDIR)$(PREFIX)/bin/hawserd" "$(UNITS)/hawserd.service" "$(MAN)/man8/hawserd.8"

clean:
	rm -rf dist npm $(PROGRAMS:%=bin/%) src/api/gen src/ttrpc/gen
