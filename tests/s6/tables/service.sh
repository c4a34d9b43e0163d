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
