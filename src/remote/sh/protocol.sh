# How the wrapper reports to the manager.
# needs: wait

# Gives the reports and the data open file descriptions of their own: the application may make the shared ones
# non-blocking.
# Sets _owns_reports: not empty if that was possible, or if nobody reads the reports any more. In both cases a
# second try could not help a report that cannot be written.
# Returns 0.
_open_reports() {
    _owns_reports=
    trap '_owns_reports=1' PIPE
    # A failed redirection of exec or ':' ends a POSIX shell; one of '[' does not. So '[ x ]' tries it first.
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

# Writes report $@ by one write(2) of at most PIPE_BUF bytes, so that no other output can split it. It uses
# echo: in mksh, printf is a program, and ps would show the nonce among its arguments.
# Needs _nonce.
# Returns 1 if it could not be written.
_write_report() {
    echo "$_nonce $*" >&4
}

# Writes $1, which is data, and a newline. It does not use echo, which changes backslashes, and in mksh not
# printf, which is a program there: ps would show the data among its arguments.
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
    # Where the host cannot make a process, no directory can be made either: that is the reason then.
    [ "$1" != runtime ] || (:) || set -- no-process
    trap - EXIT
    _say fail "$@"
    _say clean
    _leave 125
}

# Ends this shell with code $1, or with 0 if another launcher carries the session: srun would write a message
# about the code into the application's output.
# Needs _by_launcher.
# Returns never.
_leave() {
    [ -z "$_by_launcher" ] || exit 0
    exit "$1"
}
