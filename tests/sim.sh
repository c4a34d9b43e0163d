#!/usr/bin/env bash
# Fleets in a fake world whose orders fail at every step, from seeds (tests/simulation.rs): so many
# of them, on every processor. The first that breaks a rule tells its story.
#
#   tests/sim.sh [--seeds N] [--seed S]
#
# --seeds N: the seeds from 0 to N - 1; 20,000 unless told otherwise. --seed S: the story of one.
set -eu
cd "$(dirname "$0")/.."

# An optimized build takes minutes, and is ten times as fast.
SEEDS_UNOPTIMIZED=50000

seeds=20000
while [ $# -gt 0 ]; do
    case "$1" in
    --seeds) seeds=${2:?--seeds needs a number} && shift 2 ;;
    --seed) export SEED=${2:?--seed needs a number} && shift 2 ;;
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "tests/sim.sh: unknown argument \`$1\`" >&2
        exit 64
        ;;
    esac
done
export PATH="$PATH:$HOME/.cargo/bin"
profile=dev
[ "$seeds" -le "$SEEDS_UNOPTIMIZED" ] || profile=sim
cargo test --quiet --profile "$profile" --test simulation --no-run
threads=$(nproc)
export SEEDS="$seeds" THREADS="$threads"
began=$SECONDS
cargo test --quiet --profile "$profile" --test simulation fleets_whose_orders_fail -- --nocapture
echo "$seeds seeds on $threads processors: $((SECONDS - began)) s"
