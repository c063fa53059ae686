# To whom a process belongs, in POSIX sh, behind identity.sh; for those who find an application, not for its wrapper.

# The parent of process $1.
_parent() {
    _q=
    while read -r _z _q; do [ "$_z" != PPid: ] || break; done </proc/"$1"/status
    [ -n "$_q" ]
}
# Is process _p still under its wrapper, _w?  Where there is no setsid, a shell stands between.
_has_wrapper() {
    [ -n "$_w" ] && _parent "$_p" || return
    [ "$_q" = "$_w" ] || { _parent "$_q" && [ "$_q" = "$_w" ]; }
}
# The process group of process $1.
_group() {
    _stat "$1" || return
    set -- $_z
    _q=${3:-}
    [ -n "$_q" ]
}
