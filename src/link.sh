# The link between a session and the wrapper of a kept process: it passes the manager's commands on, and
# brings back what the wrapper reports and the application writes. It ends with its session; the application
# does not.
# needs: identity wait files job reader
# may use: attach protocol
# takes: _uuid _instance _manager _grace _log_file _stdout_position _stderr_position
#   _stem: the stem of the process's files, _link_name: see _name_link
#
# Descriptors: 3 ssh's stdin, 4 reports, 7 ssh's stdout, 9 what the wrapper says, and what the manager says to
# the link ("m …").

# Gives this link a name that tells whether it lives, and whose it is.
# Needs _manager. Sets _link_name.
# Returns 0.
_name_link() {
    _process_start=0
    _find_start "$$"
    _link_name=$$.$_process_start.$_manager
}

# Runs the link until its session, the process or its manager ends it. $1: the exit report, if the process has
# ended; if not, the fifo of the link is open, as 8 for writing too until the wrapper's first word. $2: 1 for
# a link that is yet to be accepted: it ends nothing with it.
# Needs the parameters. Sets the link's variables.
# Returns 0 when the session is over.
_link() {
    exec 2>/dev/null
    # Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read.
    TMOUT=0
    # A signal that is trapped ends dash's read.
    trap '' USR1 USR2
    _has_good_bye= _is_confirmed=${2:-} _exit_report=$1 _is_taken_back=
    _stdout_tail= _stdout_tail_start= _stderr_tail= _stderr_tail_start= _guard= _guard_start=
    # It ends for want of a process: a start that was not done is taken back.
    trap '_take_back; kill -KILL $_stdout_tail $_stderr_tail' EXIT
    [ -n "$_log_file$_exit_report" ] || _begin_tails
    # By exec: a redirection of a function has dash keep what it replaces, and a fifo that is held so never
    # ends.
    _former_job=$!
    { exec >/dev/null 7>&- 8>&- 9<&-; _guard_relay; } &
    _check_job
    _guard=$!
    _find_start "$_guard" && _guard_start=$_process_start
    exec 3<&-
    [ -z "$_exit_report" ] || _report_word
    while read -r _word _words <&9; do
        # The wrapper has opened the fifo now, and the fifo ends when the wrapper does. Not before: what the
        # manager says can come first, and the fifo would end for want of a writer. For a wrapper that never
        # says a word, the relay ends this shell.
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

# Has tails bring the output, from where the manager is.
# Sets _stdout_tail, _stderr_tail and their starts.
# Returns 0, or ends the shell if there is no process for them.
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

# Does what one line says, from the wrapper or, behind m, from the manager: _word and _words.
# Sets the link's variables.
# Returns 1 if the link is over.
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
    # The wrapper had ended before it took this link; or somebody has removed the fifo by which it would have
    # heard of it.
    over) [ -n "$_exit_report" ] || _find_other_end || return ;;
    refused)
        _say refused
        return 1
        ;;
    *) _say "$_word" "$_words" ;;
    esac
    return 0
}

# Passes on that the process has ended, $_words.
# Sets _exit_report.
# Returns 1 if the link is over.
_pass_exit() {
    # The manager asks for what is left of the output: a tail may not have seen it yet.
    _stop_tails
    _claim
    if [ "$?" = 2 ]; then
        _say refused
        return 1
    fi
    [ -n "$_log_file" ] || _say eof 4>&7
    _exit_report=1
    # Nobody asks for what is left of a start that was taken back. A later link may be on its way, and keeps
    # its fifo.
    if [ -n "$_is_taken_back" ] && ! _program_ran $_words; then
        _remove_metadata
        rm -f "$_stem.out" "$_stem.err"
    fi
    # The wrapper goes now.
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

# The wrapper is over: looks for the end that it left, or for another wrapper.
# Sets _exit_report.
# Returns 1 if the link is over.
_find_other_end() {
    _stop_tails
    # Only a session that takes a process over finds a word that was left, or another wrapper.
    _claim_result=1
    if [ -n "$_is_confirmed" ]; then
        _wait_until 20 _is_claimed
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
        _clear_away
        _say gone
        ;;
    esac
    return 1
}

# Reports how the process has ended, as its wrapper has written.
# Needs _exit_report.
# Returns 0.
_report_word() {
    exec 9<>"$_stem.l.$_link_name"
    _say attached running
    [ -n "$_log_file" ] || _say eof 4>&7
    _say $_exit_report
    return 0
}

# Does what the manager says to the link, $@.
# Sets _has_good_bye and _is_taken_back.
# Returns 1 if the link is over.
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
        # The start was not done, or the manager takes it back.
        _is_taken_back=1
        _send_command end
        ;;
    esac
    return 0
}

# ---- the relay ----

# Passes the commands on, in a process of its own, which is replaced when it is killed, because only it sees
# that ssh is gone.
# Needs the link's variables.
# Returns never: it ends its shell.
_guard_relay() {
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    # Without a process for the lease, there is no link.
    trap '_take_back; kill -KILL "$$" $_stdout_tail $_stderr_tail' EXIT
    _attend_to _relay PROF KILL
}

# Passes on what stdin says.
# Sets _is_confirmed.
# Returns never: it ends its shell.
_relay() {
    trap - PROF
    exec 4>&-
    _patience=30
    while IFS= read -r _line; do
        # The start may be taken back: the link waits for the application's grace then.
        [ "$_line" != bye ] || _patience=$((_grace * 10 + 30))
        case $_line in
        ping) _tell_lease VTALRM ;;
        bye | keep | mark | "rest "*)
            [ "$_line" != keep ] || _is_confirmed=1
            # Opened so, a fifo without a reader does not block.
            echo "m $_line" 1<>"$_stem.l.$_link_name"
            ;;
        *) _send_command "$_line" ;;
        esac
    done
    # A write would make a file of that name where the link is about to end, or where a later one has cleared
    # away; then this shell waits for nothing.
    if [ -p "$_stem.l.$_link_name" ]; then echo "m eof" 1<>"$_stem.l.$_link_name"; else _patience=30; fi
    # sshd can stop reading when its client is gone, and then the link's shell stands in a write for ever.
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
    # It was killed, perhaps before it could have a start taken back that the manager had not confirmed.
    [ -n "$_is_confirmed" ] || _send_command end
    # Where that shell was killed, sshd waits for what else has its streams.
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

# Takes back a start that the manager has not confirmed, for want of a process.
# Needs _is_confirmed.
# Returns 0.
_take_back() {
    [ -n "$_is_confirmed" ] || {
        _send_command end
        _say fail no-process
    }
}

# Sends the wrapper command $1, unless it has removed its fifo: a write would make a file of that name.
# Needs _stem.
# Returns 0.
_send_command() {
    [ ! -p "$_stem.c" ] || echo "$1" 1<>"$_stem.c"
}

# ---- the word of an end ----

# It has one reader: the link that has claimed it, by giving its own name to the file. Renaming a file by the
# name that it has succeeds for one only. A claim holds while its link lives, against all but later links of
# the same manager.

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
    # Another was faster, or nothing can be renamed here: then there is no claim, and this is as good as one.
    elif [ ! -f "$_word_file" ]; then
        _claim
        return
    fi
    read -r _exit_report <"$_word_file"
}

# Checks that the link which the process had when it ended has claimed the word, or has ended.
# Needs _stem and _manager.
# Returns 0 if it has.
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

# Ends child $1, which was started then, $2, by signal $3. Not all children are waited for: the wrapper is a
# child of the first link. A child that was forked a moment ago loses what this shell traps, TERM too: and
# then the wait is for ever.
# Sets nothing.
# Returns the code of the child, or 1 if there was none.
_stop() {
    _signal_process "$3" "$1" "$2" && wait "$1"
}

# Removes the files of the process: the manager has all that was in them.
# Needs _stem, _uuid and _instance.
# Returns 0.
_clear_away() {
    _remove_metadata
    rm -f "$_stem".*
}

# Removes the metadata file of the process, if it is still of this instance.
# Needs _stem, _uuid and _instance.
# Returns 0.
_remove_metadata() {
    ! _names_instance "${_stem%/*}/metadata_$_uuid.json" "$_instance" || rm -f "${_stem%/*}/metadata_$_uuid.json"
}
