# Waiting for something that no file or pipe tells. POSIX has no sleep below one second; most hosts have.

# Waits 0.1 s, or 1 s where sleep knows no fractions.
# Needs _is_alone: not empty where no process can be made.
# Returns 1 at once in that case.
_pause() {
    [ -z "$_is_alone" ] && { sleep 0.1 || sleep 1; }
}

# Waits until a condition holds: the command that $2 and what follows are. $1: how many pauses at most.
# Sets _pauses_left.
# Returns 1 if the condition does not hold by then, or if there is no process to wait with.
_wait_until() {
    _pauses_left=$1
    shift
    until "$@"; do
        [ "$_pauses_left" -gt 0 ] && _pause || return
        _pauses_left=$((_pauses_left - 1))
    done
}
