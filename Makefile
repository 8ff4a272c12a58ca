# authsrv: `make run` serves the demo, `make test` runs every test; both set up everything first.
# Works with GNU make 3.81 and newer. Needs Python 3.11 or newer and the package index, nothing else.

PORT ?= 8080
EMULATOR_PORT ?= 8090
PYTHONS = python3.13 python3.12 python3.11 python3
VENV = .venv
PYTHON = $(VENV)/bin/python
PIP = $(PYTHON) -m pip --disable-pip-version-check --quiet
INSTALLED = $(VENV)/.installed

.PHONY: run test check lint types bench clean

run: $(INSTALLED)
	@exec $(PYTHON) -m authsrv demo --port "$(PORT)" --emulator-port "$(EMULATOR_PORT)"

test: $(INSTALLED)
	$(PYTHON) -m pytest -n auto --dist loadfile $(ARGS)

check: lint types test

lint: $(INSTALLED)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types: $(INSTALLED)
	$(PYTHON) -m mypy

bench: $(INSTALLED)
	$(PYTHON) -m bench.run $(ARGS)

# Also forgets the demo: its players, its keys and its configuration.
clean:
	rm -rf $(VENV) var/demo .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build

$(INSTALLED): constraints.txt pyproject.toml
	@found=; for name in $(PYTHONS); do \
	  if $$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$name; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "authsrv needs Python 3.11 or newer with its venv module, and none of $(PYTHONS) is that." >&2; \
	  echo "Debian, Ubuntu: apt install python3-venv    Fedora: dnf install python3    macOS: brew install python@3.12" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$found; this takes a minute and happens once."; \
	$(PYTHON) -c 'import pip' 2>/dev/null || $$found -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r constraints.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
