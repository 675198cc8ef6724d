# Postchi. make run starts a ready copy; make test installs what the tests need and runs them.

GO      ?= go
BIN     := bin/postchi
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PREFIX  ?= /usr/local

# A MariaDB of the tests' own: starts it, runs what follows, stops it.
MARIADB  = $(GO) run ./models/db/dbtest/mariadb
# Packages with goroutines of their own are tested under the race detector, the others without.
RACE     = ./models/db/... ./models/store/... ./mailserver/... ./panel/...
PLAIN    = $(shell $(GO) list ./... | grep -v -E '/(models/db|models/store|mailserver|panel)(/|$$)')

export GOFLAGS := -buildvcs=false

.PHONY: build run install packages lint test race fuzz bench crashtest interop clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/postchi

run: build
	./$(BIN) serve --dev

install: build
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/postchi
	install -D -m 0644 deploy/postchi.service $(DESTDIR)/etc/systemd/system/postchi.service
	test -e $(DESTDIR)/etc/postchi/postchi.toml || install -D -m 0640 deploy/postchi.toml $(DESTDIR)/etc/postchi/postchi.toml

packages:
	@.ci/install

# Without cgo, as the product is built: what is compiled here is not compiled again for its tests.
lint:
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants:"; gofmt -l .; exit 1; }
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) tool staticcheck ./...

# The race detector looks at everything but SQLite's machine and the cipher of bcrypt, which are not
# ours, share nothing between goroutines without locks, and take three times as long under it. Nothing
# that uses generic types of the standard library may be added: the linker keeps one copy of each
# function of those, maybe the one that the detector does not see, and locks of ours are overlooked.
UNWATCHED = -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=golang.org/x/crypto/blowfish=-race=false
# Vetted by lint. The C compiler is not to optimize: the race detector needs cgo, and with it comes a
# second SQLite, in C, which nothing uses.
TESTED    = -vet=off -timeout 20m

test: packages lint
	$(MARIADB) .ci/both 'CGO_CFLAGS=-O0 $(GO) test $(TESTED) -race $(UNWATCHED) $(RACE)' 'CGO_ENABLED=0 $(GO) test $(TESTED) $(PLAIN)'

race: packages
	$(MARIADB) $(GO) test -race -timeout 30m ./...

FUZZTIME ?= 60s
fuzz:
	.ci/fuzz $(FUZZTIME)

# What docs speak of, each beside its yardstick in the same run: some ten minutes on two cores
# that have nothing else to do; with POSTCHI_LONG=1 also on stores of 1,000,000 messages and on
# 1,000,000 events, some ten minutes more. All other benchmarks: go test -bench . ./package
BENCHTIME ?= 2s
bench: packages
	$(MARIADB) $(GO) test -run '^$$' -bench '^Benchmark(Submission|Deliver|DeliverFull|Compact|Start|Compare|LoginFirst|LoginRepeatedRow|Retr|MailboxesPage|Mailbox|Append|ChangedSince|Idle|Verify|VerifyBare|Send|Drain|Relay|Visible|Inbound|Sign|Traces|InsertEvents)$$' \
		-benchtime $(BENCHTIME) -timeout 40m ./mailserver/smtpd ./mailserver/mailstore ./mailserver/auth ./mailserver/pop3d ./mailserver/imapd ./mailserver/verify ./mailserver/dkim ./mailserver/queue ./mailserver ./models/store ./cmd/postchi

# Kills in number, and the proofs of the store in their long form: some twenty minutes.
PROOFS = TestPowerCut|TestFailingWrites|TestFailingCalls|TestLostCommits|TestTwoProcesses
crashtest: packages
	$(MARIADB) $(GO) test -count 1 -timeout 30m -v -run 'TestCrash' ./cmd/postchi -crash.kills 20
	POSTCHI_LONG=1 $(MARIADB) $(GO) test -race -count 1 -timeout 30m -v -run '^(TestUnderFire|TestKills)$$' ./mailserver/blob
	POSTCHI_LONG=1 $(MARIADB) $(GO) test -count 1 -timeout 30m -v -run '^($(PROOFS))$$' ./mailserver/mailstore ./cmd/postchi

# What needs programs that are not ours: a cluster of two MariaDB nodes on the loopback, Dovecot,
# and mail programs against our IMAP server. Some three minutes.
IMAPFLOW = imapflow@1.7.8
interop: packages
	@.ci/install .ci/packages-interop
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix .cache/imapflow $(IMAPFLOW)
	POSTCHI_INTEROP=1 $(GO) test -race -count 1 -timeout 10m -v -run '^Test(Contract|Curl|OfflineIMAP|Fetchmail|GoIMAP|Imapflow)$$' ./mailserver/imapd
	POSTCHI_INTEROP=1 $(MARIADB) $(GO) test -count 1 -timeout 10m -v -run '^TestInterop' ./cmd/postchi
	POSTCHI_INTEROP=1 $(GO) test -race -count 1 -timeout 20m -v -run '^TestGalera$$' ./mailserver/mailstore
	POSTCHI_INTEROP=1 $(GO) test -race -count 1 -timeout 5m -v -run '^Test(Rspamd|PythonSeals)$$' ./mailserver/filter ./mailserver/verify

clean:
	rm -rf bin
