# `make` explains itself. Every target does its own set-up first (deploy/prepare.sh).
SHELL := /bin/sh
PY := .venv/bin/python
TRANSPORT ?= https
DEMO_OPTIONS = --transport $(TRANSPORT) $(if $(ONCE),--once) $(DEMO)

# Tests start hundreds of processes: without its bytecode each would compile the whole tree anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test test-long test-quiet check soak outage bench setup agent-package

help: ## this list
	@printf 'Leaver: who takes company data along, and where to.\n\n'
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'
	@printf '\n  ONCE=1           the demo ends by itself and leaves nothing running\n'
	@printf '  TRANSPORT=kafka  the demo sends its events over a real Apache Kafka\n'
	@printf "  SOAK='--quick'   the soak runs in small; '--log embedded --database sqlite' only these\n"
	@printf "  OUTAGE='--hours 24 --log kafka'   a day's backlog; '--real-time' an hour that takes an hour; '--hung 135'\n"
	@printf "  DEMO='--name plans --files 3 --megabytes 900 --seed 7'   another demo, another alert\n"

setup: ## virtual environment and Python packages
	@deploy/prepare.sh venv

demo: setup ## a sample company, a real copy to a real drive, the alert (ONCE=1, TRANSPORT=kafka)
	@deploy/prepare.sh drive
	@if [ '$(TRANSPORT)' = kafka ]; then deploy/prepare.sh kafka; fi
	@$(PY) deploy/demo.py $(DEMO_OPTIONS)

demo-stop: setup ## stop what the demo left running
	@$(PY) deploy/demo.py --stop

test: setup ## tests, on real fanotify, udev, Kafka, PostgreSQL, TLS (under 12 minutes)
	@deploy/prepare.sh tests
	@$(PY) -m pytest -m 'not long $(AND)' -n $(AT_ONCE) --dist loadfile $(TEST)

# So many files of tests at once, each file's one after the other. The long ones wait far more than they work.
AT_ONCE ?= 2
LONG_AT_ONCE ?= 4
# Each worker loads what it collects from: those without a test that is wanted are not even opened.
MARKED = $(or $(TEST),$(shell grep -rl 'pytest\.mark\.$(1)' tests --include='test_*.py'))
test-long: setup ## the rest of the tests: outages, kills, several workers, secured brokers, faults (ten minutes)
	@deploy/prepare.sh tests
	@$(PY) -m pytest -m 'long $(AND)' -n $(LONG_AT_ONCE) --dist loadfile $(call MARKED,long)

test-quiet: setup ## those of both that race programs which end at once: two files at a time, nothing else beside them (two minutes)
	@deploy/prepare.sh tests
	@$(PY) -m pytest -m quiet -n $(AT_ONCE) --dist loadfile $(call MARKED,quiet)

check: setup ## ruff, mypy --strict with tests, import layers, wheel contents
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet . || { .venv/bin/ruff format --check .; exit 1; }
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@$(PY) deploy/check_wheel.py
	@$(PY) deploy/build_agent_package.py

agent-package: setup ## dist/leaver_agent-….whl: what goes onto endpoints, without policies and models
	@$(PY) deploy/build_agent_package.py

soak: setup ## 200,000 events, 50 × kill -9 of everything, each log with each database: equal to an undisturbed run (about an hour)
	@case '$(SOAK)' in *embedded*) ;; *) deploy/prepare.sh kafka ;; esac
	@case '$(SOAK)' in *sqlite*) ;; *) deploy/prepare.sh postgres ;; esac
	@$(PY) -m tests.soak $(SOAK)

outage: setup ## 360,000 events while server and broker are away, then all of them once, over Kafka and over HTTPS
	@deploy/prepare.sh kafka
	@$(PY) -m tests.soak.outage $(OUTAGE)

bench: setup ## measured speed, as CPU seconds and ratios within one run
	@deploy/prepare.sh bench
	@$(PY) -m benchmarks $(BENCH)
