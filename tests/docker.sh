#!/usr/bin/env bash
# pidone as the init of containers of a real Docker engine: what a user of `docker` sees of it.
# Exit: 0 all passed, 1 something failed, 77 skipped (no engine answers).
#
#   tests/docker.sh [--no-build] [STORY…]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=docker/lib.sh
source docker/lib.sh
# shellcheck source=tests/docker/examples.sh
source tests/docker/examples.sh
# shellcheck source=tests/docker/restricted.sh
source tests/docker/restricted.sh
# shellcheck source=tests/docker/sources.sh
source tests/docker/sources.sh

# Names and a label of our own, so that nobody else's containers and images are touched.
OWN=${OWN:-pidone-test-docker}
BASE=$OWN-base
SOON=20000

passed=0 failed=0

main() {
  local build=1 stories=() story
  [ "${1:-}" != --no-build ] || { build=; shift; }
  stories=("$@")
  if ! docker info >/dev/null 2>&1; then
    say "skipped: tests/docker.sh: no Docker engine answers"
    exit 77
  fi
  LAB_YES=1
  use_engine docker
  work=$(mktemp -d)
  trap cleanup EXIT
  cleanup_containers
  if [ -n "$build" ]; then
    build_binary
    have_base_image
    quietly "$OWN-build" docker build -f docker/Dockerfile --target base -t "$BASE" .
    quietly "$OWN-build" docker build -f docker/Dockerfile --target pidone -t "$OWN-pidone" .
  fi
  [ ${#stories[@]} -gt 0 ] || stories=(codes stop chain halt terminal check health fd oom shim
    nginx balancer serf dns syslog ship postgres cron restricted rights pod)
  for story in "${stories[@]}"; do
    title "$story"
    "story_$story"
    cleanup_containers
  done
  printf 'docker: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

cleanup_containers() {
  local ids
  ids=$(docker ps -aq --filter "label=$OWN")
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker rm -f $ids >/dev/null 2>&1 || true
  docker network ls -q --filter "label=$OWN" | xargs -r docker network rm >/dev/null 2>&1 || true
  docker volume ls -q --filter "label=$OWN" | xargs -r docker volume rm >/dev/null 2>&1 || true
}

cleanup() {
  # A shim that this script has stopped must not stay so.
  [ -z "${shim:-}" ] || kill -CONT "$shim" 2>/dev/null || true
  cleanup_containers
  # The layers of the examples stay, for the next build: their packages take the longest.
  docker image ls -q --filter "label=$OWN=example" | xargs -r docker rmi -f --no-prune >/dev/null 2>&1 || true
  docker image ls -q --filter "label=$OWN" | sort -u | xargs -r docker rmi -f >/dev/null 2>&1 || true
  rm -rf "$work"
}

# check WHAT COMMAND…: counts and says; a failure goes on, so that one run shows all of them.
check() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    passed=$((passed + 1))
    say "ok    $what"
  else
    failed=$((failed + 1))
    say "FAIL  $what"
  fi
}
is() { [ "$1" = "$2" ]; }
below() { [ "$1" -lt "$2" ]; }
has() { grep -q -- "$2" <<<"$1"; }
lacks() { ! grep -q -- "$2" <<<"$1"; }

# image NAME [DOCKERFILE-LINE…]: an image of the services in $work/services; prints its tag.
image() {
  local tag=$OWN-$1
  shift
  mkdir -p "$work/services"
  {
    printf 'FROM %s\nLABEL %s=1\n' "$BASE" "$OWN"
    printf 'COPY services/ /etc/services.d/\n'
    printf '%s\n' "$@"
  } >"$work/Dockerfile"
  docker build -q -t "$tag" "$work" >"$work/build" 2>&1 || { cat "$work/build" >&2; return 1; }
  rm -rf "$work/services"
  echo "$tag"
}

# service NAME: its service.toml from stdin.
service() {
  mkdir -p "$work/services/$1"
  cat >"$work/services/$1/service.toml"
}

# start IMAGE [OPTION…]: a container in the background, named as the image.
start() {
  local tag=$1
  shift
  docker run -d --label "$OWN" --name "$tag" "$@" "$tag" >/dev/null
}

# Reads to the end: `grep -q` would break the pipe of a long log.
logged() { docker logs "$1" 2>&1 | grep -- "$2" >/dev/null; }
state_of() {
  docker exec "$1" pidone status --json |
    tr '{' '\n' | sed -n "s/.*\"name\":\"$2\".*\"state\":\"\([a-z-]*\)\".*/\1/p"
}
in_state() { [ "$(state_of "$1" "$2")" = "$3" ]; }
wait_for() { wait_until "$SOON" "$@" >/dev/null; }
exit_code() { docker inspect -f '{{.State.ExitCode}}' "$1"; }
# Of stderr: the engine reads the two pipes each for itself, so that the order of a line here and a line there
# is not told.
last_line() { docker logs "$1" 2>&1 >/dev/null | tail -n 1; }
finished_ms() { date -d "$(docker inspect -f '{{.State.FinishedAt}}' "$1")" +%s%3N; }

story_codes() {
  local tag code=0
  tag=$(image codes)
  docker run --rm --label "$OWN" "$tag" sh -c 'exit 7' >/dev/null 2>&1 || code=$?
  check "docker run IMAGE sh -c 'exit 7' exits 7" is "$code" 7
  code=0
  docker run --rm --label "$OWN" "$tag" sh -c "kill -SEGV \$\$" >/dev/null 2>&1 || code=$?
  check "a SIGSEGV of the command is 139" is "$code" 139
  code=0
  docker run --rm --label "$OWN" "$tag" /no/such/thing >/dev/null 2>&1 || code=$?
  check "a command that is not there is 127" is "$code" 127
}

story_stop() {
  local tag began took last own
  service quick <<'END'
command = ["sleep", "1000"]
END
  # The slowest: it takes 0.3 s, and says when it was done.
  service slow <<'END'
command = "trap 'sleep 0.3; date +%s%3N; exit 0' TERM; while :; do sleep 0.02; done"
END
  tag=$(image stop)
  start "$tag"
  check "both services get ready" wait_for in_state "$tag" slow ready
  began=$(now_ms)
  docker stop -t 10 "$tag" >/dev/null
  took=$(($(now_ms) - began))
  last=$(last_line "$tag")
  own=$(docker logs "$tag" 2>/dev/null | sed -n 's/.*| \([0-9]\{13\}\)$/\1/p')
  own=$(($(finished_ms "$tag") - ${own:-0}))
  check "docker stop took $took ms, under 1 s" below "$took" 1000
  check "it ended $own ms after its slowest service, at most 100 ms" below "$own" 101
  check "it exited 0" is "$(exit_code "$tag")" 0
  check "its last line is in the log: $last" has "$last" 'done: 2 clean; exit 0'
}

story_chain() {
  local tag began took stubborn signals
  stubborn="command = \"trap '' TERM; exec sleep 1000\""
  service a <<<"$stubborn"
  printf 'needs = ["a"]\n%s\n' "$stubborn" | service b
  printf 'needs = ["b"]\n%s\n' "$stubborn" | service c
  tag=$(image chain)
  start "$tag"
  check "the chain gets ready" wait_for in_state "$tag" c ready
  began=$(now_ms)
  docker stop -t 10 "$tag" >/dev/null
  took=$(($(now_ms) - began))
  signals=$(docker events --since "$((began / 1000))" --until "$(date +%s)" \
    --filter "container=$tag" --filter event=kill --format '{{.Actor.Attributes.signal}}')
  check "three that ignore TERM: ended by itself in $took ms" below "$took" 9500
  check "the engine sent TERM only ($(tr '\n' ' ' <<<"$signals"))" is "$signals" 15
  check "it exited 137" is "$(exit_code "$tag")" 137
  check "its last line says so: $(last_line "$tag")" has "$(last_line "$tag")" '3 killed.*exit 137'
}

story_halt() {
  local tag
  service web <<<'command = ["sleep", "1000"]'
  tag=$(image halt 'STOPSIGNAL SIGRTMIN+3')
  start "$tag"
  check "the service gets ready" wait_for in_state "$tag" web ready
  docker stop -t 10 "$tag" >/dev/null
  check "SIGRTMIN+3 as the engine sends it stops: exit 0" is "$(exit_code "$tag")" 0
}

# Keys typed on a terminal that `script` makes; $work/screen is what it shows.
story_terminal() {
  local tag keys
  tag=$(image terminal)
  mkfifo "$work/keys"
  : >"$work/screen"
  script -qefc "docker run --rm -it --label $OWN --name $tag -e PS1='ready> ' $tag bash --norc -i" \
    "$work/screen" <"$work/keys" >/dev/null 2>&1 &
  local typist=$!
  exec {keys}>"$work/keys"
  shows() { grep -q -- "$1" "$work/screen"; }
  type_in() { printf '%b' "$1" >&"$keys"; }
  check "bash shows its prompt" wait_for shows 'ready> '
  check "it has job control" eval '! shows "no job control"'
  type_in 'sleep 1000 &\r'
  type_in 'jobs\r'
  check "a job in the background" wait_for shows 'Running'
  type_in 'echo be""gin; sleep 777\r'
  check "a job in the foreground" wait_for shows 'begin'
  check "… is running" wait_for docker exec "$tag" sh -c "grep -lz 777 /proc/[0-9]*/cmdline | grep -qv self"
  type_in '\003'
  type_in 'echo code=$?.\r'
  check "^C ends it, and not the shell" wait_for shows 'code=130'
  type_in 'exit 5\r'
  local code=0
  wait "$typist" || code=$?
  exec {keys}>&-
  check "the shell's code is the container's" is "$code" 5
  rm -f "$work/keys"
}

story_check() {
  local out code=0
  service web <<<'command = ["sleep", "1000"]'
  check "RUN [\"pidone\", \"check\"] passes what is right" image check 'RUN ["pidone", "check"]'
  rm -rf "$work/services"
  service web <<<'comand = ["sleep", "1000"]'
  out=$(image check 'RUN ["pidone", "check"]' 2>&1) || code=$?
  check "… and refuses what is wrong" is "$((code != 0))" 1
  check "… with the fault and its place" has "$out" 'comand'
  rm -rf "$work/services"
}

story_health() {
  local tag
  service web <<'END'
command = ["sleep", "1000"]
[ready]
exec = ["test", "-e", "/tmp/ok"]
END
  tag=$(image health 'HEALTHCHECK --interval=500ms --start-period=60s CMD ["pidone", "health"]')
  start "$tag"
  healthy_is() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$tag")" = "$1" ]; }
  check "starting while the application is" wait_for in_state "$tag" web starting
  check "… so the engine says" healthy_is starting
  docker exec "$tag" touch /tmp/ok
  check "healthy when it answers" wait_for healthy_is healthy
}

story_fd() {
  local tag
  service web <<'END'
user = "nobody"
command = "while :; do echo from web; sleep 0.1; done"
END
  tag=$(image fd)
  start "$tag"
  check "a service as another user writes" wait_for logged "$tag" 'web *| from web'
  docker exec "$tag" sh -c 'echo by hand > /proc/1/fd/1'
  check "echo > /proc/1/fd/1 appears in the log" wait_for logged "$tag" '^by hand'
}

story_oom() {
  local tag
  service glutton <<'END'
command = ["perl", "-e", "my $x = 'x' x (400 << 20); sleep 1000"]
restart = "never"
END
  service web <<<'command = ["sleep", "1000"]'
  tag=$(image oom)
  start "$tag" -m 64m --memory-swap 64m
  check "the glutton is killed" wait_for in_state "$tag" glutton failed
  check "… and why is known" has "$(docker exec "$tag" pidone status --json)" '"oom":true'
  check "… and said" wait_for logged "$tag" 'glutton.*[Oo][Oo][Mm]'
  check "the others live" in_state "$tag" web ready
}

# The engine's own reader of PID 1's output stops for ten seconds.
story_shim() {
  local tag pid lines
  service writer <<'END'
command = "seq -f 'line %.0f' 200000; touch /tmp/wrote; exec sleep 1000"
END
  service neighbour <<<'command = ["sleep", "1000"]'
  tag=$(image shim)
  docker create --label "$OWN" --name "$tag" "$tag" >/dev/null
  docker start "$tag" >/dev/null
  pid=$(docker inspect -f '{{.State.Pid}}' "$tag")
  shim=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
  has "$(cat "/proc/$shim/comm")" containerd-shim || die "pid $shim is no shim"
  kill -STOP "$shim"
  # The client inside, without the engine, which needs its shim.
  inside() { timeout 5 nsenter -t "$pid" -m -n -p -- "$@"; }
  answers() { inside pidone status --json | grep -q '"phase":"running"'; }
  restarted() { inside pidone status --json | tr '{' '\n' | grep '"neighbour"' | grep -q '"restarts":1'; }
  local until=$(($(now_ms) + 10000)) asked=0 answered=0
  check "a neighbour is killed" inside pidone signal KILL neighbour
  check "… and is there again" wait_for restarted
  while [ "$(now_ms)" -lt "$until" ]; do
    asked=$((asked + 1))
    answers && answered=$((answered + 1))
    sleep 0.2
  done
  kill -CONT "$shim"
  shim=
  check "status answered $answered times of $asked" is "$answered" "$asked"
  check "the writer gets through" wait_for docker exec "$tag" test -e /tmp/wrote
  docker stop -t 10 "$tag" >/dev/null
  lines=$(docker logs "$tag" 2>/dev/null | grep -c '| line ')
  check "no line is lost ($lines of 200000)" is "$lines" 200000
}

main "$@"
