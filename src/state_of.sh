# What became of the application of metadata file $1, in POSIX sh, behind identity.sh.  _f is the stem of its files, _k its
# instance; _a is: attended (a manager has it), left (it is kept, and none has it), orphaned (it lives, and its wrapper does
# not, or hears nobody), exit … (its wrapper's word of how it ended), gone.
_state_of() {
    _f=${1##*/metadata_}
    _f=${1%/*}/${_f%.json}
    if _live "$1"; then
        _f=$_f.$_k
        # Without the fifo for commands it ends with its link.
        if ! _has_wrapper || ! _has_reader; then _a=orphaned
        elif [ ! -p "$_f.c" ] || _is_linked; then _a=attended
        else _a=left
        fi
        return
    fi
    _f=$_f.$_k
    _a=gone
    [ -n "$_k" ] || return 0
    _await_word
    _has_word || return 0
    # A manager may still read what it wrote.
    if _is_linked; then _a=attended; else read -r _a <"$_word"; fi
}
# Waits while the wrapper of a kept process, _w, is about to leave word of its end, for 10 s at most.
_await_word() {
    _tries=0
    while ! _has_word && [ -p "$_f.c" ] && [ -n "$_w" ] && kill -0 "$_w" && [ "$_tries" -lt 50 ]; do
        _tries=$((_tries + 1))
        sleep 0.2 || sleep 1
    done
}
# Whether one of its links lives, or one that has claimed the word of its end.
_is_linked() {
    for _e in "$_f".l.* "$_f".end.*; do
        _e=${_e#"$_f".*.}
        _link_lives "$_e" && return
    done
    return 1
}
