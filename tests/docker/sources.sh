# shellcheck shell=bash
# The stories of members that others know: a real Serf, and Docker's own name server. For tests/docker.sh.
: "${OWN:=}" "${work:=}"

# lab_image TARGET: an image of docker/Dockerfile; prints its tag.
lab_image() {
  docker build -q -f docker/Dockerfile --target "$1" -t "$OWN-$1" --label "$OWN=example" . >"$work/build" 2>&1 ||
    { cat "$work/build" >&2; return 1; }
  echo "$OWN-$1"
}

# node NAME ALIAS IMAGE [OPTION…] [-- ARGUMENT…]: a container in the story's network, named as its host.
node() {
  local name=$1 alias=$2 image=$3 options=()
  shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  docker run -d --label "$OWN" --name "$OWN-$name" --hostname "$name" --network "$OWN" --network-alias "$alias" \
    "${options[@]}" "$image" "$@" >/dev/null
}

# who_answers URL NAMES: those, and no others, by twelve requests.
who_answers() {
  local hosts
  hosts=$(for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    curl -s --max-time 1 "$1/?json" | sed -n 's/.*"host":"\([^"]*\)".*/\1/p'
  done | sort -u | tr '\n' ' ')
  is "$hosts" "$2 "
}

# What compose.serf.yml runs: Serf on each node tells the agents.
story_serf() {
  local ha webapp url one
  if command -v docker-compose >/dev/null; then
    check "compose.serf.yml is understood" docker-compose -f docker/compose.serf.yml config -q
  fi
  ha=$(lab_image ha-serf)
  webapp=$(lab_image webapp-serf)
  docker network create --label "$OWN" "$OWN" >/dev/null
  # Any node may be first.
  for one in w1 w2 w3; do node $one webapp "$webapp"; done
  node ha ha "$ha"
  for one in w4 w5; do node $one webapp "$webapp"; done
  url=http://$(address "$OWN-ha")
  check "five backends get requests" wait_for who_answers "$url" "w1 w2 w3 w4 w5"
  member_is() { docker exec "$OWN-ha" pidone members | grep -Eq "^$1 +$2 "; }
  check "a backend is well" wait_for all_ready "$OWN-w1"
  docker stop -t 10 "$OWN-w1" >/dev/null
  check "one that is stopped ends well" is "$(exit_code "$OWN-w1")" 0
  check "… has left" wait_for member_is w1 left
  check "… and gets none any more" who_answers "$url" "w2 w3 w4 w5"
  docker kill "$OWN-w2" >/dev/null
  check "one that is killed gets none, by haproxy's own check" wait_for who_answers "$url" "w3 w4 w5"
  check "… and has failed, as Serf sees it some seconds later" wait_for member_is w2 failed
  docker start "$OWN-w1" >/dev/null
  check "one that comes back gets requests" wait_for who_answers "$url" "w1 w3 w4 w5"
}

# Backends without pidone: whoever is behind a name of Docker's name server, as `--scale` makes them.
story_dns() {
  local ha=$OWN-dns webapp url one
  lab_image ha >/dev/null
  webapp=$(lab_image webapp)
  mkdir -p "$work/dns"
  sed '/{{#if /d; /{{\/if}}/d' services.d/agent/haproxy.cfg.hbs >"$work/dns/haproxy.cfg.hbs"
  printf '%s\n' \
    "name = \"\${HOSTNAME}\"" \
    'sources = ["dns"]' \
    'dns = { names = ["app:3000"] }' \
    '[[template]]' \
    'from = "/etc/services.d/agent/haproxy.cfg.hbs"' \
    'to = "/run/haproxy/haproxy.cfg"' \
    'check = ["haproxy", "-c", "-f", "{{file}}"]' \
    'apply = { haproxy = "/run/haproxy/admin.sock", backend = "nodes", reload = "haproxy" }' >"$work/dns/agent.toml"
  printf 'FROM %s-ha\nLABEL %s=1\nCOPY agent.toml haproxy.cfg.hbs /etc/services.d/agent/\nRUN ["pidone", "check"]\n' \
    "$OWN" "$OWN" >"$work/dns/Dockerfile"
  docker build -q -t "$ha" "$work/dns" >"$work/build" 2>&1 || cat "$work/build"
  docker network create --label "$OWN" "$OWN" >/dev/null
  app() { node "$1" app "$webapp" --entrypoint node -- /etc/services.d/webapp/app.js; }
  openssl rand -hex 32 >"$work/key"
  node ha ha "$ha" -e PIDONE_KEY_FILE=/run/secrets/pidone_key -v "$work/key:/run/secrets/pidone_key:ro"
  url=http://$(address "$OWN-ha")
  check "haproxy gets ready with nobody behind the name" wait_for all_ready "$OWN-ha"
  for one in a1 a2 a3; do app $one; done
  check "three behind the name get requests" wait_for who_answers "$url" "a1 a2 a3"
  for one in a4 a5; do app $one; done
  check "five get requests" wait_for who_answers "$url" "a1 a2 a3 a4 a5"
  for one in a2 a3 a4 a5; do docker rm -f "$OWN-$one" >/dev/null; done
  check "one is left" wait_for who_answers "$url" a1
  here() { is "$(docker exec "$OWN-ha" pidone members | grep -c '^ip-[0-9-]* *alive')" "$1"; }
  check "… of the members too" wait_for here 1
  # The name server does not know the name any longer: nobody is there, and nothing has failed.
  docker rm -f "$OWN-a1" >/dev/null
  check "nobody is left" wait_for here 0
  app a6
  check "one that comes then gets requests" wait_for who_answers "$url" a6
  check "haproxy was never reloaded" lacks "$(docker logs "$OWN-ha" 2>&1)" 'reloaded in'
  check "nothing was refused" lacks "$(docker logs "$OWN-ha" 2>&1)" 'not in effect'
}
