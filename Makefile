# Everything by one word; `make` alone lists the words. What each does is in scripts/ and in labkit itself.
.DEFAULT_GOAL := help
.PHONY: help setup setup-test lab demo test test-quick test-ipvs test-kind lint notebooks translations lock recordings recording-ipvs sessions picture gallery docs clean
BIN := .venv/bin

help: ## list these words
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install what labkit needs; a second run takes no time
	@scripts/setup run

setup-test:
	@scripts/setup test

lab: setup ## open JupyterLab on the notebooks; LABKIT_LANG=zh opens the Chinese ones
	$(BIN)/jupyter lab --notebook-dir=notebooks $(if $(filter zh%,$(LABKIT_LANG)),--LabApp.default_url=/lab/tree/zh) $(if $(filter 0,$(shell id -u)),--allow-root)

demo: setup ## a cluster, Tomcat on it, what happened, in the terminal; KEEP=1 keeps the cluster
	$(BIN)/labkit demo

# On a shared cluster that is broken each test fails slowly: enough is known by then.
PYTEST := $(BIN)/pytest --maxfail=20
# Each process has a shared cluster of its own; while one waits for its kubelets, another has the processors.
SIDE_BY_SIDE := --numprocesses=logical --maxprocesses=4 --dist=loadfile
# What failed beside others has to pass alone (exit code 1: all ran, and some failed).
ALONE := --last-failed --last-failed-no-failures=none
test: lint ## all checks and tests
	$(PYTEST) $(SIDE_BY_SIDE) || { [ $$? -eq 1 ] && $(PYTEST) $(ALONE); }

test-quick: setup-test ## the tests that need no cluster, no browser, no notebook and no other program: under a minute
	$(PYTEST) $(SIDE_BY_SIDE) -m "not (cluster or kind or vm or browser or notebook or programs)"

test-kind: setup-test ## labs on real Docker containers, by kind, with a Docker daemon of the tests' own (as root)
	$(BIN)/pytest -m kind

test-ipvs: setup-test ## kube-proxy's ipvs mode in a virtual machine whose kernel has it (1 to 3 minutes)
	$(BIN)/pytest -m vm

lint: setup-test ## the checks that run nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

notebooks: setup-test ## build the notebooks from notebooks/src and run them; NAME=01_architecture builds one
	$(BIN)/python -m scripts.build_notebooks $(NAME)

translations: setup-test ## bring the catalogues of texts up to date, and make notebooks/zh and labkit.mo of them (no lab)
	$(BIN)/python -m scripts.translations

# Names and checksums only: where packages come from is the reader's own setting.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock"
lock: ## bring the lock files up to date with pyproject.toml (needs uv)
	$(COMPILE) --all-extras pyproject.toml scripts/build-requirements.in --output-file requirements-dev.lock
	$(COMPILE) --extra lab --constraint requirements-dev.lock pyproject.toml scripts/build-requirements.in \
		--output-file requirements.lock

recordings: setup-test ## record the lessons that come with labkit anew, on a lab made for it
	$(BIN)/python scripts/record_lessons.py

recording-ipvs: setup-test ## record the lesson of ipvs anew, in a virtual machine (12 minutes of a fast and idle machine)
	$(BIN)/python -m tests.vm.record

sessions: setup-test ## record anew what the notebooks' labs answer, for where no cluster can run; NAME=01_architecture
	$(BIN)/python -m scripts.record_sessions $(NAME)

picture: setup-test ## draw the README's picture of the dashboard anew, on a lab made for it
	$(BIN)/python scripts/draw_dashboard.py

gallery: setup-test ## draw the pictures of docs/gallery.md anew, from the recordings that come with labkit
	$(BIN)/python scripts/draw_gallery.py

docs: setup-test ## build the pages of docs/ into docs/_build; a warning or a broken link is an error
	$(BIN)/python -m sphinx -W --keep-going --builder html --doctree-dir docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean: ## remove what was made in this folder; the Kubernetes programs' cache stays
	rm -rf .venv demo dist docs/_build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
