# A file as it grows, by name, so through rotation and truncation, until ssh's stdin ends: _F the file, _L how many of its
# last lines come first.

# Says why the file cannot be followed; 1 when it can, or does not exist yet.
_refuse() {
    if [ -d "$_F" ]; then _say problem directory
    elif [ -e "$_F" ] && [ ! -f "$_F" ]; then _say problem not-regular
    elif [ -e "$_F" ] && [ ! -r "$_F" ]; then _say problem unreadable
    else return 1
    fi
}
# GNU tail waits for changes by inotify, and wakes up for nothing else, but only when the file exists at its start: else
# it looks at the file every second for ever.  So this shell waits for the file, and all that is in it then is new.
_follow() {
    if [ ! -e "$_F" ]; then
        until [ -e "$_F" ]; do sleep 1 >/dev/null 2>&1 4>&- || return; done
        _L=+1
        ! _refuse || return
    fi
    exec tail -n "$_L" -F "$_F" 4>&-
}
_refuse || {
    _follow 3<&- &
    cat <&3 >/dev/null
    kill "$!"
}
