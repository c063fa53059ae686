# Who a process is, in POSIX sh: its pid, its start time and the boot it was started in name one for ever.

# What stat says of process $1, behind the last ')' because its name is free text: _z is its state and what follows.
_stat() {
    [ -n "$1" ] || return
    # The name can have newlines. A process may end in between: bash, mksh and yash leave the variable as it was when they cannot
    # read.
    _z=
    { while _q= && IFS= read -r _q || [ -n "$_q" ]; do _z="$_z $_q"; done </proc/"$1"/stat; } || return
    _z=${_z##*") "}
    [ -n "$_z" ]
}
# The start time of process $1: field 22 of its stat.
_started() {
    if [ -r /proc/self/stat ]; then
        _stat "$1" || return
        set -- $_z
        _q=${20}
    else
        _z=
        _q=$(LC_ALL=C ps -o lstart= -p "$1") || return
        set -- $_q
        _q=$1-$2-$3-$4-$5
    fi
    [ -n "$_q" ]
}
# Is process $1 the one that was started then, $2?
_is() { _started "$1" && [ "$_q" = "$2" ]; }
# Signal $1 for process $2, if it is the one that was started then, $3: one that has ended was reaped, and its pid may be another's.
_tell() { _is "$2" "$3" && kill -"$1" "$2"; }
# Whether that one has ended, and waits for its parent to see it.
_is_zombie() { case $_z in Z*) return 0 ;; *) return 1 ;; esac; }
# Does the link of this name live?  Its name is its pid, its start time and its manager.  What a client that was killed
# leaves may wait long for its next parent to see its end.
_link_lives() {
    _link_start=${1#*.}
    _is "${1%%.*}" "${_link_start%%.*}" && ! _is_zombie
}
# Is this a file of ours that can be read?  Anything else could be a fifo, and hang this, or lead elsewhere.
_is_own_file() { [ -f "$1" ] && [ -O "$1" ] && [ ! -L "$1" ]; }
# Does the process live that has marked itself as the reader of the commands of the wrapper whose files have the stem _f?  _marked:
# one has.
_is_read() {
    _marked=
    for _marker in "$_f".r.*; do
        [ -e "$_marker" ] || continue
        _marked=1
        _marker=${_marker#"$_f.r."}
        _is "${_marker%%.*}" "${_marker#*.}" && ! _is_zombie && return
    done
    return 1
}
_b=-
{ read -r _b </proc/sys/kernel/random/boot_id; }
# Is there word of how the process ended whose files have the stem _f?  _word is the file, whether a link has claimed it or not.
_has_word() {
    for _word in "$_f.end" "$_f".end.*; do
        # One that is empty could not be written: the disk was full.
        _is_own_file "$_word" && [ -s "$_word" ] && return
    done
    return 1
}
# Does the process that metadata file $1 speaks of live?  Its instance is _k.
_live() {
    _k=
    # Whatever stands there: a fifo would hang, the shell's read takes long for a large file, and another user, if the
    # directory was once open to others, could speak of a process of his.
    _is_own_file "$1" && _q=$(dd bs=65536 count=1 <"$1") || return
    case $_q in *'"instance":"'*) _k=${_q#*\"instance\":\"} _k=${_k%%\"*} ;; esac
    case $_k in *[!0-9a-f]*) _k= ;; esac
    # First, because what comes next takes dash long when it finds nothing.
    case $_q in *"\"boot_id\":\"$_b\""*"}") ;; *) return 1 ;; esac
    _p=${_q#*\"pid\":}
    _s=${_q#*\"start_time\":\"}
    _p=${_p%%,*}
    _s=${_s%%\"*}
    case $_p in *[!0-9]*|'') return 1 ;; esac
    case $_q in *'"wrapper":'*) _w=${_q#*\"wrapper\":} _w=${_w%%,*} ;; *) _w= ;; esac
    _is "$_p" "$_s"
}
# Removes the files with the stem $1, which no metadata file names, unless a shell of their wrapper lives: each of these has
# the notebook open, or before that the draft of the metadata file.  Without /proc, it counts as living for an hour.
_remove_abandoned() {
    # A list without this shell is none: it could not be made.
    if [ ! -d /proc/self/fd ]; then
        _q=$(find "$1".* -mmin -60) && [ -z "$_q" ] || return
    else
        case $(ls -l /proc/[0-9]*/fd) in
        *"/${1##*/}.a"* | *"/${1##*/}.tmp"*) return ;;
        *"/proc/$$/fd:"*) ;;
        *) return ;;
        esac
    fi
    _remove_files "$1" "exit 125"
}
# Ends the links of the process whose files have the stem $1: one whose relay was killed hears of no end by itself.
_stop_links() {
    for _other in "$1".l.*; do
        [ ! -p "$_other" ] || echo stop 1<>"$_other"
    done
}
# Removes the files with the stem $1.  Who waits at the fifo of the inner process, for a shell that was killed, reads $2.
_remove_files() {
    _stop_links "$1"
    if [ -p "$1.x" ]; then { rm -f "$1".* && echo "$2" >&9; } 9<>"$1.x"; else rm -f "$1".*; fi
}
