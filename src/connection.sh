# The session that keeps a shared connection open, in POSIX sh, behind short.sh, lease.sh, directories.sh and the
# assignments of its parameters:
#   _N nonce   _P seconds between ticks   _L how many ticks without a ping end the connection
# It ends with its input: then the manager has closed the connection, or is gone.

# The runtime directories are private, see wrapper.sh: once for all processes of the connection, not a fork for each.
for _d in "$@"; do
    shift
    [ ! -d "$_d" ] || set -- "$@" "$_d"
done
[ "$#" -eq 0 ] || chmod 700 "$@"

_lease 3<&- >/dev/null &
_l=$!
# Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read.
TMOUT=0
while read -r _c <&3; do
    case $_c in ping) kill -VTALRM "$_l" ;; esac
done
kill -PROF "$_l"
wait "$_l"
