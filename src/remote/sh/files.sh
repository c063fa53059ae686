# The files of one start in a runtime directory. Their names begin with a stem, DIRECTORY/UUID.INSTANCE:
#   STEM.x  the inner process waits here for its script            STEM.a  the notebook, see wrapper.sh
#   STEM.tmp  the draft of a file                                  STEM.r.PID.START  names the reader of the commands
#   STEM.end[.LINK]  word of the end: the exit report              STEM.c  the commands for a kept process
#   STEM.l.LINK  what goes to a link                               STEM.out, STEM.err  the output of a kept process
#   STEM.kept, STEM.ran  how far the start of a kept process came
#   STEM.n  what the sign reader reads, see ready.sh               STEM.ready  the readiness of a kept process
# Beside them stands DIRECTORY/metadata_UUID.json.
# needs: identity

# Checks that $1 is a regular file of this user: anything else could be a fifo and block, or be a link to
# elsewhere.
# Sets nothing.
# Returns 0 if it is.
_is_own_file() {
    [ -f "$1" ] && [ -O "$1" ] && [ ! -L "$1" ]
}

# Checks that metadata file $1 names instance $2.
# Sets _metadata_line: the first line of the file.
# Returns 0 if it does.
_names_instance() {
    _metadata_line=
    [ -f "$1" ] && IFS= read -r _metadata_line <"$1"
    case $_metadata_line in *"\"instance\":\"$2\""*) return 0 ;; esac
    return 1
}

# Removes metadata file $1, if it names this instance: a later start may have put its own file in this place.
# Needs _instance.
# Returns 0 if it is not there any more, or is another one's.
_remove_metadata() {
    ! _names_instance "$1" "$_instance" || rm -f "$1"
}

# Checks that the link of this name, $1, lives. The name is PID.START.MANAGER.
# Sets _link_start.
# Returns 0 if it lives.
_link_lives() {
    _link_start=${1#*.}
    _is_running "${1%%.*}" "${_link_start%%.*}"
}

# Checks that a process lives that has marked itself as the reader of the commands.
# Needs _stem. Sets _has_marker: not empty if one has marked itself, whether it lives or not.
# Returns 0 if it lives.
_has_live_reader() {
    _has_marker=
    for _marker in "$_stem".r.*; do
        [ -e "$_marker" ] || continue
        _has_marker=1
        _marker=${_marker#"$_stem.r."}
        _is_running "${_marker%%.*}" "${_marker#*.}" && return
    done
    return 1
}

# Looks for word of the end of the process, which a link may have claimed.
# Needs _stem. Sets _word_file.
# Returns 1 if there is none.
_has_word() {
    for _word_file in "$_stem.end" "$_stem".end.*; do
        # An empty word could not be written: the disk was full.
        _is_own_file "$_word_file" && [ -s "$_word_file" ] && return
    done
    return 1
}

# Reads metadata file $1, and trusts nothing in it: a shell reads a large file slowly, and in a directory that
# was open to others once, a file of another user could name a process of his.
# Sets _metadata_line and what _read_line sets.
# Returns 0 if the process lives.
_read_application() {
    _file_instance= _file_pid= _file_start= _file_wrapper=
    _is_own_file "$1" && _metadata_line=$(dd bs=65536 count=1 <"$1") || return
    _read_line && _is_process "$_file_pid" "$_file_start"
}

# Finds out which process _metadata_line names.
# Needs _boot_id. Sets _file_instance, and if the line is of this boot _file_pid, _file_start and _file_wrapper.
# Returns 1 if it is of another boot, or damaged.
_read_line() {
    _file_instance= _file_pid= _file_start= _file_wrapper=
    case $_metadata_line in
    *'"instance":"'*)
        _file_instance=${_metadata_line#*\"instance\":\"}
        _file_instance=${_file_instance%%\"*}
        ;;
    esac
    # A shorter one, from a file that was cut, would be the beginning of others.
    case $_file_instance in *[!0-9a-f]*) _file_instance= ;; ????????????????) ;; *) _file_instance= ;; esac
    # This comes first: what follows takes dash long where it finds nothing.
    case $_metadata_line in *"\"boot_id\":\"$_boot_id\""*"}") ;; *) return 1 ;; esac
    _file_pid=${_metadata_line#*\"pid\":}
    _file_pid=${_file_pid%%,*}
    case $_file_pid in
    # kill takes -1 for all processes of the user.
    *[!0-9]* | [01] | '')
        _file_pid=
        return 1
        ;;
    esac
    _file_start=${_metadata_line#*\"start_time\":\"}
    _file_start=${_file_start%%\"*}
    case $_metadata_line in
    *'"wrapper":'*)
        _file_wrapper=${_metadata_line#*\"wrapper\":}
        _file_wrapper=${_file_wrapper%%,*}
        ;;
    esac
    return 0
}

# Removes the files with the stem $1, which no metadata file names, unless a shell of their wrapper lives.
# Such a shell has the notebook open, or before that the draft of the metadata file. Without /proc, the
# wrapper counts as living for an hour.
# Sets _old_files.
# Returns 1 if they stay.
_remove_abandoned() {
    if [ ! -d /proc/self/fd ]; then
        _old_files=$(find "$1".* -mmin -60) && [ -z "$_old_files" ] || return
    else
        # A list without this shell is no list: the host could not make the process.
        case $(ls -l /proc/[0-9]*/fd) in
        *"/${1##*/}.a"* | *"/${1##*/}.tmp"*) return ;;
        *"/proc/$$/fd:"*) ;;
        *) return ;;
        esac
    fi
    _remove_files "$1" "exit 125"
}

# Removes the files with the stem $1. A shell that waits at the fifo of the inner process for a killed shell
# reads $2.
# Sets nothing.
# Returns 0 if they are removed.
_remove_files() {
    _stop_links "$1"
    if [ -p "$1.x" ]; then { rm -f "$1".* && echo "$2" >&9; } 9<>"$1.x"; else rm -f "$1".*; fi
}

# Ends the links to the process whose files have the stem $1: a link whose relay was killed does not learn
# that its session has ended.
# Sets nothing.
# Returns the result of the last write.
_stop_links() {
    for _fifo in "$1".l.*; do
        [ ! -p "$_fifo" ] || echo stop 1<>"$_fifo"
    done
}
