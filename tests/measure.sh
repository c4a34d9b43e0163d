#!/usr/bin/env bash
# Measures the promises that have figures, against peers in the same run, and prints them as a
# Markdown table with the goals beside. A benchmark, not a test: it never fails on a figure.
#
#   tests/measure.sh [--quick]      PIDONE=FILE measures that binary in place of target/pidone
set -eu
cd "$(dirname "$0")/.."

SERVICES=100
ROUNDS=9
KILLS=15
IDLE_SECONDS=20
FLOOD_BYTES=1073741824
if [ "${1:-}" = --quick ]; then
    ROUNDS=3 KILLS=5 IDLE_SECONDS=5 FLOOD_BYTES=268435456
fi

[ "$(id -u)" = 0 ] || {
    echo "skipped: namespaces and strace need root"
    exit 77
}
for pair in cc:gcc strace:strace s6-svscan:s6 unshare:util-linux; do
    command -v "${pair%%:*}" >/dev/null || {
        echo "installing ${pair##*:}" >&2
        apt-get install -y -qq --no-install-recommends "${pair##*:}" >/dev/null
    }
done

pidone=${PIDONE:-target/pidone}
[ -x "$pidone" ] || docker/build.sh >&2
pidone=$(realpath "$pidone")
# Pages of a file that has just been written would count as dirty.
sync "$pidone"

work=$(mktemp -d)
outer=
cleanup() {
    down
    rm -rf "$work"
}
trap cleanup EXIT

for source in tests/measure/*.c; do
    cc -O2 -static -o "$work/$(basename "$source" .c)" "$source"
done
export STAMP="$work/stamps"

# up COMMAND…: starts it as PID 1 of a fresh pid namespace; `outer` is unshare, `pid1` its child.
up() {
    rm -f "$STAMP"
    : >"$STAMP"
    unshare --fork --kill-child --pid --mount --mount-proc -- \
        sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh "$@" \
        </dev/null >"$work/out" 2>"$work/err" &
    outer=$!
    until pid1=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null) && [ -n "$pid1" ]; do
        kill -0 "$outer" 2>/dev/null || died
    done
    pid1=${pid1%% *}
}

died() {
    echo "tests/measure.sh: it ended by itself:" >&2
    cat "$work/err" >&2
    exit 1
}

# Ends what `up` started, by the pid of its PID 1, which takes its namespace along.
down() {
    [ -n "$outer" ] || return 0
    kill -KILL "$pid1" 2>/dev/null || true
    wait "$outer" 2>/dev/null || true
    outer=
}

# Waits until the stamps hold COUNT lines.
stamped() {
    local deadline=$((SECONDS + 60))
    until [ "$(wc -l <"$STAMP")" -ge "$1" ]; do
        kill -0 "$outer" 2>/dev/null || died
        [ "$SECONDS" -lt "$deadline" ] || died
        sleep 0.01
    done
}

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# fleet DIR COUNT: that many services whose first act is a stamp.
fleet() {
    local dir=$1 n
    for n in $(seq "$2"); do
        mkdir -p "$dir/s$n"
        printf 'command = ["%s"]\n[restart]\nreset-after = "100ms"\n' "$work/stamp" \
            >"$dir/s$n/service.toml"
    done
}

# The milliseconds from the supervisor's exec to the last service's first act.
span() {
    awk '$2 == "start" { from = $1 } $2 != "start" && $1 > to { to = $1 }
        END { printf "%.2f\n", (to - from) / 1e6 }' "$STAMP"
}

measure_start() {
    local n round
    fleet "$work/fleet" "$SERVICES"
    for n in $(seq "$SERVICES"); do
        mkdir -p "$work/s6/s$n"
        ln -sf "$work/stamp" "$work/s6/s$n/run"
    done
    for round in $(seq "$ROUNDS"); do
        echo "start, round $round of $ROUNDS" >&2
        up "$work/launch" "$work/spawn_loop" "$SERVICES" "$work/stamp"
        stamped $((SERVICES + 1)) && span >>"$work/start.floor" && down
        up "$work/launch" "$pidone" init --services "$work/fleet"
        stamped $((SERVICES + 1)) && span >>"$work/start.pidone" && down
        rm -rf "$work"/s6/.s6-svscan "$work"/s6/*/supervise "$work"/s6/*/event
        up "$work/launch" s6-svscan "$work/s6"
        stamped $((SERVICES + 1)) && span >>"$work/start.s6" && down
    done
    floor=$(median <"$work/start.floor")
    ours=$(median <"$work/start.pidone")
    s6=$(median <"$work/start.s6")
}

kib() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$pid1/smaps_rollup"; }

switches() { awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$pid1/status"; }

measure_idle() {
    echo "idle, $IDLE_SECONDS s twice" >&2
    up "$pidone" init --services "$work/fleet"
    stamped "$SERVICES"
    local before
    # Its boot is over when it has slept through a second.
    until before=$(switches) && sleep 1 && [ "$(switches)" = "$before" ]; do
        [ "$SECONDS" -lt 600 ] || break
    done
    pss=$(kib Pss)
    dirty=$(kib Private_Dirty)
    before=$(switches)
    sleep "$IDLE_SECONDS"
    wakeups=$(($(switches) - before))
    timeout -s INT "$IDLE_SECONDS" strace -f -qq -c -S calls -o "$work/idle" -p "$pid1" || true
    idle_calls=$(awk '$NF == "total" { print $(NF == 6 ? 5 : 4) } END { if (!NR) print 0 }' \
        "$work/idle" | tail -n 1)
    down
}

# The calls of PID 1 and of each child up to its exec. strace's first word is the pid.
calls() {
    awk -v first="$1" '
        NR == 1 && !first { first = $1 }
        # Signals and ends are no calls.
        $2 == "---" || $2 == "+++" { next }
        $1 == first || !gone[$1] { n++ }
        $1 != first && /execve\(.*= 0$/ { gone[$1] = 1 }
        $1 != first && /execve resumed.*= 0$/ { gone[$1] = 1 }
        /resumed>/ && ($1 == first || !gone[$1]) { n-- }
        END { print n }' "$2"
}

# A boot with COUNT services under strace, until the last one stamps.
traced() {
    rm -rf "$work/few"
    fleet "$work/few" "$1"
    up strace -f -qq -o "$work/trace" "$pidone" init --services "$work/few"
    stamped "$1"
    local before
    until before=$(wc -l <"$work/trace") && sleep 0.5 && [ "$(wc -l <"$work/trace")" = "$before" ]
    do :; done
}

measure_calls() {
    echo "system calls" >&2
    traced 10
    local ten hundred
    ten=$(calls '' "$work/trace")
    down
    traced 110
    hundred=$(calls '' "$work/trace")
    start_calls=$(awk -v a="$ten" -v b="$hundred" 'BEGIN { printf "%.1f", (b - a) / 100 }')
    # Restarts: twenty services killed, twenty new stamps.
    local inner
    for inner in $(awk '{ print $2 }' "$STAMP" | head -n 20); do
        nsenter -t "$pid1" -p -m -- kill -KILL "$inner"
    done
    stamped 130
    local before
    until before=$(wc -l <"$work/trace") && sleep 0.5 && [ "$(wc -l <"$work/trace")" = "$before" ]
    do :; done
    restart_calls=$(awk -v a="$hundred" -v b="$(calls '' "$work/trace")" \
        'BEGIN { printf "%.1f", (b - a) / 20 }')
    down
}

measure_restart() {
    echo "restarts" >&2
    rm -rf "$work/few"
    fleet "$work/few" 1
    up "$pidone" init --services "$work/few"
    stamped 1
    local n victim
    for n in $(seq "$KILLS"); do
        # Up for longer than `reset-after`, so that each restart is a first one.
        sleep 0.3
        victim=$(cat "/proc/$pid1/task/$pid1/children")
        "$work/strike" "${victim%% *}" >>"$work/restarts"
    done
    restart_us=$(median <"$work/restarts")
    restart_least=$(sort -n "$work/restarts" | head -n 1)
    restart_most=$(sort -n "$work/restarts" | tail -n 1)
    down
}

# CPU seconds of PID 1 so far.
cpu() {
    sed 's/.*) //' "/proc/$pid1/stat" |
        awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f\n", ($12 + $13) / hz }'
}

# A thousand services, each asked by TCP every 5 s; one more answers for all of them.
measure_probes() {
    echo "probes, $IDLE_SECONDS s" >&2
    local port=39119 n
    rm -rf "$work/few"
    fleet "$work/few" 1000
    for n in $(seq 1000); do
        printf '[health]\ntcp = "127.0.0.1:%s"\ninterval = "5s"\n' "$port" \
            >>"$work/few/s$n/service.toml"
    done
    mkdir "$work/few/answers"
    printf 'command = ["%s", "%s"]\n' "$work/accept" "$port" \
        >"$work/few/answers/service.toml"
    up "$pidone" init --services "$work/few"
    stamped 1000
    # The first round, and what is left of the boot.
    sleep 6
    local before cpu_before
    before=$(switches) cpu_before=$(cpu)
    sleep "$IDLE_SECONDS"
    probe_cpu=$(awk -v a="$cpu_before" -v b="$(cpu)" -v s="$IDLE_SECONDS" \
        'BEGIN { printf "%.1f", (b - a) * 100 / s }')
    probe_us=$(awk -v a="$cpu_before" -v b="$(cpu)" -v s="$IDLE_SECONDS" \
        'BEGIN { printf "%.0f", (b - a) * 1e6 / (s * 200) }')
    probe_wakeups=$((($(switches) - before) / IDLE_SECONDS))
    grep -q unready "$work/err" && echo "some were unready: $(grep -c unready "$work/err")" >&2
    down
}

# measure_flood FORMAT: CPU seconds per GiB that passes through PID 1 in this format.
measure_flood() {
    echo "output, $1" >&2
    rm -rf "$work/few"
    mkdir -p "$work/few/flood"
    printf 'command = ["%s", "%s"]\n[log]\nformat = "%s"\n' "$work/flood" "$FLOOD_BYTES" "$1" \
        >"$work/few/flood/service.toml"
    rm -f "$STAMP"
    : >"$STAMP"
    mkfifo "$work/pipe"
    "$work/drain" <"$work/pipe" >"$work/drained" &
    local drain=$!
    unshare --fork --kill-child --pid --mount --mount-proc -- \
        sh -c 'mount -t tmpfs tmpfs /run && exec "$@"' sh \
        "$pidone" init --services "$work/few" </dev/null >"$work/pipe" 2>"$work/err" &
    outer=$!
    until pid1=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null) && [ -n "$pid1" ]; do :; done
    pid1=${pid1%% *}
    stamped 1
    # All has passed when PID 1 does nothing more.
    local before
    until before=$(cpu) && sleep 0.3 && [ "$(cpu)" = "$before" ]; do :; done
    cpu | awk -v bytes="$FLOOD_BYTES" '{ printf "%.2f\n", $1 * 1073741824 / bytes }'
    down
    wait "$drain"
    local lines
    lines=$(awk '{ print $2 }' "$work/drained")
    [ "$lines" -ge $((FLOOD_BYTES / 100)) ] || echo "lost lines: $lines came" >&2
    rm -f "$work/pipe"
}

size=$(stat -c %s "$pidone")
measure_start
measure_idle
measure_calls
measure_restart
measure_probes
raw=$(measure_flood raw)
prefix=$(measure_flood prefix)
json=$(measure_flood json)

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

cat <<END
pidone $("$pidone" --version | awk '{ print $2 }'), $(date -u +%F), $(nproc) cores, Linux $(uname -r)

| what | measured | goal |
|---|---|---|
| size | $(ratio "$size" 1000000) MB ($size bytes) | ≤ 2.5 MB |
| PSS of PID 1, $SERVICES idle services | $pss KiB | ≤ 1500 KiB |
| private dirty, $SERVICES idle services | $dirty KiB | ≤ 300 KiB |
| wake-ups in $IDLE_SECONDS s idle (context switches) | $wakeups | 0 |
| system calls in $IDLE_SECONDS s idle (strace) | ${idle_calls:-0} | 0 |
| system calls per start | $start_calls | ≤ 40 |
| system calls per restart | $restart_calls | ≤ 40 |
| restart after SIGKILL, median of $KILLS | $restart_us µs ($restart_least–$restart_most) | ≤ 1000 µs |
| start of $SERVICES services, median of $ROUNDS | $ours ms | |
| … a bare posix_spawn loop in C | $floor ms; pidone is $(ratio "$ours" "$floor") × | ≤ 2 × |
| … Debian's s6 | $s6 ms; pidone is $(ratio "$ours" "$s6") × | ≤ 0.25 × |
| CPU of probing 1,000 services by TCP every 5 s | $probe_cpu % of a core ($probe_us µs a probe, $probe_wakeups wake-ups/s) | |
| CPU per GiB of output, raw | $raw s | ≤ 0.6 s |
| CPU per GiB of output, prefix | $prefix s | |
| CPU per GiB of output, json | $json s | |
END
