# Asks about a process whose link was lost. If its wrapper left word of the end, this script reports the exit
# and removes the word; otherwise it reports that the process is gone. It kills a process that outlives its
# grace, because the link loss policy of the process is to be ended.
# needs: short identity files wait directories
# takes: _uuid _instance _grace _asked_pid _asked_start _asked_boot _asked_wrapper

# Checks that the process lives.
# Needs _asked_pid and _asked_start.
# Returns 0 if it does.
_is_alive() {
    [ -n "$_asked_pid" ] && _is_running "$_asked_pid" "$_asked_start"
}

# Reads the metadata file of the instance in directory $1, which says who the process is.
# Needs _uuid and _instance. Sets _metadata_file, _asked_wrapper, _asked_pid and _asked_start.
# Returns 1 if there is none.
_find_metadata() {
    _is_own_file "$1/metadata_$_uuid.json" && _names_instance "$1/metadata_$_uuid.json" "$_instance" || return
    _metadata_file=$1/metadata_$_uuid.json
    _read_line
    [ -z "$_file_wrapper" ] || _asked_wrapper=$_file_wrapper
    [ -n "$_asked_pid" ] || _asked_pid=$_file_pid _asked_start=$_file_start
}

# Looks for word of the end in the directories $@, and reports the exit.
# Needs _uuid and _instance. Sets _metadata_file, _commands: the fifo of a kept process, and what
# _find_metadata sets.
# Returns 1 if there is none.
_report_word() {
    _metadata_file= _commands=
    for _directory in "$@"; do
        # In a directory of another user, the file could be a fifo, and block this shell.
        [ -O "$_directory" ] && [ ! -L "$_directory" ] || continue
        _find_metadata "$_directory"
        _stem=$_directory/$_uuid.$_instance
        [ ! -p "$_stem.c" ] || _commands=$_stem.c
        _has_word || continue
        read -r _exit_report <"$_word_file"
        _say $_exit_report
        # It removes them when the manager has the exit, because the link can break again. A kept process has
        # its output beside the word. The manager may start the uuid again when this script has ended: the wrapper must
        # not be about to remove its metadata file then.
        if read -r _word <&3 && [ "$_word" = bye ]; then
            _wait_until 20 _is_gone "$_asked_wrapper"
            _remove_files "$_stem" gone
            _remove_metadata "$_metadata_file"
        fi
        return 0
    done
    return 1
}

# Checks that the wrapper may still leave word of the end. It has a metadata file until it has left word, or
# has not written one yet. The wrapper of a kept process has its fifo for commands, and is not the shell that
# has reported begin.
# Needs what _report_word sets.
# Returns 0 if it may.
_is_attended() {
    [ -z "$_commands" ] || return 0
    [ -n "$_metadata_file" ] || [ -z "$_asked_pid" ] || return
    [ -n "$_asked_wrapper" ] && kill -0 "$_asked_wrapper"
}

# Ends a wrapper whose reports nobody reads, and removes what a killed wrapper has left in the directories $@.
# Needs _asked_wrapper, _metadata_file, _uuid and _instance.
# Returns 0.
_clear_away() {
    # Its report blocks in a stream that sshd does not read any more. A process that has none of its files
    # open is another one with its pid.
    [ -z "$_asked_wrapper" ] || case $(ls -l "/proc/$_asked_wrapper/fd") in
    *".$_instance."*) kill -KILL "$_asked_wrapper" ;;
    esac
    _remove_metadata "$_metadata_file"
    for _directory in "$@"; do
        [ ! -O "$_directory" ] || _remove_files "$_directory/$_uuid.$_instance" gone
    done
}

# Waits until there is word of the end in the directories $@, or until none is to come, and kills the process
# after its grace. The wrapper gets 2 s beyond the grace to write the word. A wrapper that was killed gets no
# time: Slurm kills a step that has lost its srun.
# Needs the parameters.
# Returns 1 if there is none to come.
_await_word() {
    _waited=0
    until _report_word "$@"; do
        if ! _is_alive; then
            _is_attended && [ "$_waited" -lt "$((_grace * 10 + 20))" ] || return
        elif [ "$_waited" -ge "$((_grace * 10))" ]; then kill -KILL "-$_asked_pid" || kill -KILL "$_asked_pid"
        fi
        _pause
        _waited=$((_waited + _pause_tenths))
    done
}

# Answers the inquiry, for which the files are in the directories $@.
# Needs the parameters.
# Returns 0.
_answer_inquiry() {
    if [ -n "$_asked_boot" ] && [ "$_boot_id" != "$_asked_boot" ]; then _say gone
    elif ! _await_word "$@"; then
        # The word may come at the moment when the metadata file goes.
        _wait_until 3 _report_word "$@" || {
            _clear_away "$@"
            _say gone
        }
    fi
}

_with_directories _answer_inquiry
_say clean
