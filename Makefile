# `make` alone prints what there is. Overrides: ENGINE=process, ENGINE=none, PYTHON=…, API=HOST:PORT, ROUTER=HOST:PORT, HEROKU_CLI=1, ARGS='-k lesson -x'.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:
export ENGINE PYTHON API ROUTER HEROKU_CLI

BIN := .venv/bin
SETUP := deploy/setup
# The checkout's own tools first; a test run meets the CLI that `make heroku-cli` put there.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: python-env setup servers shells heroku-cli
python-env: ## .venv with the locked requirements
	@$(SETUP)/python-env

setup: python-env ## all that paasd needs: Python environment, Docker Engine, base images
	@$(SETUP)/docker-engine
	@$(SETUP)/base-images

servers: ## the OS's own PostgreSQL and Redis: for add-ons without Docker, and their tests
	@$(SETUP)/servers

shells: ## zsh and fish, for the tests of completion in them
	@$(SETUP)/shells

heroku-cli: python-env ## the official heroku CLI and its Node, into .tools/
	@$(SETUP)/heroku-cli

.PHONY: other-clients heroku-cli-table
other-clients: heroku-cli ## older and other clients of the Platform API, into .tools/clients, for their tests
	@$(SETUP)/other-clients

heroku-cli-table: setup heroku-cli ## every command of the official CLI against a real daemon, into docs/heroku-cli.md
	HEROKU_CLI_TABLE=1 $(BIN)/python -m pytest tests/acceptance/heroku_cli --deselect tests/acceptance/heroku_cli/test_table.py::test_the_page_is_what_the_list_says $(ARGS)

.PHONY: api-docs
api-docs: python-env ## docs/api.md, made of the routes
	$(BIN)/python -m tests.paasd.api.api_page

.PHONY: fuzz-api
fuzz-api: setup ## every operation of /openapi.json with generated requests: no server error, no answer beside the schema (ARGS='--examples 200')
	@$(SETUP)/schemathesis
	$(BIN)/python -m bench.fuzz_api $(ARGS)

.PHONY: scan-api
scan-api: setup ## wapiti over the API and its login page: nothing found, no server error (ARGS='--seconds 60' a module)
	@$(SETUP)/wapiti
	$(BIN)/python -m bench.scan_api $(ARGS)

.PHONY: demo down doctor
demo: ## a real app live by git push, on this machine, in one command (ENGINE=process: without Docker, auto: if there is none)
	@$(SETUP)/demo

down: ## stop and remove all that `make demo` started
	@$(SETUP)/down

doctor: python-env ## what is missing on this machine, and how to mend it
	@$(BIN)/paasd doctor --home .demo/home

.PHONY: test test-all lint types
test: setup heroku-cli ## everything but the slow runs, with the coverage gate
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not slow" $(ARGS)
	$(BIN)/coverage report --fail-under=95 --skip-covered

test-all: setup other-clients ## the fault and soak runs too
	$(BIN)/python -m pytest $(ARGS)

.PHONY: faults faults-table soak
faults: setup ## one row of docs/reliability.md: ROW=K04 REPEAT=20; goes on where it stopped
	ROW=$(ROW) REPEAT=$(REPEAT) $(BIN)/python -m pytest -x -p tests.faults.plugin $(ARGS)

soak: setup ## 20 apps, seeded operations and kills under load: MINUTES=10 SEED=7
	$(BIN)/python -m tests.faults.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(ARGS)

faults-table: python-env ## what `make faults` recorded, into docs/reliability.md
	$(BIN)/python -m tests.faults.table

.PHONY: audit
audit: python-env ## known vulnerabilities of the locked packages, unsafe code, secrets in the repository: row S12
	@$(SETUP)/audit
	$(BIN)/python -m pytest -q tests/security/test_dependencies.py $(ARGS)

lint: python-env ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: python-env ## mypy --strict
	$(BIN)/mypy

.PHONY: bench-swap bench-swap-router bench-deploy bench-idle
bench-swap: setup ## 50 deploys, rollbacks and config changes under load: 0 failed requests
	$(BIN)/python -m bench.swap $(ARGS)

bench-swap-router: python-env ## 100 table swaps and 100 maintenance toggles on a loaded router
	$(BIN)/python -m bench.swap_router $(ARGS)

bench-deploy: setup ## cached redeploy and rollback against the bare engine's floor (ENGINE=process: against a bare start)
	$(BIN)/python -m bench.deploy $(ARGS)

bench-idle: setup ## memory and processor of an idle daemon and router
	$(BIN)/python -m bench.idle $(ARGS)

.PHONY: fetch-apps bench-apps
fetch-apps: python-env ## the public apps of bench/apps.tsv, by git (APPS_FROM='/mirror/{owner}+{name}': from elsewhere than GitHub)
	@APPS_FROM='$(APPS_FROM)' $(BIN)/python -m bench.apps_list

bench-apps: setup ## deploys each of them: seconds to build, size, boot, and what it answers (ENGINE=process; ARGS='httpbin …')
	$(BIN)/python -m bench.apps $(ARGS)

.PHONY: bench-logs
bench-logs: setup ## an app that prints 100 MB/s: another's tail, the app itself, the API, what is kept and counted
	$(BIN)/python -m bench.logs $(ARGS)

.PHONY: bench-api
bench-api: setup ## what an API call costs at 1, 100 and 1,000 apps and with 10,000 releases
	$(BIN)/python -m bench.api $(ARGS)

.PHONY: bench-addons
bench-addons: setup ## addons:create to the first query against the floor, docker run of the same image
	$(BIN)/python -m bench.addons $(ARGS)

.PHONY: bench-router
bench-router: python-env ## the router against nginx, HAProxy, Caddy and a naive proxy: interleaved rounds, ratios
	$(BIN)/python -m bench.router $(ARGS)

.PHONY: suites
suites: python-env ## h1spec, smuggler and Autobahn through the router; name where they are (ARGS='--h1spec DIR')
	$(BIN)/python -m bench.suites $(ARGS)

.PHONY: bench-hazards
bench-hazards: python-env ## ambiguous requests and answers through the router, nginx and HAProxy: who reads what differently
	$(BIN)/python -m bench.router_differential

.PHONY: clean
clean: down ## down, then remove .venv, .tools and caches (images stay)
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage build dist *.egg-info
