# shellcheck shell=bash disable=SC2034,SC2154
# Rows of which no request may be lost: changes under wrk's load, again and again until it has made enough requests.
# For tests/cluster.sh.
: "${wanted:?}" "${root:?}" "${seconds:?}" "${rounds:?}"

# haproxy_says COMMAND [PID]: the Runtime API's answer, and PID killed at that moment.
haproxy_says() { node "$root/tests/cluster/ask.js" "/proc/$(init_pid ha)/root/run/haproxy/admin.sock" "$@"; }

# counted PROXY SERVER COLUMN…: figures of haproxy's statistics, added.
counted() {
  curl -sf --max-time 2 "http://$(lab_address ha):1936/;csv" | awk -F, -v proxy="$1" -v server="$2" -v names="${*:3}" '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; n = split(names, name, " ") }
    $1 == proxy && $2 == server { for (i = 1; i <= n; i++) sum += $at[name[i]] }
    END { print sum + 0 }'
}
requests() { counted web FRONTEND req_tot; }
retried() { counted nodes BACKEND wretr; }

loading_begin() {
  again=$(retried)
  load_begin 900 "${1:-}"
}
# lost, and load as it is shown. wrk never tells of a request that has no answer when it ends: haproxy does.
loading_end() {
  local hung
  hung=$(haproxy_says "show sess" | awk '/ fe=web / && match($0, / age=[^ ]+/) {
    age = substr($0, RSTART + 5, RLENGTH - 5); if (age != "0s" && age != "1s") n++ } END { print n + 0 }')
  again=$(($(retried) - again))
  load_end
  lost=$((load_failed + hung))
  load="$lost / $load_all, $again asked again"
}

# driven HEADER STEP: the step again and again, at least $least times, until enough requests are made. count: how often.
driven() {
  local made=0 last now limit=$((SECONDS + 300))
  count=0
  loading_begin "$1"
  last=$(requests)
  while [ "$made" -lt "$wanted" ] || [ "$count" -lt "${least:-1}" ]; do
    "$2"
    count=$((count + 1))
    # A reload begins anew with 0.
    now=$(requests)
    if [ "$now" -ge "$last" ]; then made=$((made + now - last)); else made=$((made + now)); fi
    last=$now
    [ $SECONDS -lt "$limit" ] || die "too few requests within 5 min: $made"
  done
  loading_end
}

# both NAME STEP: a row for connections that are kept alive, and one for a connection for each request.
both() {
  took=()
  driven "" "$2"
  row "${1//COUNT/$count}, keep-alive" - keep "$lost" "$load" "${took[@]}"
  took=()
  driven "Connection: close" "$2"
  row "${1//COUNT/$count}, close" - close "$lost" "$load" "${took[@]}"
}

event_calm() {
  watch_begin
  sleep "$seconds"
  watched_load
  calm[watch]=$load
  watch_end
  row "calm, the watcher" - - "$lost" "$load"
  loading_begin
  sleep "$seconds"
  loading_end
  calm[keep]="$lost / $load_all"
  row "calm, keep-alive" - - "$lost" "$load"
  loading_begin "Connection: close"
  sleep "$seconds"
  loading_end
  calm[close]="$lost / $load_all"
  row "calm, a connection for each request" - - "$lost" "$load"
}

back() {
  wait_until 20000 in_rotation "$1" >/dev/null || die "$1 does not come back"
  # Serf tells late: of a restart that haproxy's own check has seen the end of, it may still tell the begin.
  [ "$LAB_SOURCE" = gossip ] || sleep 1
}

# The time is the command's: until everything in the node has ended.
event_stops() {
  lab_start s3
  back s3
  both "stop of a backend (COUNT times)" stop_once
  lab_stop s3
}
stop_once() {
  local start
  start=$(now_ms)
  lab_stop s3
  took+=($(($(now_ms) - start)))
  lab_start s3
  back s3
}

# The time is that from a node's stop until it is in rotation again.
event_rolling() {
  lab_start s3
  back s3
  both "every backend restarted in turn (COUNT rounds)" roll
  lab_stop s3
}
roll() {
  local node start
  for node in s1 s2 s3; do
    start=$(now_ms)
    lab_stop "$node"
    lab_start "$node"
    back "$node"
    took+=($(($(now_ms) - start)))
  done
}

# The time is the command's. A drain is over when haproxy waits for no answer of the node: nothing is left to be asked
# again, and nothing is lost where haproxy asks nobody twice.
event_restarts() {
  both "pidone restart webapp on each backend (COUNT rounds)" restart_each
  [ "$LAB_SOURCE" = gossip ] || return 0
  change_balancer "${no_retries[@]}"
  both "the same with retries 0, no redispatch (COUNT rounds)" restart_each
  change_balancer
}
restart_each() {
  local node start
  for node in s1 s2; do
    start=$(now_ms)
    lab_exec "$node" pidone restart webapp >/dev/null
    took+=($(($(now_ms) - start)))
    back "$node"
  done
}

# Ten changes, one every 0.6 s (50 in 30 s), whether the one before has been followed or not: nodes come and go,
# an application is stopped and started, another is drained and restarted. s2 is left alone: there is always somebody.
event_changes() {
  lab_start s3
  back s3
  least=$rounds both "a change every 0.6 s (COUNT x 10)" ten_changes
  lab_stop s3
}
ten_changes() {
  local each started pids=()
  for each in 0 1 2 3 4 5 6 7 8 9; do
    started=$(now_ms)
    change "$each" &
    pids+=($!)
    sleep "$(awk -v ms=$((started + 600 - $(now_ms))) 'BEGIN { print (ms > 0 ? ms / 1000 : 0) }')"
  done
  for each in "${pids[@]}"; do wait "$each" || die "a change could not be made"; done
}
change() {
  case $1 in
    0) lab_start s4 ;;
    1) lab_exec s1 pidone restart webapp ;;
    2) lab_exec s3 pidone drain webapp ;;
    3) lab_start s5 ;;
    4) lab_exec s1 pidone stop webapp ;;
    5) lab_exec s3 pidone restart webapp ;;
    6) lab_stop s4 ;;
    7) lab_exec s1 pidone start webapp ;;
    8) lab_exec s3 pidone restart webapp ;;
    9) lab_stop s5 ;;
  esac >/dev/null
}
