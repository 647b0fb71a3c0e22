#!/usr/bin/env bash
# Checks the manifests in examples/kubernetes (manifests.py says how).
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../install/lib.sh"

need_kubernetes_tools
PYTHONPATH=$python_packages python3 "$root/tests/kubernetes/manifests.py"
