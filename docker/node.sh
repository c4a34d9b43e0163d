#!/usr/bin/env bash
# node.sh ROOT STATE HOSTS NODE: in fresh namespaces, gives this node a host name, an /etc with the services
# of its role, and a /run of its own; then becomes pidone, PID 1 here. Called by engine-namespaces.sh.
set -euo pipefail
root=$1 state=$2 hosts=$3 node=$4

services=("$root"/services.d/{dirs,webapp} "$root/docker/webapp/agent")
if [ "$node" = ha ]; then services=("$root"/services.d/{dirs,agent,haproxy}); fi

echo "$node" >/proc/sys/kernel/hostname

# The overlay's upper half needs a file system of its own; it outlives its name, which /run hides below.
mount -t tmpfs -o mode=755 "$node" "$state"
mkdir -p "$state/etc/services.d" "$state/work"
cp -r "${services[@]}" "$state/etc/services.d/"
if [ "$LAB_SOURCE" = serf ]; then cp -r "$root/docker/serf/serf" "$root/docker/serf/$ROLE/." "$state/etc/services.d/"; fi
# What a test has laid over the files of this role.
if [ -n "$LAB_CHANGED" ]; then cp -r "$LAB_CHANGED/$ROLE/." "$state/etc/"; fi
cp "$hosts" "$state/etc/hosts"
mount -t overlay -o "lowerdir=/etc,upperdir=$state/etc,workdir=$state/work" "$node" /etc
# As Docker mounts a secret.
key=$(cat "$root/docker/secrets/pidone_key")
mount -t tmpfs -o mode=755 "$node" /run
(umask 077; mkdir /run/secrets; printf %s "$key" >"$PIDONE_KEY_FILE")
cd /
exec pidone init
