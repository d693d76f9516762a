# The commands people use. `make demo` needs a Rust toolchain, a C compiler and make; nothing else.
.POSIX:
.SUFFIXES:

# Options of `chitram-stack demo`, for instance: make demo ARGS="--keep --seconds 20"
ARGS =
# How long `make fuzz` gives each target.
SECONDS = 30
# How often `make soak` runs the shipped experiments against each kind of Toxiproxy.
TURNS = 10

.PHONY: help demo test backends photos lint proof bench bench-imaging bench-telemetry build-cost fuzz proof-mutations soak toxiproxy-orders

help:
	@echo "make demo      build, boot, load, break, report   (ARGS=\"--keep --photos DIR --seconds N --report FILE\")"
	@echo "make test      every test; installs the real servers first (CHITRAM_BACKENDS=found installs nothing)"
	@echo "make backends  install the real servers that are missing"
	@echo "make photos    bring real photographs into the cache; the demo uses them when they are there"
	@echo "make lint      formatting, clippy, licences and sources of dependencies, boards by Grafana's types"
	@echo "make soak      the shipped experiments against the real Toxiproxy, TURNS=10 times each way, and a table"
	@echo "make toxiproxy-orders  in which order of calls a fault can be taken out of the real Toxiproxy (some minutes)"
	@echo "make proof     boards, alerts, traces and logs against the real servers, load and faults; writes docs/proof.md (45 minutes)"
	@echo "make proof-mutations  boards, rules and routes broken on purpose: what the proof notices, as a table (records once)"
	@echo "make bench     the benchmarks"
	@echo "make build-cost  what the cold build of the demo costs, and its ten heaviest units"
	@echo "make fuzz      fuzz the image pipeline, each target for SECONDS=30"
	@echo "make bench-telemetry  what telemetry costs a request, against its aims (ARGS=--hurts: while it is broken)"
	@echo "make bench-imaging  imaging beside libvips and the image crate (ARGS=\"--case NAME --sweep --quantisation --help\")"

demo:
	cargo build --locked --profile demo --workspace --exclude proof --bins
	target/demo/chitram-stack demo $(ARGS)

test:
	@scripts/test

backends:
	@scripts/backends

photos:
	@scripts/photos

lint:
	@scripts/lint

bench:
	cargo bench --locked -p stack --bench fault_proxy

soak:
	cargo build --locked --profile demo --workspace --exclude proof --bins
	CHITRAM_SOAK=$(TURNS) cargo test --locked --no-fail-fast --profile demo -p stack --test demo -- --nocapture shipped::

toxiproxy-orders:
	cargo run --locked --release -p stack --example toxiproxy_orders

proof:
	@scripts/proof

proof-mutations:
	@scripts/proof-mutations

build-cost:
	@scripts/build-cost

bench-imaging:
	@scripts/bench-imaging $(ARGS)

bench-telemetry:
	cargo bench --locked -p observability --bench telemetry -- $(ARGS)

fuzz:
	@scripts/fuzz $(SECONDS)
