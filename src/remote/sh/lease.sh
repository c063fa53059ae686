# The lease of a connection. It reports a tick in each period, and the manager answers with a ping, which the
# reader of the commands passes on as VTALRM. After _lease_ticks ticks without a ping, the link is cut or the
# manager stands still: then the lease ends sshd's process of this connection, so that every session on it
# sees the end of its input. An idle period costs one fork. With another launcher, it is not known which
# process carries the session, and the next sshd above may belong to somebody's login: then the shell that
# keeps the reader gives it the end of its input.
# needs: identity job
# may use: protocol
# takes: _lease_period _lease_ticks _by_launcher

# Begins the lease of a session that has a connection of its own. This shell keeps the reader.
# Sets _lease and _lease_start; for another launcher also _lease_owner and _lease_owner_start, this shell, and
# its trap for VTALRM.
# Returns 0.
_begin_lease() {
    _lease_owner= _lease_owner_start=
    if [ -n "$_by_launcher" ]; then
        _find_self && _lease_owner_start=$_process_start
        _lease_owner=$_self
        trap '_is_cut=1; [ -z "$_reader" ] || kill -KILL "$_reader"' VTALRM
    fi
    { exec >/dev/null 3<&- 5>&- 6>&- 7>&- 8>&-; _keep_lease; } & _lease=$!
    _find_start "$_lease" && _lease_start=$_process_start
    return 0
}

# Counts the ticks, and cuts the connection when too many had no ping. PROF ends it.
# Needs the parameters, _lease_owner and _lease_owner_start.
# Returns when PROF has not come: then the connection is cut.
_keep_lease() {
    # Slurm sends TERM to all processes of a job that it cancels, long before it ends them, and with sbatch
    # --signal any signal. So these shells use signals among themselves that nobody else sends.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    trap '_unanswered=0' VTALRM
    # A shell that cannot fork ends, or goes on as if it had: a host without a free process must not count as
    # a cut link.
    trap '_say unleased' EXIT
    # A sleep whose pid this shell does not know would outlive it.
    _former_job=$!
    trap '_kill_new_job; trap - EXIT; exit' PROF
    _unanswered=0
    while [ "$_unanswered" -lt "$_lease_ticks" ]; do
        # ksh93 has a sleep of its own, and an exec would cost a program. For the others, see _kill_new_job.
        case ${KSH_VERSION:-} in
        *AJM*) sleep "$_lease_period" 3<&- 4>&- & ;;
        *) LC_ALL=C exec sleep "$_lease_period" 3<&- 4>&- & ;;
        esac
        _check_job
        _unanswered=$((_unanswered + 1))
        # A ping ends the first wait.
        wait "$!" || wait "$!"
        _former_job=$!
        # The shell that the lease signals may have ended: then the lease ends too.
        [ -z "$_lease_owner_start" ] || _is_process "$_lease_owner" "$_lease_owner_start" || break
        _say tick
    done
    trap - EXIT
    _cut_connection
}

# Cuts the connection.
# Needs _by_launcher, _lease_owner and _lease_owner_start.
# Returns the result of the last signal.
_cut_connection() {
    if [ -n "$_by_launcher" ]; then
        _signal_process VTALRM "$_lease_owner" "$_lease_owner_start"
        exit
    fi
    _find_sshd && kill -TERM "$_sshd" || exit
    sleep 2
    # TERM does not end one that is stopped.
    _find_sshd && kill -KILL "$_sshd"
}

# Finds sshd's process of this connection: the shell's parent, or an ancestor of it behind login shells and
# forced commands. It finds none if the parent is gone: then sshd is gone, and another process can have its
# pid.
# Sets _sshd.
# Returns 1 if there is none.
_find_sshd() {
    _sshd=$PPID
    [ -r /proc/self/status ] || return 0
    _find_parent "$$" && [ "$_parent" = "$PPID" ] || return
    _generation=0
    while [ "$_generation" -lt 8 ] && [ "$_sshd" -gt 1 ] && read -r _program_name </proc/"$_sshd"/comm; do
        case $_program_name in sshd*) return 0 ;; esac
        _generation=$((_generation + 1))
        _find_parent "$_sshd" && _sshd=$_parent
    done
    return 1
}
