# The commands of esocs. `make help` lists them. Everything is set up below .venv/, frontend/ and var/; nothing needs
# root, docker or a server. Python 3.11 or newer and make are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VAR := $(or $(ESOCS_VAR),var)
RUN_EXTRAS := embedded,demo
ALL_EXTRAS := embedded,demo,test,check,bench,dask
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup frontend services migrate site demo test check format bench messages lock status stop clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# --- setting up: each step is done once, and again when what it depends on has changed --------------------------------
$(VENV)/.installed: pyproject.toml constraints.txt scripts/make_venv.sh
	@sh scripts/make_venv.sh "$(PYTHON)" "$(VENV)" "$(RUN_EXTRAS)"
	@touch $@

$(VENV)/.installed-all: $(VENV)/.installed
	@sh scripts/make_venv.sh "$(PYTHON)" "$(VENV)" "$(ALL_EXTRAS)"
	@touch $@

frontend/node_modules/.installed: $(VENV)/.installed frontend/package.json frontend/package-lock.json
	@echo "Installing the front end's packages"
	@cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

FRONTEND_SOURCES := $(shell find frontend/src -type f 2>/dev/null) frontend/vite.config.ts frontend/tsconfig.json
MESSAGES := $(wildcard esocs/web/locale/*/LC_MESSAGES/django.po)
$(MESSAGES:.po=.mo): $(MESSAGES) scripts/messages.py $(VENV)/.installed
	@$(BIN)/python scripts/messages.py compile

frontend/dist/manifest.json: frontend/node_modules/.installed $(FRONTEND_SOURCES)
	@echo "Building the front end"
	@cd frontend && npm run --silent build
	@touch $@

setup: $(VENV)/.installed $(MESSAGES:.po=.mo) frontend/dist/manifest.json ## virtual environment from the lock, front end built

frontend: frontend/dist/manifest.json ## build the front end

services: $(VENV)/.installed ## start PostgreSQL and Redis under var/
	@$(BIN)/python -m esocs.config.embedded start

migrate: services
	@$(BIN)/python manage.py migrate --verbosity 0

# --- running ---------------------------------------------------------------------------------------------------------
site: setup migrate ## start the site and its workers without the demonstration
	@$(BIN)/python -m esocs.config.processes start

demo: setup services ## the whole loop on a simulated survey, then the running site; DATA=path adds FITS of your own
	@$(BIN)/python manage.py demo $(if $(DATA),--data $(DATA)) $(DEMO_OPTIONS)

status: $(VENV)/.installed ## what runs
	@$(BIN)/python -m esocs.config.processes status

stop: ## stop the site, the workers, PostgreSQL and Redis
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m esocs.config.processes stop; fi

# --- checking --------------------------------------------------------------------------------------------------------
test: setup $(VENV)/.installed-all services ## every test, browser tests included
	@sh scripts/find_chromium.sh
	@$(BIN)/python -m pytest $(or $(TEST_OPTIONS),-n logical --dist loadfile)

check: setup $(VENV)/.installed-all services ## format, lint, types, import contracts, migrations, front end
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	cd frontend && npm run --silent check

format: setup $(VENV)/.installed-all ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd frontend && npm run --silent format

bench: setup $(VENV)/.installed-all services ## run every benchmark beside its peer and write docs/benchmarks.md
	@$(BIN)/python -m tests.benchmarks.all

# --- housekeeping ----------------------------------------------------------------------------------------------------
messages: setup ## collect the pages' texts for translators, and compile the translations
	@$(BIN)/python scripts/messages.py update

lock: ## resolve the dependencies anew into constraints.txt
	@sh scripts/lock.sh "$(PYTHON)" "$(ALL_EXTRAS)"

clean: stop ## remove everything that was set up or made here
	rm -rf $(VENV) $(VAR) frontend/node_modules frontend/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
