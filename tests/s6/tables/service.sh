# What rows about services begin with: a real supervisor, which ours must get along with.
# shellcheck shell=sh disable=SC2034,SC2317

# make NAME [LINE]: a service whose run is this line of shell.
make() {
    mkdir -p "$1"
    printf '#!/bin/sh\n%s\n' "${2:-exec sleep 60}" >"$1/run"
    chmod +x "$1/run"
}

# up NAME…: under a real supervisor, and up.
up() {
    for name; do
        /usr/bin/s6-supervise "$name" >/dev/null 2>&1 &
        until [ -p "$name/supervise/control" ] && [ -s "$name/supervise/status" ]; do sleep 0.01; done
        [ -e "$name/down" ] || /usr/bin/s6-svwait -t 5000 -u "$name"
    done
}

# end NAME…: no service, no supervisor.
end() {
    for name; do
        /usr/bin/s6-svc -xd "$name"
    done
    wait
}

# Debian's own clients, whichever side the supervisor is of.
svc() { timeout 10 /usr/bin/s6-svc "$@"; }
svstat() { /usr/bin/s6-svstat "$@"; }
svwait() { /usr/bin/s6-svwait -t 8000 "$@"; }
svok() { /usr/bin/s6-svok "$@"; }
svscanctl() { /usr/bin/s6-svscanctl "$@"; }

# scan DIR [OPTION…]: the supervisor of a directory that is compared; what it says goes to `said`.
scan() {
    scan=$1
    shift
    PIDONE_SOCKET=$PWD/socket PIDONE_LOG=off s6-svscan "$@" "$scan" >said 2>&1 &
    svscan=$!
    until svscanctl -z "$scan" 2>/dev/null; do
        kill -0 $svscan 2>/dev/null || { cat said; exit 1; }
        sleep 0.01
    done
    for dir in "$scan"/*/; do
        [ -e "$dir/run" ] || continue
        until svok "$dir" && [ -s "$dir/supervise/status" ]; do sleep 0.01; done
        [ -e "$dir/down" ] || svwait -u "$dir"
    done
}

# over: asks it to end; tells how it did.
over() {
    svscanctl -t "$scan"
    wait $svscan
    echo "ended $?"
}
