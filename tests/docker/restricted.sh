# shellcheck shell=bash
# The stories of docs/restricted.md: its options, and its Pod. For tests/docker.sh.
: "${OWN:=}" "${BASE:=}" "${work:=}"

# Each row of the guide's table: the options, and whether pidone can be asked.
story_restricted() {
  local tag rows row options answers wanted code
  service a <<<'command = "echo a is up; exec sleep 1000"'
  printf 'needs = ["a"]\ncommand = "echo b is up; exec sleep 1000"\n' | service b
  tag=$(image restricted)
  docker run -d --label "$OWN" --name "$OWN-other" "$BASE" sleep 1000 >/dev/null
  mapfile -t rows < <(grep '^| `-' docs/restricted.md)
  check "the guide has rows (${#rows[@]})" below 8 "${#rows[@]}"
  for row in "${rows[@]}"; do
    IFS='|' read -r _ options answers _ <<<"${row//\`/}"
    wanted=2 code=0 options=$(xargs <<<"$options")
    [[ $answers != *yes* ]] || wanted=0
    # shellcheck disable=SC2086
    start "$tag" ${options/container:other/container:$OWN-other}
    check "$options: the services start" wait_for logged "$tag" '^b *| b is up$'
    if [ $wanted = 0 ]; then
      check "… and pidone answers" wait_for all_ready "$tag"
    else
      docker exec "$tag" pidone health >/dev/null 2>&1 || code=$?
      check "… and pidone cannot be asked" is $code $wanted
      check "… as the log says: $(docker logs "$tag" 2>&1 >/dev/null | head -n 1)" logged "$tag" '^pidone \* no control socket: '
    fi
    docker stop -t 10 "$tag" >/dev/null
    check "… and stop" is "$(exit_code "$tag") $(last_line "$tag")" '0 pidone * done: 2 clean; exit 0'
    docker rm "$tag" >/dev/null
  done
  check "the neighbour in the same pid namespace lives" is "$(docker inspect -f '{{.State.Running}}' "$OWN-other")" true
}

# A service with a user of its own needs these rights, and no others.
story_rights() {
  local tag options=()
  service web <<'END'
user = "nobody"
command = "id -un; echo by name >/dev/stdout; exec sleep 1000"
END
  tag=$(image rights)
  read -ra options < <(sed -n 's/^docker run \(--cap-drop ALL --cap-add.*\) IMAGE$/\1/p' docs/restricted.md)
  start "$tag" "${options[@]}"
  check "${options[*]}: a service as another user" wait_for logged "$tag" '^web *| nobody$'
  check "… that opens /dev/stdout" wait_for logged "$tag" '^web *| by name$'
  docker stop -t 10 "$tag" >/dev/null
  check "… and is stopped" is "$(exit_code "$tag") $(last_line "$tag")" '0 pidone * done: 1 clean; exit 0'
  docker rm "$tag" >/dev/null
  start "$tag" --cap-drop ALL
  check "without them the log says what is not permitted" wait_for logged "$tag" '^web *\* .*[Nn]ot permitted'
  shown "$tag"
}

# The Pod, as far as Docker can play it.
story_pod() {
  local tag manifest=docker/examples/restricted/pod.yaml options grace kind command
  python3 -c 'import yaml' 2>/dev/null ||
    quietly "$OWN-apt" apt-get install -y --no-install-recommends python3-yaml
  tag=$(example restricted)
  mapfile -t options < <(python3 tests/docker/pod.py options "$manifest")
  check "the Pod is restricted: ${options[*]}" has "${options[*]}" '--cap-drop=ALL.*--read-only'
  sed 's/drop: \[ALL\]/drop: [CHOWN]/' "$manifest" >"$work/pod.yaml"
  check "… and would not be with capabilities" has "$(python3 tests/docker/pod.py options "$work/pod.yaml" 2>&1)" \
    '^not restricted: app: capabilities.drop$'
  grace=$(python3 tests/docker/pod.py grace "$manifest")
  start "$tag" "${options[@]}"
  for kind in startupProbe readinessProbe livenessProbe; do
    mapfile -t command < <(python3 tests/docker/pod.py probe $kind "$manifest")
    check "$kind: ${command[*]}" wait_for docker exec "$tag" "${command[@]}"
  done
  check "it serves as its user" is "$(curl -s "http://$(address "$tag"):8080/")" 'hello from uid 65532'
  check "nobody in it has a right, or can get one" is \
    "$(docker exec "$tag" sh -c 'cat /proc/[0-9]*/status' | grep -E '^(CapEff|NoNewPrivs|Seccomp):' | sort -u | tr -d '\n\t ')" \
    'CapEff:0000000000000000NoNewPrivs:1Seccomp:2'
  check "nothing was written but in /run" is "$(docker diff "$tag")" ''
  docker stop -t "$grace" "$tag" >/dev/null
  check "it exited 0" is "$(exit_code "$tag")" 0
  check "its limit is the manifest's" logged "$tag" 'SIGTERM: stopping 1 service, at most 28s'
  shown "$tag"
}
