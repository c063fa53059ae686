# To whom a process belongs, for those who find an application.
# needs: identity files wait

# Checks that the process is still under its wrapper. Where there is no setsid, a shell stands between.
# Needs _file_pid and _file_wrapper.
# Returns 0 if it is.
_has_wrapper() {
    [ -n "$_file_wrapper" ] && _find_parent "$_file_pid" || return
    [ "$_parent" = "$_file_wrapper" ] || { _find_parent "$_parent" && [ "$_parent" = "$_file_wrapper" ]; }
}

# Checks that somebody reads the commands of a wrapper. A reader that is killed is replaced at once.
# Needs _stem.
# Returns 0 if somebody does.
_has_reader() {
    _wait_until 9 _is_read
}

# Checks that somebody reads the commands now. A wrapper without a marker counts as one that reads: a full
# disk may not have taken it.
# Needs _stem.
# Returns 0 if somebody does.
_is_read() {
    _has_live_reader || [ -z "$_has_marker" ]
}

# Finds the process group of process $1.
# Sets _process_group.
# Returns 1 if there is no such process.
_find_group() {
    _read_stat "$1" || return
    set -- $_process_stat
    _process_group=${3:-}
    [ -n "$_process_group" ]
}
