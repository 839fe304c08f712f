# The two commands of the README are `make demo` and `make test`; each installs what it needs.
#
#   make demo INPUT=head_T1.nii.gz      translate a scan of your own
#   make demo PYTHON=python3.12         choose the Python that makes .venv
#   make demo TORCH_INDEX=URL           take torch from another index (for example a CPU build)
#   make fuzz CASES=100000              read so many hostile files (default 20,000)
#   make screenshots                    take the pictures of the Slicer panel again, three for Resources/
#   make pictures COMPARISON=folder REAL=dataset   draw the pictures of translations in Resources/ again
#   make models REAL=pairs LABELS=maps  train the bundled models again: hours; see below

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH_INDEX ?=
REQUIREMENTS := SAMI2ILib/assets/requirements

.PHONY: demo test test-gpu test-slow fuzz screenshots pictures models lint format clean

demo: $(VENV)/.installed
	$(BIN)/sami2i demo $(if $(INPUT),--input "$(INPUT)") -o out/demo

test: $(VENV)/.installed-test lint
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

# What needs a GPU is part of the other two where there is one; this runs it alone, the slow ones too.
test-gpu: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m gpu

test-slow: $(VENV)/.installed-browser
	$(BIN)/python -m pytest -m slow

CASES ?= 20000
fuzz: $(VENV)/.installed-test
	$(BIN)/python -m Testing.fuzz --cases $(CASES)

screenshots: $(VENV)/.installed-test
	$(BIN)/python -m Testing.slicer.screenshots -o out/screenshots --resources

pictures: $(VENV)/.installed-test
	$(BIN)/python -m Testing.pictures -o Resources $(if $(COMPARISON),--comparison "$(COMPARISON)" --data "$(REAL)")

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The bundled models from nothing, in out/models: simulate, prepare, train stage by stage, collect. What
# is done is not done again, and what was interrupted goes on; a changed recipe needs its run removed.
#   REAL=FOLDER      real pairs, one folder a subject, named as the recipes name them
#   LABELS=FOLDER    head label maps; without them all anatomy comes from the MNI152 maps
#   RECIPES=FOLDER   other bundled-1.toml, -2 and -3
# A trial in minutes: make models REAL=pairs PROTOCOL_HEADS=1 VARIED_HEADS=1 COIL_HEADS=1 TRAIN="--steps 2"
REAL ?=
LABELS ?=
RECIPES ?= docs/reference/recipes
PROTOCOL_HEADS ?= 40
VARIED_HEADS ?= 56
COIL_HEADS ?= 32
TRAIN ?=
MODELS := out/models
SAMI2I := $(BIN)/python -m SAMI2ILib
SIMULATE := $(SAMI2I) simulate cohort $(if $(LABELS),--labels "$(LABELS)" --heads 1-16)
PREPARE := --grid T1 --slices-by head --keep-incomplete --no-check-sides --test 0 --validation 0

# What each stage learns from, and from where it goes on.
STAGE_1 := --data protocol=$(MODELS)/protocol-set --data varied=$(MODELS)/varied-set
STAGE_2 := $(STAGE_1) --data real=$(MODELS)/real-set --start-from $(MODELS)/run-1
STAGE_3 := $(STAGE_1) --data coil=$(MODELS)/coil-set \
  --encoder-checkpoint $(MODELS)/run-2/sami2i-demo-encoder.safetensors
# Whose model files are the result; of files with one name the last run's.
COLLECT := run-2 run-3

models: $(MODELS)/.run-3
	mkdir -p $(MODELS)/files && rm -f $(MODELS)/files/*
	for run in $(COLLECT); do cp $(MODELS)/$$run/*.safetensors $(MODELS)/files/ || exit 1; done
	ls -l $(MODELS)/files

$(MODELS)/.run-1: $(MODELS)/.protocol-set $(MODELS)/.varied-set
$(MODELS)/.run-2: $(MODELS)/.run-1 $(MODELS)/.real-set
$(MODELS)/.run-3: $(MODELS)/.run-2 $(MODELS)/.coil-set
$(MODELS)/.run-%: $(RECIPES)/bundled-%.toml
	$(SAMI2I) train $< -o $(MODELS)/run-$* $(STAGE_$*) $(TRAIN)
	touch $@

$(MODELS)/.protocol: | $(VENV)/.installed
	$(SIMULATE) -n $(PROTOCOL_HEADS) --vary ixi --seed 5 $(if $(LABELS),--mni-share 0.25) -o $(MODELS)/protocol
	touch $@

$(MODELS)/.varied: | $(VENV)/.installed
	$(SIMULATE) -n $(VARIED_HEADS) --vary wide --seed 1 $(if $(LABELS),--mni-share 0.2) -o $(MODELS)/varied
	touch $@

$(MODELS)/.coil: | $(VENV)/.installed
	$(SIMULATE) -n $(COIL_HEADS) --vary wide --seed 11 $(if $(LABELS),--mni-share 0.2) -o $(MODELS)/coil
	touch $@

$(MODELS)/.protocol-set $(MODELS)/.varied-set $(MODELS)/.coil-set: $(MODELS)/.%-set: $(MODELS)/.%
	$(SAMI2I) prepare pairs $(MODELS)/$* -o $(MODELS)/$*-set $(PREPARE)
	touch $@

$(MODELS)/.real-set: | $(VENV)/.installed
	@test -d "$(REAL)" || { echo "Say where the real pairs lie: make models REAL=FOLDER"; exit 1; }
	$(SAMI2I) prepare pairs "$(REAL)" -o $(MODELS)/real-set $(PREPARE)
	touch $@

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
	$(PIP) --no-build-isolation -e '.[bench,cpu,figures,test,train]'
	$(PIP) --no-build-isolation --only-binary slicer-core,PySide6_Essentials,vtk -e '.[host]' || \
	  echo "No wheel of slicer-core here: the tests of the Slicer module will be skipped."
	$(PIP) --no-build-isolation --only-binary deno -e '.[bids]' || \
	  echo "No wheel of deno here: the BIDS validator's test will be skipped."
	touch $@

# Only the slow tests need it: a browser engine of 160 MB that opens a report.
$(VENV)/.installed-browser: $(VENV)/.installed-test
	$(PIP) --no-build-isolation --only-binary PySide6_Addons -e '.[browser]' || \
	  echo "No wheel of PySide6_Addons here: the test that opens a report in a browser is skipped."
	touch $@
