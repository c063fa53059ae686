# The runtime directory of a start: its files, and the log file.
# needs: identity files wait protocol directories

# Chooses the directory for the files of this start, and makes the fifos in it.
# Needs _uuid, _instance, _is_kept and what _with_directories sets. Sets _stem, _metadata_file (empty where
# there is no place for one) and _directory_kind: the number of the directory in reports.
# Returns 0, or reports that the start has failed, and ends this shell.
_choose_directory() {
    _stem= _metadata_file=
    if [ -n "$_is_kept" ]; then
        _choose_kept_directory || _die runtime
    elif [ -n "$_runtime_home" ] && [ -d "$_runtime_home" ] && _claim_directory "$_runtime_home/drunc"; then _directory_kind=1
    elif _claim_directory /tmp/drunc; then _directory_kind=2
    elif _claim_directory "/tmp/drunc-$_user_id"; then _directory_kind=3
    elif [ -n "$_home" ] && _claim_directory "$_home/.local/state/sshpm"; then _directory_kind=4
    else
        # There is no metadata file then. The fifos can be anywhere, because nobody can guess their names.
        _directory_kind=0
        for _directory in /dev/shm /var/tmp /tmp "$_home"; do
            _stem=$_directory/.sshpm.$_instance
            _make_fifos && return
            rm -f "$_stem".*
        done
        _die runtime
    fi
}

# Chooses a directory for a kept process: one that no host clears when a login ends. The name of the host is
# part of it, because hosts can share a home.
# Needs and sets what _choose_directory does.
# Returns 1 if there is none.
_choose_kept_directory() {
    if [ -n "$_state_home" ] && mkdir -p -m 700 "$_state_home/sshpm" && _claim_directory "$_state_home/sshpm/$_host_name"; then
        _directory_kind=5
    elif _claim_directory /tmp/drunc; then _directory_kind=2
    elif _claim_directory "/tmp/drunc-$_user_id"; then _directory_kind=3
    else return 1
    fi
}

# Takes directory $1 if it is ours, private, no symbolic link, and a fifo can be made in it.
# Needs _uuid, _instance and _lease_ticks. Sets _stem and _metadata_file.
# Returns 1 if it is not to be used; ends this shell if the uuid is in use there.
_claim_directory() {
    [ ! -L "$1" ] || return
    # On a shared connection, connection.sh has set the mode of directories that exist.
    if [ ! -d "$1" ]; then mkdir -p -m 700 "$1" || return
    elif [ -n "$_lease_ticks" ]; then [ -O "$1" ] && LC_ALL=C chmod 700 "$1" || return
    fi
    [ -O "$1" ] && [ ! -L "$1" ] || return
    _refuse_used_uuid "$1"
    # The wrapper of the start before may be about to remove its metadata file, by the name that this start uses, too.
    _wait_until 20 _is_removed "$1/$_uuid.$_file_instance"
    # Removes what killed wrappers left of this uuid: the one in the metadata file, and those that wrote none.
    [ -z "$_file_instance" ] || rm -f "$1/$_uuid.$_file_instance".*
    for _left_file in "$1/$_uuid".????????????????.*; do
        [ -e "$_left_file" ] || continue
        _left_file=${_left_file#"$1/$_uuid."}
        # A longer uuid can begin with this one and a dot.
        case ${_left_file%%.*} in *[!0-9a-f]*) continue ;; esac
        case ${_left_file#????????????????.} in
        [acnx] | end | err | kept | out | ran | ready | tmp | end.* | [lr].*) _remove_abandoned "$1/$_uuid.${_left_file%%.*}" ;;
        esac
    done
    _stem=$1/$_uuid.$_instance
    # The draft of the metadata file comes first, and stays open until the notebook is: see _remove_abandoned.
    _make_fifos 9>"$_stem.tmp" && _metadata_file=$1/metadata_$_uuid.json && return
    rm -f "$_stem".*
    return 1
}

# Ends this shell if a process of this uuid lives whose files are in one of the directories $@: a uuid names
# one process of a user on a host, in whichever directory its files are.
# Needs _uuid. Sets what _read_application does, of the last directory.
# Returns 0.
_refuse_used_uuid() {
    for _used_directory in "$@"; do
        ! _read_application "$_used_directory/metadata_$_uuid.json" || _die in-use
    done
}

# Checks that the wrapper of an ended process has removed its files with the stem $1, or cannot do it any more.
# Needs _file_wrapper.
# Returns 0 if so.
_is_removed() {
    [ ! -p "$1.a" ] || _is_gone "$_file_wrapper"
}

# Makes the fifos of the inner process and the notebook, and opens the notebook so that it never blocks and
# never ends.
# Needs _stem.
# Returns 1 if they could not be made.
_make_fifos() {
    LC_ALL=C mkfifo "$_stem.x" "$_stem.a" && exec 8<>"$_stem.a"
}

# Reads the next note of the notebook. A shell that reads all notes first writes its nonce there, as a mark
# behind the last one.
# Needs _nonce. Sets _note, the first word, and _note_words, the others.
# Returns 1 at the mark.
_read_note() {
    read -r _note _note_words <&8 && [ "$_note" != "$_nonce" ]
}

# Removes words of ends that nobody will ask for: those of this uuid, which is used again, and those that are
# a day old. The word of a kept process has a metadata file beside it, and stays.
# Needs _metadata_file and _uuid.
# Returns 0.
_sweep_words() {
    [ -n "$_metadata_file" ] || return 0
    _directory=${_metadata_file%/*}
    for _word_file in "$_directory"/*.end "$_directory"/*.end.*; do
        [ -f "$_word_file" ] || continue
        rm -f "$_directory/$_uuid".????????????????.end "$_directory/$_uuid".????????????????.end.*
        find "$_directory" '(' -name '*.end' -o -name '*.end.*' ')' -type f -mtime +0 -exec sh -c 'for word; do
            stem=${word%.end*} stem=${stem%.*}
            [ -e "${stem%/*}/metadata_${stem##*/}.json" ] || rm -f "$word"
        done' - {} +
        return 0
    done
}

# Opens the log file for the application's output.
# Needs _log_file, _log_mode and _umask.
# Returns 0, or reports that the start has failed, and ends this shell.
_open_log() {
    case $_log_file in */*) [ -d "${_log_file%/*}/" ] || _quit log-directory ;; esac
    # A fifo without a reader would block this shell, and nobody reads commands yet.
    [ ! -d "$_log_file" ] && [ ! -p "$_log_file" ] || _quit log-file
    case $_log_mode in
    fresh) [ ! -f "$_log_file" ] || mv -f "$_log_file" "$_log_file.1" || _quit log-file ;;
    truncate) [ ! -e "$_log_file" ] || [ x ] 5>"$_log_file" || _quit log-file ;;
    esac
    # Opens it once: with the umask 0777, only the open that creates the file succeeds.
    umask "$_umask"
    { exec 5>&9 6>&9 7>&- 1>&9; } 9>>"$_log_file" || _quit log-file
    umask 077
}

# Removes the files of this start, and reports that the start has failed, and why: $@.
# Needs _stem.
# Returns never: it ends this shell.
_quit() {
    rm -f "$_stem".*
    _die "$@"
}

# Removes what this instance made, and the metadata file only if it still names this instance.
# Needs _stem, _metadata_file, _instance, _is_kept and _ready.
# Returns 1 if it could not be removed.
_remove() {
    # A mv whose shell was ended finds no draft any more, or has moved it.
    [ ! -f "$_stem.tmp" ] || rm -f "$_stem.tmp"
    [ -z "$_is_kept" ] || _stop_links "$_stem"
    if _names_instance "$_metadata_file" "$_instance"; then
        # The notebook comes behind the metadata file: see _is_removed.
        LC_ALL=C rm -f "$_metadata_file" "$_stem.x" "$_stem".r.* ${_ready:+"$_stem.n"} ${_is_kept:+"$_stem".*} "$_stem.a"
    elif [ -p "$_stem.a" ]; then
        LC_ALL=C rm -f "$_stem.x" "$_stem.a" "$_stem".r.* ${_ready:+"$_stem.n"} ${_is_kept:+"$_stem".*}
    fi
}
