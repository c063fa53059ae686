# Background jobs of a shell that knows by $! whether it could make them, in POSIX sh: _former is what $! was before.

# Ends this shell if it could not fork the background job: $! then still names the former job; in yash it is 0.
_was_made() {
    case $! in "$_former" | 0) exit 125 ;; esac
}
# Kills the background job that was made since $! was _former: a signal can come before any other variable has its pid.  The job
# must be an exec: yash runs the command of some jobs in a process of its own, which would stay.
_kill_new_job() {
    case $! in "$_former" | 0) ;; *) kill -KILL "$!" ;; esac
}
