# Finds out whether the application is ready. _ready says what shows that:
#   notify  the application writes a line to the fifo STEM.n, behind its pid
#   log     a text stands in a line of the log file: a tail writes the file to STEM.n
#   port    something listens on a TCP port: the manager asks by "look"
#   seen    a text stands in the output: the manager sees it, and says "seen"
# A background job of the wrapper, the sign reader, reads STEM.n until the sign has come, and ends then. What ends it
# before is "end INSTANCE", which may stand behind a line without its newline. The nonce must not stand in a fifo that
# the application has open.
# needs: identity wait job protocol runtime
# may use: keep
# takes: _ready _ready_text _ready_port _log_file _instance _is_kept
#   _readiness: what a kept process's reader has reported of it; _ran_at: the uptime at its exec

# The shell can end before it has these jobs, and these names may come from the environment.
_sign_reader= _sign_reader_start= _sign_tail= _sign_tail_start=

# Makes ready what the start needs, and checks that the port is free.
# Needs _ready, _stem and _log_file. Sets _log_start: the size of the log file.
# Returns 0, or reports that the start has failed, and ends this shell.
_prepare_ready() {
    _log_start=
    case $_ready in
    port)
        [ -r /proc/net/tcp ] || _quit port-table
        ! _is_listened_on || _quit port-taken
        ;;
    notify) LC_ALL=C mkfifo "$_stem.n" || _quit runtime ;;
    log)
        # A device never ends.
        [ -f "$_log_file" ] || return 0
        # With some umasks and modes, this user may write it only.
        [ -r "$_log_file" ] || _quit log-file
        LC_ALL=C mkfifo "$_stem.n" && _log_start=$(LC_ALL=C exec wc -c <"$_log_file") || _quit runtime
        ;;
    esac
    return 0
}

# Checks that something listens on the port. 0A is the state of a socket that does.
# Needs _ready_port, in hexadecimal digits.
# Returns 0 if so.
_is_listened_on() {
    LC_ALL=C grep -qs ":$_ready_port [0-9A-F]*:[0-9A-F]* 0A " /proc/net/tcp /proc/net/tcp6
}

# Starts the sign reader, and the tail that it reads.
# Needs what _prepare_ready needs and sets. Sets _sign_reader, _sign_reader_start, _sign_tail and _sign_tail_start.
# Returns 0, or ends this shell if the host cannot make the processes.
_begin_ready() {
    [ -p "$_stem.n" ] || return 0
    if [ "$_ready" = log ]; then
        _former_job=$!
        # Until the sign reader opens the fifo, the shell of this job waits to open it, and holds nothing else.
        { trap '' HUP INT QUIT PIPE TERM USR1 USR2; LC_ALL=C exec tail -c "+$((_log_start + 1))" -f "$_log_file" 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- >"$_stem.n"; } &
        _check_job
        _sign_tail=$!
        ! _find_start "$_sign_tail" || _sign_tail_start=$_process_start
    fi
    _former_job=$!
    { exec </dev/null >/dev/null 3<&- 5>&- 6>&- 7>&- 8>&- 9>&-; _read_sign; } &
    _check_job
    _sign_reader=$!
    ! _find_start "$_sign_reader" || _sign_reader_start=$_process_start
}

# ---- the sign reader ----

# Reads STEM.n until the sign has come, or until another shell of the wrapper writes "end".
# Needs what _begin_ready needs. Sets _sign: ready, over, or closed if nobody has the fifo open any more.
# Returns never: it ends its shell.
_read_sign() {
    # Signals to the wrapper's group must not end it.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2 XFSZ
    # Sites that end idle logins set TMOUT.
    TMOUT=0
    _sign=closed _sign_writer= _sign_writer_start=
    {
        [ "$_ready" != notify ] || _read_writer
        while [ "$_sign" = closed ] && IFS= read -r _line; do _judge_line; done
    } <"$_stem.n"
    _signal_job KILL "$_sign_tail" "$_sign_tail_start"
    case $_ready.$_sign in
    log.over) ! _has_sign_in_log || _sign=ready ;;
    # An exit closes the fifo too, and is reported as an exit.
    notify.closed) ! _is_ending "$_sign_writer" "$_sign_writer_start" || _sign=over ;;
    esac
    case $_ready.$_sign in
    *.ready) _report_sign ready ;;
    notify.closed) _report_sign unready closed ;;
    esac
    exit 0
}

# Reads the pid of the process that is about to become the application.
# Sets _sign_writer, _sign_writer_start and _sign.
# Returns 0.
_read_writer() {
    read -r _sign_writer || return 0
    if [ "$_sign_writer" = "end $_instance" ]; then _sign=over
    elif _find_start "$_sign_writer"; then _sign_writer_start=$_process_start
    fi
    return 0
}

# Finds out whether _line is a sign.
# Needs _line, _ready, _ready_text and _instance. Sets _sign.
# Returns 0.
_judge_line() {
    case $_ready.$_line in
    *"end $_instance") _sign=over ;;
    notify.* | log.*"$_ready_text"*) _sign=ready ;;
    esac
}

# Looks for the text in the log file once more: the process has ended, and tail may not have brought its last lines.
# Needs _log_file, _log_start and _ready_text.
# Returns 0 if it is there.
_has_sign_in_log() {
    LC_ALL=C tail -c "+$((_log_start + 1))" "$_log_file" | LC_ALL=C grep -qF -e "$_ready_text"
}

# Checks that process $1, which was started at $2, has begun to end: its flags have PF_EXITING before its descriptors
# are closed. Without /proc nothing tells, and it counts as ending: then the manager's timeout decides.
# Sets _process_start and _process_stat.
# Returns 0 if it has.
_is_ending() {
    _is_running "$1" "$2" && [ -n "$_process_stat" ] || return 0
    set -- $_process_stat
    [ "$((${7:-0} & 4))" != 0 ]
}

# Reports $@ to the manager, or of a kept process to the reader of the commands.
# Needs _is_kept and _stem.
# Returns the result of the write.
_report_sign() {
    if [ -z "$_is_kept" ]; then _say "$@"
    else [ ! -p "$_stem.c" ] || echo "say $*" 1<>"$_stem.c"
    fi
}

# ---- the wrapper's other shells ----

# Tells the sign reader to end, if it lives.
# Needs _stem, _instance and what _begin_ready sets.
# Returns 0.
_end_sign_reader() {
    [ ! -p "$_stem.n" ] || ! _is_running "$_sign_reader" "$_sign_reader_start" || echo "end $_instance" 1<>"$_stem.n"
}

# Lets the sign reader report what it has read of an application that has ended, and waits for its end.
# Needs what _begin_ready sets.
# Returns 0.
_end_ready() {
    [ -n "$_sign_reader" ] || return 0
    # This shell holds the fifo open, because a fifo that nobody has open loses what was written. The sign reader cannot
    # get "end" if somebody has removed the fifo, or if this shell does not know the sign reader's start time.
    [ ! -p "$_stem.n" ] || [ -z "$_sign_reader_start" ] || {
        _end_sign_reader
        until wait "$_sign_reader" || ! _is_running "$_sign_reader" "$_sign_reader_start"; do :; done
    } 3<>"$_stem.n"
    # It ends its tail, unless somebody has killed it.
    _kill_sign_reader
}

# Kills what is left of the sign reader and its tail: nobody hears its report, or somebody has killed one of the two.
# Needs what _begin_ready sets.
# Returns 0.
_kill_sign_reader() {
    _signal_job KILL "$_sign_reader" "$_sign_reader_start"
    _signal_job KILL "$_sign_tail" "$_sign_tail_start"
    return 0
}

# ---- the reader of the commands ----

# Obeys a command of the manager: _command.
# Needs _ready and _is_alone.
# Returns 0.
_attend_to_ready() {
    case $_command in
    look) if [ -z "$_is_alone" ] && _is_listened_on; then _note_readiness ready; else _say silent; fi ;;
    seen) _note_readiness ready ;;
    late)
        _note_readiness unready timeout
        _end_sign_reader
        ;;
    esac
}

# Reports readiness $@. Of a kept process, it writes that down before: each link gets it, and only the first counts.
# Needs _is_kept, _stem and _ran_at. Sets _readiness and _uptime.
# Returns 0.
_note_readiness() {
    if [ -n "$_is_kept" ]; then
        [ -z "$_readiness" ] || return 0
        _read_uptime
        _readiness="$* ${_ran_at:-$_uptime} $_uptime"
        echo "$_readiness" >"$_stem.ready"
        set -- $_readiness
    fi
    _say "$@"
}

# Finds out for how long the host has run, which no clock that is set changes.
# Sets _uptime: seconds, or 0 where that is not known.
# Returns 0.
_read_uptime() {
    _uptime=0
    read -r _uptime _rest_of_line </proc/uptime || _uptime=0
}

# Reads what a killed reader of a kept process has written down.
# Needs _stem. Sets _readiness and _ran_at.
# Returns 0.
_recall_readiness() {
    _readiness= _ran_at=
    [ ! -s "$_stem.ready" ] || read -r _readiness <"$_stem.ready"
    [ ! -s "$_stem.ran" ] || read -r _ran_at <"$_stem.ran"
    return 0
}

# Writes down when the program of a kept process was executed.
# Needs _stem. Sets _ran_at and _uptime.
# Returns 0.
_note_run() {
    _read_uptime
    _ran_at=$_uptime
    echo "$_ran_at" >"$_stem.ran"
}

# Tells a new link what is known.
# Needs _readiness, _ran_at and _stage. Sets _uptime.
# Returns 0.
_repeat_readiness() {
    if [ -n "$_readiness" ]; then _say $_readiness
    elif [ "$_stage" = running ]; then
        _read_uptime
        _say waiting "${_ran_at:-$_uptime}" "$_uptime"
    fi
}
