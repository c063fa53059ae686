# The directories that wrappers use, as positional parameters, in POSIX sh: see wrapper.sh and keep.sh.  None that is another
# user's or a symbolic link.
_y=
{ read -r _y </proc/sys/kernel/hostname; } || _y=$(uname -n)
_x=${XDG_STATE_HOME:-}
case $_x in /*) ;; *) _x=${HOME:-/nowhere}/.local/state ;; esac
set --
# A login has XDG_RUNTIME_DIR, and cron, sudo or another launcher may not have it.
for _d in "${XDG_RUNTIME_DIR:-/nowhere}/drunc" /run/user/*/drunc /tmp/drunc "/tmp/drunc-${UID:-$(id -u)}" "${HOME:-/nowhere}/.local/state/sshpm" "$_x/sshpm/$_y"; do
    case " $* " in *" $_d "*) continue ;; esac
    [ -L "$_d" ] || { [ -e "$_d" ] && [ ! -O "$_d" ]; } || set -- "$@" "$_d"
done
