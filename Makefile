# The two commands of the README are `make demo` and `make test`; each installs what it needs.
#
#   make demo INPUT=head_T1.nii.gz      translate a scan of your own
#   make demo PYTHON=python3.12         choose the Python that makes .venv
#   make demo TORCH_INDEX=URL           take torch from another index (for example a CPU build)
#   make fuzz CASES=100000              read so many hostile files (default 20,000)
#   make screenshots                    take the pictures of the Slicer panel again, two for Resources/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH_INDEX ?=
REQUIREMENTS := SAMI2ILib/assets/requirements

.PHONY: demo test test-slow fuzz screenshots lint format clean

demo: $(VENV)/.installed
	$(BIN)/sami2i demo $(if $(INPUT),--input "$(INPUT)") -o out/demo

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

CASES ?= 20000
fuzz: $(VENV)/.installed-test
	$(BIN)/python -m Testing.fuzz --cases $(CASES)

screenshots: $(VENV)/.installed-test
	$(BIN)/python -m Testing.slicer.screenshots -o out/screenshots --resources

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out build

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip "setuptools>=77" wheel
	touch $@

# sam2 builds only beside an installed torch, and without isolation, or pip fetches a second torch.
$(VENV)/.installed: $(VENV)/.created pyproject.toml $(wildcard $(REQUIREMENTS)/*.txt)
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r $(REQUIREMENTS)/torch.txt
	$(PIP) -r $(REQUIREMENTS)/sam2-dependencies.txt
	SAM2_BUILD_CUDA=0 $(PIP) --no-deps --no-build-isolation --require-hashes -r $(REQUIREMENTS)/sam2.txt
	$(PIP) --no-build-isolation -e '.[figures]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) --no-build-isolation -e '.[cpu,figures,test,train]'
	$(PIP) --no-build-isolation --only-binary slicer-core,PySide6_Essentials,vtk -e '.[host]' || \
	  echo "No wheel of slicer-core here: the tests of the Slicer module will be skipped."
	touch $@
