#!/usr/bin/env bash
# How soon traffic follows the members, and how many requests fail meanwhile: real haproxy and Node, an agent on each
# node. Prints a table, with the goal of each row. Exit: 0 every row as it should be, 1 not, 77 skipped.
set -euo pipefail
export LAB=pidone-cluster LAB_PREFIX=pidone-cluster- LAB_SUBNET=${LAB_SUBNET:-10.88.11}
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"

engine=namespaces passed=0 failed=0 page='' rows=()
# Trials of a quick row; the load in a calm cluster; requests where none may be lost; rounds of ten changes;
# how long a node is starved, in seconds.
trials=20 seconds=15 wanted=100000 rounds=5 starving=30

usage() {
  cat <<'END'
usage: tests/cluster.sh [--engine docker|namespaces] [--source gossip|serf] [--trials N] [--short] [--row NAME]…
                        [--write FILE]

  --trials  of each quick row, 20 unless told otherwise
  --short   for continuous integration: 5 trials, 3,000 requests where no request may be lost and else 100,000, a node
            starved for 5 s instead of 30 s, and without the rows `fast` and `crowd`
  --row     only these: calm joins application loaded stood_still starved cut fast killed balancer agent
            stops changes rolling restarts crowd
  --write   puts the table into this page, beside those of the other engines and sources

A row is as it should be if its p95 is within its goal (of fewer than 20 trials: its p50), and no request failed.

The load is wrk's: 16 connections, no request tried again by the client. haproxy tries a GET again at another
server (retries 3, redispatch 1, retry-on conn-failure empty-response), but for the row that says otherwise.
END
}

main() {
  local short='' each
  while [ $# -gt 0 ]; do
    case $1 in
      --engine | --source | --trials | --row | --write) [ $# -ge 2 ] || die "$1 needs a value" ;;&
      --engine) engine=$2; shift ;;
      --source) LAB_SOURCE=$2; shift ;;
      --trials) trials=$2; shift ;;
      --row) rows+=("$2"); shift ;;
      --write) page=$2; shift ;;
      --short) short=1 trials=5 seconds=5 wanted=3000 rounds=1 starving=5 ;;
      -h | --help) usage; return ;;
      *) usage >&2; die "unknown argument \`$1\`" ;;
    esac
    shift
  done
  if [ ${#rows[@]} -eq 0 ]; then all_rows; fi
  # For the files below.
  export seconds wanted rounds starving
  skip_if_missing
  use_engine "$engine"
  # shellcheck source=tests/cluster/table.sh
  source "$root/tests/cluster/table.sh"
  # shellcheck source=tests/cluster/watched.sh
  source "$root/tests/cluster/watched.sh"
  # shellcheck source=tests/cluster/load.sh
  source "$root/tests/cluster/load.sh"
  # shellcheck source=tests/cluster/members.sh
  source "$root/tests/cluster/members.sh"
  for each in "${rows[@]}"; do declare -F "event_$each" >/dev/null || die "unknown row \`$each\`"; done
  trap end EXIT
  lab_down
  lab_build
  lab_up
  again_all
  versions=$(versions_of)
  table_begin
  for each in "${rows[@]}"; do "event_$each"; done
  [ -z "$page" ] || write_page "$page"
  printf 'cluster: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# What Serf cannot have is told.
all_rows() {
  rows=(calm joins application loaded)
  if [ "$LAB_SOURCE" = gossip ]; then rows+=(stood_still starved); fi
  rows+=(cut)
  if [ -z "$short" ] || [ "$LAB_SOURCE" = serf ]; then rows+=(fast); fi
  rows+=(killed balancer agent stops changes rolling restarts)
  if [ "$LAB_SOURCE" = gossip ] && [ -z "$short" ]; then rows+=(crowd); fi
}

skip_if_missing() {
  local command needed=(ip nsenter curl node wrk)
  [ "$(id -u)" = 0 ] || skip "namespaces need root"
  if [ "$engine" = docker ]; then
    docker info >/dev/null 2>&1 || skip "no Docker engine answers"
  else
    needed+=(haproxy)
    if [ "$LAB_SOURCE" = serf ]; then needed+=(serf); fi
  fi
  for command in "${needed[@]}"; do
    command -v "$command" >/dev/null || skip "there is no $command here"
  done
}
skip() { say "skipped: the cluster ($engine): $1"; exit 77; }

# Whatever fails here, the rest goes all the same.
end() {
  set +e
  watch_end
  if [ -n "${load_pid:-}" ]; then kill "$load_pid" 2>/dev/null || true; fi
  if [ -n "$starved_by$starved_in" ]; then unstarve s1; fi
  lab_down
  rm -rf "$LAB_CHANGED"
}

# again_all [AGENT-SED]: the cluster afresh: a balancer and two backends.
again_all() {
  local node
  for node in $(lab_nodes); do lab_stop "$node"; done
  laid_over "${1:-}"
  for node in ha s1 s2; do lab_start "$node"; done
  wait_until 30000 rotation_is 2 >/dev/null || die "haproxy does not see two backends"
  wait_until 30000 knows_all none >/dev/null || die "ha does not see the members"
}

# change_balancer SED-OPTION…: the balancer afresh, its template changed.
no_retries=(-e 's/^    retries 3$/    retries 0/' -e '/^    option redispatch/d' -e '/^    retry-on/d')
change_balancer() {
  lab_stop ha
  laid_over "" "$@"
  lab_start ha
  wait_until 30000 rotation_is 2 >/dev/null || die "haproxy does not see two backends"
}

# laid_over AGENT-SED TEMPLATE-SED-OPTION…: what the nodes have otherwise than the lab. haproxy says when it has given
# a request to a server; the logs have times.
laid_over() {
  local role here agent=$1
  shift
  LAB_CHANGED=$LAB_STATE-changed
  rm -rf "$LAB_CHANGED"
  for role in balancer webapp; do
    here=$LAB_CHANGED/$role
    mkdir -p "$here/pidone" "$here/services.d/agent"
    echo 'log-format = "json"' >"$here/pidone/pidone.toml"
    if [ -n "$agent" ]; then sed "$agent" "$(agent_file "$role")" >"$here/services.d/agent/agent.toml"; fi
  done
  sed -e 's/^    default_backend nodes/    http-response set-header X-Assigned "%Ts %ms %Ti %TR %Tw"\n&/' "$@" \
    "$root/services.d/agent/haproxy.cfg.hbs" >"$LAB_CHANGED/balancer/services.d/agent/haproxy.cfg.hbs"
}
agent_file() { if [ "$1" = balancer ]; then echo "$root/services.d/agent/agent.toml"; else echo "$root/docker/webapp/agent/agent.toml"; fi; }

main "$@"
