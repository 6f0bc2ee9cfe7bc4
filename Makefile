# Everything runs from .venv, which the first target that needs it sets up from the lock files.

BIN := .venv/bin
SHELL := /bin/sh
export PREFIX CONFDIR UNITDIR DESTDIR
.DEFAULT_GOAL := help
.PHONY: help demo serve install test system lint types bench fuzz attack failover fleet chaos lock clean

help: ## Show these lines
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## Stream real speech through a daemon on this machine; FILE=my.wav for your own
	@$(BIN)/routeraudio demo $(if $(FILE),"$(FILE)")

serve: .venv/.run ## Run the daemon with conf/routeraudio.toml
	$(BIN)/routeraudio serve --config conf/routeraudio.toml

install: ## Install into PREFIX=/opt/routeraudio, with units (UNITDIR) and a configuration (CONFDIR); DESTDIR for packages
	@packaging/install

test: system lint types ## Run linters, type checker and all tests
	$(BIN)/python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

system: ## See that the programs are there which the tests use (requirements/debian.txt)
	@requirements/system

lint: .venv/.dev ## Check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.dev ## Check types
	$(BIN)/mypy

bench: system .venv/.dev ## Measure the daemon against other proxies, and its parts (takes half an hour)
	$(BIN)/python -m bench
	$(BIN)/python -m bench audio
	$(BIN)/python -m bench store
	$(BIN)/python -m bench access
	$(BIN)/python -m bench engine

fuzz: system .venv/.dev ## Decode 10,000 mutated files of each format
	$(BIN)/python -m tests.audio.fuzz 10000

attack: system .venv/.dev ## Attack a daemon in every way we know, and print what it costs a bystander
	@$(BIN)/python -m tests.attack

failover: system .venv/.dev ## Cut lines to vendors at random in sessions of numbered words, SEEDS=8 of each kind (takes minutes)
	@$(BIN)/python -m tests.failover $(SEEDS)

fleet: system .venv/.dev ## Start PostgreSQL, three daemons and HAProxy on this machine, until Ctrl-C
	@$(BIN)/python -m tests.fleet

chaos: system .venv/.dev ## Kill nodes of a fleet and its database under load, and compare the ledger (takes minutes)
	$(BIN)/python -m tests.fleet.chaos $(CHAOS)

lock: ## Resolve the newest allowed versions again; needs uv
	requirements/lock

clean: ## Remove what the other targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run: requirements/run.lock requirements/install pyproject.toml
	@requirements/install run
	@touch $@

.venv/.dev: requirements/dev.lock requirements/install pyproject.toml
	@requirements/install dev
	@touch $@ .venv/.run
