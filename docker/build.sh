#!/usr/bin/env bash
# Builds pidone as one static file: target/pidone, or target/pidone-ARCH for another machine's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'END'
usage: docker/build.sh [--target TRIPLE]

Builds the static release binary of pidone with musl, and leaves it at target/pidone.
With another machine's TRIPLE, such as aarch64-unknown-linux-musl, at target/pidone-aarch64.
END
}

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; [ -z "${2:-}" ] || say "hint: $2"; exit 1; }

host_arch=$(uname -m)
triple=$host_arch-unknown-linux-musl
while [ $# -gt 0 ]; do
  case $1 in
    --target) [ $# -ge 2 ] || die "--target needs a triple" "for instance aarch64-unknown-linux-musl"; triple=$2; shift 2 ;;
    --target=*) triple=${1#*=}; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument \`$1\`" ;;
  esac
done

command -v cargo >/dev/null || die "cannot find cargo" "Rust comes from https://rustup.rs"

# True if this toolchain has the target's standard library, fetched by rustup where that is possible.
have_target() {
  local dir
  dir=$(rustc --print target-libdir --target "$1" 2>/dev/null) || return 1
  compgen -G "$dir/libstd-*.rlib" >/dev/null && return 0
  command -v rustup >/dev/null && rustup target add "$1" >&2 && compgen -G "$dir/libstd-*.rlib" >/dev/null
}

# musl's start files and the linker, .cargo/config.toml's `rust-lld`, come with Rust from rustup.
use_linker() {
  local variable=CARGO_TARGET_${1//-/_}_LINKER
  variable=${variable^^}
  compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/rust-lld" >/dev/null && return
  command -v ld.lld >/dev/null || die "this toolchain has no linker \`rust-lld\`" "Debian's package lld will do"
  export "$variable=ld.lld"
}

kind="static, musl"
if have_target "$triple"; then
  use_linker "$triple"
elif [ "$triple" = "$host_arch-unknown-linux-musl" ]; then
  triple=$host_arch-unknown-linux-gnu
  kind="static, glibc: this toolchain has no musl target"
  export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
else
  die "this toolchain has no target \`$triple\`" "rustup target add $triple"
fi
case $triple in *-musl) ;; *) [ "$kind" != "static, musl" ] || kind="for $triple" ;; esac

target_dir=${CARGO_TARGET_DIR:-target}
cargo build --release --locked --bin pidone --target "$triple" --target-dir "$target_dir"

arch=${triple%%-*}
out=target/pidone
[ "$arch" = "$host_arch" ] || out=target/pidone-$arch
mkdir -p target
# A new file beside the old and a rename: a running pidone keeps its own, and "text file busy" cannot be.
cp "$target_dir/$triple/release/pidone" "$out.new"
mv -f "$out.new" "$out"
say "$out: $(stat -c %s "$out") bytes, $arch ($kind)"
