# How the wrapper speaks to the manager.
# needs: wait

# Gives the reports and the data open file descriptions of their own: the application may make the shared ones
# non-blocking.
# Sets _owns_reports: not empty if that was possible, or once nobody reads the reports any more: then no
# second try could help.
# Returns 0.
_open_reports() {
    _owns_reports=
    trap '_owns_reports=1' PIPE
    # A redirection that fails ends a POSIX shell when it stands at exec or ':', but not at '[': so '[ x ]'
    # tries first.
    if [ x ] 9>>/dev/fd/4 && [ x ] 9>>/dev/fd/7; then
        _owns_reports=1
        exec 4>>/dev/fd/4 7>>/dev/fd/7
    fi
}

# Reports $@.
# Needs _nonce and _owns_reports.
# Returns 1 if it could not be written.
_say() {
    _write_report "$@" && return
    [ -z "$_owns_reports" ] && _wait_until 100 _write_report "$@"
}

# Writes report $@ by one write(2), of at most PIPE_BUF bytes, so that nothing comes in between. By echo: mksh
# has no printf of its own, and the program would show the nonce in ps.
# Needs _nonce.
# Returns 1 if it could not be written.
_write_report() {
    echo "$_nonce $*" >&4
}

# Writes $1 and a newline: data, in which echo would change backslashes. mksh's printf is a program, whose
# arguments stand in ps.
# Sets nothing.
# Returns 1 if it could not be written.
_put() {
    case ${KSH_VERSION:-} in
    *MIRBSD* | *LEGACY*) print -r -- "$1" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

# Reports that the start has failed, and why: $@.
# Sets nothing.
# Returns never: it ends this shell.
_die() {
    # A shell that goes on without a process finds no directory either.
    [ "$1" != runtime ] || (:) || set -- no-process
    trap - EXIT
    _say fail "$@"
    _say clean
    _leave 125
}

# Ends this shell with code $1, which only ssh is to see: srun would write it among what the application says.
# Needs _by_launcher.
# Returns never.
_leave() {
    [ -z "$_by_launcher" ] || exit 0
    exit "$1"
}
