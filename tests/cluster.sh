#!/usr/bin/env bash
# How soon traffic follows the members, and how many requests fail meanwhile: real haproxy and Node, an agent on each
# node. Prints a table, with the goal of each row. Exit: 0 every row as it should be, 1 not, 77 skipped.
set -euo pipefail
export LAB=pidone-cluster LAB_PREFIX=pidone-cluster- LAB_SUBNET=${LAB_SUBNET:-10.88.11}
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"

trials=20 seconds=25 engine=namespaces passed=0 failed=0

usage() {
  cat <<'END'
usage: tests/cluster.sh [--engine docker|namespaces] [--source gossip|serf] [--trials N] [--short]

  --trials  of each quick row, 20 unless told otherwise
  --short   5 trials, and 5 s of load where it is 25 s: for continuous integration

A row is as it should be if its p95 is within its goal (of fewer than 20 trials: its p50), and no request failed.

The load is wrk's: 16 connections, no request tried again by the client. haproxy tries a GET again at another
server (retries 3, redispatch 1, retry-on conn-failure empty-response), but for the row that says otherwise.
END
}

main() {
  while [ $# -gt 0 ]; do
    case $1 in
      --engine) engine=$2; shift ;;
      --source) LAB_SOURCE=$2; shift ;;
      --trials) trials=$2; shift ;;
      --short) trials=5 seconds=5 ;;
      -h | --help) usage; return ;;
      *) usage >&2; die "unknown argument \`$1\`" ;;
    esac
    shift
  done
  [ "$(id -u)" = 0 ] || skip "namespaces need root"
  local command
  for command in ip nsenter curl haproxy node wrk; do
    command -v "$command" >/dev/null || skip "there is no $command here"
  done
  [ "$LAB_SOURCE" = gossip ] || command -v serf >/dev/null || skip "there is no serf here"
  if [ "$engine" = docker ]; then docker info >/dev/null 2>&1 || skip "no Docker engine answers"; fi
  use_engine "$engine"
  trap end EXIT
  lab_down
  lab_build
  lab_up
  for node in ha s1 s2; do lab_start "$node"; done
  wait_until 20000 rotation_is 2 >/dev/null || die "haproxy does not see two backends"
  rows
  printf 'cluster: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}
skip() { say "skipped: the cluster ($engine): $1"; exit 77; }

watch_pid=
end() {
  if [ -n "$watch_pid" ]; then kill "$watch_pid" 2>/dev/null || true; fi
  lab_down
}

rows() {
  printf '%-45s %7s %7s %7s %8s  %s\n' "event ($LAB_SOURCE, $engine)" p50 p95 max goal "failed / requests"
  calm
  watch_begin
  joins_and_stops
  application_killed
  if [ "$LAB_SOURCE" = gossip ]; then stood_still; fi
  cut_off
  killed
  balancer_restarted
  if [ "$LAB_SOURCE" = gossip ]; then agent_killed; fi
  watch_end
  rolling_restart
}

# Of five trials the worst is no measure: the short form holds the median against the goal.
measured() { if [ "$trials" -lt 20 ]; then cut -d ' ' -f 1; else cut -d ' ' -f 2; fi <<<"$1"; }

# row NAME GOAL-MS LOAD MS…: a line of the table; `-` where there is no goal or nothing was driven.
row() {
  local name=$1 goal=$2 load=$3 figures measure bad=${3%% *}
  shift 3
  # Serf has delays of its own: then the figures are only told.
  [ "$LAB_SOURCE" = gossip ] || goal=-
  figures=$(printf '%s\n' "$@" | sort -n | awk 'NF { a[++n] = $1 } END {
    if (!n) { print "- - -"; exit }
    p = int(n * 0.95 + 0.999); print a[int((n + 1) / 2)], a[p], a[n] }')
  # shellcheck disable=SC2086
  printf '%-45s %7s %7s %7s %8s  %s\n' "$name" $figures "$goal" "$load"
  measure=$(measured "$figures")
  if [[ $bad =~ ^[0-9]+$ ]] && [ "$bad" != 0 ]; then
    failed=$((failed + 1))
  elif [ "$goal" != - ] && { [ "$measure" = - ] || [ "$measure" -gt "$goal" ]; }; then
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
}
loaded() { load_end; load="$load_failed / $load_all"; }

# The watcher's lines are read from the place where the last question ended, to their end.
watch_begin() {
  watched=$LAB_STATE-watched
  : >"$watched"
  node "$root/tests/cluster/watch.js" "$(lab_address ha)" >"$watched" &
  watch_pid=$!
  mark
}
watch_end() {
  kill "$watch_pid"
  wait "$watch_pid" 2>/dev/null || true
  watch_pid=
  rm -f "$watched"
}
mark() { from=$(($(wc -l <"$watched") + 1)); }
since() { tail -n +"$from" "$watched"; }
# out_at NODE: when it was first seen out; up_at NODE: when it was last seen to come up.
out_at() { since | awk -v n="$1" '$1 == "server" && $3 == n && $4 != "UP" && !at { print at = $2 }'; }
up_at() { since | awk -v n="$1" '$1 == "server" && $3 == n && $4 == "UP" { at = $2 } END { print at }'; }
# first_answer NODE, last_begin NODE: a request that it has answered.
first_answer() { since | awk -v n="$1" '$1 == "answer" && $5 == n && !at { print at = $3 }'; }
last_begin() { since | awk -v n="$1" '$1 == "answer" && $5 == n { at = $2 } END { print at }'; }
# watched_load: failed and all requests of the watcher.
watched_load() { since | awk '$1 == "answer" { n++; if ($4 != 200) bad++ } END { print bad + 0, "/", n + 0 }'; }
seen() { [ -n "$("$@")" ]; }
wait_for() { wait_until 30000 seen "$@" >/dev/null || die "not seen: $*"; }

calm() {
  load_begin "$seconds"; sleep "$seconds"; loaded; row "calm, keep-alive" - "$load"
  load_begin "$seconds" "Connection: close"; sleep "$seconds"; loaded; row "calm, a connection for each request" - "$load"
}

# ready_ms NODE: when its PID 1 saw webapp become ready last, milliseconds since 1970.
ready_ms() {
  local ts
  ts=$(lab_exec "$1" pidone events --json | grep '"service":"webapp"' | grep '"to":"ready"' | tail -n 1 | sed 's/.*"ts":"\([^"]*\)".*/\1/')
  date -d "$ts" +%s%3N
}

# init_pid NODE: its PID 1 as this machine counts. Signalled from here, so that no engine's own pace is measured.
init_pid() {
  if [ "$engine" = docker ]; then docker inspect -f '{{.State.Pid}}' "$LAB_PREFIX$1"; else init_of "$1"; fi
}

joins_and_stops() {
  local joins=() stops=() lasts=() start i all pid
  all=$from
  for ((i = 0; i < trials; i++)); do
    mark
    lab_start s3
    wait_for first_answer s3
    joins+=($(($(first_answer s3) - $(ready_ms s3))))
    wait_for up_at s3
    mark
    pid=$(init_pid s3)
    start=$(now_ms)
    kill -TERM "$pid"
    wait_for out_at s3
    lab_stop s3
    stops+=($(($(out_at s3) - start)))
    lasts+=($(($(last_begin s3) - start)))
  done
  from=$all
  load=$(watched_load)
  row "backend ready → first request answered" 50 "$load" "${joins[@]}"
  row "stop of a backend → out of rotation" 50 "(the same)" "${stops[@]}"
  row "stop of a backend → begin of its last request" 50 "(the same)" "${lasts[@]}"
}

application_killed() {
  local outs=() backs=() start i pid all
  all=$from
  for ((i = 0; i < trials; i++)); do
    pid=$(lab_exec s1 pidone status -o pid webapp | tail -n 1 | tr -d ' ')
    mark
    start=$(lab_exec s1 sh -c "date +%s%3N; kill -9 $pid")
    wait_for out_at s1
    outs+=($(($(out_at s1) - start)))
    # Killed again and again it would be started after growing pauses: by hand it starts at once.
    lab_exec s1 pidone start webapp >/dev/null
    wait_until 10000 in_rotation s1 >/dev/null || die "s1 does not come back"
    backs+=($(($(up_at s1) - $(ready_ms s1))))
  done
  from=$all
  load=$(watched_load)
  row "application killed → out of rotation" 50 "$load" "${outs[@]}"
  row "… ready again → in rotation" 50 "(the same)" "${backs[@]}"
}

# A stopped process still acknowledges: it is no failure.
stood_still() {
  local pid before i
  mark
  before=$(lab_logs ha | grep -c member-failed || true)
  for ((i = 0; i < trials / 5; i++)); do
    pid=$(lab_exec s1 pidone status -o pid agent | tail -n 1 | tr -d ' ')
    lab_exec s1 sh -c "kill -STOP $pid; sleep 1; kill -CONT $pid"
    sleep 0.5
  done
  load=$(watched_load)
  row "an agent stopped for 1 s: false failures" 0 "$load" $(($(lab_logs ha | grep -c member-failed || true) - before))
}

# cable NODE up|down: cut so that nobody is told.
cable_is() {
  if [ "$engine" = namespaces ]; then
    ip -n "$LAB-switch" link set "$1" "$2"
  else
    nsenter --net="/proc/$(docker inspect -f '{{.State.Pid}}' "$LAB_PREFIX$1")/ns/net" ip link set eth0 "$2"
  fi
}
cut_off() {
  local outs=() backs=() start i
  for ((i = 0; i < (trials + 3) / 4; i++)); do
    mark
    start=$(now_ms)
    cable_is s2 down
    wait_for out_at s2
    outs+=($(($(out_at s2) - start)))
    sleep 2
    mark
    start=$(now_ms)
    cable_is s2 up
    wait_for up_at s2
    backs+=($(($(up_at s2) - start)))
    wait_until 20000 member_is s2 alive >/dev/null || die "s2 stays failed"
  done
  row "network of a node cut → out of rotation" 1200 - "${outs[@]}"
  row "… whole again → in rotation" 2000 - "${backs[@]}"
}

killed() {
  local outs=() start i all pid
  all=$from
  for ((i = 0; i < trials; i++)); do
    lab_start s3
    wait_until 10000 in_rotation s3 >/dev/null || die "s3 does not come up"
    sleep 0.3
    mark
    pid=$(init_pid s3)
    start=$(now_ms)
    kill -KILL "$pid"
    wait_for out_at s3
    outs+=($(($(out_at s3) - start)))
    lab_kill s3 2>/dev/null || true
  done
  from=$all
  row "container killed with -9 → out of rotation" 100 - "${outs[@]}"
}

balancer_restarted() {
  local took=() start i
  for ((i = 0; i < (trials + 3) / 4; i++)); do
    lab_stop ha
    start=$(now_ms)
    lab_start ha
    wait_until 20000 rotation_is 2 >/dev/null || die "ha does not find the backends"
    took+=($(($(now_ms) - start)))
  done
  row "balancer restarted → all in rotation" 2000 - "${took[@]}"
  # Its container has another address perhaps.
  watch_end
  watch_begin
}

agent_killed() {
  local took=() start i pid
  load_begin
  for ((i = 0; i < (trials + 3) / 4; i++)); do
    pid=$(lab_exec ha pidone status -o pid agent | tail -n 1 | tr -d ' ')
    lab_exec ha sh -c "kill -9 $pid"
    start=$(now_ms)
    wait_until 20000 knows_all >/dev/null || die "ha's agent does not find the members"
    took+=($(($(now_ms) - start)))
    sleep 1
  done
  loaded
  row "balancer's agent killed → it knows all again" 2000 "$load" "${took[@]}"
}
knows_all() { [ "$(lab_exec ha pidone members | grep -c ' alive ')" -ge 3 ]; }

rolling_restart() {
  local node took=() start count=0 header until
  for header in "" "Connection: close"; do
    took=() count=0
    until=$(($(now_ms) + seconds * 1000))
    load_begin 600 "$header"
    while [ "$(now_ms)" -lt "$until" ]; do
      for node in s1 s2; do
        start=$(now_ms)
        lab_exec "$node" pidone restart webapp >/dev/null
        took+=($(($(now_ms) - start)))
        count=$((count + 1))
        wait_until 5000 in_rotation "$node" >/dev/null || die "$node does not come back"
      done
    done
    loaded
    row "rolling restart, $count of them${header:+, close}" - "$load" "${took[@]}"
  done
}

main "$@"
