#!/usr/bin/env bash
# Makes the key of the lab's cluster, once: docker/secrets/pidone_key, 64 hexadecimal digits, for nobody but its owner.
set -euo pipefail
key=$(dirname "${BASH_SOURCE[0]}")/secrets/pidone_key
if [ -s "$key" ]; then exit 0; fi
umask 077
mkdir -p "$(dirname "$key")"
# Whole or not at all.
printf '%s\n' "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" >"$key.new"
mv "$key.new" "$key"
