# The directories in which wrappers keep their files, as the positional parameters: those of any login of this user,
# because cron, sudo or another launcher may not have its variables. None is another user's or a symbolic link.
# Sets _home, _runtime_home and _state_home, each an absolute path or empty, and _host_name.

_host_name=
{ read -r _host_name </proc/sys/kernel/hostname; } || _host_name=$(uname -n)
# A relative one would be another directory after each cd.
_home=
_runtime_home=
case ${HOME:-} in /*) _home=$HOME ;; esac
case ${XDG_RUNTIME_DIR:-} in /*) _runtime_home=$XDG_RUNTIME_DIR ;; esac
case ${XDG_STATE_HOME:-} in
/*) _state_home=$XDG_STATE_HOME ;;
*) _state_home=${_home:+$_home/.local/state} ;;
esac
set --
for _directory in "${_runtime_home:-/nowhere}/drunc" /run/user/*/drunc /tmp/drunc /tmp/drunc-* \
    "${_home:-/nowhere}/.local/state/sshpm" "${_state_home:-/nowhere}/sshpm/$_host_name"; do
    case " $* " in *" $_directory "*) continue ;; esac
    [ -L "$_directory" ] || { [ -e "$_directory" ] && [ ! -O "$_directory" ]; } || set -- "$@" "$_directory"
done
