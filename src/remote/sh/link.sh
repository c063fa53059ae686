# The link between a session and the wrapper of a kept process. It passes on the manager's commands, the
# wrapper's reports and the application's output. It ends with its session; the application does not.
# needs: identity wait files job reader
# may use: attach protocol
# takes: _uuid _instance _manager _grace _log_file _stdout_position _stderr_position
#   _stem: the stem of the process's files, _wrapper: the wrapper's pid, _link_name: see _name_link
#
# Descriptors: 3 ssh's stdin, 4 reports, 7 ssh's stdout, 9 the lines of the wrapper, and the manager's commands
# to the link ("m …").

# Gives this link a name, by which others know whether it lives, and which manager has it.
# Needs _manager. Sets _link_name.
# Returns 0.
_name_link() {
    _process_start=0
    _find_start "$$"
    _link_name=$$.$_process_start.$_manager
}

# Runs the link until its session, the process or its manager ends it. $1: the exit report, if the process has
# ended; if not, the fifo of the link is open as 9, and for writing too as 8 until the wrapper's first line.
# $2: 1 for a link that the wrapper has not taken yet: its end takes back no start.
# Needs the parameters. Sets the link's variables.
# Returns 0 when the session is over.
_link() {
    exec 2>/dev/null
    # Sites that end idle logins set TMOUT, which bash and ksh93 take for the timeout of every read.
    TMOUT=0
    # A trapped signal would end dash's read.
    trap '' USR1 USR2
    _has_good_bye= _is_confirmed=${2:-} _exit_report=$1 _is_taken_back=
    _stdout_tail= _stdout_tail_start= _stderr_tail= _stderr_tail_start= _guard= _guard_start=
    # This shell ends here if the host cannot make a process: a start that is not complete is taken back.
    trap '_take_back; kill -KILL $_stdout_tail $_stderr_tail' EXIT
    [ -n "$_log_file$_exit_report" ] || _begin_tails
    # The job closes descriptors by exec: for a redirection of a function, dash would keep what it replaces,
    # and a fifo that is kept open never ends.
    _former_job=$!
    { exec >/dev/null 7>&- 8>&- 9<&-; _guard_relay; } &
    _check_job
    _guard=$!
    _find_start "$_guard" && _guard_start=$_process_start
    exec 3<&-
    [ -z "$_exit_report" ] || _report_word
    while read -r _word _words <&9; do
        # The wrapper has opened the fifo now, so the fifo ends when the wrapper does. Before that, a line of
        # the manager can come first, and the fifo would end because it had no writer. If the wrapper never
        # writes a line, the relay ends this shell.
        [ "$_word" = m ] || exec 8>&-
        _hear_wrapper || break
    done
    trap - EXIT
    _stop_tails
    _stop "$_guard" "$_guard_start" PROF
    rm -f "$_stem.l.$_link_name"
    if [ -n "$_has_good_bye" ] && [ -n "$_exit_report" ]; then
        _clear_away
        _say clean
    fi
}

# Starts tails that bring the output, from where the manager has it.
# Sets _stdout_tail, _stderr_tail and their starts.
# Returns 0, or ends the shell if the host cannot make processes for them.
_begin_tails() {
    _former_job=$!
    exec tail -f -c "+$((_stdout_position + 1))" "$_stem.out" >&7 3<&- 4>&- 7>&- 8>&- 9<&- &
    _check_job
    _stdout_tail=$!
    _find_start "$_stdout_tail" && _stdout_tail_start=$_process_start
    _former_job=$!
    exec tail -f -c "+$((_stderr_position + 1))" "$_stem.err" >&4 3<&- 4>&- 7>&- 8>&- 9<&- &
    _check_job
    _stderr_tail=$!
    _find_start "$_stderr_tail" && _stderr_tail_start=$_process_start
    return 0
}

# Obeys one line of the wrapper or, behind m, of the manager: _word and _words.
# Sets the link's variables.
# Returns 1 if the link is to end.
_hear_wrapper() {
    case $_word in
    m) _obey $_words || return ;;
    exit)
        _pass_exit || return
        ;;
    running | attached)
        case "$_word $_words" in *running*) _is_confirmed=1 ;; *) _is_confirmed= ;; esac
        _say "$_word" "$_words"
        ;;
    stop) return 1 ;;
    # The wrapper had ended before it took this link, or somebody has removed the fifo for its commands.
    over) [ -n "$_exit_report" ] || _find_other_end || return ;;
    refused)
        _say refused
        return 1
        ;;
    *) _say "$_word" "$_words" ;;
    esac
    return 0
}

# Reports that the process has ended, with $_words.
# Sets _exit_report.
# Returns 1 if the link is to end.
_pass_exit() {
    # The manager asks for the rest of the output, which a tail may not have seen yet.
    _stop_tails
    _claim
    if [ "$?" = 2 ]; then
        _say refused
        return 1
    fi
    [ -n "$_log_file" ] || _say eof 4>&7
    _exit_report=1
    # Nobody asks for the output of a start that was taken back. The fifo of a later link stays, which may be
    # on its way.
    if [ -n "$_is_taken_back" ] && ! _program_ran $_words; then
        _remove_metadata "${_stem%/*}/metadata_$_uuid.json"
        rm -f "$_stem.out" "$_stem.err"
    fi
    # The wrapper may end now, and the fifo must not end with it.
    exec 9<>"$_stem.l.$_link_name"
    _say exit "$_words"
    [ -z "$_has_good_bye$_is_taken_back" ]
}

# Checks that the program had run, by the words of its exit report.
# Sets nothing.
# Returns 0 if it had.
_program_ran() {
    [ "$3" = 1 ]
}

# Looks for the word of the end that the wrapper has left, or for another wrapper.
# Sets _exit_report.
# Returns 1 if the link is to end.
_find_other_end() {
    _stop_tails
    # Only a session that takes over a process can find a word or another wrapper.
    _claim_result=1
    if [ -n "$_is_confirmed" ]; then
        _wait_until 100 _is_claimed
        _claim
        _claim_result=$?
    fi
    case $_claim_result in
    0)
        _report_word
        return
        ;;
    2) _say refused ;;
    *)
        [ -n "$_is_confirmed" ] && _is_attended && return 1
        # The manager may start the uuid again when it hears this: see attach.sh.
        _wait_until 20 _is_gone "$_wrapper"
        _clear_away
        _say gone
        ;;
    esac
    return 1
}

# Reports the exit of the process, from the word of its end.
# Needs _exit_report.
# Returns 0.
_report_word() {
    exec 9<>"$_stem.l.$_link_name"
    _say attached running
    # It may have been ready before its end, while there was no link.
    [ ! -s "$_stem.ready" ] || { read -r _word _words <"$_stem.ready" && _say "$_word" "$_words"; }
    [ -n "$_log_file" ] || _say eof 4>&7
    _say $_exit_report
    return 0
}

# Obeys command $@ of the manager to the link.
# Sets _has_good_bye and _is_taken_back.
# Returns 1 if the link is to end.
_obey() {
    case $1 in
    keep) _send_command keep ;;
    mark) _say pong ;;
    bye)
        _has_good_bye=1
        [ -z "$_exit_report" ] || return
        ;;
    rest)
        tail -c "+$(($2 + 1))" "$_stem.out" >&7
        _say rest 1 4>&7
        tail -c "+$(($3 + 1))" "$_stem.err" >&4
        _say rest 2
        ;;
    eof)
        [ -z "$_exit_report" ] && { [ -z "$_is_confirmed" ] || [ -n "$_has_good_bye" ]; } || return
        # The program has not run yet, or the manager takes the start back.
        _is_taken_back=1
        _send_command end
        ;;
    esac
    return 0
}

# ---- the relay ----

# Keeps a relay for the commands, in a process of its own, and replaces it when somebody kills it: only the
# relay sees that ssh is gone.
# Needs the link's variables.
# Returns never: it ends its shell.
_guard_relay() {
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    # If the host cannot make a process for the lease, the link ends.
    trap '_take_back; kill -KILL "$$" $_stdout_tail $_stderr_tail' EXIT
    _attend_to _relay PROF KILL
}

# Passes on the commands from stdin.
# Sets _is_confirmed.
# Returns never: it ends its shell.
_relay() {
    trap - PROF
    exec 4>&-
    _patience=30
    while IFS= read -r _line; do
        # This may take the start back: then the link waits for the application's grace.
        [ "$_line" != bye ] || _patience=$((_grace * 10 + 30))
        case $_line in
        ping) _tell_lease VTALRM ;;
        bye | keep | mark | "rest "*)
            [ "$_line" != keep ] || _is_confirmed=1
            # A fifo that is opened for reading and writing does not block, even without a reader.
            echo "m $_line" 1<>"$_stem.l.$_link_name"
            ;;
        *) _send_command "$_line" ;;
        esac
    done
    # A write would make a file of that name if the link is about to end, or if a later link has removed the
    # files. Then this shell waits for nothing.
    if [ -p "$_stem.l.$_link_name" ]; then echo "m eof" 1<>"$_stem.l.$_link_name"; else _patience=30; fi
    # sshd can stop reading when its client is gone: then a write would block the link's shell for ever.
    trap _end_link EXIT
    _wait_until "$_patience" _is_closed
    _end_link
}

# Ends what is left of the link.
# Needs the link's variables.
# Returns never: it ends its shell.
_end_link() {
    trap 'exit 0' EXIT
    _is_closed || kill -KILL "$$"
    # It may have been killed before it could take back a start that the manager had not confirmed.
    [ -n "$_is_confirmed" ] || _send_command end
    # If that shell was killed, sshd waits for the tails, which have its streams too.
    _signal_process TERM "$_stdout_tail" "$_stdout_tail_start"
    _signal_process TERM "$_stderr_tail" "$_stderr_tail_start"
    _tell_lease PROF
    rm -f "$_stem.l.$_link_name"
    exit 0
}

# Checks that the link's shell has ended.
# Needs _link_name.
# Returns 0 if it has.
_is_closed() {
    ! _link_lives "$_link_name"
}

# Takes back a start that the manager has not confirmed, because the host cannot make a process.
# Needs _is_confirmed.
# Returns 0.
_take_back() {
    [ -n "$_is_confirmed" ] || {
        _send_command end
        _say fail no-process
    }
}

# Sends the wrapper command $1, unless the wrapper has removed its fifo: a write would make a file of that
# name.
# Needs _stem.
# Returns 0.
_send_command() {
    [ ! -p "$_stem.c" ] || echo "$1" 1<>"$_stem.c"
}

# ---- the word of an end ----

# One link reads it: the one that has claimed it, by renaming the file to a name with its own. If several
# links rename a file, this succeeds for one only. A claim holds while its link lives, against all links but
# later ones of the same manager.

# Claims the word for this link.
# Needs _link_name and _manager. Sets _word_file and _exit_report.
# Returns 0 if it has it, 1 if there is none, 2 if another manager has claimed it.
_claim() {
    _has_word || return
    _holder=${_word_file#"$_stem.end"}
    _holder=${_holder#.}
    [ -z "$_holder" ] || [ "${_holder##*.}" = "$_manager" ] || ! _link_lives "$_holder" || return 2
    if [ "$_holder" = "$_link_name" ] || mv "$_word_file" "$_stem.end.$_link_name"; then
        _word_file=$_stem.end.$_link_name
    # Another link was faster. Or nothing can be renamed here: then no link can claim the word, and this one
    # reads it.
    elif [ ! -f "$_word_file" ]; then
        _claim
        return
    fi
    read -r _exit_report <"$_word_file"
}

# Checks that the word is claimed, or that no link of another manager lives that is to claim it. A link that has not
# claimed it after 10 s is blocked in a write to a stream that sshd does not read any more.
# Needs _stem and _manager.
# Returns 0 if so.
_is_claimed() {
    [ ! -f "$_stem.end" ] || ! _has_other_link
}

# Checks that a link of another manager lives.
# Needs _stem and _manager.
# Returns 0 if one does.
_has_other_link() {
    for _other_link in "$_stem".l.*; do
        _other_link=${_other_link#"$_stem.l."}
        [ "${_other_link##*.}" != "$_manager" ] && _link_lives "$_other_link" && return
    done
    return 1
}

# ---- what is left ----

# Ends the tails.
# Sets _stdout_tail, _stderr_tail and their starts: empty.
# Returns 0.
_stop_tails() {
    _stop "$_stdout_tail" "$_stdout_tail_start" KILL
    _stop "$_stderr_tail" "$_stderr_tail_start" KILL
    _stdout_tail= _stdout_tail_start= _stderr_tail= _stderr_tail_start=
}

# Ends child $1, which was started at $2, by signal $3, and waits for it. It does not wait for all children,
# because the wrapper is a child of the first link. A child that was forked a moment ago can lose a signal
# that this shell traps, such as TERM: then the wait would never end.
# Sets nothing.
# Returns the code of the child, or 1 if there was none.
_stop() {
    _signal_process "$3" "$1" "$2" && wait "$1"
}

# Removes the files of the process: the manager has all that was in them.
# Needs _stem, _uuid and _instance.
# Returns 0.
_clear_away() {
    _remove_metadata "${_stem%/*}/metadata_$_uuid.json"
    rm -f "$_stem".*
}
