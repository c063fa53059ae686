# Waiting for an event that no file or pipe announces. POSIX has no sleep below one second, but most hosts
# have one.

# Waits 0.1 s, or 1 s where sleep knows no fractions.
# Needs _is_alone: not empty where no process can be made. Sets _pause_tenths: how many tenths of a second that
# was.
# Returns 1 at once where no process can be made.
_pause() {
    [ -z "$_is_alone" ] || return
    _pause_tenths=1
    sleep 0.1 || {
        _pause_tenths=10
        sleep 1
    }
    return 0
}

# Waits until a condition holds, at most $1 tenths of a second. $2 and the arguments behind it are the command
# that checks the condition.
# Sets _tenths_left.
# Returns 1 if the condition does not hold by then, or if the host cannot make a process to wait with.
_wait_until() {
    _tenths_left=$1
    shift
    until "$@"; do
        [ "$_tenths_left" -gt 0 ] && _pause || return 1
        _tenths_left=$((_tenths_left - _pause_tenths))
    done
}
