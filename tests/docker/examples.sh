# shellcheck shell=bash
# The stories of the examples: each is built by its own Dockerfile, and run. For tests/docker.sh.
: "${OWN:=}" "${BASE:=}" "${work:=}"

# example NAME [TARGET]: its image, from its own Dockerfile with the pidone of this test; prints its tag.
example() {
  local tag=$OWN-$1${2:+-$2} dir=docker/examples/$1
  sed "s/--from=pidone /--from=$OWN-pidone /" "$dir/Dockerfile" |
    docker build -q -t "$tag" --label "$OWN=example" ${2:+--target "$2"} -f - "$dir" >"$work/build" 2>&1 ||
    { cat "$work/build" >&2; return 1; }
  echo "$tag"
}

address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
all_ready() { docker exec "$1" pidone health; }
pid_of() { docker exec "$1" pidone status -o pid "$2"; }

# stops_well CONTAINER MS: within that time, with exit code 0.
stops_well() {
  local began took
  began=$(now_ms)
  docker stop -t 10 "$1" >/dev/null
  took=$(($(now_ms) - began))
  check "docker stop took $took ms, under $2" below "$took" "$2"
  check "it exited 0" is "$(exit_code "$1")" 0
}

# shown CONTAINER: what a person reads there, its beginning and its end.
shown() {
  docker logs "$1" 2>&1 | sed 's/^/      /' | awk '
    NR <= 12 { print; next }
    { last[NR % 12] = $0 }
    END {
      if (NR > 24) print "      …"
      for (i = NR > 24 ? NR - 11 : 13; i <= NR; i++) print last[i % 12]
    }'
}

story_nginx() {
  local tag url nginx late code=0 failed=0
  tag=$(example nginx-php)
  start "$tag"
  check "nginx and php-fpm get ready" wait_for all_ready "$tag"
  url=http://$(address "$tag"):8080
  check "a page of PHP is served" has "$(curl -s "$url/")" '^PHP 8.* answers$'
  check "PHP's line is in the log, named" wait_for logged "$tag" '^php-fpm ! .*hello to '
  check "nginx's too, once" wait_for logged "$tag" '^nginx *| .*"GET / HTTP/1.1" 200'
  check "what is not there is 404" is "$(curl -s -o /dev/null -w '%{http_code}' "$url/no.php")" 404

  nginx=$(pid_of "$tag" nginx)
  docker exec "$tag" pidone signal KILL php-fpm >/dev/null
  back() { docker exec "$tag" pidone status -o state,restarts php-fpm | grep -x 'ready.1'; }
  check "a killed php-fpm is ready again, restarted once" wait_for back
  for _ in 1 2 3 4 5 6 7 8 9 10; do curl -sf --max-time 1 "$url/" >/dev/null || failed=$((failed + 1)); done
  check "… and answers ($failed of 10 failed)" is "$failed" 0
  check "nginx is the same process" is "$(pid_of "$tag" nginx)" "$nginx"
  check "workers of the dead one are gone" is "$(masters "$tag")" 1

  # A request that takes longer than the stop would.
  docker exec "$tag" sh -c "echo '<?php touch(\"/tmp/asked\"); usleep(700000); echo \"late\";' >/var/www/html/late.php"
  curl -s --max-time 5 "$url/late.php" >"$work/late" &
  late=$!
  check "a request is being answered" wait_for docker exec "$tag" test -e /tmp/asked
  stops_well "$tag" 3000
  wait "$late" || code=$?
  check "… and was answered to its end" is "$code $(cat "$work/late")" "0 late"
  shown "$tag"
}
# How many process groups the pool's workers are of.
masters() {
  docker exec "$1" sh -c 'for p in /proc/[0-9]*; do
    grep -q "^php-fpm: pool" "$p/cmdline" 2>/dev/null && cut -d" " -f2- "$p/stat" | sed "s/.*) //" | cut -d" " -f3
  done' | sort -u | wc -l
}

# nginx follows its backends: one ends and another comes while requests are made.
story_balancer() {
  local lb web url load nginx
  lb=$(example nginx-lb)
  web=$(example nginx-lb web)
  # As a secret is often mounted: for root alone.
  openssl rand -hex 32 >"$work/key"
  chmod 600 "$work/key"
  docker network create --label "$OWN" "$OWN" >/dev/null
  member() { # IMAGE NAME ALIAS
    docker run -d --label "$OWN" --name "$OWN-$2" --hostname "$2" --network "$OWN" --network-alias "$3" \
      -v "$work/key:/run/secrets/pidone_key:ro" "$1" >/dev/null
  }
  member "$lb" lb lb
  url=http://$(address "$OWN-lb"):8080
  check "nginx gets ready with no backend" wait_for all_ready "$OWN-lb"
  check "… and says so" is "$(curl -s -o /dev/null -w '%{http_code}' "$url/")" 502
  member "$web" w1 web
  member "$web" w2 web
  answered() { is "$(for _ in 1 2 3 4 5 6; do curl -s --max-time 1 "$url/"; done | sort -u | tr '\n' ' ')" "$1"; }
  check "both backends get requests" wait_for answered "w1 w2 "
  check "the agent and nginx have no rights" is "$(docker exec "$OWN-lb" sh -c '
    for name in agent nginx; do stat -c %U "/proc/$(pidone status -o pid $name)"; done' | sort -u)" www-data

  # Until it is told to end, or for 60 s: four at a time, a connection for each request, nothing asked twice.
  request() { curl -s -o "$work/page.$1" --max-time 2 -w '%{http_code}' "$url/" || true; }
  asking() {
    local until=$((SECONDS + 60))
    while [ ! -e "$work/enough" ] && [ "$SECONDS" -lt "$until" ]; do
      echo "$(request "$1") $(cat "$work/page.$1")"
    done
  }
  load=()
  for one in 1 2 3 4; do
    asking "$one" >"$work/asked.$one" &
    load+=("$!")
  done
  requests() { cat "$work"/asked.[1-4] | grep -c "${1:-}"; }
  more() { [ "$(requests)" -ge "$1" ]; }
  check "requests are made" wait_for more 200
  docker stop -t 10 "$OWN-w1" >/dev/null
  check "a backend that is stopped ends well" is "$(exit_code "$OWN-w1")" 0
  check "… and gets none any more" wait_for answered "w2 "
  check "… while they go on" wait_for more $(($(requests) + 200))
  member "$web" w3 web
  check "one that comes gets requests" wait_for answered "w2 w3 "
  check "… while they go on" wait_for more $(($(requests) + 200))
  # What the agent says is so: once it has applied a change, and the stop has waited for that, nobody else is asked.
  docker stop -t 10 "$OWN-w2" >/dev/null
  check "when a stop is over, nobody else is asked" answered "w3 "
  docker rm "$OWN-w2" >/dev/null
  member "$web" w2 web
  check "… until it comes back" wait_for answered "w2 w3 "
  touch "$work/enough"
  wait "${load[@]}"
  check "0 of $(requests) requests failed (w1 $(requests w1), w2 $(requests w2), w3 $(requests w3))" \
    is "$(requests '^200 w[123]$')" "$(requests)"
  check "the agent says that nginx has taken its file" logged "$OWN-lb" '^agent *| /run/nginx/nginx.conf: applied in .* ms'
  check "nothing was refused or went wrong" lacks "$(docker logs "$OWN-lb" 2>&1 | grep -v '"GET / ')" 'reject\|error\|emerg\|failed'

  # A master that does not take its file: the script sees that no new worker comes.
  nginx=$(pid_of "$OWN-lb" nginx)
  docker exec "$OWN-lb" sh -c "kill -STOP $nginx"
  docker kill "$OWN-w3" >/dev/null
  check "a reload that is not taken is told" wait_for logged "$OWN-lb" 'nginx has no new workers'
  check "… and the file is as before" wait_for docker exec "$OWN-lb" grep '# w3$' /run/nginx/nginx.conf
  docker exec "$OWN-lb" sh -c "kill -CONT $nginx"
  check "… until it is, when it is tried again" wait_for answered "w2 "
  docker logs "$OWN-lb" 2>&1 | grep -v '"GET / ' | sed 's/^/      /'
  stops_well "$OWN-lb" 3000
  shown "$OWN-w1"
}

story_syslog() {
  local tag
  tag=$(example syslog)
  start "$tag"
  check "haproxy and the receiver get ready" wait_for all_ready "$tag"
  check "haproxy answers" is "$(curl -s "http://$(address "$tag"):8080/seen")" hello
  check "its request is in the log" wait_for logged "$tag" '^syslog *| haproxy\[[0-9]*\] .*"GET /seen HTTP/1.1"$'
  docker exec "$tag" logger -p user.err -t app 'no disk'
  check "an error of another program is on stderr" wait_for logged "$tag" '^syslog *! app no disk$'
  check "pidone's own look for readiness is not" lacks "$(docker logs "$tag" 2>&1)" BADREQ
  stops_well "$tag" 2000
  check "haproxy's last words are heard" logged "$tag" '^syslog *| haproxy\[[0-9]*\] Proxy web stopped'
  shown "$tag"
}

# The collector is a program that writes down what it is sent.
story_ship() {
  local tag sent received
  tag=$(example ship)
  docker network create --label "$OWN" "$OWN" >/dev/null
  docker run -d --label "$OWN" --name "$OWN-logs" --network "$OWN" --network-alias logs "$BASE" perl -MIO::Socket::INET \
    -e '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 514) or die; open F, ">>", "/tmp/got";
        while ($c = $s->accept) { next if fork; while (sysread $c, $b, 65536) { syswrite F, $b } exit }' >/dev/null
  got() { docker exec "$OWN-logs" grep -ao -- "$1" /tmp/got; }
  start "$tag" --network "$OWN"
  check "the services get ready" wait_for all_ready "$tag"
  check "lines arrive, as RFC 5424" wait_for got '<14>1 .* web - - - request 10'
  check "… and are in the log" logged "$tag" '^web/log | request 10'
  check "events arrive, as JSON" got '"stream":"event".*"event":{.*"service":"web"'
  stops_well "$tag" 4000
  check "… that of the stop too" got '"service":"web".*"event":{.*"to":"down"'
  sent=$(docker logs "$tag" 2>&1 | sed -n 's/^web\/log ! \([0-9]*\) lines: \1 sent, 0 dropped, 0 left;.*/\1/p')
  received=$(got ' web - - - request [0-9]' | wc -l || true)
  check "all lines that were sent (${sent:-0}) arrived ($received)" is "$received" "${sent:-0}"
  shown "$tag"
}

story_postgres() {
  local tag options
  printf 'hunter2-of-the-test\n' >"$work/password"
  tag=$(example postgres)
  docker volume create --label "$OWN" "$tag" >/dev/null
  options=(-v "$tag:/var/lib/postgresql" -v "$work/password:/run/secrets/postgres-password:ro")
  visits() { docker exec -u postgres -e PGPASSWORD=hunter2-of-the-test "$tag" psql -Atc 'select count(*) from visits'; }

  start "$tag" "${options[@]}"
  check "the database is made, the schema brought up, the application started" wait_for all_ready "$tag"
  check "each migration was applied" is "$(docker logs "$tag" 2>/dev/null | grep -c '^migrate *| applied ')" 2
  check "the application could write" is "$(visits)" 1
  docker exec "$tag" pidone signal KILL postgres >/dev/null
  back() { docker exec "$tag" pidone status -o state,restarts postgres | grep -x 'ready.[1-9]'; }
  check "a killed postgres is ready again" wait_for back
  check "… with what was written" is "$(visits)" 1
  no_secret "$tag"
  stops_well "$tag" 5000
  check "postgres has shut down in order" logged "$tag" '^postgres *! .* database system is shut down'
  shown "$tag"

  docker rm "$tag" >/dev/null
  start "$tag" "${options[@]}"
  check "another container with the same volume gets ready" wait_for all_ready "$tag"
  check "no migration is applied again" lacks "$(docker logs "$tag" 2>&1)" '| applied '
  check "what the first one wrote is there" is "$(visits)" 2
  stops_well "$tag" 5000
  shown "$tag"

  docker rm "$tag" >/dev/null
  start "$tag" -v "$tag:/var/lib/postgresql"
  check "without the password the log says what is missing" wait_for logged "$tag" '^initdb *\* failed: cannot use `/run/secrets/postgres-password`'
  shown "$tag"
}

story_cron() {
  local tag next
  tag=$(example cron)
  start "$tag"
  check "the jobs are planned, and nothing is missing" wait_for all_ready "$tag"
  check "the log says when the backup is due" wait_for logged "$tag" '^backup *\* scheduled; next run in [0-9]'
  field() { docker exec "$tag" pidone status -o "$1" "$2"; }
  next=$(field next_run backup)
  # Up to ten minutes late, and maybe on the very day on which Vienna's clocks are set.
  check "that is 04:30 to 04:40 in Vienna ($next)" has "$(TZ=Europe/Vienna date -d "$next" +%H:%M)" '^04:3[0-9]$\|^04:40$'
  check "nothing has run at the boot" is "$(field starts backup)" 0

  docker exec "$tag" sh -c 'echo one >/srv/inbox/letter'
  check "what is laid into the inbox is taken by a run" wait_for logged "$tag" '^inbox *| took letter$'
  check "… and kept" is "$(docker exec "$tag" cat /srv/data/letter)" one
  check "the backup runs when it is asked to" docker exec "$tag" pidone start backup
  check "… as its line says" wait_for logged "$tag" '^backup *\* finished in .*; next run in [0-9]'
  check "… and has saved that" has "$(docker exec "$tag" sh -c 'tar -tf /var/backups/data-*.tar.gz')" '^data/letter$'
  check "its next run is the same as before" is "$(field next_run backup)" "$next"
  docker exec "$tag" pidone status | sed 's/^/      /'
  docker exec "$tag" pidone status backup | sed 's/^/      /'
  stops_well "$tag" 2000
  shown "$tag"
}

# The password is nowhere a screen, a log or the list of processes would show it.
no_secret() {
  local where
  {
    docker logs "$1" 2>&1
    docker inspect "$1"
    docker exec "$1" pidone status --json
    docker exec "$1" pidone status app postgres migrate initdb
    docker exec "$1" pidone logs
    docker exec "$1" pidone events --json
    docker exec "$1" sh -c 'cat /proc/[0-9]*/cmdline' | tr '\0' ' ' || true
  } >"$work/seen" 2>&1
  # Read from here: not even root in the container may look at another user's.
  where=$(for pid in $(docker top "$1" -eo pid | sed 1d); do
    if grep -q hunter2 "/proc/$pid/environ"; then echo "$pid"; fi
  done | wc -l)
  check "the password shows on no screen" lacks "$(cat "$work/seen")" hunter2
  check "… but its file's name" has "$(cat "$work/seen")" POSTGRES_PASSWORD_FILE=/run/secrets/postgres-password
  check "of all processes only the application has it ($where)" is "$where" 1
}
