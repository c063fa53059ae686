# The lease of a connection, in POSIX sh: every _P seconds a tick is reported, and a ping, which the reader of the commands passes on
# as USR1, answers it.  After _L ticks without a ping the link is cut or the manager stands still: then sshd's process of
# this connection is ended, so that everything on it sees the end of its input.  An idle period costs one fork.

_lease() {
    trap '' HUP INT QUIT PIPE
    trap '_i=0' USR1
    # A sleep of which the shell does not know would outlive it.
    _w=
    trap '[ -z "$_w" ] || kill "$_w"; exit' TERM
    _i=0
    while [ "$_i" -lt "$_L" ]; do
        _i=$((_i + 1))
        sleep "$_P" 3<&- 4>&- &
        _w=$!
        # A ping ends the first wait.
        wait "$_w" || wait "$_w"
        _w=
        _say tick
    done
    # The shell's parent, but for login shells and forced commands in between.
    _p=$PPID
    _i=0
    while [ "$_i" -lt 8 ] && read -r _q </proc/"$_p"/comm; do
        case $_q in sshd*) break ;; esac
        _i=$((_i + 1))
        while read -r _q _z; do
            if [ "$_q" = PPid: ]; then _p=$_z; fi
        done </proc/"$_p"/status
    done
    case $_q in sshd*) ;; *) _p=$PPID ;; esac
    [ "$_p" -gt 1 ] || exit
    kill -TERM "$_p"
    sleep 2
    # One that was stopped.
    kill -KILL "$_p"
}
