# What became of the application of metadata file $1, in POSIX sh, behind identity.sh.  _f is the stem of its files, _k its
# instance; _a is: attended (a manager has it), left (it is kept, and none has it), orphaned (it lives, and its wrapper does
# not), exit … (its wrapper's word of how it ended), gone.
_state_of() {
    _f=${1##*/metadata_}
    _f=${1%/*}/${_f%.json}
    if _live "$1"; then
        _f=$_f.$_k
        # Without the fifo for commands it ends with its link.
        if ! _has_wrapper; then _a=orphaned
        elif [ ! -p "$_f.c" ] || _is_linked; then _a=attended
        else _a=left
        fi
        return
    fi
    _f=$_f.$_k
    _a=gone
    if [ -n "$_k" ] && [ -f "$_f.end" ] && [ -O "$_f.end" ] && [ ! -L "$_f.end" ]; then
        # A manager may still read what it wrote.
        if _is_linked; then _a=attended; else read -r _a <"$_f.end"; fi
    fi
}
# Whether one of its links lives: their names are pids and start times.
_is_linked() {
    for _e in "$_f".l.*; do
        _q=${_e##*.l.}
        _e=${_q#*.}
        _is "${_q%%.*}" "$_e" && ! _is_zombie && return
    done
    return 1
}
