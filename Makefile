# make demo: see it work. make test: every test. Both install what is missing, as root on Debian.
.PHONY: build demo test fuzz lint bench soak soak-etcd repeat lab lab-down clean

GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

build:
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/ ./cmd/...

# Three hosts behind sshd -i: no daemon, no port, no root. health.yml may well
# find something about this machine's clock; the backup is what must succeed.
demo: build
	@.ci/install openssh-server openssh-client || true
	bin/dayops-lab demo-hosts --dir .demo --count 3
	bin/dayops run health.yml -i .demo/inventory.yml || echo "health.yml: exit code $$?"
	bin/dayops run backup.yml -i .demo/inventory.yml -e backup_dir=./backups

test:
	@.ci/test

fuzz:
	@.ci/fuzz

# golangci-lint is built from its module (about 3 minutes the first time). Its
# cache is this tree's own: import rules go by path, which the cache does not know.
lint:
	@test -z "$$(gofmt -l cmd engine tasks 2>/dev/null)" || { gofmt -l cmd engine tasks; echo "gofmt is needed"; exit 1; }
	go vet ./...
	GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci CGO_ENABLED=0 go run $(GOLANGCI) run ./...

bench:
	go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./...

# The long forms of what `make test` does in short, as root: hundreds of kills, cut
# connections, races, undos and forecasts, in half an hour. RUN=TestKilled is one of them.
soak: build
	@.ci/install
	DAYOPS_SOAK=1 DAYOPS_LAB=own go test -count=1 -v -timeout 60m -parallel 3 -run '$(or $(RUN),^Test(Killed|Resume|Undo)$$)' ./cmd/dayops/internal/soak
	DAYOPS_SOAK=1 DAYOPS_LAB=own go test -count=1 -v -timeout 30m -run '$(or $(RUN),Honest)' ./cmd/dayops/internal/e2e

# The same of etcd: the matrix over its releases, members that cannot start, kills
# at every step. Hours; these tests have the build tag soak. RUN=TestEtcdLife is one of them.
soak-etcd: build
	@.ci/install
	DAYOPS_SOAK=1 DAYOPS_LAB=own go test -count=1 -v -tags soak -timeout 300m -run '$(or $(RUN),Etcd)' ./cmd/dayops/internal/soak
	DAYOPS_SOAK=1 DAYOPS_LAB=own go test -count=1 -v -tags soak -timeout 60m -run '$(or $(RUN),Etcd)' ./cmd/dayops/internal/e2e
	DAYOPS_SOAK=1 go test -count=1 -v -tags crash -run '$(or $(RUN),Killed)' ./engine

# Every test again and again, for what fails once in a while.
TIMES ?= 10
repeat:
	@for i in $$(seq $(TIMES)); do echo "round $$i of $(TIMES)"; .ci/test || exit 1; done

# Five hosts like an OpenShift 3.10 cluster, as root; inventory in .lab/inventory.yml.
lab: build
	@[ "$$(id -u)" != 0 ] || .ci/install
	bin/dayops-lab up

lab-down: build
	bin/dayops-lab down

clean:
	rm -rf bin
