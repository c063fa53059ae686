# The directories in which wrappers keep their files. drunc is the name that the Python class gave to the
# directory of metadata files: other tools look there.

# Calls command $1 with all these directories, also with those of other logins of this user: cron, sudo or
# another launcher may not have their variables. None belongs to another user or is a symbolic link.
# Sets _home, _runtime_home and _state_home, each an absolute path or empty, _host_name and _user_id.
# Returns what the command returns.
_with_directories() {
    _directories_for=$1
    _find_homes
    _find_user_id
    set --
    for _directory in "${_runtime_home:-/nowhere}/drunc" /run/user/*/drunc /tmp/drunc "/tmp/drunc-$_user_id" \
        "${_home:-/nowhere}/.local/state/sshpm" "${_state_home:-/nowhere}/sshpm/$_host_name"; do
        case " $* " in *" $_directory "*) continue ;; esac
        [ -L "$_directory" ] || { [ -e "$_directory" ] && [ ! -O "$_directory" ]; } || set -- "$@" "$_directory"
    done
    "$_directories_for" "$@"
}

# Finds out where this login keeps files of its own. A relative path would name another directory after each
# cd.
# Sets _home, _runtime_home, _state_home and _host_name.
# Returns 0.
_find_homes() {
    _home= _runtime_home= _host_name=
    { read -r _host_name </proc/sys/kernel/hostname; } || _host_name=$(uname -n)
    case ${HOME:-} in /*) _home=$HOME ;; esac
    case ${XDG_RUNTIME_DIR:-} in /*) _runtime_home=$XDG_RUNTIME_DIR ;; esac
    case ${XDG_STATE_HOME:-} in
    /*) _state_home=$XDG_STATE_HOME ;;
    *) _state_home=${_home:+$_home/.local/state} ;;
    esac
}

# Finds out the effective user id. Where there is /proc, that costs no process.
# Sets _user_id.
# Returns 0.
_find_user_id() {
    _user_id=
    while read -r _status_key _status_value _user_id _rest_of_line; do
        [ "$_status_key" != Uid: ] || break
    done </proc/self/status
    [ "$_status_key" = Uid: ] || _user_id=
    case $_user_id in *[!0-9]* | '') _user_id=$(id -u) ;; esac
}
