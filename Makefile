# make run: the lab at a printed address.  make test: lint and the whole suite.  Both make .venv first where needed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
HOST ?= 127.0.0.1
PORT ?= 7860
# One more than there are cores: a test in a browser waits more than it computes.
TESTERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

.PHONY: install run health test lint format bench doctor

install: $(STAMP)

run: $(STAMP)
	$(BIN)/python -m app serve --host $(HOST) --port $(PORT)

# Fails unless a lab answers at PORT of this machine.
health:
	$(BIN)/python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$(PORT)/health', timeout=5)"

test: lint
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadscope $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks bench.json

doctor: $(STAMP)
	$(BIN)/python -m app doctor

# Installed once for each requirements.txt: the stamp is newer than the list it was made from.
$(STAMP): requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt
	touch $(STAMP)
