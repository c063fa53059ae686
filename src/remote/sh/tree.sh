# What left the application's process group: processes that have its mark in their environment, or still
# belong to its session.
# needs: identity wait
# takes: _instance

# Kills these processes. $1: the session, which is the application's pid; - if another process may have that
# pid by now.
# Needs _instance. Sets _strays: those that could not be ended.
# Returns 0 if there are none.
_end_escaped() {
    _wait_until 20 _kill_escaped "$1"
}

# Kills those that there are now.
# Needs _instance. Sets _strays: those that were killed.
# Returns 0 if there are none.
_kill_escaped() {
    _find_escaped "$1" || return 0
    kill -KILL $_strays
    return 1
}

# Looks for these processes.
# Needs _instance. Sets _strays.
# Returns 1 if there are none.
_find_escaped() {
    _strays=
    for _candidate in $(grep -lsF "SSHPM_PROCESS=$_instance" /proc/[0-9]*/environ); do
        _candidate=${_candidate#/proc/}
        _add_stray "${_candidate%/environ}"
    done
    for _candidate in /proc/[0-9]*; do
        _candidate=${_candidate#/proc/}
        ! _find_session "$_candidate" || [ "$_process_session" != "$1" ] || _add_stray "$_candidate"
    done
    [ -n "$_strays" ]
}

# Adds process $1 to _strays, if it lives, and is not this shell or its parent.
# Sets _strays.
# Returns 0.
_add_stray() {
    case " $_strays $$ $PPID " in *" $1 "*) return ;; esac
    _is_gone "$1" || _strays="$_strays $1"
}

# Finds the session of process $1.
# Sets _process_session.
# Returns 1 if there is no such process.
_find_session() {
    _read_stat "$1" || return
    set -- $_process_stat
    _process_session=${4:-}
    # If the pid was never reported, the session to look for is empty: no process has that.
    [ -n "$_process_session" ]
}
