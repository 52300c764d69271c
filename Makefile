# Two commands for a newcomer: `make demo` and `make test`; `make zoo` is the long one. Everything lives in .venv; nothing
# else is installed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt
AXBUILD := ../../$(VENV)/bin/axbuild
ZOO := examples/zoo
MODELS := examples/models
QUANT := .quant
STAMPS := $(QUANT)/deb/usr/share/tuxpaint/stamps
PYTEST_ARGS ?=
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
NO_CHROMIUM := There is no Chromium to open pages in: apt-get install chromium, or name one with make browser CHROMIUM=PATH.
# onnxruntime asks when it is loaded, also by scripts that do so themselves.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: demo zoo test browser check docs bench quant-models fetch format lint types generated checklist clean

# The paths that axbuild prints are seen from the workspace, where it runs; those at the end, from here.
demo:
	@echo "The first time this downloads about 350 MB into this folder and takes two to four minutes; later, seconds."
	@$(MAKE) --no-print-directory fetch
	cd $(ZOO) && $(AXBUILD) test //mobilenet:check //mobilenet:equal
	cd $(ZOO) && $(AXBUILD) build //mobilenet:axmodel //mobilenet:precision
	@echo
	@echo "The compiled model, its BUILD file, and how to see what it holds and what it answers:"
	@echo "  $(ZOO)/axbuild-out/mobilenet/axmodel/compiled.axmodel"
	@echo "  $(ZOO)/mobilenet/BUILD.toml"
	@echo "  $(VENV)/bin/axbuild inspect $(ZOO)/axbuild-out/mobilenet/axmodel/compiled.axmodel"
	@echo "  $(VENV)/bin/axbuild run $(ZOO)/axbuild-out/mobilenet/axmodel/compiled.axmodel --input $(ZOO)/fetched/photographs/evaluation"

# Twelve real models; the table at the end is that of docs/guide/zoo.md.
zoo: $(VENV)/base.stamp
	@echo "The first time this downloads about 350 MB, needs 5 GB of disk and takes ten minutes or more on two cores."
	$(RUN) $(MODELS)/tools/fetch.py
	cd $(MODELS) && $(AXBUILD) build //... --events zoo.jsonl
	$(RUN) $(MODELS)/report.py --events $(MODELS)/zoo.jsonl

test: $(VENV)/dev.stamp fetch
	$(RUN) -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

# Traces, pages and graphs in a real browser, which `make test` does without.
browser: fetch
	@test -n "$(CHROMIUM)" || { echo "$(NO_CHROMIUM)" >&2; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/browser.stamp
	CHROMIUM="$(CHROMIUM)" $(RUN) -m pytest tests/browser

# What CI runs: the cheap checks first, the tests last.
check: format lint types generated
	$(MAKE) --no-print-directory test

format: $(VENV)/dev.stamp
	$(RUN) -m ruff format --check --quiet .

lint: $(VENV)/dev.stamp
	$(RUN) -m ruff check --quiet .

types: $(VENV)/dev.stamp
	$(RUN) -m mypy
	$(RUN) -m mypy --config-file benchmarks/mypy.ini

# The pages made from the rules: written by `docs`, compared by `generated`.
docs: $(VENV)/dev.stamp
	$(RUN) -m axbuild.report.pages --write

generated: $(VENV)/dev.stamp
	$(RUN) -m axbuild.report.pages --check

# The vendor's guide, row by row: the tests that its rows name run, and the page is written from how they ended.
checklist: $(VENV)/dev.stamp fetch
	$(RUN) -m pytest -n 2 --dist loadfile --checklist $$($(RUN) tests/seed/checklist.py)

bench: fetch
	$(RUN) benchmarks/mobilenet.py
	cd $(ZOO) && $(AXBUILD) build //mobilenet:axmodel //digits:axmodel
	$(RUN) benchmarks/quantisation.py
	$(RUN) benchmarks/graph_scale.py --packages 100 --peers ninja,make,doit,bazel

# The networks and samples of benchmarks/quant.py and its like, in $(QUANT), with an environment of their own: 4 GB, since
# torch is among its packages. apt-get brings the pictures on Debian; elsewhere unpack the package into $(QUANT)/deb.
quant-models: $(VENV)/base.stamp
	$(PYTHON) -m venv $(QUANT)/venv
	$(QUANT)/venv/bin/python -m pip install --disable-pip-version-check --requirement benchmarks/quant_models.txt
	test -d $(STAMPS) || (cd $(QUANT) && apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb deb)
	PYTHONPATH=. $(QUANT)/venv/bin/python benchmarks/quant_models.py $(QUANT) --stamps $(STAMPS)

fetch: $(VENV)/base.stamp
	$(RUN) $(ZOO)/tools/fetch.py

# The package is installed in place with the build tools of the environment, so that these are pinned as well. The pip
# that comes with Python 3.11 writes commands that import a module more: 7 ms of each of ours.
$(VENV)/base.stamp: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "axbuild needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) pip hatchling editables
	$(PIP) --no-build-isolation --editable '.[zoo]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/base.stamp
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@

$(VENV)/browser.stamp: $(VENV)/dev.stamp
	$(PIP) --no-build-isolation --editable '.[browser]'
	touch $@

clean:
	rm -rf $(VENV) $(QUANT) $(ZOO)/fetched $(ZOO)/cache $(ZOO)/axbuild-out
	rm -rf $(MODELS)/fetched $(MODELS)/cache $(MODELS)/axbuild-out $(MODELS)/zoo.jsonl
