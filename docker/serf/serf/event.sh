#!/bin/sh
# One readable line for each membership event, on the service's own output: descriptor 3, since Serf
# keeps a handler's standard output to itself. Serf gives a line `name TAB address TAB role TAB tags` for each member.

case "$SERF_EVENT" in
  member-join) what="joined" ;;
  member-leave) what="left" ;;
  member-failed) what="failed" ;;
  member-update) what="changed its tags" ;;
  member-reap) what="is forgotten" ;;
  user) echo "user event $SERF_USER_EVENT: $(cat)" >&3; exit 0 ;;
  query) exit 0 ;;
  *) what="$SERF_EVENT" ;;
esac

exec awk -F '\t' -v what="$what" '{ printf "%s %s (%s%s)\n", $1, what, $2, $3 == "" ? "" : ", role " $3 }' >&3
