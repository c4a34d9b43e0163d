#!/usr/bin/env bash
# The lab's cluster, shown: a balancer, two backends, one stopped, one killed, a third started.
set -euo pipefail
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: docker/demo.sh [up|down|load] [--yes] [--engine docker|namespaces]

  up      sets up what is missing, builds, starts the balancer `ha` and the backends `s1` and `s2`,
          shows them, stops one, kills one, starts a third, and shows them again (the default)
  load    drives wrk at the running cluster for 10 s, while a backend is stopped and started again
  down    removes every trace: nodes, network, and the Docker engine if `up` started one

  --yes   installs and starts what is needed without asking (so does CI=true)
  --engine  Docker where it answers, else Linux namespaces; `docker` installs and starts it if need be
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

# What `up` used, so that `load` finds the nodes again.
running_engine() { if [ -d "$LAB_STATE/ha" ]; then echo namespaces; else default_engine; fi; }

# Whatever engine it was, or both.
take_down() {
  local engine
  for engine in namespaces docker; do (use_engine "$engine"; lab_down); done
  say "Nothing of the lab is left."
}

up() {
  local where="Docker containers"
  [ "$1" = docker ] || where="Linux namespaces"
  say "The lab in $where: a balancer and three backends, each with pidone as PID 1."
  lab_ready
  title "Building"
  build_binary
  lab_build
  lab_down_nodes
  lab_up
  title "Starting ha, s1 and s2"
  start_cluster "$1"
  show
  change
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
  say "Both backends answer through haproxy $(seconds $took) after the first command."
  for node in s1 s2; do
    wait_until 10000 member_is $node alive >/dev/null || give_up "Serf does not see $node"
  done
}

show() {
  local node
  for node in $(lab_nodes); do
    title "$node: pidone status"
    lab_exec "$node" pidone status
  done
  title "ha: serf members"
  lab_exec ha serf members
  title "Who answers through haproxy"
  say "$(answering)"
}

change() {
  local start pid
  title "Stopping s1, as docker stop does it"
  start=$(now_ms)
  lab_stop s1 &
  pid=$!
  wait_until 10000 rotation_is 1 >/dev/null || give_up "s1 stays in rotation"
  say "out of rotation after    $(seconds $(($(now_ms) - start)))"
  wait "$pid"
  say "ended after              $(seconds $(($(now_ms) - start))), exit code $(lab_exit_code s1)"
  wait_until 10000 member_is s1 left >/dev/null || give_up "Serf does not see s1 leave"
  say "ha's Serf saw it leave   (left, not failed)"
  say "its last words:"
  lab_logs s1 | tail -n 3 | sed 's/^/    /'

  title "Starting s3"
  start=$(now_ms)
  lab_start s3
  wait_until 30000 rotation_is 2 >/dev/null || give_up "s3 does not come into rotation"
  say "in rotation after        $(seconds $(($(now_ms) - start)))"

  title "Killing s2 with SIGKILL"
  start=$(now_ms)
  lab_kill s2
  wait_until 10000 rotation_is 1 >/dev/null || give_up "s2 stays in rotation"
  say "out of rotation after    $(seconds $(($(now_ms) - start)))"
  wait_until 20000 member_is s2 failed >/dev/null || give_up "Serf does not see s2 fail"
  say "ha's Serf saw it fail    after $(seconds $(($(now_ms) - start)))"
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
  local url log pid
  need wrk=wrk
  [[ " $(lab_nodes | tr '\n' ' ')" == *" ha "* ]] || die "the lab does not run" "docker/demo.sh up"
  # With its port, since a bare Debian has no /etc/services for wrk to look it up.
  url=http://$(lab_address ha):80/
  if [ "$1" = docker ]; then url=http://127.0.0.1:$page_port/; fi
  log=$(mktemp /tmp/pidone-load.XXXXXX)
  wait_until 5000 rotation_is "$(lab_nodes | grep -c '^s')" >/dev/null || true
  title "10 s of wrk at $url, 16 connections"
  wrk -t1 -c16 -d10s "$url" >"$log" 2>&1 &
  pid=$!
  sleep 2
  say "starting s4"
  lab_start s4
  wait_until 10000 rotation_is 2 >/dev/null || true
  sleep 2
  say "stopping s4"
  lab_stop s4
  wait "$pid" || { cat "$log" >&2; die "wrk has failed"; }
  sed 's/^/    /' "$log"
  if grep -Eq 'Socket errors|Non-2xx' "$log"; then say "some requests failed, see above"; else say "no request failed"; fi
  rm -f "$log"
}

main "$@"
