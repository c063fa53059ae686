# What became of the application of metadata file $1, in POSIX sh, behind identity.sh.  _f
# is the stem of its files, _k its instance; _a is: attended (a manager has a link to it), left (it is kept, and has none), orphaned (it lives, and its
# wrapper does not), exit … (its wrapper's word of how it ended), gone.
_state_of() {
    _f=${1##*/metadata_}
    _f=${1%/*}/${_f%.json}
    if _live "$1"; then
        _f=$_f.$_k
        _a=orphaned
        _parent "$_p" && [ -n "$_w" ] && [ "$_q" = "$_w" ] || return 0
        # Without that fifo it ends with its link.
        _a=attended
        [ -p "$_f.c" ] || return 0
        for _e in "$_f".l.*; do
            _q=${_e##*.l.}
            _e=${_q#*.}
            _started "${_q%%.*}" && [ "$_q" = "$_e" ] && return
        done
        _a=left
    else
        _a=gone
        [ -n "$_k" ] && [ -f "$_f.$_k.end" ] && [ -O "$_f.$_k.end" ] && [ ! -L "$_f.$_k.end" ] && read -r _a <"$_f.$_k.end"
        _f=$_f.$_k
    fi
    return 0
}
