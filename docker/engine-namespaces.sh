# shellcheck shell=bash
# The lab's nodes in Linux namespaces, for a machine without a Docker engine. See lib.sh for the verbs.
#
# A node is a network namespace with an address of its own, and in it a process, mount, host name and IPC
# namespace whose PID 1 is pidone. The files are this machine's, but for /etc (an overlay) and /run.
# The nodes' cables end in a switch: a bridge in one more network namespace, out of reach of the
# firewall rules that a Docker engine puts on bridges of the machine itself.

: "${root:?}"
LAB_SUBNET=${LAB_SUBNET:-10.88.7}

lab_ready() {
  [ "$(id -u)" = 0 ] || die "namespaces need root" "sudo $0"
  need ip=iproute2 unshare=util-linux nsenter=util-linux curl=curl wrk=wrk haproxy=haproxy node=nodejs
  if [ "$LAB_SOURCE" = serf ]; then need serf=serf; fi
}

lab_build() { "$root/docker/key.sh"; }

# The host's own cable into the switch is $LAB_SUBNET.1.
lab_up() {
  if ip netns list | grep -qw "^$LAB-switch"; then return; fi
  if ip -4 route show | grep -q "^${LAB_SUBNET//./\\.}\."; then
    die "the addresses $LAB_SUBNET.0/24 are in use here" "LAB_SUBNET=10.88.9 $0 takes others"
  fi
  mkdir -p "$LAB_STATE"
  ip netns add "$LAB-switch"
  ip -n "$LAB-switch" link add bridge type bridge
  ip -n "$LAB-switch" link set bridge up
  ip link add "$(cable host)" type veth peer name host netns "$LAB-switch"
  ip -n "$LAB-switch" link set host master bridge up
  ip addr add "$LAB_SUBNET.1/24" dev "$(cable host)"
  ip link set "$(cable host)" up
}
# An interface's name has at most 15 characters.
cable() { echo "${LAB:0:10}-$1"; }

lab_address() { if [ "$1" = ha ]; then echo "$LAB_SUBNET.2"; else echo "$LAB_SUBNET.$((10 + ${1#s}))"; fi; }

# lab_start NODE
lab_start() {
  local node=$1 netns=$LAB-$1 seeds=ha
  if [ "$node" = ha ]; then seeds="s1 s2"; fi
  remove_node "$node"
  mkdir -p "$LAB_STATE/$node"
  ip netns add "$netns"
  ip -n "$netns" link set lo up
  # The kernel takes a moment to remove a namespace, and the end of its cable that is here.
  ip -n "$LAB-switch" link del "$node" 2>/dev/null || true
  ip -n "$netns" link add eth0 type veth peer name "$node" netns "$LAB-switch"
  ip -n "$LAB-switch" link set "$node" master bridge up
  ip -n "$netns" addr add "$(lab_address "$node")/24" dev eth0
  ip -n "$netns" link set eth0 up
  hosts_file >"$LAB_STATE/$node.hosts"
  # A session of its own: ^C in the demo is not meant for the nodes. The shell stays to note the exit code.
  # shellcheck disable=SC2016
  setsid bash -c 'nsenter --net="/run/netns/$1" unshare --fork --pid --mount --uts --ipc --mount-proc "${@:3}"
    echo $? >"$2/exit"' node "$netns" "$LAB_STATE/$node" env -i PATH="$(node_path)" \
    HOSTNAME="$node" ROLE="$(role_of "$node")" SEEDS="$seeds" LAB_SOURCE="$LAB_SOURCE" LAB_CHANGED="$LAB_CHANGED" PIDONE_KEY_FILE=/run/secrets/pidone_key \
    "$root/docker/node.sh" "$root" "$LAB_STATE/$node" "$LAB_STATE/$node.hosts" "$node" \
    </dev/null >>"$LAB_STATE/$node/log" 2>&1 &
  wait_until 5000 init_of "$node" >/dev/null || die "$node does not start" "see $LAB_STATE/$node/log"
}
node_path() { echo "$root/target:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; }

hosts_file() {
  local node
  echo "127.0.0.1 localhost"
  # As Docker's own names: a backend has its own, and `webapp` is all of them.
  echo "$(lab_address ha) ha"
  for node in s1 s2 s3 s4 s5; do echo "$(lab_address $node) $node webapp"; done
}

# init_of NODE: the number, here, of the process that is PID 1 there.
init_of() {
  local pid
  for pid in $(ip netns pids "$LAB-$1" 2>/dev/null); do
    if awk '/^NSpid:/ { exit !(NF == 3 && $3 == 1) }' "/proc/$pid/status" 2>/dev/null; then
      echo "$pid"
      return 0
    fi
  done
  return 1
}

lab_exec() {
  local init
  init=$(init_of "$1") || { echo "$1 does not run" >&2; return 1; }
  shift
  nsenter --target "$init" --mount --uts --ipc --net --pid --wd=/ env PATH="$(node_path)" "$@"
}

# As `docker stop -t 10` does it: TERM, and KILL to what is left after 10 s. It may just be ending by itself.
lab_stop() {
  local init
  init=$(init_of "$1") || return 0
  kill -TERM "$init" 2>/dev/null || true
  if wait_until 10000 ended "$1" >/dev/null; then unplug "$1"; else lab_kill "$1"; fi
}

# A container's network goes with it; so does this one's.
lab_kill() {
  local init
  init=$(init_of "$1") || return 0
  kill -KILL "$init" 2>/dev/null || true
  wait_until 5000 ended "$1" >/dev/null || die "$1 does not end"
  # unshare(1) cannot end itself by SIGKILL in the same way, and says 1.
  echo 137 >"$LAB_STATE/$1/exit"
  unplug "$1"
}
ended() { [ -e "$LAB_STATE/$1/exit" ]; }
unplug() { ip netns del "$LAB-$1" 2>/dev/null || true; }

remove_node() {
  lab_kill "$1"
  unplug "$1"
  rm -rf "${LAB_STATE:?}/$1"
}

lab_logs() { cat "$LAB_STATE/$1/log"; }
lab_exit_code() { cat "$LAB_STATE/$1/exit"; }
lab_nodes() {
  local node
  for node in ha s1 s2 s3 s4 s5; do if init_of $node >/dev/null; then echo $node; fi; done
}

lab_down() {
  local node
  if [ ! -d "$LAB_STATE" ]; then return; fi
  for node in ha s1 s2 s3 s4 s5; do remove_node "$node"; done
  # The host's end of the cable goes with the other.
  ip netns del "$LAB-switch" 2>/dev/null || true
  rm -rf "$LAB_STATE"
}
