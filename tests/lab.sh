#!/usr/bin/env bash
# The lab's cluster, asserted: real haproxy and Node under pidone and its agent, in containers or in namespaces.
# Exit: 0 all passed, 1 something failed, 77 skipped (what it needs is not here, and why is said).
set -euo pipefail

# Names and addresses of its own, so that a running demo is not disturbed.
export LAB=pidone-test LAB_PREFIX=pidone-test- LAB_SUBNET=${LAB_SUBNET:-10.88.8}
# shellcheck source=docker/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../docker/lib.sh"

passed=0 failed=0

usage() {
  cat <<'END'
usage: tests/lab.sh [--engine docker|namespaces] [--no-build]

Installs what is missing when LAB_YES=1 or CI is set; otherwise it is skipped if anything is missing.
END
}

main() {
  local build=1
  engine=
  while [ $# -gt 0 ]; do
    case $1 in
      --engine) [ $# -ge 2 ] || die "--engine needs a name" "docker or namespaces"; engine=$2; shift ;;
      --no-build) build= ;;
      -h | --help) usage; return ;;
      *) usage >&2; die "unknown argument \`$1\`" ;;
    esac
    shift
  done
  engine=${engine:-$(default_engine)}
  [ -z "${CI:-}" ] || LAB_YES=1
  use_engine "$engine"
  skip_if_missing
  lab_ready
  [ -z "$build" ] || build_binary
  trap lab_down EXIT
  lab_down
  lab_build
  lab_up
  stories
  printf 'lab: %d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

skip_if_missing() {
  local command
  if [ "$engine" = docker ]; then
    docker info >/dev/null 2>&1 || skip "no Docker engine answers"
    return
  fi
  [ "$(id -u)" = 0 ] || skip "namespaces need root"
  [ -z "$LAB_YES" ] || return 0
  for command in ip nsenter curl haproxy node wrk; do
    command -v $command >/dev/null || skip "there is no $command here"
  done
}
skip() { say "skipped: the lab ($engine): $1"; exit 77; }

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
    say "      by: $*"
  fi
}

# within MS WHAT COMMAND…: the same, polled; says how long it took.
within() {
  local limit=$1 what=$2 took
  shift 2
  if took=$(wait_until "$limit" "$@"); then
    passed=$((passed + 1))
    say "ok    $what ($(seconds "$took"))"
  else
    failed=$((failed + 1))
    say "FAIL  $what: not within $(seconds "$limit")"
    say "      by: $*"
  fi
}

stories() {
  balancer_alone
  two_backends
  what_pidone_says
  reload_under_requests
  application_killed
  stopped
  joined
  killed
  if [ "$engine" = docker ]; then single_containers; fi
  the_log_of_ha
  nothing_left
}

# The balancer comes first and has nobody to send requests to: an answer all the same, and no restart.
balancer_alone() {
  lab_start ha
  within 15000 "ha alone answers 503" status_is 503
  within 15000 "ha alone is healthy" healthy ha
}

two_backends() {
  local address
  lab_start s1
  lab_start s2
  within 30000 "two backends come into rotation" rotation_is 2
  check "both answer through haproxy" answering_are "s1 s2"
  within 10000 "ha sees s1" member_is s1 alive
  within 10000 "ha sees s2" member_is s2 alive
  within 10000 "so does s2 see s1" member_on_is s2 s1 alive
  address=$(lab_address ha)
  check "the page is HTML" page_has 'text/html' "<h1>s[12]</h1>" "http://$address/"
  check "the page is JSON where JSON is asked for" \
    page_has 'application/json' '"role":"webapp"' "http://$address/" -H 'Accept: application/json'
  within 15000 "s1 is healthy" healthy s1
  if [ "$engine" = docker ]; then
    within 15000 "Docker calls ha healthy" docker_health_is ha healthy
    within 15000 "Docker calls s1 healthy" docker_health_is s1 healthy
  fi
}

what_pidone_says() {
  check "status of ha shows haproxy ready" status_shows ha haproxy ready
  check "status of ha shows its agent ready" status_shows ha agent ready
  check "the agent is not root" test "$(lab_exec ha stat -c %U "/proc/$(service_pid ha agent)")" = www-data
  check "nobody sees the key in the agent's command line" \
    test -z "$(lab_exec ha sh -c 'tr "\0" " " </proc/"$1"/cmdline' sh "$(service_pid ha agent)" | grep -F "$(cat "$root/docker/secrets/pidone_key")")"
  check "status of s1 shows webapp ready" status_shows s1 webapp ready
  check "status has its header and its tally" status_is_a_table s1
  check "the application is not root" test "$(lab_exec s1 stat -c %U "/proc/$(service_pid s1 webapp)")" = www-data
  lab_exec s1 sh -c 'echo written to the first descriptor > /proc/1/fd/1' || true
  within 2000 "what is written to /proc/1/fd/1 is in the log" log_has s1 'written to the first descriptor'
}

# A reload is a signal to the master: the same process, and no request lost.
reload_under_requests() {
  local before
  before=$(service_pid ha haproxy)
  requests_in_background 60
  check "reload of haproxy is done" lab_exec ha pidone reload haproxy
  check "haproxy is the same process after it" test "$(service_pid ha haproxy)" = "$before"
  check "no request failed around the reload" requests_all_answered
}

application_killed() {
  local before
  before=$(service_pid s2 webapp)
  lab_exec s2 sh -c "kill -KILL $before" || true
  within 5000 "a killed application is started again" application_is_new "$before"
  within 5000 "and comes back into rotation" rotation_is 2
}
application_is_new() { local now; now=$(service_pid s2 webapp) && [ -n "$now" ] && [ "$now" != "$1" ]; }

stopped() {
  local start
  start=$(now_ms)
  requests_in_background 60
  lab_stop s1 &
  local stop=$!
  within 3000 "a stopped backend leaves rotation" rotation_is 1
  wait "$stop" || true
  check "it ends by itself within 10 s ($(seconds $(($(now_ms) - start))))" test $(($(now_ms) - start)) -lt 9500
  check "its exit code is 0" exit_code_is s1 0
  check "no request failed around the stop" requests_all_answered
  within 5000 "ha saw it leave, not fail" member_is s1 left
  within 5000 "s2 saw it leave, not fail" member_on_is s2 s1 left
  within 5000 "the event is in the log of ha" log_has ha '^agent +\| member-leave s1'
  check "its last line is in its log" last_line_is s1 'pidone +\* done: .*exit 0'
  if [ "$engine" = docker ]; then check "the container ends within 100 ms of its last service" ends_at_once s1; fi
}

joined() {
  lab_start s3
  within 15000 "a third backend comes into rotation" rotation_is 2
  within 5000 "it answers through haproxy" answering_are "s2 s3"
  within 10000 "ha sees it" member_is s3 alive
}

killed() {
  lab_kill s2
  within 3000 "a killed backend leaves rotation" rotation_is 1
  check "only the other one answers" answering_are "s3"
  check "its exit code is 137" exit_code_is s2 137
  within 25000 "ha saw it fail" member_is s2 failed
  within 5000 "the event is in the log of ha" log_has ha '^agent +\| member-failed s2'
}

single_containers() {
  local start code=0
  docker run --rm --label "$LAB" pidone-base sh -c 'exit 7' >/dev/null 2>&1 || code=$?
  check "the exit code of a command is the container's (7, here $code)" test "$code" = 7
  docker run -d --label "$LAB" --name "$LAB_PREFIX"s5 -e PIDONE_SERVICES=/only \
    -v "$root/services.d/webapp:/only/webapp:ro" pidone-webapp >/dev/null
  within 10000 "a container without an agent is healthy" healthy s5
  start=$(now_ms)
  lab_stop s5
  check "and stops in under 1 s ($(seconds $(($(now_ms) - start))))" test $(($(now_ms) - start)) -lt 1000
  check "with exit code 0" exit_code_is s5 0
}

the_log_of_ha() {
  check "the log of ha begins with what was started" first_line_is ha 'pidone +\* 3 services from /etc/services.d, pid 1'
  check "each of its lines says whose it is" every_line_is_named ha
  check "haproxy ready is told" log_has ha 'haproxy ready in '
  within 10000 "ha stops" lab_stop ha
  check "its exit code is 0" exit_code_is ha 0
}

nothing_left() {
  lab_down
  check "nothing runs afterwards" test -z "$(lab_nodes)"
  check "no state is left" test ! -e "$LAB_STATE"
}

status_is() { [ "$(curl -s -o /dev/null --max-time 2 -w '%{http_code}' "http://$(lab_address ha)/")" = "$1" ]; }

# page_has TYPE PATTERN URL CURL-OPTION…
page_has() {
  local type=$1 pattern=$2 url=$3 answer
  shift 3
  answer=$(curl -si --max-time 2 "$@" "$url")
  grep -qi "^content-type: $type" <<<"$answer" && grep -q "$pattern" <<<"$answer"
}

docker_health_is() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$LAB_PREFIX$1")" = "$2" ]; }
status_shows() { lab_exec "$1" pidone status | grep -Eq "^$2 +$3 "; }
status_is_a_table() {
  local screen
  screen=$(lab_exec "$1" pidone status)
  grep -Eq '^SERVICE +STATE +PID +FOR +RESTARTS' <<<"$screen" && grep -Eq '^3 services: 2 ready, 1 finished' <<<"$screen"
}
service_pid() { lab_exec "$1" pidone status -o pid "$2" | tail -n 1 | tr -d ' '; }
# Patterns are extended expressions. The names in a log are padded to the longest one seen.
log_has() { grep -Eq "$2" <<<"$(lab_logs "$1")"; }
first_line_is() { lab_logs "$1" | sed -n 1p | grep -Eq "^$2"; }
last_line_is() { lab_logs "$1" | tail -n 1 | grep -Eq "^$2"; }
every_line_is_named() { ! lab_logs "$1" | grep -Ev '^(pidone|haproxy|agent|dirs) +[|!*] '; }
exit_code_is() { [ "$(lab_exit_code "$1")" = "$2" ]; }
member_on_is() { [ "$(lab_exec "$1" pidone members | awk -v node="$2" '$1 == node { print $2 }')" = "$3" ]; }

# Between the story of the last service's end and the container's end, by the engine's own clock.
ends_at_once() {
  local last finished
  last=$(docker logs -t "$LAB_PREFIX$1" 2>&1 | grep -E '(agent|webapp) +\* stopped' | tail -n 1 | cut -d ' ' -f 1)
  finished=$(docker inspect -f '{{.State.FinishedAt}}' "$LAB_PREFIX$1")
  [ -n "$last" ] && [ $(($(date -d "$finished" +%s%3N) - $(date -d "$last" +%s%3N))) -le 100 ]
}

# A bounded stream of requests, a connection each; answered means 200.
requests_in_background() {
  local url
  url="http://$(lab_address ha)/?json"
  answers=$(mktemp /tmp/pidone-test.XXXXXX)
  (
    for _ in $(seq "$1"); do
      curl -s -o /dev/null --max-time 3 -w '%{http_code}\n' "$url" >>"$answers" || echo failed >>"$answers"
      sleep 0.02
    done
  ) &
  requests=$!
}
requests_all_answered() {
  local all bad
  wait "$requests" || true
  all=$(wc -l <"$answers")
  bad=$(grep -vc '^200$' "$answers" || true)
  rm -f "$answers"
  [ "$all" -ge 60 ] && [ "$bad" = 0 ]
}

main "$@"
