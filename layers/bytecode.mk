# Bytecode for Lambda's Python: /opt cannot be written there, so without it every cold start compiles
# every module again. Needs a Python 3.13, because another version's bytecode is dead weight; without
# one the layer works the same and starts slower.

LAYERS := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
REPOSITORY := $(abspath $(LAYERS)/..)

PYTHON313 ?= $(shell for python in $(REPOSITORY)/.venv/bin/python $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.13.*/bin/python python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && { echo "$$python"; break; }; done)

# Paths as they are in Lambda, and checked by nothing: what is in a layer never changes.
COMPILE = "$(PYTHON313)" -m compileall -q -j 0 --invalidation-mode unchecked-hash \
	-s "$(ARTIFACTS_DIR)" -p /opt "$(ARTIFACTS_DIR)/python"
ifeq ($(PYTHON313),)
COMPILE = @echo "no Python 3.13 here: the layer goes without bytecode and starts slower" >&2
endif
