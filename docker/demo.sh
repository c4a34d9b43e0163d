#!/usr/bin/env bash
# The lab's cluster, shown under load: a balancer and its backends; one is stopped, one killed, a third started.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: docker/demo.sh [up|down|load] [--yes] [--engine docker|namespaces] [--source gossip|serf]

  up      sets up what is missing, builds, starts the balancer `ha` and the backends `s1` and `s2`, and
          changes them one after the other while wrk drives them: for each change, the time until
          traffic followed, and the requests that failed (the default)
  load    drives wrk at the running cluster for 10 s, while a backend is stopped and started again
  down    removes every trace: nodes, network, the key, and the Docker engine if `up` started one

  --yes   installs and starts what is needed without asking (so does CI=true)
  --engine  Docker where it answers, else Linux namespaces; `docker` installs and starts it if need be
  --source  who tells of members: pidone's agents among themselves, or a Serf agent on each node
END
}

# Requests to the pages: by the addresses of the nodes, or by the ports that Docker publishes here.
page_port=8080
statistics_port=1936

main() {
  local verb=up engine=
  [ -z "${CI:-}" ] || LAB_YES=1
  while [ $# -gt 0 ]; do
    case $1 in
      up | down | load) verb=$1 ;;
      -y | --yes) LAB_YES=1 ;;
      --engine) [ $# -ge 2 ] || die "--engine needs a name" "docker or namespaces"; engine=$2; shift ;;
      --engine=*) engine=${1#*=} ;;
      --source) [ $# -ge 2 ] || die "--source needs a name" "gossip or serf"; source_is "$2"; shift ;;
      --source=*) source_is "${1#*=}" ;;
      -h | --help) usage; return ;;
      *) usage >&2; die "unknown argument \`$1\`" ;;
    esac
    shift
  done
  if [ "$verb" = down ]; then take_down; return; fi
  engine=${engine:-$(running_engine)}
  use_engine "$engine"
  "$verb" "$engine"
}

source_is() {
  case $1 in
    gossip | serf) LAB_SOURCE=$1 ;;
    *) die "unknown source \`$1\`" "gossip or serf" ;;
  esac
}

# What `up` used, so that `load` finds the nodes again.
running_engine() { if [ -d "$LAB_STATE/ha" ]; then echo namespaces; else default_engine; fi; }

# Whatever engine it was, or both.
take_down() {
  local engine
  for engine in namespaces docker; do (use_engine "$engine"; lab_down); done
  rm -rf "$root/docker/secrets"
  say "Nothing of the lab is left."
}

up() {
  local where="Docker containers"
  [ "$1" = docker ] || where="Linux namespaces"
  say "The lab in $where: a balancer and three backends, each with pidone as PID 1 and its agent."
  lab_ready
  title "Building"
  build_binary
  lab_build
  lab_down_nodes
  lab_up
  title "Starting ha, s1 and s2"
  start_cluster "$1"
  show
  title "While wrk drives it: 16 connections, no request tried again by the client"
  changes
  show
  show_pages "$1"
}

# A second `up` starts afresh.
lab_down_nodes() {
  local node
  for node in $(lab_nodes); do lab_kill "$node"; done
}

start_cluster() {
  local start took node ports=()
  if [ "$1" = docker ]; then ports=(-p "127.0.0.1:$page_port:80" -p "127.0.0.1:$statistics_port:1936"); fi
  start=$(now_ms)
  lab_start ha "${ports[@]}"
  lab_start s1
  lab_start s2
  wait_until 30000 rotation_is 2 >/dev/null || give_up "haproxy does not see two backends"
  took=$(($(now_ms) - start))
  ha_at=$(lab_address ha)
  say "Both backends answer through haproxy $(seconds $took) after the first command."
  for node in s1 s2; do
    wait_until 10000 member_is $node alive >/dev/null || give_up "ha's agent does not see $node"
  done
}

show() {
  local node
  for node in $(lab_nodes); do
    title "$node: pidone status"
    lab_exec "$node" pidone status
  done
  title "ha: pidone members"
  lab_exec ha pidone members
  title "Who answers through haproxy"
  say "$(answering)"
}

# Each change has a load of its own, so that what fails is told of that one.
changes() {
  printf '%-44s %14s %10s %10s\n' change "traffic after" failed requests
  change "s3 starts (from its first command on)" enters s3 lab_start s3
  change "s1 is stopped, as docker stop does it" leaves s1 lab_stop s1
  wait_until 10000 member_is s1 left >/dev/null || give_up "ha does not see s1 leave"
  change "webapp of s2 is restarted: out of rotation" leaves s2 lab_exec s2 pidone restart webapp
  wait_until 10000 in_rotation s2 >/dev/null || give_up "s2 does not come back"
  change "webapp of s3 is killed: out of rotation" leaves s3 kill_application s3
  wait_until 10000 in_rotation s3 >/dev/null || give_up "s3 does not come back"
  change "haproxy is reloaded" reloaded ha lab_exec ha pidone reload haproxy
  change "s2 is killed with SIGKILL, all of it" leaves s2 lab_kill s2
  wait_until 20000 member_is s2 failed >/dev/null || give_up "ha does not see s2 fail"
  say
  say "Each time is from the beginning of the command, with what the command itself takes: to run \`true\` in ha takes $(overhead) ms."
  say "Only the node that dies in the middle of a request may lose one; haproxy asks another where that is harmless."
  say "s1 left and s2 failed, by what ha's agent says; the last words of s1:"
  lab_logs s1 | tail -n 3 | sed 's/^/    /'
}

# change WHAT CONDITION NODE COMMAND…: the time from the command's begin until haproxy's rotation followed.
change() {
  local what=$1 condition=$2 node=$3 start took pid
  shift 3
  load_begin
  sleep 0.5
  most=0
  sees_requests "$node" || true
  start=$(now_ms)
  "$@" >/dev/null &
  pid=$!
  until "$condition" "$node"; do
    [ $(($(now_ms) - start)) -lt 30000 ] || give_up "traffic does not follow: $what"
  done
  took=$(($(now_ms) - start))
  wait "$pid" 2>/dev/null || true
  load_end
  printf '%-44s %11s ms %10s %10s\n' "$what" "$took" "$load_failed" "$load_all"
}
enters() { in_rotation "$1"; }
# Out of rotation, or back already, between two looks: then haproxy counts its requests from the beginning.
leaves() { ! sees_requests "$1"; }
sees_requests() {
  local count
  count=$(requests_of "$1")
  if [ -z "$count" ] || [ "$count" -lt "$most" ]; then return 1; fi
  most=$count
}
# A reload leaves every server in rotation: it is over when the command is.
reloaded() { wait "$pid" || true; }
kill_application() { lab_exec "$1" sh -c 'kill -KILL $(pidone status -o pid webapp | tail -n 1)'; }

# What a command in a node takes, the middle one of three.
overhead() {
  local start
  for _ in 1 2 3; do
    start=$(now_ms)
    lab_exec ha true
    echo $(($(now_ms) - start))
  done | sort -n | sed -n 2p
}

# Says what was seen last, so that a person has something to go on.
give_up() {
  title "ha: the last lines of its log"
  lab_logs ha | tail -n 15
  die "$1" "docker/demo.sh down removes everything"
}

show_pages() {
  local page statistics
  if [ "$1" = docker ]; then
    page=http://localhost:$page_port/ statistics=http://localhost:$statistics_port/
  else
    page=http://$(lab_address ha)/ statistics=http://$(lab_address ha):1936/
  fi
  title "It runs"
  say "the page                 $page"
  say "haproxy's statistics     $statistics"
  say "under load               docker/demo.sh load"
  say "away with it             docker/demo.sh down"
}

load() {
  local what
  [[ " $(lab_nodes | tr '\n' ' ')" == *" ha "* ]] || die "the lab does not run" "docker/demo.sh up"
  need wrk=wrk
  title "10 s of wrk, 16 connections, while s4 starts and stops"
  load_begin 10
  sleep 2
  lab_start s4
  wait_until 10000 in_rotation s4 >/dev/null || true
  say "s4 answers"
  sleep 2
  lab_stop s4
  say "s4 is stopped"
  wait "$load_pid" || true
  load_end
  say "$load_failed of $load_all requests failed"
}

main "$@"
