# Takes over a kept process.
# needs: short identity files wait relations link directories
# may use: lease
# takes: _uuid _instance _manager _grace _stdout_position _stderr_position _lease_period _lease_ticks
# A process without a wrapper, or whose wrapper reads no commands, cannot be ended by a manager: this script
# ends it.

# Finds the files of the instance in the directories $@.
# Needs _uuid and _instance. Sets _stem and _metadata_file, each empty if there is none.
# Returns 0.
_find_files() {
    for _directory in "$@"; do
        [ -O "$_directory" ] || continue
        _metadata_file=$_directory/metadata_$_uuid.json
        _stem=$_directory/$_uuid.$_instance
        _is_own_file "$_metadata_file" && _names_instance "$_metadata_file" "$_instance" && return
        _metadata_file=
        ! _has_word || return 0
    done
    _stem= _metadata_file=
}

# Reports the exit if there is word of the end, or that another manager has claimed it. The session ends then.
# Needs _stem.
# Returns 1 if there is no word; ends this shell otherwise.
_report_end() {
    [ -n "$_stem" ] && _has_word || return
    _wait_until 100 _is_claimed
    _claim
    case $? in
    0) mkfifo "$_stem.l.$_link_name" && _link "$_exit_report" ;;
    2) _say refused ;;
    *) return 1 ;;
    esac
    exit
}

# Checks that the process is a child of the wrapper that its metadata names, and that the wrapper reads
# commands.
# Needs _metadata_file and _stem. Sets _file_pid.
# Returns 0 if it is.
_is_attended() {
    [ -n "$_metadata_file" ] && _read_application "$_metadata_file" && _has_wrapper && _has_reader
}

# Ends a process that has no wrapper that reads commands, after its grace: a reader may be ending it.
# Needs _metadata_file, _stem and _grace. Sets _file_pid.
# Returns 0 if it has ended, or there is word of its end.
_end_unattended() {
    _grace_left=$((_grace * 10)) _word_left=20 _pause_tenths=1
    until _is_over; do _pause; done
}

# Checks that the process has ended, and that its wrapper has left word of the end or will leave none. Kills
# the process when its grace is over.
# Needs _metadata_file and _stem. Sets _grace_left and _word_left, in tenths of a second.
# Returns 0 if it is over.
_is_over() {
    [ -n "$_metadata_file" ] && ! _has_word || return 0
    if _read_application "$_metadata_file"; then
        [ "$_grace_left" -gt 0 ] || kill -KILL "-$_file_pid" || kill -KILL "$_file_pid"
        _grace_left=$((_grace_left - _pause_tenths))
    # It may have ended just now: its wrapper gets 2 s to leave word of the end, and removes the fifo then.
    elif [ -p "$_stem.c" ] && [ "$_word_left" -gt 0 ]; then _word_left=$((_word_left - _pause_tenths))
    else return 0
    fi
    return 1
}

exec 7>&1
trap : HUP INT QUIT PIPE TERM
# The link's own files are private.
umask 077
_with_directories _find_files
_log_file=1
[ ! -f "$_stem.out" ] || _log_file=
_name_link
_report_end
_is_attended || _report_end
if _is_attended; then
    # It is open for writing too until the wrapper's first line: a refusal that comes before the link reads
    # would be lost. It is opened before it is named: a wrapper that ends removes it.
    if mkfifo "$_stem.l.$_link_name" && exec 8<>"$_stem.l.$_link_name" 9<"$_stem.l.$_link_name" &&
        echo "attach $_link_name $_manager" 1<>"$_stem.c"; then
        # The wrapper reads this fifo once more when it has removed it. What was written later has made a
        # file.
        [ -p "$_stem.c" ] || echo over >&8
        _wrapper=$_file_wrapper
        _link "" 1
    fi
else
    _end_unattended
    _report_end
    # The manager may start the uuid again when it hears this: the wrapper must not be about to remove its metadata file.
    _wait_until 20 _is_gone "$_file_wrapper"
    [ -z "$_stem" ] || _clear_away
    # It reports nothing else: when the session has ended, the streams may be full, and nobody reads them.
    _say gone
fi
