#!/usr/bin/env bash
# Fuzzes what reads the words of others, one target after the other, and ends with a table.
#
#   tests/fuzz.sh [--seconds N] [--minimise] [TARGET…]
#
# N: for each target, 300 if not said. --minimise: afterwards the small inputs that reach most go
# into tests/fuzz/corpus. Needs a nightly toolchain and cargo-fuzz (`cargo install cargo-fuzz`).
# What breaks a target is kept in target/fuzz/artifacts; the first one ends that target.
set -u
cd "$(dirname "$0")/.." || exit 1

# As automake has it: nothing was proved here.
SKIP=77
# A committed input is small; so many of a target are kept, those in which most may happen.
INPUT_BYTES_MAX=1024
KEPT_MAX=3
WORK=target/fuzz

seconds=300
minimise=
targets=()
while [ $# -gt 0 ]; do
    case "$1" in
    --seconds) seconds=${2:?how many seconds} && shift ;;
    --minimise) minimise=1 ;;
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    -*)
        echo "tests/fuzz.sh: unknown option \`$1\`" >&2
        exit 64
        ;;
    *)
        if [ ! -f "tests/fuzz/targets/$1.rs" ]; then
            echo "tests/fuzz.sh: there is no target \`$1\`; see tests/fuzz/targets" >&2
            exit 64
        fi
        targets+=("$1")
        ;;
    esac
    shift
done
if [ ${#targets[@]} = 0 ]; then
    for file in tests/fuzz/targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "skipped: there is no nightly toolchain (\`rustup toolchain install nightly\`)"
    exit $SKIP
fi
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "skipped: there is no cargo-fuzz (\`cargo install cargo-fuzz\`)"
    exit $SKIP
fi

# No address sanitizer: nothing that is reached here is unsafe. Overflows and debug assertions are
# on, as cargo-fuzz has them.
mkdir -p "$WORK/logs"
cargo +nightly fuzz build --fuzz-dir tests/fuzz --target-dir "$WORK" --sanitizer none \
    --debug-assertions >"$WORK/logs/build.log" 2>&1 || {
    tail -n 30 "$WORK/logs/build.log"
    exit 1
}
host=$(cargo +nightly -vV | sed -n 's/^host: //p')
# fuzz TARGET ARGUMENT…: what was built, so that an edit in the meantime changes nothing.
fuzz() { "$WORK/$host/release/$1" "${@:2}"; }

# word KEY FILE: the last figure behind KEY in libFuzzer's lines.
word() { grep -o "$1 *[0-9]*" "$2" | tail -n 1 | grep -o '[0-9]*$'; }

failed=0
printf '| target | executions | edges | features | inputs kept | seconds | found |\n'
printf '|---|---|---|---|---|---|---|\n'
for target in "${targets[@]}"; do
    own="$WORK/corpus/$target" artifacts="$WORK/artifacts/$target" log="$WORK/logs/$target.log"
    mkdir -p "$own" "$artifacts"
    began=$SECONDS
    found=none
    # -fork=1 keeps going when an input is slow or large; the figures come from its lines.
    fuzz "$target" "$own" "tests/fuzz/corpus/$target" \
        -fork=1 -ignore_ooms=0 -ignore_timeouts=0 -ignore_crashes=0 \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=16384 \
        -artifact_prefix="$artifacts/" >"$log" 2>&1 ||
        {
            found=$(find "$artifacts" -type f -newer "$WORK/logs/build.log" | head -n 1)
            found=${found:-see $log}
            failed=1
        }
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$target" \
        "$(grep -o '^#[0-9]*' "$log" | tail -n 1 | tr -d '#')" "$(word cov: "$log")" \
        "$(word ft: "$log")" "$(find "$own" -type f | wc -l)" $((SECONDS - began)) "$found"
    if [ -n "$minimise" ] && [ "$found" = none ]; then
        kept="$WORK/kept/$target"
        rm -rf "$kept" && mkdir -p "$kept"
        fuzz "$target" -merge=1 "$kept" "tests/fuzz/corpus/$target" "$own" \
            >>"$log" 2>&1
        # An input is called by its hash; those that people have named are there already.
        known=$(sha1sum "tests/fuzz/corpus/$target"/* | cut -c 1-40)
        find "$kept" -type f -size "-$((INPUT_BYTES_MAX + 1))c" -printf '%s %f\n' |
            sort -rn | cut -d ' ' -f 2 |
            grep -vF "$known" | head -n "$KEPT_MAX" |
            while read -r name; do
                cp "$kept/$name" "tests/fuzz/corpus/$target/found-${name:0:12}"
            done
    fi
done
exit $failed
