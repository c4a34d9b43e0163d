#!/usr/bin/env bash
# Runs every test there is, from a fresh clone on Debian: sets up what is missing, says
# "skipped: why" aloud for what cannot be had, and ends with one line of figures.
#
#   tests/run.sh [--require-all] [STEP…]
#
# --require-all: a skip is a failure. STEP: only these of
#   format lints tests scripts sim licences build soak cross bench namespaces docker-lab cluster
#   docker
set -u
cd "$(dirname "$0")/.." || exit 1

ALL_STEPS="format lints tests scripts sim licences build soak cross bench namespaces docker-lab \
cluster docker"
# Exit code of a step that proves nothing here, as automake has it.
SKIP=77
DENY_VERSION=0.20.2
ADVISORIES=https://github.com/RustSec/advisory-db
LOGS=target/test-logs

require_all=
steps=
for word in "$@"; do
    case "$word" in
    --require-all) require_all=1 ;;
    -h | --help)
        sed -n '2,10s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        case " $ALL_STEPS " in
        *" $word "*) steps="$steps $word" ;;
        *)
            echo "tests/run.sh: unknown step \`$word\`; there are: $ALL_STEPS" >&2
            exit 64
            ;;
        esac
        ;;
    esac
done
[ -n "$steps" ] || steps=$ALL_STEPS
mkdir -p "$LOGS"

passed=0
failed=0
skipped=0
failures=

say() { printf '\n== %s\n' "$*"; }

# have COMMAND PACKAGE: the command is there, or its Debian package can be installed.
updated=
have() {
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "skipped: \`$1\` is missing (Debian's package $2), and this is not root on Debian"
        return $SKIP
    fi
    echo "installing $2 for \`$1\`"
    [ -n "$updated" ] || apt-get update -qq || true
    updated=1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" \
        >"$LOGS/apt-$2.log" 2>&1 || tail -n 5 "$LOGS/apt-$2.log"
    command -v "$1" >/dev/null 2>&1 && return 0
    echo "skipped: \`$1\` cannot be installed (Debian's package $2)"
    return $SKIP
}

engine() {
    command -v docker >/dev/null 2>&1 && timeout 20 docker info >/dev/null 2>&1 && return 0
    echo "skipped: no Docker engine answers"
    return $SKIP
}

setup() {
    # The lab sets up what it needs by itself, without asking.
    export LAB_YES=1
    export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"
    if ! command -v cargo >/dev/null 2>&1; then
        echo "tests/run.sh: Rust's \`cargo\` is missing: install a Rust toolchain first" >&2
        exit 1
    fi
    have cc gcc
    # What the containers of the tests are made of.
    have ip iproute2
    have unshare util-linux
    # The second reader of the schema of definitions.
    have python3 python3
    python3 -c 'import jsonschema' 2>/dev/null || have jsonschema python3-jsonschema
    # Who sends to `pidone syslog`, and who receives from `pidone ship`.
    have logger bsdutils
    have haproxy haproxy
    have rsyslogd rsyslog
    # The tools that ours stand beside; execline's words are not in PATH.
    have tini tini
    have dumb-init dumb-init
    have s6-svc s6
    have execlineb execline
    # What `pidone import` reads, run as it was.
    have supervisord supervisor
    if command -v rustup >/dev/null 2>&1; then
        for target in x86_64-unknown-linux-musl aarch64-unknown-linux-musl; do
            rustup target list --installed | grep -qx "$target" ||
                rustup target add "$target" || echo "the target $target cannot be had"
        done
    fi
}

step_format() { cargo fmt --check; }

step_lints() { cargo clippy --all-targets -- -D warnings; }

step_tests() { PIDONE_REQUIRE_ALL="$require_all" cargo test --no-fail-fast; }

# Every file that says it is a shell's, with what it sources.
step_scripts() {
    have shellcheck shellcheck || return
    local files=() file first
    while IFS= read -r file; do
        [ -f "$file" ] || continue
        IFS= read -r first <"$file" 2>/dev/null || first=
        case "$first" in
        '#!/bin/sh'* | '# shellcheck shell='* | '#!/bin/bash'* | '#!/usr/bin/env bash'* | '#!/usr/bin/env sh'*)
            files+=("$file")
            ;;
        esac
    done < <(git ls-files)
    echo "${#files[@]} scripts"
    shellcheck -x -S warning "${files[@]}"
}

# Fleets whose orders fail, from 20,000 seeds.
step_sim() { tests/sim.sh --seeds 20000; }

# Licences, duplicates and sources; and advisories, where their database can be had.
step_licences() {
    if ! cargo deny --version >/dev/null 2>&1; then
        echo "building cargo-deny $DENY_VERSION, some minutes"
        cargo install cargo-deny --locked --version "$DENY_VERSION" \
            >"$LOGS/cargo-deny.log" 2>&1 || {
            tail -n 5 "$LOGS/cargo-deny.log"
            echo "skipped: cargo-deny cannot be built"
            return $SKIP
        }
    fi
    cargo deny check bans licenses sources || return
    if timeout 30 git ls-remote -q "$ADVISORIES" HEAD >/dev/null 2>&1; then
        cargo deny check advisories
    else
        echo "not checked: advisories, for $ADVISORIES cannot be reached from here"
    fi
}

# The release binary: static, and small enough.
step_build() {
    docker/build.sh && target/pidone --version && static target/pidone
}

static() {
    if readelf -lW "$1" | grep -q INTERP; then
        echo "$1 is not static"
        return 1
    fi
    echo "$1: static, $(stat -c %s "$1") bytes"
}

# A minute of kills, rescans, floods and clients.
step_soak() { tests/soak.sh --minutes 1; }

# The other processor, under emulation.
step_cross() {
    have qemu-aarch64-static qemu-user-static || return
    docker/build.sh --target aarch64-unknown-linux-musl || return
    local binary=target/pidone-aarch64
    static "$binary" && qemu-aarch64-static "$binary" --version &&
        qemu-aarch64-static "$binary" check services.d
}

# The measurements, once and small: whether they work, and what pidone must not break in them.
step_bench() { tests/bench.sh --quick; }

step_namespaces() { tests/lab.sh --engine namespaces; }

step_docker-lab() { engine && tests/lab.sh --engine docker; }

# How soon traffic follows, shortened; wrk drives it.
step_cluster() {
    have wrk wrk && have node nodejs || return
    local code=0
    tests/cluster.sh --engine namespaces --short || code=$?
    engine && { tests/cluster.sh --engine docker --short || code=$?; }
    return "$code"
}

step_docker() { engine && tests/docker.sh; }

# Runs one step, shows its output, and counts what it says.
run() {
    local step=$1 log="$LOGS/$1.log" began=$SECONDS code
    say "$step"
    (
        set -o pipefail
        "step_$step" 2>&1 | tee "$log"
    )
    code=$?
    count "$step" "$log" "$code"
    printf -- '-- %s: %s s, exit %s\n' "$step" $((SECONDS - began)) "$code"
}

# A test runner's own figures count one by one, any other step as one.
count() {
    local step=$1 log=$2 code=$3 good bad skips
    good=$(awk '/^test result:/ { n += $4 } /^(lab|cluster|docker): [0-9]+ passed/ { n += $2 }
        END { print n + 0 }' "$log")
    bad=$(awk '/^test result:/ { n += $6 } /^(lab|cluster|docker): [0-9]+ passed/ { n += $4 }
        END { print n + 0 }' "$log")
    skips=$(grep -c '^skipped: ' "$log")
    skipped=$((skipped + skips))
    if [ "$good$bad" = 00 ]; then
        case $code in
        0) good=1 ;;
        "$SKIP") [ "$skips" -gt 0 ] || skipped=$((skipped + 1)) ;;
        *) bad=1 ;;
        esac
    elif [ "$code" != 0 ] && [ "$bad" = 0 ]; then
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    if [ "$bad" -gt 0 ]; then
        failures="$failures $step"
    elif [ -n "$require_all" ] && [ "$skips" -gt 0 ]; then
        failures="$failures $step(skipped)"
        failed=$((failed + 1))
    fi
}

setup
for step in $steps; do
    run "$step"
done

say "result"
[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
