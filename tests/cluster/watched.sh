# shellcheck shell=bash disable=SC2034,SC2154
# What the watcher has seen, and what else is told of a moment. For tests/cluster.sh.
: "${root:?}" "${engine:?}"

# Its lines are read from the place where the last question ended, to their end.
watch_pid=
watch_begin() {
  watched=$LAB_STATE-watched
  : >"$watched"
  node "$root/tests/cluster/watch.js" "$(lab_address ha)" >"$watched" &
  watch_pid=$!
  # What happens before it looks it cannot see.
  wait_until 30000 grep -q ^answer "$watched" >/dev/null || die "the watcher sees nothing"
  wait_until 30000 grep -q ^server "$watched" >/dev/null || die "the watcher sees no server"
  mark
}
watch_end() {
  [ -n "$watch_pid" ] || return 0
  kill "$watch_pid" 2>/dev/null || true
  wait "$watch_pid" 2>/dev/null || true
  watch_pid=
  rm -f "$watched"
}
mark() { from=$(($(wc -l <"$watched") + 1)); }
since() { tail -n +"$from" "$watched"; }

# out_at NODE: when it was first seen out; up_at NODE: when it was last seen to come up.
out_at() { since | awk -v n="$1" '$1 == "server" && $3 == n && $4 != "UP" && !at { print at = $2 }'; }
up_at() { since | awk -v n="$1" '$1 == "server" && $3 == n && $4 == "UP" { at = $2 } END { print at }'; }
# first_answer NODE: of a request; last_assigned NODE: when haproxy gave it the last one that it has answered.
first_answer() { since | awk -v n="$1" '$1 == "answer" && $5 == n && !at { print at = $3 }'; }
last_assigned() { since | awk -v n="$1" '$1 == "answer" && $5 == n && $6 > at { at = $6 } END { print at }'; }
# watched_load: lost and load, the requests of the watcher.
watched_load() {
  load=$(since | awk '$1 == "answer" { n++; if ($4 != 200) bad++ } END { print bad + 0, "/", n + 0 }')
  lost=${load%% *}
}
seen() { [ -n "$("$@")" ]; }
wait_for() { wait_until 30000 seen "$@" >/dev/null || die "not seen: $*"; }

ms_of() { date -d "$1" +%s%3N; }

# ready_ms NODE: when its PID 1 saw webapp become ready last, milliseconds since 1970.
ready_ms() {
  local ts
  ts=$(lab_exec "$1" pidone events --json | grep '"service":"webapp"' | grep '"to":"ready"' | tail -n 1 | sed 's/.*"ts":"\([^"]*\)".*/\1/')
  ms_of "$ts"
}

# told_at NODE TEXT: when the last line of its log with this text was written. Its log is JSON.
told_at() {
  local ts
  ts=$(lab_logs "$1" | grep -F "$2" | tail -n 1 | sed -n 's/.*"ts":"\([^"]*\)".*/\1/p')
  [ -z "$ts" ] || ms_of "$ts"
}
# told NODE… TEXT: how many lines with this text their logs have.
told() {
  local text=${*: -1} node
  for node in "${@:1:$#-1}"; do lab_logs "$node" | grep -F "$text" || true; done | wc -l
}

# init_pid NODE: its PID 1 as this machine counts. Signalled from here, so that no engine's own pace is measured.
init_pid() {
  if [ "$engine" = docker ]; then docker inspect -f '{{.State.Pid}}' "$LAB_PREFIX$1"; else init_of "$1"; fi
}
# pid_in NODE SERVICE: its process as the node counts; pid_here NODE SERVICE: as this machine does.
pid_in() { lab_exec "$1" pidone status -o pid "$2" | tail -n 1 | tr -d ' '; }
pid_here() {
  { awk -v init="$(init_pid "$1")" -v inner="$(pid_in "$1" "$2")" '/^Pid:/ { pid = $2 } /^PPid:/ { parent = $2 }
      /^NSpid:/ && parent == init && $NF == inner { print pid; exit }' /proc/[0-9]*/status 2>/dev/null || true; }
}
