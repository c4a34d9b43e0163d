# shellcheck shell=bash disable=SC2034,SC2154
# Rows of one member that comes, goes, or stands still, each tried several times. For tests/cluster.sh.
: "${trials:?}" "${engine:?}" "${root:?}" "${starving:?}"

some=$(((trials + 3) / 4))

# That the application sees its TERM only behind the last request is asked of each trial.
event_joins() {
  local joined=() outs=() lasts=() terms=() early=0 start i all pid term
  watch_begin
  for ((i = 0; i < trials; i++)); do
    all=$from
    mark
    lab_start s3
    wait_for first_answer s3
    joined+=($(($(first_answer s3) - $(ready_ms s3))))
    wait_for up_at s3
    mark
    pid=$(init_pid s3)
    start=$(now_ms)
    kill -TERM "$pid"
    wait_for out_at s3
    lab_stop s3
    outs+=($(($(out_at s3) - start)))
    lasts+=($(($(last_assigned s3) - start)))
    term=$(told_at s3 "SIGTERM: finishing")
    terms+=($((term - start)))
    if [ "$term" -le "$(last_assigned s3)" ]; then early=$((early + 1)); fi
    from=$all
  done
  watched_load
  row "backend ready → first request answered" 50 watch "$lost" "$load" "${joined[@]}"
  row "stop of a backend → out of rotation" 50 watch "$lost" "(the same)" "${outs[@]}"
  row "stop of a backend → its last request is assigned" 50 watch "$lost" "(the same)" "${lasts[@]}"
  row "stop of a backend → its application sees TERM" - watch "$early" "before that: $early of $trials" "${terms[@]}"
  watch_end
}

event_application() {
  local outs=() backs=() start i all
  watch_begin
  all=$from
  for ((i = 0; i < trials; i++)); do
    mark
    start=$(strike s1)
    start=${start%% *}
    wait_for out_at s1
    outs+=($(($(out_at s1) - start)))
    start_again s1
    backs+=($(($(up_at s1) - $(ready_ms s1))))
  done
  from=$all
  watched_load
  row "application killed → out of rotation" 50 watch "$lost" "$load" "${outs[@]}"
  row "… ready again → in rotation" 50 watch "$lost" "(the same)" "${backs[@]}"
  watch_end
}
# strike NODE: kills its application; when, and how many requests haproxy waited for there at that moment.
strike() {
  local pid
  pid=$(pid_here "$1" webapp)
  [ -n "$pid" ] || die "$1 has no application to kill"
  haproxy_says "show stat" "$pid" |
    awk -F, -v n="$1" 'NR == 1 { at = $1 } $1 == "nodes" && $2 == n { flying = $5 } END { print at, flying + 0 }'
  # Until its PID 1 knows: what is started before that runs already.
  wait_until 5000 is_reaped "$pid" >/dev/null || die "process $pid does not end"
}
is_reaped() { [ ! -e "/proc/$1" ]; }
# Killed again and again it would be started after growing pauses: by hand it starts at once.
start_again() {
  lab_exec "$1" pidone start webapp >/dev/null
  back "$1"
}

# With 16 connections under way at any time; then once more where haproxy asks nobody again.
event_loaded() {
  strikes
  row "application killed under load, haproxy's retries 3" - keep $((load_failed > flying)) "$load, $flying in flight"
  change_balancer "${no_retries[@]}"
  strikes
  row "the same with retries 0, no redispatch" - keep 0 "$load, $flying in flight"
  change_balancer
}
strikes() {
  local i one
  flying=0
  loading_begin
  for ((i = 0; i < trials; i++)); do
    sleep 0.3
    one=$(strike s1)
    flying=$((flying + ${one#* }))
    wait_until 5000 is_out s1 >/dev/null || true
    start_again s1
  done
  loading_end
}
is_out() { ! in_rotation "$1"; }

# How often the agent that tells haproxy has called a member failed.
false_failures() { told ha member-failed; }

# A stopped process still acknowledges: it is no failure.
event_stood_still() {
  local pid before i many=$(((trials + 4) / 5))
  watch_begin
  before=$(false_failures)
  for ((i = 0; i < many; i++)); do
    pid=$(pid_in s1 agent)
    lab_exec s1 sh -c "kill -STOP $pid; sleep 1; kill -CONT $pid"
    sleep 0.5
  done
  watched_load
  before=$(($(false_failures) - before))
  row "agent stopped for 1 s, $many times: false failures" 0 watch "$lost" "$load" "$before"
  watch_end
}

event_starved() {
  local before how out
  watch_begin
  before=$(false_failures)
  starve s1
  sleep "$starving"
  watched_load
  out=$(since | awk '$1 == "server" && $3 == "s1" && $4 != "UP"' | wc -l)
  unstarve s1
  before=$(($(false_failures) - before))
  row "10 % CPU for $starving s ($how): false failures" 0 watch "$lost" "$load" "$before"
  row "… taken out of rotation" 0 watch "$lost" "(the same)" "$out"
  watch_end
  again_all
}

# starve NODE: a tenth of a processor for all that runs in it; how: by what.
starve() {
  local pid cpu=/sys/fs/cgroup/cpu
  if [ "$engine" = docker ]; then
    how="docker update --cpus 0.1"
    docker update --cpus 0.1 "$LAB_PREFIX$1" >/dev/null
  elif grep -qw cpu /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null && mkdir "/sys/fs/cgroup/$LAB" 2>/dev/null; then
    how="cpu.max"
    starved_in=/sys/fs/cgroup/$LAB
    echo "10000 100000" >"$starved_in/cpu.max"
  elif mkdir "$cpu/$LAB" 2>/dev/null; then
    how="cpu.cfs_quota_us"
    starved_in=$cpu/$LAB
    echo 100000 >"$starved_in/cpu.cfs_period_us"
    echo 10000 >"$starved_in/cpu.cfs_quota_us"
  else
    how="stopped 90 of 100 ms"
    (while :; do
      ip netns pids "$LAB-$1" | xargs -r kill -STOP
      sleep 0.09
      ip netns pids "$LAB-$1" | xargs -r kill -CONT
      sleep 0.01
    done) 2>/dev/null &
    starved_by=$!
  fi
  if [ -n "$starved_in" ]; then
    for pid in $(ip netns pids "$LAB-$1"); do echo "$pid" >"$starved_in/cgroup.procs" || true; done
  fi
}
starved_in='' starved_by=''
unstarve() {
  if [ -n "$starved_by" ]; then
    kill "$starved_by"
    wait "$starved_by" 2>/dev/null || true
    ip netns pids "$LAB-$1" | xargs -r kill -CONT
    starved_by=
  elif [ -n "$starved_in" ]; then
    for pid in $(cat "$starved_in/cgroup.procs"); do echo "$pid" >"${starved_in%/*}/cgroup.procs" || true; done
    wait_until 5000 rmdir "$starved_in" >/dev/null || die "$starved_in is not empty"
    starved_in=
  else
    docker update --cpus "$(nproc)" "$LAB_PREFIX$1" >/dev/null
  fi
}

# cable_is NODE up|down: cut so that nobody is told.
cable_is() {
  if [ "$engine" = namespaces ]; then
    ip -n "$LAB-switch" link set "$1" "$2"
  else
    nsenter --net="/proc/$(init_pid "$1")/ns/net" ip link set eth0 "$2"
  fi
}

# cut_off PROFILE GOAL: haproxy itself sees the requests fail; the agents call it failed by what they know.
cut_off() {
  local outs=() knew=() backs=() start i
  watch_begin
  for ((i = 0; i < some; i++)); do
    mark
    start=$(now_ms)
    cable_is s2 down
    wait_for out_at s2
    outs+=($(($(out_at s2) - start)))
    wait_until 30000 member_is s2 failed >/dev/null || die "nobody calls s2 failed"
    if [ "$LAB_SOURCE" = gossip ]; then knew+=($(($(told_at ha "member-failed s2") - start))); fi
    sleep 1
    mark
    start=$(now_ms)
    cable_is s2 up
    wait_for up_at s2
    backs+=($(($(up_at s2) - start)))
    wait_until 60000 member_is s2 alive >/dev/null || die "s2 stays failed"
  done
  watch_end
  row "cable of a node cut ($1) → out of rotation" "$2" - 0 - "${outs[@]}"
  if [ "$LAB_SOURCE" = gossip ]; then row "… → the members call it failed" "$2" - 0 - "${knew[@]}"; fi
  row "… whole again → in rotation" 2000 - 0 - "${backs[@]}"
}
event_cut() { cut_off default 1200; }
event_fast() {
  if [ "$LAB_SOURCE" = serf ]; then
    not_possible "cable of a node cut (fast)" "Serf has no such profile"
    return
  fi
  again_all 's/^bind = .*/&\nprofile = "fast"/'
  cut_off fast 500
  again_all
}

event_killed() {
  local outs=() start i pid
  watch_begin
  for ((i = 0; i < trials; i++)); do
    lab_start s3
    back s3
    sleep 0.3
    mark
    pid=$(init_pid s3)
    start=$(now_ms)
    kill -KILL "$pid"
    wait_for out_at s3
    outs+=($(($(out_at s3) - start)))
    lab_kill s3 2>/dev/null || true
  done
  watch_end
  row "container killed with -9 → out of rotation" 100 - 0 - "${outs[@]}"
}

event_balancer() {
  local times=() start i
  for ((i = 0; i < some; i++)); do
    lab_stop ha
    start=$(now_ms)
    lab_start ha
    wait_until 20000 rotation_is 2 >/dev/null || die "ha does not find the backends"
    times+=($(($(now_ms) - start)))
  done
  row "balancer started last → all in rotation" 2000 - 0 - "${times[@]}"
}

event_agent() {
  local times=() start i pid
  loading_begin
  for ((i = 0; i < some; i++)); do
    pid=$(pid_here ha agent)
    start=$(now_ms)
    kill -KILL "$pid"
    wait_until 20000 knows_all "$pid" >/dev/null || die "ha's agent does not find the members"
    times+=($(($(now_ms) - start)))
    sleep 1
  done
  loading_end
  row "balancer's agent killed → it knows all again" 2000 keep "$lost" "$load" "${times[@]}"
}
knows_all() { [ ! -e "/proc/$1" ] && [ "$(lab_exec ha pidone members | grep -c ' alive ')" -ge 3 ]; }

# A hundred nodes in one network namespace, beside s4's own.
event_crowd() {
  local many=100 dir=/run/crowd script before spread start crowd
  lab_start s4
  back s4
  script=$(cat "$root/tests/cluster/crowd.sh")
  lab_exec s4 env PIDONE_KEY_FILE=/run/secrets/pidone_key bash -c "$script" crowd "$many" "$(lab_address s4)" "$dir" >/dev/null 2>&1 &
  crowd=$!
  wait_until 120000 are_alive $((many + 4)) >/dev/null || die "the crowd does not come"
  # Until nobody has anything left to tell of their coming.
  sleep 3
  before=$(counters)
  start=$(now_ms)
  lab_exec s4 bash -c ": >$dir/barrier"
  wait_until 60000 rotation_is $((many + 3)) >/dev/null || die "the crowd does not come into rotation"
  all_up=$(($(now_ms) - start))
  # Whatever is rendered later counts too.
  sleep 2
  spread=$(lab_exec s4 bash -c "for each in $dir/[0-9]*; do PIDONE_SOCKET=\$each/control.sock pidone events --json; done" |
    grep '"service":"webapp"' | grep '"to":"ready"' | sed 's/.*"ts":"\([^"]*\)".*/\1/' | sort | sed -n '1p;$p')
  spread=$(($(ms_of "$(sed -n 2p <<<"$spread")") - $(ms_of "$(sed -n 1p <<<"$spread")")))
  since_before "$before" "$(counters)"
  row "$many agents ready within $spread ms: renders" 3 - $((spread > 200)) "at most 200 ms are asked for" "$renders"
  row "… reloads" 1 - 0 - "$reloads"
  row "… from the barrier until all are in rotation" - - 0 - "$all_up"
  lab_stop s4
  wait "$crowd" || true
  again_all
}
are_alive() { [ "$(lab_exec ha pidone members | grep -c ' alive ')" -ge "$1" ]; }
# RENDERS RELOADS so far.
counters() {
  lab_exec ha pidone members --status |
    sed -n 's/.*renders \([0-9]*\), .* reloads \([0-9]*\);.*/\1 \2/p'
}
since_before() {
  local r0 l0 r1 l1
  read -r r0 l0 <<<"$1"
  read -r r1 l1 <<<"$2"
  renders=$((r1 - r0)) reloads=$((l1 - l0))
}
