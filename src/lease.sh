# The lease of a connection, in POSIX sh: every _P seconds a tick is reported, and a ping, which the reader of the commands passes on
# as VTALRM, answers it.  After _L ticks without a ping the link is cut or the manager stands still: then sshd's process of
# this connection is ended, so that everything on it sees the end of its input.  An idle period costs one fork.
# Where another launcher carries the session (_R is not empty), what its processes are is not known, and the next sshd above may be the one
# of somebody's login: then the shell that attends to the reader gives it the end of its input.

_lease() {
    # Slurm sends TERM to all processes of a job that it cancels, long before it ends them, and sbatch --signal what it names. So these
    # shells speak to each other by signals that nobody else sends.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    trap '_i=0' VTALRM
    # A shell ends when it cannot fork, or goes on as if it had: a full host must not count as a cut link.
    trap '_say unleased' EXIT
    # A sleep of which the shell does not know would outlive it.
    _former=$!
    trap '_kill_new_job; trap - EXIT; exit' PROF
    _i=0
    while [ "$_i" -lt "$_L" ]; do
        exec sleep "$_P" 3<&- 4>&- &
        _was_made
        _i=$((_i + 1))
        # A ping ends the first wait.
        wait "$!" || wait "$!"
        _former=$!
        # With another launcher, the main shell may have ended the shell that the lease reports to: the lease ends too.
        [ -z "$_R" ] || [ -z "$_rs" ] || _is "$_R" "$_rs" || break
        _say tick
    done
    trap - EXIT
    if [ -n "$_R" ]; then
        _tell VTALRM "$_R" "$_rs"
        exit
    fi
    _sshd && kill -TERM "$_p" || exit
    sleep 2
    # One that was stopped.
    _sshd && kill -KILL "$_p"
}
# Finds sshd's process of this connection: the shell's parent, but for login shells and forced commands in between.  Not
# when that parent has gone: sshd is gone then, and its pid may be another's.
_sshd() {
    _p=$PPID
    [ -r /proc/self/status ] || return 0
    _up "$$" && [ "$_u" = "$PPID" ] || return
    _i=0
    while [ "$_i" -lt 8 ] && [ "$_p" -gt 1 ] && read -r _q </proc/"$_p"/comm; do
        case $_q in sshd*) return 0 ;; esac
        _i=$((_i + 1))
        _up "$_p" && _p=$_u
    done
    return 1
}
# The parent of process $1 is _u.
_up() {
    _u=
    while read -r _q _z; do
        if [ "$_q" = PPid: ]; then _u=$_z; fi
    done </proc/"$1"/status
    [ -n "$_u" ]
}
# Has the lease of a session of its own kept, as _l, started at _ls.  This shell attends to a reader, which is _v while there is one, and starts it with an
# empty input when _cut is set.
_begin_lease() {
    if [ -n "$_R" ]; then
        read -r _R _q </proc/self/stat || _R=$(exec sh -c 'echo "$PPID"')
        _started "$_R" && _rs=$_q
        trap '_cut=1; [ -z "$_v" ] || kill -KILL "$_v"' VTALRM
    fi
    { exec >/dev/null 3<&- 5>&- 6>&- 7>&- 8>&-; _lease; } & _l=$!
    _started "$_l" && _ls=$_q
}
