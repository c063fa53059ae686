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
# Does somebody read the commands of the wrapper whose files have the stem _f?  A reader that was killed is replaced at once.  A
# wrapper without a marker is taken to have one: a full disk may not have taken it.
_has_reader() {
    for _tries in 1 2 3; do
        ! _is_read && [ -n "$_marked" ] || return 0
        sleep 0.3 || sleep 1
    done
    return 1
}
# The process group of process $1.
_group() {
    _stat "$1" || return
    set -- $_z
    _q=${3:-}
    [ -n "$_q" ]
}
