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
_b=-
{ read -r _b </proc/sys/kernel/random/boot_id; }
# Does the process that metadata file $1 speaks of live?  Its instance is _k.
_live() {
    _k=
    # Whatever stands there: a fifo would hang, the shell's read takes long for a large file, and another user, if the
    # directory was once open to others, could speak of a process of his.
    [ -f "$1" ] && [ -O "$1" ] && [ ! -L "$1" ] && _q=$(dd bs=65536 count=1 <"$1") || return
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
