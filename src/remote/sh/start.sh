# A part of the inner process's script, behind its environment and setup lines and before the exec of the program (see
# src/remote/start.rs). $0 is the stem of the fifos, "$@" the application's argv. _sshpm_step names the current step
# for the EXIT trap, which notes the step that has failed.

# Somebody may have removed the fifos while the setup ran. bash would go on without them: then nobody would
# learn that the program runs, and the timeout of its start would end it.
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
# If the step fails behind this line, the kernel has refused the program. The trap finds out whether its
# arguments are too large.
_sshpm_step="exec 4"
echo x >"$0.a"
exec 9>"$0.x"
echo x >&9
# With this option, bash goes on behind a failed exec. dash, mksh and busybox run the trap.
[ -z "${BASH_VERSION:-}" ] || shopt -s execfail
