#!/usr/bin/env bash
# node.sh ROOT STATE HOSTS NODE: in fresh namespaces, gives this node a host name, an /etc with the services
# of its role, and a /run of its own; then becomes pidone, PID 1 here. Called by engine-namespaces.sh.
set -euo pipefail
root=$1 state=$2 hosts=$3 node=$4

services=(serf webapp)
if [ "$node" = ha ]; then services=(serf haproxy); fi

echo "$node" >/proc/sys/kernel/hostname

# The overlay's upper half needs a file system of its own; it outlives its name, which /run hides below.
mount -t tmpfs -o mode=755 "$node" "$state"
mkdir -p "$state/etc/services.d" "$state/work"
for service in "${services[@]}"; do cp -r "$root/services.d/$service" "$state/etc/services.d/"; done
# With an agent beside Serf, that tells of services and not of hosts only.
if [ -n "${LAB_AGENT:-}" ]; then cp -r "$root/docker/cluster/$ROLE/." "$state/etc/services.d/"; fi
cp "$hosts" "$state/etc/hosts"
mount -t overlay -o "lowerdir=/etc,upperdir=$state/etc,workdir=$state/work" "$node" /etc
mount -t tmpfs -o mode=755 "$node" /run
cd /
exec pidone init
