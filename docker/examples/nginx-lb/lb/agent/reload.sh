#!/bin/sh
# nginx reads its file anew. Done once it has new workers, and the former ones say that they shut down: from then on
# nobody is asked but who stands in the file. Where nginx does not run, it will read the file when it starts.
# What fails here is told in the agent's log, the file is as before, and it is tried again.

# Empty: made by the check of the file.
main=$(cat /run/nginx/pid 2>/dev/null)
if [ -z "$main" ]; then
  if grep -qs '^nginx' /proc/[0-9]*/cmdline; then echo "nginx is starting"; exit 1; fi
  exit 0
fi

# Those that take requests: nginx's workers say it in their titles when they do no more.
workers() {
  for process in /proc/[0-9]*; do
    grep -qs "^PPid:[[:space:]]*$main$" "$process/status" || continue
    if ! grep -qs "shutting down" "$process/cmdline"; then echo "${process#/proc/}"; fi
  done
}

before=" $(workers | tr '\n' ' ')"
kill -HUP "$main" || exit 1
by=$(($(date +%s) + 5))
while [ "$(date +%s)" -le $by ]; do
  new=
  for pid in $(workers); do
    case $before in
      *" $pid "*) new=; break ;;
      *) new=$pid ;;
    esac
  done
  if [ -n "$new" ]; then exit 0; fi
  sleep 0.05
done
echo "nginx has no new workers alone after 5 s"
exit 1
