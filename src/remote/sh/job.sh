# Background jobs of a shell. It knows by $! whether the host could make the process.

# Ends this shell if no process could be made for the background job: $! names the former job then; in yash it
# is 0.
# Needs _former_job: what $! was before.
# Returns 0 if the job was made.
_check_job() {
    case $! in "$_former_job" | 0) exit 125 ;; esac
}

# Kills the background job that was made since $! was _former_job: a trap can run before any other variable
# has its pid. The job must be an exec: yash runs the commands of some jobs in a process of their own, which
# would stay.
# Needs _former_job.
# Returns 0 if there was one.
_kill_new_job() {
    case $! in "$_former_job" | 0) ;; *) kill -KILL "$!" ;; esac
}
