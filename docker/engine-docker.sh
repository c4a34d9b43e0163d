# shellcheck shell=bash
# The lab's nodes as containers of a Docker engine. See lib.sh for the verbs.
: "${root:?}"

base_image=debian:bookworm-slim
engine_state=$LAB_STATE-engine

# lab_ready: an engine answers; else one is installed and started, if that was agreed to.
lab_ready() {
  need docker=docker.io curl=curl wrk=wrk
  if docker info >/dev/null 2>&1; then return; fi
  need dockerd=docker.io
  if docker info >/dev/null 2>&1; then return; fi
  agreed "No Docker engine answers. Start dockerd until \`docker/demo.sh down\`?" ||
    die "no Docker engine answers" "docker/demo.sh --engine namespaces does without"
  [ "$(id -u)" = 0 ] || die "starting dockerd needs root" "sudo $0"
  mkdir -p "$engine_state"
  setsid dockerd >"$engine_state/dockerd.log" 2>&1 </dev/null &
  echo $! >"$engine_state/dockerd.pid"
  if ! wait_until 30000 docker info >/dev/null; then
    tail -n 5 "$engine_state/dockerd.log" >&2
    stop_own_engine
    die "dockerd does not answer within 30s" "docker/demo.sh --engine namespaces does without"
  fi
}

stop_own_engine() {
  local pid
  if ! pid=$(cat "$engine_state/dockerd.pid" 2>/dev/null); then return; fi
  # The number may have passed on to another process since.
  if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]; then
    kill -TERM "$pid"
    wait_until 20000 gone "$pid" >/dev/null || die "dockerd (pid $pid) does not end"
  fi
  rm -rf "$engine_state"
}
gone() { ! kill -0 "$1" 2>/dev/null; }

# The base image comes from a registry; where none can be reached, Debian's own packages make the same.
have_base_image() {
  if docker image inspect "$base_image" >/dev/null 2>&1; then return; fi
  if timeout 120 docker pull -q "$base_image" >/dev/null 2>&1; then return; fi
  say "$base_image cannot be pulled: it is made from Debian's packages"
  need mmdebstrap=mmdebstrap
  [ "$(id -u)" = 0 ] || die "making $base_image needs root" "sudo $0"
  quietly "$LAB-base" make_base_image
}

# It reaches Debian as this machine does: through the same mirror and the same proxy. As in Debian's own
# image, dpkg does not wait for the disk after each file: what is half unpacked is thrown away with its layer.
make_base_image() {
  local options=(--dpkgopt=force-unsafe-io) sources=() line
  while read -r line; do options+=("--aptopt=$line"); done < <(
    apt-config dump --format '%f "%v";%n' Acquire::http::Proxy Acquire::https::Proxy \
      Acquire::Check-Valid-Until Acquire::Check-Date
  )
  if grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
    for line in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
      if grep -Eqs '^(deb |URIs:)' "$line"; then sources=("$line"); break; fi
    done
  fi
  mmdebstrap --variant=minbase "${options[@]}" bookworm - "${sources[@]}" | docker import - "$base_image"
}

# lab_build: the images of the Dockerfile.
lab_build() {
  local target
  "$root/docker/key.sh"
  have_base_image
  for target in pidone base "$(image_target ha)" "$(image_target webapp)"; do
    quietly "$LAB-build" docker build -f "$root/docker/Dockerfile" --target "$target" -t "$(image_of "$target")" "$root"
  done
}
image_of() { if [ "$1" = pidone ]; then echo pidone; else echo "pidone-$1"; fi; }

image_target() { if [ "$LAB_SOURCE" = serf ]; then echo "$1-serf"; else echo "$1"; fi; }

# What is ours carries a label; a container of the same name without it is somebody else's.
lab_up() {
  docker network inspect "$LAB" >/dev/null 2>&1 || docker network create --label "$LAB" "$LAB" >/dev/null
}

# lab_start NODE [DOCKER-RUN-OPTION…]
lab_start() {
  local node=$1 image file options=(--network-alias webapp)
  shift
  image=$(image_of "$(image_target webapp)")
  if [ "$node" = ha ]; then image=$(image_of "$(image_target ha)") options=(); fi
  options+=(-e PIDONE_KEY_FILE=/run/secrets/pidone_key -v "$root/docker/secrets/pidone_key:/run/secrets/pidone_key:ro")
  if [ -n "$LAB_CHANGED" ]; then
    while read -r file; do options+=(-v "$file:/etc/${file#"$LAB_CHANGED/$(role_of "$node")/"}:ro"); done < <(
      find "$LAB_CHANGED/$(role_of "$node")" -type f
    )
  fi
  docker rm "$LAB_PREFIX$node" >/dev/null 2>&1 || true
  docker run -d --label "$LAB" --name "$LAB_PREFIX$node" --hostname "$node" \
    --network "$LAB" --network-alias "$node" "${options[@]}" "$@" "$image" >/dev/null
}

lab_stop() { docker stop -t 10 "$LAB_PREFIX$1" >/dev/null; }
lab_kill() { docker kill "$LAB_PREFIX$1" >/dev/null; }
lab_exec() { local node=$1; shift; docker exec "$LAB_PREFIX$node" "$@"; }
lab_logs() { docker logs "$LAB_PREFIX$1" 2>&1; }
lab_exit_code() { docker inspect -f '{{.State.ExitCode}}' "$LAB_PREFIX$1"; }
lab_nodes() { docker ps --filter "label=$LAB" --format '{{.Names}}' | sed "s/^$LAB_PREFIX//" | sort; }

lab_address() {
  docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$LAB_PREFIX$1"
}

lab_down() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    docker ps -aq --filter "label=$LAB" | xargs -r docker rm -f -v >/dev/null
    docker network ls -q --filter "label=$LAB" | xargs -r docker network rm >/dev/null
  fi
  stop_own_engine
}
