# A reader of a stream that is replaced when somebody kills it: without it, nobody would learn that the
# manager or the link is gone.
# needs: identity wait job
# may use: lease
#
# Where no process can be made, most shells end, with the trap for their end (zsh without it), and others go
# on: so every shell that makes a process has that trap, and looks at $!.

# Has function $1 read descriptor 3 as its stdin, in a process of its own, until it returns 0. Signal $2 ends
# this shell; the reader gets signal $3 then, or $2 if there is no $3. A signal that can be caught is lost on
# a shell that was forked a moment ago.
# Needs _lease_ticks: not empty if there is a lease. Sets _reader, _reader_signal, _read_function, _end_signal,
# _is_cut and _is_alone.
# Returns never: it ends this shell.
_attend_to() {
    _is_done= _reader= _lease= _lease_start= _is_cut= _is_alone=
    _read_function=$1
    _end_signal=$2
    _reader_signal=${3:-$2}
    # The lease begins without the trap: dash loses a signal that a child gets before it has forgotten its
    # parent's traps.
    [ -z "$_lease_ticks" ] || _begin_lease
    trap '_is_done=1; [ -z "$_reader" ] || kill -"$_reader_signal" "$_reader"' "$2"
    trap _read_alone EXIT
    while [ -z "$_is_done" ]; do
        _has_no_input=$_is_cut
        _former_job=$!
        {
            _open_input
            "$1"
        } &
        _check_job
        _reader=$!
        # What came in between did not end it.
        if [ -n "$_is_done" ]; then _end_reader
        elif [ "$_has_no_input" != "$_is_cut" ]; then kill -KILL "$_reader"
        fi
        until wait "$_reader" && _is_done=1; do kill -0 "$_reader" || break; done
        _reader=
    done
    trap - EXIT
    _tell_lease PROF
    [ -z "$_lease" ] || wait "$_lease"
    exit 0
}

# Ends a reader that was forked just when it was to end, by its signal, again and again: it can lose the
# first. KILL would leave what it has started, such as the sleep of its grace.
# Needs _reader and _reader_signal.
# Returns 0.
_end_reader() {
    _wait_until 20 _tell_reader || kill -KILL "$_reader"
}

# Sends the reader its signal, if it has not ended.
# Needs _reader and _reader_signal.
# Returns 0 if it has ended.
_tell_reader() {
    ! _is_gone "$_reader" || return 0
    kill -"$_reader_signal" "$_reader"
    return 1
}

# Gives a reader its stdin: descriptor 3, or nothing if that is cut.
# Needs _has_no_input.
# Returns 0.
_open_input() {
    if [ -z "$_has_no_input" ]; then exec <&3; else exec </dev/null; fi
    exec 3<&-
}

# Reads in this shell, because there is no process for a reader. In its trap this shell must not try to make
# one: dash would end.
# Needs _read_function and _end_signal. Sets _is_alone.
# Returns never: it ends this shell.
_read_alone() {
    _is_alone=1
    trap - EXIT "$_end_signal"
    _has_no_input=$_is_cut
    _open_input
    "$_read_function"
    _tell_lease PROF
    exit 0
}

# Sends signal $1 to the lease, if there is one.
# Needs _lease and _lease_start.
# Returns 0 if it was sent.
_tell_lease() {
    _signal_process "$1" "$_lease" "$_lease_start"
}
