# What left the application's process group, in POSIX sh, behind identity.sh: processes that have its mark in their environment, or
# that are still of its session.  _I is its instance, _p was its pid, or is - where that may be another's by now.

# Ends them; _z is those that could not be ended.
_end_escaped() {
    _i=0
    while _escaped; do
        [ "$_i" -lt 20 ] || return 0
        kill -KILL $_z
        _i=$((_i + 1))
        sleep 0.1 || sleep 1
    done
}
_escaped() {
    set --
    for _q in $(grep -lsF "SSHPM_PROCESS=$_I" /proc/[0-9]*/environ); do
        _q=${_q#/proc/}
        set -- "$@" "${_q%/environ}"
    done
    for _w in /proc/[0-9]*; do
        _session "${_w#/proc/}" && [ "$_q" = "$_p" ] && set -- "$@" "${_w#/proc/}"
    done
    _v=
    for _w in "$@"; do
        case " $_v $$ $PPID " in *" $_w "*) continue ;; esac
        _is_dead "$_w" || _v="$_v $_w"
    done
    _z=$_v
    [ -n "$_z" ]
}
# The session of process $1.
_session() {
    _stat "$1" || return
    set -- $_z
    _q=${4:-}
    # Where the pid was never told, _p is empty: that is nobody's session.
    [ -n "$_q" ]
}
_is_dead() {
    _stat "$1" || return 0
    case $_z in Z* | X*) return 0 ;; esac
    return 1
}
