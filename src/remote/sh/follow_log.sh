# Follows a file as it grows, until ssh's stdin ends. It follows the name, so also through rotation and
# truncation.
# needs: short identity
# takes: _log_file _line_count

# Reports why the file cannot be followed.
# Needs _log_file.
# Returns 1 if it can, or does not exist yet.
_refuse_file() {
    if [ -d "$_log_file" ]; then _say problem directory
    elif [ -e "$_log_file" ] && [ ! -f "$_log_file" ]; then _say problem not-regular
    elif [ -e "$_log_file" ] && [ ! -r "$_log_file" ]; then _say problem unreadable
    else return 1
    fi
}

# Follows the file. GNU tail sleeps until inotify reports a change, but only if the file exists when tail
# starts: otherwise it looks at the file every second for ever. So this shell waits for the file. All that is
# in it then is new.
# Needs _log_file. Sets _line_count.
# Returns only if there is nothing to follow.
_follow_file() {
    if [ ! -e "$_log_file" ]; then
        until [ -e "$_log_file" ]; do sleep 1 >/dev/null 2>&1 4>&- || return; done
        _line_count=+1
        ! _refuse_file || return
    fi
    exec tail -n "$_line_count" -F "$_log_file" 4>&-
}

_refuse_file || {
    _follow_file 3<&- &
    _find_start "$!" || _process_start=
    cat <&3 >/dev/null
    _signal_job TERM "$!" "$_process_start"
}
