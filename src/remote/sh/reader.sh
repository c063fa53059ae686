# Keeps a reader for a stream, and replaces it when somebody kills it: without a reader, nobody would learn
# that the manager or the link is gone.
# needs: identity wait job
# may use: lease
#
# Where the host cannot make a process, most shells end, and run their EXIT trap (zsh does not); others go on.
# So every shell that makes a process sets that trap, and compares $! with what it was before.

# Runs function $1 as the reader, in a process of its own whose stdin is descriptor 3, until it ends with 0.
# Signal $2 ends this shell, which then sends the reader signal $3, or $2 if there is no $3. A shell that was
# forked a moment ago can lose a signal that it could trap.
# Needs _lease_ticks: not empty if there is a lease. Sets _reader, _reader_signal, _read_function, _end_signal,
# _is_cut and _is_alone.
# Returns never: it ends this shell.
_attend_to() {
    _is_done= _reader= _lease= _lease_start= _is_cut= _is_alone=
    _read_function=$1
    _end_signal=$2
    _reader_signal=${3:-$2}
    # The lease begins before the trap is set: in dash, a child that still has its parent's traps loses a
    # signal.
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
        # A signal that came before _reader was set has not reached the reader.
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

# Ends a reader that was forked at the moment when it was to end. It sends the signal again and again, because
# the reader can lose the first one. KILL is the last means: it would leave what the reader has started, such
# as the sleep of its grace.
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

# Gives a reader its stdin: descriptor 3, or /dev/null if the input is cut.
# Needs _has_no_input.
# Returns 0.
_open_input() {
    if [ -z "$_has_no_input" ]; then exec <&3; else exec </dev/null; fi
    exec 3<&-
}

# Reads in this shell, because the host cannot make a process for a reader. It runs in a trap, where this
# shell must not try to make one: dash would end.
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
    _signal_job "$1" "$_lease" "$_lease_start"
}
