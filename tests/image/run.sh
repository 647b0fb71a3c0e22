#!/usr/bin/env bash
# Checks the container image: builds it, and runs it by podman with what containers usually take away: rights, the root file system, the
# home directory, most of /dev/shm and, in one part, user namespaces. By root (sudo). The containers have no network.
#
#   tests/image/run.sh                  builds navtrace
#   tests/image/run.sh --binary FILE    takes this program, or the one in this .tar.gz of a release
set -euo pipefail

# shellcheck source=install/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../install/lib.sh"
binary=$(binary_argument "$@")
if [ -n "$binary" ]; then set -- --binary "$binary"; fi
cd "$root"

# The image has its own copy, since a Containerfile reads no script.
grep -qx "ARG K6_VERSION=$K6_VERSION" install/image/Containerfile || fail "install/image/Containerfile has another version of k6"

need_rust
need_linker
need_node
need_k6
need_buildah
need_podman
need_kubernetes_tools
if [ -n "$binary" ]; then
  say "Building the demo shop"
  cargo build --quiet --locked --example shop
  shop=$(target_dir)/debug/examples/shop
else
  say "Building navtrace and the demo shop"
  cargo build --quiet --release --locked --bin navtrace --example shop
  binary=$(target_dir)/release/navtrace
  shop=$(target_dir)/release/examples/shop
fi
# What follows needs root. What was installed and built before is the user's.
[ "$(id -u)" -eq 0 ] || restart_as_root "$root/tests/image/run.sh" "$@"
user=54321

# Storage and settings of this test alone. The bare Debian stays there for the next time.
scratch=$(mktemp -d)
mkdir -p "$tools/containers"
cat >"$scratch/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$tools/containers"
runroot = "/run/navtrace-image-test"
END
cat >"$scratch/containers.conf" <<'END'
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
export CONTAINERS_STORAGE_CONF=$scratch/storage.conf CONTAINERS_CONF=$scratch/containers.conf

# In this order: the first one uses the network of the second one. The others remove themselves.
remove_containers() {
  local name
  for name in runner node; do
    quietly podman rm --force --ignore --time 0 "$name"
  done
}
# shellcheck disable=SC2317 # called by the trap
clean_up() {
  remove_containers || true
  podman image prune --force >/dev/null 2>&1 || true
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Those of a run that was killed.
remove_containers

fails() {
  say "$1:"
  shift
  cat "$@" >&2
  exit 1
}

# expect TEXT FILE: the file has a line with this text.
expect() {
  grep -qF -- "$1" "$2" || fails "there is no line with: $1" "$2"
}

# wait_for COMMAND...: until it succeeds, for two minutes at most.
wait_for() {
  local deadline=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "not within two minutes: $*"
    sleep 0.2
  done
}

image=localhost/navtrace:test
archive=$scratch/navtrace.tar
install/image/build.sh --binary "$(release_program "$binary" "$scratch")" --tag "$image" --output "$archive"
tar -tf "$archive" | grep -x oci-layout >/dev/null || fail "this is no OCI archive: $archive"
rm "$archive"
mkdir "$scratch/work" "$scratch/out"
cp "$shop" install/demo-shop.sh examples/k6/demo.js tests/image/inside.sh "$scratch/work"
chown "$user:0" "$scratch/out"

# No rights, no root file system and no home to write to, a user that /etc/passwd lacks, and the smallest /dev/shm that is usual.
limits=(--network none --user "$user:0" --read-only --read-only-tmpfs=false --shm-size 64m)
limits+=(--cap-drop ALL --security-opt no-new-privileges)
limits+=(--tmpfs /scratch:mode=1777 --env TMPDIR=/scratch --volume "$scratch/work:/work:ro" --volume "$scratch/out:/out")
# A slow machine is no reason to leave out headers here.
patience=(--env NAVTRACE_ARM_TIMEOUT=30s)

say "The doctor, where Chromium can't have its sandbox: podman's filter allows chroot only to containers with that capability"
podman run --rm "${limits[@]}" "${patience[@]}" "$image" doctor >"$scratch/doctor" || fails "the doctor finds something" "$scratch/doctor"
expect "warn  sandbox          user namespaces or chroot are not allowed here, and Chromium's sandbox needs both" "$scratch/doctor"

say "The demo, with Chromium's sandbox"
podman run --rm "${limits[@]}" "${patience[@]}" --cap-add SYS_CHROOT --env SHOP=/work/shop --env SCRATCH=/out "$image" \
  run --output /out/demo.jsonl -- /work/inside.sh /work/demo-shop.sh k6 run --quiet /work/demo.js >"$scratch/demo" 2>&1 || fails "the demo failed" "$scratch/demo"
! grep -F -- --no-sandbox "$scratch/demo" || fail "Chromium has no sandbox"
expect "; without a traceparent: 0, with an invalid one: 0" "$scratch/out/received"
[ ! -s "$scratch/out/zombies" ] || fails "processes that nobody has waited for" "$scratch/out/zombies"
node tests/image/whole.mjs "$scratch/out/demo.jsonl" all=3

# The rights, volumes, variables and command of the manifests, with a filter as Docker and Kubernetes have it, which allows no namespaces.
runner_arguments() {
  PYTHONPATH=$python_packages python3 tests/kubernetes/manifests.py --runner "$scratch/arguments"
  mapfile -t runner <"$scratch/arguments"
  runner+=(--shm-size 64m --security-opt "seccomp=$root/tests/image/no-namespaces.json" --env TARGET_URL=http://127.0.0.1:8765/)
}

say "A runner as the operator for Kubernetes starts it"
runner_arguments
archive=/tmp/script.js.archived.tar
podman run --rm --network none "${runner[@]}" --entrypoint \
  "[\"sh\", \"-c\", \"k6 archive /test/script.js -O $archive && k6 inspect --execution-requirements $archive\"]" "$image" \
  >"$scratch/requirements" 2>&1 || fails "the operator could not look at the script" "$scratch/requirements"
expect '"maxVUs": 8' "$scratch/requirements"

# The agent of the node, with the site that is tested beside it.
podman run --detach --name node "${limits[@]}" --env OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 "$image" \
  collect --listen 127.0.0.1:4318 --output /out/runner.jsonl >/dev/null
podman exec --detach node /work/shop --port 8765 >/dev/null
printf '127.0.0.1 localhost agent.navtrace.svc\n' >"$scratch/hosts"
podman run --detach --name runner --network container:node "${runner[@]}" "${patience[@]}" \
  --volume "$scratch/hosts:/etc/hosts:ro" "$image" >/dev/null
wait_for podman exec runner k6 status
podman exec runner k6 resume >/dev/null
wait_for node tests/image/whole.mjs "$scratch/out/runner.jsonl" 2 \
  k8s.pod.name=visitors-1-x2x4x k8s.node.name=node-1 k8s.namespace.name=navtrace navtrace.run.id=visitors
# As the deletion of the pod does, after which Kubernetes waits for 30 s.
podman kill --signal TERM runner >/dev/null
status=$(timeout 30 podman wait runner) || fail "SIGTERM to its first process did not end the container"
podman logs runner >"$scratch/runner" 2>&1
# k6's own status after a signal.
[ "$status" = 105 ] || fails "the container's status is $status" "$scratch/runner"
expect "navtrace: user namespaces or chroot are not allowed here, and Chromium's sandbox needs both: starting it with --no-sandbox" "$scratch/runner"
expect " traces" "$scratch/runner"
podman kill --signal TERM node >/dev/null
[ "$(timeout 30 podman wait node)" = 0 ] || fail "SIGTERM to the collector did not end its container"
say "The image does what it should"
