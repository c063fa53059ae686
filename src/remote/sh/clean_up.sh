# Ends the applications of this user that no manager has, and removes the files of these and of all that have
# ended.
# needs: short identity files wait state_of relations tree directories
# takes: _grace _kill_tree

# Sends signal $1 to the process or its group, if the pid still belongs to the process.
# Needs _file_pid, _file_start and _own_group.
# Returns 0 if it was sent.
_signal_group() {
    _is_process "$_file_pid" "$_file_start" && _find_group "$_file_pid" || return
    case $_process_group in
    # Never the group of this script, whatever a file says.
    "$_own_group") return 1 ;;
    "$_file_pid") kill -"$1" "-$_file_pid" ;;
    *) kill -"$1" "$_file_pid" ;;
    esac
}

# Checks that the process has ended.
# Needs _file_pid and _file_start.
# Returns 0 if it has.
_has_ended() {
    ! _is_running "$_file_pid" "$_file_start"
}

# Ends the process: HUP, then KILL.
# Needs _grace, and what _signal_group needs.
# Returns 1 if it could not be ended.
_end_process() {
    _signal_group HUP && _signal_group CONT
    _wait_until "$((_grace * 10))" _has_ended && return
    _signal_group KILL
    _wait_until 20 _has_ended
}

# Ends the process of metadata file $1 if no manager has it, and removes its files.
# Needs the parameters. Sets _state, _strays and what _find_state sets.
# Returns 0.
_clean_up_process() {
    _uuid=${1##*/metadata_}
    _uuid=${_uuid%.json}
    _find_state "$1"
    _instance=$_file_instance
    _running=
    case $_state in
    attended)
        _say cleaned "$_uuid" attended
        return
        ;;
    left | orphaned)
        if _end_process; then
            _state=ended
            # The wrapper writes word of the end, and ends.
            _wait_until 20 _is_gone "$_file_wrapper"
        else
            _running=$_file_pid
            _state=running
        fi
        ;;
    *) _state=removed ;;
    esac
    _strays=
    if [ -n "$_kill_tree" ] && [ -n "$_instance" ]; then
        case $_state in ended | running) ;; *) _file_pid=- ;; esac
        _end_escaped "$_file_pid"
    fi
    if [ -z "$_running" ]; then
        [ -z "$_instance" ] || _remove_files "$_stem" gone
        # A later start may have put its own file in this place.
        if [ -z "$_instance" ] || _names_instance "$1" "$_instance"; then rm -f "$1"; fi
    fi
    _name_some $_strays $_running
    _say cleaned "$_uuid" "$_state" $_named
}

# Chooses from the processes that could not be ended, $@, as many as a report can name.
# Sets _named.
# Returns 0.
_name_some() {
    _named="$1 $2 $3 $4 $5 $6 $7 $8"
}

# Removes file $1 in a directory of wrappers, if it is word of an end without a metadata file, or if a killed
# wrapper left it before it wrote a metadata file.
# Sets _stem.
# Returns 0.
_remove_left_file() {
    _start_name=${1##*/}
    case $_start_name in
    *.end | *.[xacn] | *.out | *.err | *.tmp | *.kept | *.ran | *.ready) _start_name=${_start_name%.*} ;;
    *.r.*.* | *.l.*.*.* | *.end.*.*.*)
        # A uuid can contain such parts too, so they are counted from the end: the name of a reader has two parts, the
        # name of a link has three.
        case ${_start_name%.*.*} in
        *.r) _start_name=${_start_name%.*.*.*} ;;
        *)
            case ${_start_name%.*.*.*} in
            *.l | *.end) _start_name=${_start_name%.*.*.*.*} ;;
            *) return 0 ;;
            esac
            ;;
        esac
        ;;
    *) return 0 ;;
    esac
    _stem=${1%/*}/$_start_name
    [ -e "$1" ] && ! _names_instance "${_stem%/*}/metadata_${_start_name%.*}.json" "${_start_name##*.}" || return 0
    case $1 in
    "$_stem".end*) [ ! -f "$1" ] || rm -f "$1" ;;
    *) _is_linked || _remove_abandoned "$_stem" ;;
    esac
    return 0
}

# Cleans up the directories $@.
# Needs the parameters and _own_group.
# Returns 0.
_clean_up_directories() {
    for _directory in "$@"; do
        for _metadata_file in "$_directory"/metadata_*.json; do
            ! _is_own_file "$_metadata_file" || _clean_up_process "$_metadata_file"
        done
        for _left_file in "$_directory"/*.????????????????.*; do _remove_left_file "$_left_file"; done
    done
}

_find_group "$$" || exit
_own_group=$_process_group
_with_directories _clean_up_directories
_say clean
