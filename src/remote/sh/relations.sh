# What belongs to a process: its wrapper, its reader, its group. For scripts that find a process by its files.
# needs: identity files wait

# Checks that the process is still a child of its wrapper. Where there is no setsid, a shell stands between
# them.
# Needs _file_pid and _file_wrapper.
# Returns 0 if it is.
_has_wrapper() {
    [ -n "$_file_wrapper" ] && _find_parent "$_file_pid" || return
    [ "$_parent" = "$_file_wrapper" ] || { _find_parent "$_parent" && [ "$_parent" = "$_file_wrapper" ]; }
}

# Checks that a reader reads the commands of a wrapper. It waits for a moment, because a killed reader is
# replaced.
# Needs _stem.
# Returns 0 if one does.
_has_reader() {
    _wait_until 9 _is_read
}

# Checks that a reader reads the commands now. A wrapper without a marker counts as one that has a reader: the
# disk may be full.
# Needs _stem.
# Returns 0 if one does.
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
