# What the inner process runs behind its environment and setup lines (see wrapper.rs): $0 is the stem of the
# fifos, "$@" the application's argv, _sshpm_step what is under way, for the trap that tells the wrapper when
# a step ends the shell.

# Somebody may have removed them while the setup ran. Where bash goes on without, nobody would know that the
# program runs, and it would be ended for its start's timeout.
[ -p "$0.x" ] && [ -p "$0.a" ] || exit 125
unset _sshpm_step
_sshpm_step="exec 0"
case $1 in
*/*)
    [ -e "$1" ] || exit 127
    _sshpm_step="exec 1"
    [ -f "$1" ] || exit 126
    _sshpm_step="exec 2"
    [ -x "$1" ] || exit 126
    ;;
*) command -v "$1" >/dev/null || exit 127 ;;
esac
# Behind this, the kernel refuses the program; the trap finds out whether it is for the size.
_sshpm_step="exec 4"
echo x >"$0.a"
exec 9>"$0.x"
# bash goes on behind an exec that failed, dash, mksh and busybox run the trap.
[ -z "${BASH_VERSION:-}" ] || shopt -s execfail
# The group's redirection leaves the shell a copy of descriptor 9 that the exec closes: so the fifo ends when,
# and only when, the program has replaced the shell.
{ exec "$@"; } 9>&-
exit
