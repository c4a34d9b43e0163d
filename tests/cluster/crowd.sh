#!/usr/bin/env bash
# crowd.sh COUNT ADDRESS DIR: inside a node, COUNT more of them in its network namespace: each a pidone, an agent and an
# HTTP server, with ports of their own. Their servers stand at a barrier: they listen once somebody opens DIR/barrier
# for writing. TERM ends them all.
set -euo pipefail
count=$1 address=$2 dir=$3

inits=()
stop() {
  kill -TERM "${inits[@]}" 2>/dev/null || true
  wait || true
  rm -rf "$dir"
  exit 0
}
trap stop TERM

# In Perl, which every Debian has. It says on descriptor 3 that it listens.
server() {
  cat <<'END'
use strict;
use Socket;
my ($port, $barrier) = @ARGV;
$SIG{TERM} = sub { exit 0 };
socket(my $server, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
setsockopt($server, SOL_SOCKET, SO_REUSEADDR, 1);
bind($server, sockaddr_in($port, INADDR_ANY)) or die "bind: $!";
open(my $ready, '>&=', 3) or die "descriptor 3: $!";
open(my $gate, '<', $barrier) or die "barrier: $!";
listen($server, 64) or die "listen: $!";
syswrite($ready, "\n");
close $ready;
my $body = qq({"host":"crowd"}\n);
while (1) {
  accept(my $client, $server) or next;
  my $request = '';
  while ($request !~ /\r\n\r\n/) { sysread($client, $request, 4096, length $request) or last }
  syswrite($client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
  close $client;
}
END
}

# node NUMBER: its definitions. Its service has the name that the balancer's template asks for.
node() {
  local here=$dir/$1 web=$((20000 + $1)) agent=$((21000 + $1))
  mkdir -p "$here/services/webapp" "$here/services/agent"
  cat >"$here/services/webapp/service.toml" <<END
command = ["perl", "$dir/server.pl", "$web", "$dir/barrier"]
after = ["agent"]
ready = { fd = 3, within = "5m" }
stop = { timeout = "500ms" }
END
  cat >"$here/services/agent/service.toml" <<END
command = ["pidone", "agent", "--config", "$here/agent.toml"]
control = ["events", "status"]
secrets = ["PIDONE_KEY"]
ready = { notify = true, within = "1m" }
log = { format = "inherit" }
END
  cat >"$here/agent.toml" <<END
name = "c$1"
tags = { role = "crowd" }
announce = [{ service = "webapp", port = $web }]
seeds = ["ha"]
bind = "0.0.0.0:$agent"
advertise = "$address:$agent"
socket = "$here/agent.sock"
END
}

rm -rf "$dir"
mkdir -p "$dir"
mkfifo "$dir/barrier"
server >"$dir/server.pl"
for ((number = 1; number <= count; number++)); do
  node "$number"
  # What a hundred agents tell of a hundred members nobody reads.
  PIDONE_SOCKET=$dir/$number/control.sock PIDONE_LOG=error \
    pidone init --services "$dir/$number/services" </dev/null >/dev/null 2>&1 &
  inits+=($!)
  # It is their readiness that is to come at once, not their start.
  sleep 0.05
done
# Again, for `wait` ends at a signal whose trap returns.
while [ -n "$(jobs -rp)" ]; do wait || true; done
