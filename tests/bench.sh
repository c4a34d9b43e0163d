#!/usr/bin/env bash
# pidone and its peers side by side: installs what is missing, runs them in turn as PID 1 of fresh
# namespaces, and prints medians, spreads and ratios as Markdown. It fails on no figure, only if
# pidone breaks a promise of correctness. PIDONE=FILE measures that binary.
#
#   tests/bench.sh [--quick] [--rounds N] [--only ROW[,ROW]] [--peers PEER[,PEER]] [--json FILE]
#                  [--write] [--readme] [--from FILE]
#
# --quick: one round of few peers with small counts. --json FILE: the figures, too. --write:
# docs/benchmarks.md. --readme: the README's table. --from FILE: the figures of an earlier --json
# instead of new ones.
# ROW: life restart idle reap output writers stubborn loop footprint calls probes lines scale limits
# PEER: pidone s6 runit daemontools supervisord horust tini dumb-init catatonit, and cc, the loop
set -eu
cd "$(dirname "$0")/.."

case " $* " in
*" --help "* | *" -h "*)
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin"

# The version that is compared, because cargo would take any.
HORUST=0.1.14

[ "$(id -u)" = 0 ] || {
    echo "skipped: namespaces and strace need root"
    exit 77
}

wanted="cc:gcc unshare:util-linux strace:strace s6-svscan:s6 tini:tini"
quick=
case " $* " in
*" --quick "*) quick=1 ;;
*)
    wanted="$wanted runsvdir:runit svscan:daemontools supervisord:supervisor"
    wanted="$wanted dumb-init:dumb-init catatonit:catatonit"
    ;;
esac
missing=()
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ "${#missing[@]}" -gt 0 ]; then
    echo "installing ${missing[*]}" >&2
    apt-get update -qq >&2 || true
    for package in "${missing[@]}"; do
        # In run level 1 a package starts no service of its own.
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get install -y -qq --no-install-recommends "$package" >/dev/null 2>&1 ||
            echo "$package cannot be installed" >&2
    done
fi
if [ -z "$quick" ] && ! command -v horust >/dev/null; then
    echo "building horust $HORUST" >&2
    cargo install horust --quiet --locked --version "$HORUST" >&2 ||
        echo "horust cannot be built" >&2
fi

pidone=${PIDONE:-target/pidone}
[ -x "$pidone" ] || docker/build.sh >&2
# Pages of a file that has just been written would count as dirty.
sync "$pidone"
PIDONE=$(realpath "$pidone")
export PIDONE
# What is measured runs in other processes: this one need not be fast.
exec cargo bench --quiet --profile dev --bench compare -- "$@"
