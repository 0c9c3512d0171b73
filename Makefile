# The targets of this project; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN        := $(CURDIR)/bin
K8S        := $(BIN)/k8s
CONTROLPLANE := $(BIN)/controlplane
TOOLS      := -modfile=hack/tools/go.mod
# Every Go module, and those of them that hold Go code of this project: the others pin what is built from elsewhere.
MODULES    := $(patsubst %/go.mod,%,$(wildcard ./go.mod hack/*/go.mod test/*/go.mod))
GO_MODULES := $(foreach module,$(MODULES),$(if $(wildcard $(module)/*.go $(module)/*/*.go),$(module)))
GENERATED  := api config/crd/bases config/rbac/role.yaml config/rbac/catalog_role.yaml config/chart/files docs/catalog.md docs/api-reference.md
VERSION    ?= devel
DIST       ?= dist
PLATFORMS  ?= linux/amd64,linux/arm64
REVISION   ?= $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null)
# grpc, which is below the API server's libraries, would serve pages of its traces, which only a template can write: see
# verify-linked.
TAGS       := grpcnotrace
LDFLAGS    := -s -w -X github.com/platformprofile/platformprofile/internal/version.Version=$(VERSION)

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build both programs: bin/operator, and the command line bin/platformprofile
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/operator .
	CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/platformprofile ./cmd/platformprofile

.PHONY: plugin
plugin: build ## Make the command line a plugin of kubectl: put bin/plugin on the PATH
	@mkdir -p $(BIN)/plugin
	ln -sf ../platformprofile $(BIN)/plugin/kubectl-platformprofile
	@printf '#!/bin/sh\nexec kubectl platformprofile __complete "$$@"\n' > $(BIN)/plugin/kubectl_complete-platformprofile
	@chmod +x $(BIN)/plugin/kubectl_complete-platformprofile

# The pages that check and discover write are tested in a real browser. Without one their test is skipped, but not
# where CI is set.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
		else \
			echo "No chromium is here, and it cannot be installed: the test of the pages is skipped." >&2; \
		fi; }

.PHONY: test-pages
test-pages: build chromium ## Look at the HTML pages in a real Chromium; screenshots in bin/screenshots
	go -C test/browser test -count=1 -timeout 20m ./...

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver and the rest into bin/k8s, once (about 10 minutes from an empty cache)
	@go -C hack/controlplane build -o $(CONTROLPLANE) .
	@$(CONTROLPLANE) build --out $(K8S)

.PHONY: promtool
promtool: $(BIN)/promtool $(BIN)/queries ## Build promtool, which the tests of alerts and dashboards use (minutes from an empty cache)

.PHONY: monitoring
monitoring: $(BIN)/kube-state-metrics $(BIN)/monitoring-crds ## Build kube-state-metrics and the Prometheus Operator's CRDs, which read config/prometheus in tests

# A real node needs root, Linux, and runc; the test of the Dockerfile needs buildah. Debian has both as packages. Without root
# they are left out, and so are their tests.
.PHONY: node-parts
node-parts: controlplane
	@if [ "$$(uname)" != Linux ] || [ "$$(id -u)" != 0 ]; then \
		echo "Not root on Linux: no real node is built, and the tests that need one are skipped." >&2; \
	else \
		{ command -v runc && command -v buildah; } >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends runc buildah; }; \
		$(CONTROLPLANE) build --out $(K8S) --node; \
	fi

.PHONY: node
node: node-parts ## Start a control plane with a real kubelet and containerd, until Ctrl-C (Linux, needs root)
	@$(CONTROLPLANE) run --dir $(BIN)/node --nodes 0 --real-node

.PHONY: releases
releases: ## Refresh the facts about releases from upstream; needs a network
	go run ./hack/releases

.PHONY: generate
generate: $(BIN)/controller-gen $(BIN)/crd-ref-docs ## Generate deep copies, apply configurations, CRDs, permissions, docs/catalog.md, docs/api-reference.md
	$(BIN)/controller-gen object applyconfiguration crd:maxDescLen=2000 paths=./api/... output:crd:dir=config/crd/bases
	@for file in config/crd/bases/*.yaml; do \
		awk -v revision="$$(sha256sum < $$file | cut -c1-12)" '{print} /^    controller-gen.kubebuilder.io\/version:/ {print "    platformprofile.dev/schema-revision: \"" revision "\""}' \
			$$file > $(BIN)/crd.yaml && mv $(BIN)/crd.yaml $$file; \
	done
	$(BIN)/controller-gen rbac:roleName=platformprofile-manager paths=./controllers/... output:rbac:dir=config/rbac
	go run ./hack/catalogrole > $(BIN)/catalog_role.yaml && mv $(BIN)/catalog_role.yaml config/rbac/catalog_role.yaml
	@$(MAKE) --no-print-directory chart-files
	@mkdir -p docs
	go run ./cmd/platformprofile catalog -o markdown > $(BIN)/catalog.md && mv $(BIN)/catalog.md docs/catalog.md
	$(BIN)/crd-ref-docs --log-level ERROR --config hack/apidocs/config.yaml --templates-dir hack/apidocs/templates --renderer markdown \
		--source-path api --output-path docs/api-reference.md

# A chart reads nothing outside its folder: what it has in common with the kustomization is copied into it.
.PHONY: chart-files
chart-files:
	@rm -rf config/chart/files
	@mkdir -p config/chart/files/crds config/chart/files/rbac config/chart/files/prometheus config/chart/files/grafana config/chart/files/admission config/chart/files/gate config/chart/files/reports
	@cp config/crd/bases/*.yaml config/chart/files/crds/
	@cd config/rbac && cp $$(ls *.yaml | grep -vx kustomization.yaml) ../chart/files/rbac/
	@cp config/prometheus/rules.yaml config/prometheus/service_monitor.yaml config/chart/files/prometheus/
	@cp config/grafana/platformprofile.json config/chart/files/grafana/
	@cp config/admission/policies.yaml config/admission/waivers.yaml config/chart/files/admission/
	@cp config/gate/policies.yaml config/gate/break_glass_role.yaml config/chart/files/gate/
	@cp config/reports/role.yaml config/chart/files/reports/

.PHONY: format
format: $(BIN)/golangci-lint ## Format the code
	$(BIN)/golangci-lint fmt ./...

.PHONY: verify
verify: vet lint verify-linked verify-generated verify-tidy ## Check vet, lint, what is linked, generated files and go.mod; CI runs it

.PHONY: vet
vet:
	@for module in $(GO_MODULES); do echo "vet $$module"; go -C $$module vet ./...; done

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/kube-api-linter
	@for module in $(GO_MODULES); do echo "lint $$module"; (cd $$module && $(BIN)/golangci-lint run ./...); done
	$(BIN)/kube-api-linter run -c .golangci-kal.yml ./api/v1alpha1/

# Where code calls methods by a name that is known only at run time, as templates do, the linker must keep all exported methods
# of all types: half as much program again, and the operator's memory grows by it. The command line may use templates.
.PHONY: verify-linked
verify-linked:
	@callers=$$(CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags "$(LDFLAGS) -dumpdep" -o /dev/null . 2>&1 \
		| awk '/ <ReflectMethod>/ {split($$0, p, " <ReflectMethod>"); sub(/.* -> /, "", p[1]); if (!seen[p[1]]++) print p[1]} !/ -> |^# / {print}') || true; \
	if [ -n "$$callers" ]; then \
		echo "The operator does not link, or the linker keeps every exported method, because of:" >&2; echo "$$callers" >&2; exit 1; \
	fi

# Generated files are stale when generating them again changes them.
.PHONY: verify-generated
verify-generated:
	@before=$$(find $(GENERATED) -type f | sort | xargs sha256sum); \
	$(MAKE) --no-print-directory generate >/dev/null; \
	after=$$(find $(GENERATED) -type f | sort | xargs sha256sum); \
	if [ "$$before" != "$$after" ]; then \
		echo "Generated files were stale. They are up to date now: commit them." >&2; \
		diff <(echo "$$before") <(echo "$$after") >&2; exit 1; \
	fi

.PHONY: verify-tidy
verify-tidy:
	@for module in $(MODULES); do echo "tidy $$module"; go -C $$module mod tidy -diff; done

# Each suite starts the control planes that it needs. Two suites run at a time, the longest first; the two that use a real node wait
# for each other.
SUITES := $(addprefix ./test/,resilience e2e docs packaging security api)

.PHONY: test
test: plugin node-parts promtool monitoring $(BIN)/helm test-pages ## Run the tests: unit, fuzz, and the suites on real control planes (under 12 minutes)
	go test ./api/... ./controllers/... ./hack/... ./internal/...
	@# Evaluations that run beside changes must share nothing that either writes.
	CGO_ENABLED=1 go test -race -run ChangesNothing ./internal/conformance
	go -C hack/controlplane test -short ./...
	@# What it reads is outside its module, where the cache of results does not notice changes.
	go -C hack/image test -count=1 ./...
	@hack/fuzz/fuzz.sh 10s
	go test -p 2 -timeout 20m $(SUITES)

# How many random sequences test-long tries: make test-long SEQUENCES=10000.
SEQUENCES  ?= 2000

.PHONY: test-long
test-long: build controlplane ## Run what takes too long for test: thousands of random sequences of faults, a soak, a minute of each fuzz target
	go test -count=1 -timeout 0 -v ./test/resilience -sequences $(SEQUENCES) -soak 2m
	@hack/fuzz/fuzz.sh 60s

.PHONY: test-unit
test-unit: ## Run the tests that need no control plane
	go test ./api/... ./controllers/... ./internal/...

# How long each fuzz target runs: make fuzz FUZZTIME=1h FUZZ="FuzzRule FuzzDump".
FUZZTIME   ?= 10m
FUZZ       ?=

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, two at a time; what is found stays below testdata/fuzz
	@hack/fuzz/fuzz.sh $(FUZZTIME) $(FUZZ)

# Flags of the benchmark: make bench BENCH="--scale 0.3 --pprof bin/pprof". `bin/bench -h` lists them.
BENCH      ?=

# How long to churn: make soak SOAK=8h.
SOAK       ?= 1h

.PHONY: soak
soak: build controlplane ## Churn for an hour: memory, goroutines and watches stay flat
	@mkdir -p $(BIN)/soak
	go test -count=1 -timeout 0 -v -run TestSoak ./test/resilience -soak $(SOAK) -artifacts -outputdir $(BIN)/soak

.PHONY: bench
bench: bench-parts ## Measure on a cluster of 5,000 nodes beside preflight: bin/bench.json and a table (under 30 minutes)
	@$(BIN)/bench $(BENCH)

.PHONY: bench-small
bench-small: bench-parts ## The same at a twentieth of the size, without preflight (2 minutes)
	@$(BIN)/bench --scale 0.05 --skip-preflight --out $(BIN)/bench-small.json $(BENCH)

.PHONY: bench-parts
bench-parts: build controlplane $(BIN)/preflight
	go -C hack/bench build -o $(BIN)/bench .

.PHONY: install-manifest
install-manifest: controlplane ## Write dist/install.yaml: everything in one file, with the image of VERSION
	@mkdir -p $(DIST)
	@$(K8S)/kubectl kustomize config/default | sed 's|\(image: .*\):latest$$|\1:$(subst devel,latest,$(VERSION))|' > $(DIST)/install.yaml

.PHONY: chart
chart: $(BIN)/helm ## Package the Helm chart into dist, with the image of VERSION
	@mkdir -p $(DIST)
	@$(BIN)/helm package config/chart --destination $(DIST) $(if $(filter-out devel,$(VERSION)),--version $(VERSION:v%=%) --app-version $(VERSION))

.PHONY: image
image: ## Write dist/image.tar: the image of VERSION for both platforms, built without Docker and the same to the bit anywhere
	@go -C hack/image build -o $(BIN)/image .
	@$(BIN)/image --source . --out $(DIST)/image.tar --platforms $(PLATFORMS) --version $(VERSION) --revision "$(REVISION)" --tags $(TAGS) --ldflags "$(LDFLAGS)"

.PHONY: sbom
sbom: image $(BIN)/cyclonedx-gomod ## Write beside the image what is in it, as CycloneDX: every module of each program
	@for program in $(DIST)/operator-linux-*; do \
		case "$$program" in *.json) continue;; esac; \
		$(BIN)/cyclonedx-gomod bin -json -std -noserial -notimestamp -version $(VERSION) -output "$$program.cdx.json" "$$program"; \
	done

.PHONY: vulncheck
vulncheck: $(BIN)/govulncheck ## Look for known vulnerabilities in what the programs call (asks https://vuln.go.dev)
	@$(BIN)/govulncheck ./... || { status=$$?; [ $$status = 3 ] || \
		echo "Nothing was found out: vulncheck needs the database at https://vuln.go.dev. GOVULNDB may name a copy (see govulncheck -h)." >&2; exit $$status; }

.PHONY: demo
demo: build controlplane ## Show it all on a local control plane: install, profile, break, mend
	@hack/demo/demo.sh

.PHONY: demo-down
demo-down: ## Stop the demo's control plane and remove what it left
	@hack/demo/demo.sh down

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) dist

$(BIN)/controller-gen: hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(BIN)
	go build $(TOOLS) -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

$(BIN)/golangci-lint: hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(BIN)
	go build $(TOOLS) -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/kube-api-linter: hack/apilint/go.mod hack/apilint/go.sum
	@mkdir -p $(BIN)
	go -C hack/apilint build -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

$(BIN)/crd-ref-docs: hack/apidocs/go.mod hack/apidocs/go.sum
	@mkdir -p $(BIN)
	go -C hack/apidocs build -o $@ github.com/elastic/crd-ref-docs

$(BIN)/preflight: hack/preflight/go.mod hack/preflight/go.sum
	@mkdir -p $(BIN)
	go -C hack/preflight build -o $@ github.com/replicatedhq/troubleshoot/cmd/preflight

# Without the service discoveries of clouds, which take most of the time and which rules do not need.
$(BIN)/promtool: hack/promtool/go.mod hack/promtool/go.sum
	@mkdir -p $(BIN)
	go -C hack/promtool build -tags remove_all_sd -o $@ github.com/prometheus/prometheus/cmd/promtool

$(BIN)/queries: hack/promtool/go.mod hack/promtool/go.sum hack/promtool/queries/main.go
	@mkdir -p $(BIN)
	go -C hack/promtool build -o $@ ./queries

$(BIN)/kube-state-metrics: hack/kube-state-metrics/go.mod hack/kube-state-metrics/go.sum
	@mkdir -p $(BIN)
	go -C hack/kube-state-metrics build -o $@ k8s.io/kube-state-metrics/v2

$(BIN)/monitoring-crds: hack/prometheus-operator/go.mod hack/prometheus-operator/go.sum hack/prometheus-operator/crds/main.go
	@mkdir -p $(BIN)
	go -C hack/prometheus-operator build -o $@ ./crds

$(BIN)/helm: hack/helm/go.mod hack/helm/go.sum
	@mkdir -p $(BIN)
	go -C hack/helm build -o $@ helm.sh/helm/v3/cmd/helm

$(BIN)/cyclonedx-gomod: hack/security/go.mod hack/security/go.sum
	@mkdir -p $(BIN)
	go -C hack/security build -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

$(BIN)/govulncheck: hack/security/go.mod hack/security/go.sum
	@mkdir -p $(BIN)
	go -C hack/security build -o $@ golang.org/x/vuln/cmd/govulncheck
