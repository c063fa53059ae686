# Describes the host by lines of a key and a value. Before, it answers a line, so that the manager can measure
# the round trip.
# needs: short

# Writes the first directory that wrappers can use, and how much of it is free.
# Sets nothing that others use.
# Returns 0.
_show_runtime_directory() {
    for _directory in "${XDG_RUNTIME_DIR:-}" /tmp "${HOME:-}"; do
        [ -n "$_directory" ] && [ -d "$_directory" ] && [ -w "$_directory" ] || continue
        echo "runtime_directory $_directory"
        echo "free_kib $(df -Pk "$_directory" | while read -r _ _ _ _free_kib _; do echo "$_free_kib"; done | tail -n 1)"
        return
    done
}

# Writes whether logind ends what a user leaves running when the last login ends. It does so where
# KillUserProcesses is set, except for users who linger and for users whom its configuration excludes, by
# default root.
# Returns 0.
_show_logind() {
    _ends_processes=no _excluded_users='root ' _only_users=
    for _logind_file in /usr/lib/systemd/logind.conf.d/*.conf /etc/systemd/logind.conf /etc/systemd/logind.conf.d/*.conf \
        /run/systemd/logind.conf.d/*.conf; do
        [ -f "$_logind_file" ] || continue
        while IFS='= ' read -r _logind_key _logind_value; do
            case $_logind_key in
            KillUserProcesses) _ends_processes=$_logind_value ;;
            KillOnlyUsers) _only_users=$_logind_value ;;
            KillExcludeUsers) _excluded_users="$_logind_value " ;;
            esac
        done <"$_logind_file"
    done
    _user=$(id -un)
    case $_ends_processes in [Yy]* | [Tt]* | 1 | [Oo][Nn]) _ends_processes=yes ;; *) _ends_processes=no ;; esac
    case " $_excluded_users" in *" $_user "*) _ends_processes=no ;; esac
    [ -z "$_only_users" ] || case " $_only_users " in *" $_user "*) ;; *) _ends_processes=no ;; esac
    [ ! -e "/var/lib/systemd/linger/$_user" ] || _ends_processes=no
    echo "ends_user_processes $_ends_processes"
}

read -r _word <&3
# It goes to stdout, as all data do, so that the manager reads it before the end.
_say pong 4>&1
echo "user $(id -un)"
echo "login_shell ${SHELL:-}"
echo "sh $(readlink -f /bin/sh || echo /bin/sh)"
echo "kernel $(uname -sr)"
_show_runtime_directory
_show_logind
_say eof 4>&1
