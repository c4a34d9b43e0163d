# shellcheck shell=bash disable=SC2034,SC2154
# The table: a row for each event, on the screen and as Markdown. For tests/cluster.sh.
: "${trials:?}" "${engine:?}" "${passed:?}" "${failed:?}" "${wanted:?}"

load_before=$(cut -d ' ' -f 1 /proc/loadavg)
declare -A calm=([keep]=- [close]=- [watch]=- [-]=-)
table=()

# Where Serf tells of members the delays are its own: then the figures are only told.
goal_of() { if [ "$LAB_SOURCE" = gossip ]; then echo "$1"; else echo -; fi; }

# Of fewer than 20 trials the worst is no measure: the median is held against the goal.
measured() { if [ "$trials" -lt 20 ]; then cut -d ' ' -f 1; else cut -d ' ' -f 2; fi <<<"$1"; }

# p50, p95 and the largest, or `- - -`.
figures_of() {
  printf '%s\n' "$@" | sort -n | awk 'NF { a[++n] = $1 } END {
    if (!n) { print "- - -"; exit }
    p = int(n * 0.95 + 0.999); print a[int((n + 1) / 2)], a[p], a[n] }'
}

table_begin() { printf "$columns" "event ($LAB_SOURCE, $engine)" p50 p95 max goal "failed / requests" "same client, calm"; }
columns='%-60s %6s %6s %6s %6s  %-38s %s\n'

# row NAME GOAL CLIENT LOST LOAD MS…: CLIENT is keep, close, watch or -; LOST how often something happened that
# must not; LOAD what is said of the requests. `-` where there is no goal.
row() {
  local name=$1 goal client=$3 lost=$4 load=$5 figures measure verdict=1
  goal=$(goal_of "$2")
  shift 5
  figures=$(figures_of "$@")
  measure=$(measured "$figures")
  if [ "$lost" != 0 ]; then verdict=; fi
  if [ "$goal" != - ] && { [ "$measure" = - ] || [ "$measure" -gt "$goal" ]; }; then verdict=; fi
  if [ -n "$verdict" ]; then passed=$((passed + 1)); else failed=$((failed + 1)) name="FAIL $name"; fi
  # shellcheck disable=SC2059,SC2086
  printf "$columns" "$name" $figures "$goal" "$load" "${calm[$client]}"
  table+=("| $name | ${figures// / | } | $goal | $load | ${calm[$client]} |")
}

# not_possible NAME WHY: a row that this source or engine cannot have.
not_possible() {
  # shellcheck disable=SC2059
  printf "$columns" "$1" - - - - "not possible: $2" -
  table+=("| $1 | - | - | - | - | not possible: $2 | - |")
}

# The page has a section for each engine and source, between two comments; the others stay as they are.
write_page() {
  local page=$1 old=/dev/null new each
  if [ -e "$page" ]; then old=$page; fi
  new=$(mktemp "$page.XXXXXX")
  {
    page_head
    for each in namespaces/gossip docker/gossip namespaces/serf docker/serf; do
      if [ "$each" = "$engine/$LAB_SOURCE" ]; then
        section "$each"
      else
        awk -v name="$each" '$0 == "<!-- " name " -->" { on = 1; print "" } on { print } $0 == "<!-- end -->" { on = 0 }' "$old"
      fi
    done
  } >"$new"
  chmod 644 "$new"
  mv "$new" "$page"
}

page_head() {
  cat <<'END'
# How soon traffic follows the members

`tests/cluster.sh --write docs/cluster.md` wrote this page: real haproxy, real Node applications (`services.d/`), an
agent on each node, on one machine that also makes the load. Times are in milliseconds. A row with a goal is as it
should be if its p95 is within it (of fewer than 20 trials: its p50). `FAIL` stands before one that is not.

Requests are counted by two clients, neither of which tries a request again. wrk with 16 connections, kept alive or
one for each request, counts as failed: an answer that is not 2xx or 3xx, a connection that was refused or broken, an
answer later than 2 s; and whatever haproxy still had not answered after 2 s when the load ended is added to it. The
watcher (`tests/cluster/watch.js`) asks three times at once, each on a connection of its own, and counts whatever is
not a whole 200 within 3 s; it also sees when haproxy's statistics change, and when haproxy gave a request to a server.

haproxy tries a GET again at another server (`retries 3`, `option redispatch 1`, `retry-on conn-failure
empty-response`), but in the row that says otherwise; `asked again` is how often it did. Idle connections to the
application are closed by haproxy only: Node keeps them for 10 minutes. Beside each row stands the same client's
count while nothing happened. A false failure is one that the balancer's agent tells of.
END
}

section() {
  printf '\n<!-- %s -->\n## %s\n\n' "$1" "$(section_title)"
  printf '%s\n' "$(machine)" "" \
    "| event | p50 | p95 | max | goal | failed / requests | same client, calm |" "|---|---|---|---|---|---|---|" "${table[@]}"
  printf '<!-- end -->\n'
}
section_title() {
  local of="pidone's own gossip" in="Linux namespaces"
  if [ "$LAB_SOURCE" = serf ]; then of="Serf as the source"; fi
  if [ "$engine" = docker ]; then in="a Docker engine"; fi
  printf '%s, nodes in %s' "$of" "$in"
}

# What was measured, where and when.
machine() {
  printf '%s. %s trials of each quick row, %s requests and more where none may be lost.\n' "$(date -u +%F)" "$trials" "$wanted"
  printf '%s cores (%s), Linux %s; %s.\n' "$(nproc)" "$(awk -F ': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)" \
    "$(uname -r)" "$versions; load average $load_before when it began"
}
# While the nodes run.
versions_of() {
  local of
  of="$(lab_exec ha pidone --version), $(lab_exec ha haproxy -v | sed -n 's/^\(HAProxy\) version \([^ ]*\).*/\1 \2/p')"
  of+=", Node $(lab_exec s1 node --version)"
  if [ "$LAB_SOURCE" = serf ]; then of+=", $(lab_exec s1 serf version | sed -n 1p)"; fi
  printf '%s' "$of"
}
