#!/usr/bin/env bash
# How soon traffic follows the members, and how many requests fail meanwhile: real haproxy, Serf and Node in
# namespaces, an agent on each node. Prints a table. Exit: 0 all rows as they should be, 1 not, 77 skipped.
set -euo pipefail
export LAB=pidone-cluster LAB_PREFIX=pidone-cluster- LAB_SUBNET=${LAB_SUBNET:-10.88.11} LAB_AGENT=1
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"

trials=20 failed=0

main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --trials) trials=$2; shift ;;
      -h | --help) say "usage: tests/cluster.sh [--trials N]"; return ;;
      *) die "unknown argument \`$1\`" ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || skip "namespaces need root"
  local command
  for command in ip nsenter curl haproxy serf node wrk; do
    command -v "$command" >/dev/null || skip "there is no $command here"
  done
  use_engine namespaces
  trap lab_down EXIT
  lab_down
  lab_up
  for node in ha s1 s2; do lab_start "$node"; done
  wait_until 20000 rotation_is 2 >/dev/null || die "haproxy does not see two backends"
  printf '%-44s %8s %8s %8s  %s\n' "event (Serf as the source)" p50 p95 max "failed / requests"
  calm
  joins_and_stops
  application_killed
  rolling_restart
  killed
  [ "$failed" -eq 0 ]
}
skip() { say "skipped: the cluster: $1"; exit 77; }

# row NAME LOAD-FILE MS…: a line of the table; `-` where nothing was driven.
row() {
  local name=$1 load=$2
  shift 2
  local figures
  figures=$(printf '%s\n' "$@" | sort -n | awk 'NF { a[++n] = $1 } END {
    if (!n) { print "- - -"; exit }
    p = int(n * 0.95 + 0.999); print a[int((n + 1) / 2)] "ms", a[p] "ms", a[n] "ms" }')
  # shellcheck disable=SC2086
  printf '%-44s %8s %8s %8s  %s\n' "$name" $figures "$load"
}

# load_start NAME SECONDS [HEADER]: wrk, which never tries again, on 16 connections.
load_start() {
  wrk -t1 -c16 -d"$2"s ${3:+-H "$3"} "http://$(lab_address ha):80/" >"$LAB_STATE/$1" 2>&1 &
  load_pid=$!
}
# load_end NAME: failed and all requests; a failure counts against the whole run.
load_end() {
  wait "$load_pid" || true
  local all bad
  all=$(awk '/requests in/ { print $1 }' "$LAB_STATE/$1")
  bad=$(awk '/Socket errors/ { gsub(",", ""); n += $4 + $6 + $8 + $10 } /Non-2xx/ { n += $NF } END { print n + 0 }' "$LAB_STATE/$1")
  load="$bad / $all"
  if [ "$bad" -ne 0 ]; then failed=1; fi
}

calm() {
  load_start calm 5; load_end calm; row "calm, keep-alive" "$load"
  load_start calm 5 "Connection: close"; load_end calm; row "calm, a connection for each request" "$load"
}

# in_rotation NODE: haproxy sends requests to it.
in_rotation() {
  curl -sf --max-time 1 "http://$(lab_address ha):1936/;csv" |
    awk -F, -v n="$1" '$1 == "nodes" && $2 == n && $18 ~ /^UP/ { f = 1 } END { exit !f }'
}
out_of_rotation() { ! in_rotation "$1"; }

# ready_ms NODE: when its PID 1 saw webapp become ready last, milliseconds since 1970.
ready_ms() {
  local ts
  ts=$(lab_exec "$1" pidone events --json | grep '"service":"webapp"' | grep '"to":"ready"' | tail -n 1 | sed 's/.*"ts":"\([^"]*\)".*/\1/')
  date -d "$ts" +%s%3N
}

joins_and_stops() {
  local joins=() stops=() start i
  load_start join $((trials * 3))
  for ((i = 0; i < trials; i++)); do
    lab_start s3
    until in_rotation s3; do :; done
    start=$(now_ms)
    joins+=($((start - $(ready_ms s3))))
    start=$(now_ms)
    lab_stop s3 &
    until out_of_rotation s3; do :; done
    stops+=($(($(now_ms) - start)))
    wait $!
  done
  load_end join
  row "new backend ready → in rotation" "$load" "${joins[@]}"
  row "stop of a backend → out of rotation" "(the same)" "${stops[@]}"
}

application_killed() {
  local outs=() start i pid
  for ((i = 0; i < trials; i++)); do
    pid=$(lab_exec s1 pidone status --json webapp | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
    start=$(now_ms)
    lab_exec s1 kill -9 "$pid"
    wait_until 2000 out_of_rotation s1 >/dev/null || continue
    outs+=($(($(now_ms) - start)))
    # Killed again and again it would be started after growing pauses: by hand it starts at once.
    lab_exec s1 pidone start webapp >/dev/null
    wait_until 10000 in_rotation s1 >/dev/null || die "s1 does not come back"
  done
  row "application killed → out of rotation" "-" "${outs[@]}"
}

rolling_restart() {
  local i node took=() start
  for header in "" "Connection: close"; do
    load_start rolling 20 "$header"
    for ((i = 0; i < 4; i++)); do
      for node in s1 s2; do
        start=$(now_ms)
        lab_exec "$node" pidone restart webapp >/dev/null
        took+=($(($(now_ms) - start)))
        wait_until 5000 in_rotation "$node" >/dev/null || die "$node does not come back"
      done
    done
    load_end rolling
    row "rolling restart, 8 of them${header:+, close}" "$load" "${took[@]}"
  done
}

killed() {
  local start
  start=$(now_ms)
  lab_kill s2
  wait_until 30000 out_of_rotation s2 >/dev/null || die "s2 stays in rotation"
  row "container killed with -9 (haproxy's own check)" "-" $(($(now_ms) - start))
}

main "$@"
