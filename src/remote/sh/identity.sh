# The identity of a process: its pid, its start time and the boot in which it was started name one process for
# ever.

# Reads the stat of process $1, from behind the last ')': the name before that is free text.
# Sets _process_stat: the state, and all that follows it.
# Returns 1 if there is no such process.
_read_stat() {
    # For a redirection that fails, ksh93 searches the host for a translation of its message.
    [ -n "$1" ] && [ -e "/proc/$1/stat" ] || return
    # The name can contain newlines. The process can end between open and read: then bash, mksh and yash leave
    # the variable as it was.
    _process_stat=
    {
        while _stat_line= && IFS= read -r _stat_line || [ -n "$_stat_line" ]; do
            _process_stat="$_process_stat $_stat_line"
        done </proc/"$1"/stat
    } || return
    _process_stat=${_process_stat##*") "}
    [ -n "$_process_stat" ]
}

# Finds the start time of process $1: field 22 of its stat, or what ps says where there is no /proc.
# Sets _process_start; _process_stat too, which is empty without /proc.
# Returns 1 if there is no such process.
_find_start() {
    if [ -r /proc/self/stat ]; then
        _read_stat "$1" || return
        set -- $_process_stat
        _process_start=${20}
    else
        _process_stat=
        _process_start=$(LC_ALL=C ps -o lstart= -p "$1") || return
        set -- $_process_start
        _process_start=$1-$2-$3-$4-$5
    fi
    [ -n "$_process_start" ]
}

# Finds out which process this shell is: in a background job, $$ is the shell that made the job.
# Sets _self, _process_start and _process_stat.
# Returns 1 if nothing says when it was started.
_find_self() {
    if read -r _self _rest_of_stat </proc/self/stat; then
        _process_stat=${_rest_of_stat##*") "}
        set -- $_process_stat
        _process_start=${20}
    else
        _self=$(exec sh -c 'echo "$PPID"')
        _find_start "$_self"
    fi
}

# Checks that process $1 is the one that was started at $2.
# Sets _process_start and _process_stat.
# Returns 0 if it is.
_is_process() {
    _find_start "$1" && [ "$_process_start" = "$2" ]
}

# Sends signal $1 to process $2, if that is the one that was started at $3: otherwise another process can have
# its pid.
# Sets _process_start and _process_stat.
# Returns 0 if it was sent.
_signal_process() {
    _is_process "$2" "$3" && kill -"$1" "$2"
}

# Sends signal $1 to $2, a background job of the script that was started at $3. It may have ended and been reaped, and
# then another process can have its pid. $3 is empty where nothing says when a process was started, as without /proc:
# then the signal is sent in any case.
# Sets _process_start and _process_stat.
# Returns 0 if it was sent.
_signal_job() {
    [ -n "$2" ] || return
    if [ -n "$3" ] || [ -r /proc/self/stat ]; then _signal_process "$@"; else kill -"$1" "$2"; fi
}

# Checks that process $1 is the one that was started at $2, and runs. A process that has ended can stay a
# zombie for long.
# Sets _process_start and _process_stat.
# Returns 0 if it does.
_is_running() {
    _is_process "$1" "$2" && ! _is_zombie
}

# Checks that process $1 has ended, whether its parent has seen that or not.
# Sets _process_start and _process_stat.
# Returns 0 if it has.
_is_gone() {
    ! _find_start "$1" || _is_zombie
}

# Checks that the process of _process_stat has ended, and that its parent has not reaped it yet.
# Needs _process_stat.
# Returns 0 if it is a zombie.
_is_zombie() {
    case $_process_stat in Z* | X*) return 0 ;; esac
    return 1
}

# Finds the parent of process $1.
# Sets _parent.
# Returns 1 if there is no such process.
_find_parent() {
    _parent=
    # The process can end between open and read: then some shells leave the variables as they were.
    while read -r _status_key _status_value; do
        [ "$_status_key" != PPid: ] || {
            _parent=$_status_value
            break
        }
    done </proc/"$1"/status
    [ -n "$_parent" ]
}

_boot_id=-
{ read -r _boot_id </proc/sys/kernel/random/boot_id; }
