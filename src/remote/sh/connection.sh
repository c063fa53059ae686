# The session that keeps a shared connection open. It ends when its input ends: then the manager has closed
# the connection, or is gone.
# needs: short identity lease directories
# takes: _lease_period _lease_ticks

# Makes those of the directories $@ private that exist: once for all processes of the connection, because it
# costs a fork.
# Sets nothing that others use.
# Returns 0 if they are.
_close_directories() {
    for _directory in "$@"; do
        shift
        [ ! -d "$_directory" ] || set -- "$@" "$_directory"
    done
    [ "$#" -eq 0 ] || chmod 700 "$@"
}

_with_directories _close_directories
_lease_owner_start=
_keep_lease 3<&- >/dev/null &
_lease=$!
_find_start "$_lease" || _process_start=
_lease_start=$_process_start
# Sites that end idle logins set TMOUT, which bash and ksh93 take for the timeout of every read.
TMOUT=0
while read -r _word <&3; do
    case $_word in ping) _signal_job VTALRM "$_lease" "$_lease_start" ;; esac
done
_signal_job PROF "$_lease" "$_lease_start"
wait "$_lease"
