# shellcheck shell=bash
# What the demo and the tests of the lab share: words, packages, time, and the view from outside.
#
# use_engine NAME brings the verbs, the same from engine-docker.sh and engine-namespaces.sh:
#   lab_ready             what the engine needs is here, or is installed and started after asking
#   lab_build             images, where there are any
#   lab_up, lab_down      the network; away with every trace
#   lab_start NODE        ha, s1 … s5
#   lab_stop, lab_kill    as `docker stop -t 10` and `docker kill` do it
#   lab_exec NODE CMD…    inside the node
#   lab_address, lab_logs, lab_exit_code NODE
#   lab_nodes             those that run

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A name of our own for networks, namespaces and labels; and what goes before the names of containers.
LAB=${LAB:-pidone-lab}
LAB_PREFIX=${LAB_PREFIX:-}
export LAB_STATE=/run/$LAB
LAB_YES=${LAB_YES:-}
# A directory with `balancer` and `webapp`: what a test lays over /etc in nodes of that role.
export LAB_CHANGED=${LAB_CHANGED:-}
# Who tells of members: pidone's own gossip, or a real Serf agent on each node.
export LAB_SOURCE=${LAB_SOURCE:-gossip}

use_engine() {
  # shellcheck source=/dev/null
  case $1 in
    docker | namespaces) source "$root/docker/engine-$1.sh" ;;
    *) die "unknown engine \`$1\`" "docker or namespaces" ;;
  esac
}

# The engine that is here: Docker where it answers.
default_engine() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then echo docker; else echo namespaces; fi
}

say() { printf '%s\n' "$*"; }
title() { printf '\n── %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

# role_of NODE: the balancer is the one called ha.
role_of() { if [ "$1" = ha ]; then echo balancer; else echo webapp; fi; }

# agreed QUESTION: yes at once with --yes or in CI; otherwise a person is asked.
agreed() {
  if [ -n "$LAB_YES" ]; then return 0; fi
  [ -t 0 ] || die "nobody is there to answer: $1" "--yes agrees to everything"
  local answer
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

# need COMMAND=PACKAGE…: installs the packages of the commands that are missing, after asking.
need() {
  local pair missing=()
  for pair in "$@"; do
    if ! command -v "${pair%%=*}" >/dev/null; then missing+=("${pair#*=}"); fi
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  command -v apt-get >/dev/null || die "missing here: ${missing[*]}" "on Debian this script installs them by itself"
  say "This would be installed with apt-get: ${missing[*]}"
  agreed "Install?" || die "nothing was installed, nothing was started"
  [ "$(id -u)" = 0 ] || die "installing needs root" "sudo $0"
  quietly "$LAB-apt" bash -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"' \
    apt "${missing[@]}"
}

# quietly NAME COMMAND…: its output matters only if it fails.
quietly() {
  local log
  log=$(mktemp "/tmp/$1.XXXXXX")
  shift
  if "$@" >"$log" 2>&1; then rm -f "$log"; return 0; fi
  tail -n 40 "$log" >&2
  rm -f "$log"
  die "this failed: $*"
}

# build_binary: target/pidone, as docker/build.sh makes it; without Rust, the one that is there.
build_binary() {
  if command -v cargo >/dev/null; then
    "$root/docker/build.sh"
  elif [ ! -x "$root/target/pidone" ]; then
    die "cannot build pidone: there is no cargo here" "Rust comes from https://rustup.rs"
  fi
}

now_ms() { local us=${EPOCHREALTIME/[.,]/}; echo $((us / 1000)); }

# seconds MS: 1234 → 1.23s
seconds() { printf '%d.%02ds' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# wait_until MS COMMAND…: polls until it succeeds, at most so long; prints how long it took. 1 if it never did.
wait_until() {
  local limit=$1 start
  shift
  start=$(now_ms)
  until "$@" >/dev/null 2>&1; do
    if [ $(($(now_ms) - start)) -gt "$limit" ]; then return 1; fi
    sleep 0.02
  done
  echo $(($(now_ms) - start))
}

# Where haproxy answers. Whoever asks often, and knows that `ha` stays, sets ha_at: Docker takes its time to say it.
ha_at() { echo "${ha_at:-$(lab_address ha)}"; }
# rotation: how many backends haproxy sends requests to, by its own statistics.
rotation() {
  curl -sf --max-time 1 "http://$(ha_at):1936/;csv" |
    awk -F, '$1 == "nodes" && $2 != "BACKEND" && $18 ~ /^UP/ { n++ } END { print n + 0 }'
}
# in_rotation NODE: haproxy sends requests to it.
in_rotation() {
  curl -sf --max-time 1 "http://$(ha_at):1936/;csv" |
    awk -F, -v n="$1" '$1 == "nodes" && $2 == n && $18 ~ /^UP/ { f = 1 } END { exit !f }'
}
# requests_of NODE: how many requests haproxy has sent it since it is in rotation; nothing if it is not.
requests_of() {
  curl -sf --max-time 1 "http://$(ha_at):1936/;csv" |
    awk -F, -v n="$1" '$1 == "nodes" && $2 == n && $18 ~ /^UP/ { print $8 }'
}
rotation_is() { [ "$(rotation)" = "$1" ]; }

# load_begin [SECONDS] [HEADER]: wrk, which never tries a request again, on 16 connections, until load_end.
load_begin() {
  load_log=$(mktemp "/tmp/$LAB-load.XXXXXX")
  # With its port, since a bare Debian has no /etc/services for wrk to look it up.
  wrk -t1 -c16 -d"${1:-60}s" ${2:+-H "$2"} "http://$(lab_address ha):80/" >"$load_log" 2>&1 &
  load_pid=$!
}
# load_end: load_failed and load_all, the requests that got no good answer, and all. By ^C wrk ends as at its time.
load_end() {
  kill -INT "$load_pid" 2>/dev/null || true
  wait "$load_pid" || true
  load_all=$(awk '/requests in/ { print $1 }' "$load_log")
  # For whoever sources this.
  # shellcheck disable=SC2034
  load_failed=$(awk '/Socket errors/ { gsub(",", ""); n += $4 + $6 + $8 + $10 } /Non-2xx/ { n += $NF } END { print n + 0 }' "$load_log")
  [ -n "$load_all" ] || { cat "$load_log" >&2; die "wrk has failed"; }
  rm -f "$load_log"
}

# answering: the hosts that answer through haproxy, each once, in order.
answering() {
  local ha
  ha=$(lab_address ha)
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    curl -s --max-time 2 "http://$ha/?json" | sed -n 's/.*"host":"\([^"]*\)".*/\1/p'
  done | sort -u | tr '\n' ' ' | sed 's/ $//'
}
answering_are() { [ "$(answering)" = "$1" ]; }

# member NODE: what ha's agent says of it: alive, left, failed, or nothing.
member() { lab_exec ha pidone members 2>/dev/null | awk -v node="$1" '$1 == node { print $2 }'; }
member_is() { [ "$(member "$1")" = "$2" ]; }

healthy() { lab_exec "$1" pidone health; }
