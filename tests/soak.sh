#!/usr/bin/env bash
# The release binary as PID 1 of a namespace under random kills, restarts, rescans, reloads, floods
# of output and clients (tests/soak): at the end it has as many descriptors as after the warm-up and,
# from ten minutes on, as much memory of its own within 5 %.
#
#   tests/soak.sh [--minutes N] [--seconds N]
#
# One minute unless told otherwise. PIDONE=FILE soaks that binary.
set -eu
cd "$(dirname "$0")/.."

seconds=60
while [ $# -gt 0 ]; do
    case "$1" in
    --minutes) seconds=$((${2:?--minutes needs a number} * 60)) && shift 2 ;;
    --seconds) seconds=${2:?--seconds needs a number} && shift 2 ;;
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "tests/soak.sh: unknown argument \`$1\`" >&2
        exit 64
        ;;
    esac
done
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"
pidone=${PIDONE:-target/pidone}
[ -x "$pidone" ] || docker/build.sh >&2
# Pages of a file that has just been written would count as dirty.
sync "$pidone"
PIDONE_BINARY=$(realpath "$pidone")
export PIDONE_BINARY SOAK_SECONDS="$seconds"
exec cargo test --quiet --test soak -- --nocapture
