# Runs the application in the wrapper's main shell, and reports its end.
# needs: identity files wait job protocol runtime attend
# may use: keep tree ready
#   _attendant: the wrapper's background job, see attend.sh

# Runs the application, and reports its end.
# Needs the wrapper's variables. Sets _attendant and _exit_code.
# Returns 0.
_run() {
    # The first process of the new session writes its pid, waits for its script, and becomes the application. A shell
    # that can read a file by $(<file) needs no program for that. It tries that first, because the variables may come
    # from the environment. script.rs says what the umask is for.
    set -- "$_shell" ${_shell_option:+"$_shell_option"} -c 'echo "$$" >"$0.x"; trap "[ ! -p \"\$0.a\" ] || echo unread 1<>\"\$0.a\"" EXIT; if [ -n "${BASH_VERSION:-}${KSH_VERSION:-}${ZSH_VERSION:-}" ] && [ -r /proc/sys/kernel/ostype ] && [ -n "$(</proc/sys/kernel/ostype)" ]; then eval "$(<"$0.x")"; else eval "$(umask 077; LC_ALL=C exec cat "$0.x")"; fi; exit 125' "$_stem"
    _has_no_setsid=
    if [ -x /usr/bin/setsid ]; then set -- /usr/bin/setsid "$@"
    elif command -v setsid >/dev/null; then set -- setsid "$@"
    elif command -v perl >/dev/null; then set -- perl -MPOSIX -e 'setsid; exec @ARGV or exit 127' "$@"
    else _has_no_setsid=1
    fi

    [ -z "$_ready" ] || _begin_ready
    # The job closes descriptors by exec: for a redirection of a function, dash would keep what it replaces.
    _former_job=$!
    { exec >/dev/null 5>&- 6>&- 7>&-; _attend; } &
    _check_job
    _attendant=$!
    exec 3<&- 2>&8
    if [ -n "$_is_kept" ]; then _undo_ignoring "$@"; else _run_inner "$@"; fi
    _exit_code=$?
    exec 2>/dev/null
    _read_notes
    _conclude
}

# Runs the inner process, $@, with the application's descriptors.
# Needs _umask and _has_no_setsid.
# Returns its exit code.
_run_inner() (
    exec 2>/dev/null
    exec >&5 2>&6 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    umask "$_umask"
    [ -n "$_has_no_setsid" ] || exec "$@"
    set -m
    "$@" &
    set +m
    wait "$!"
)

# Reads the notebook, up to a mark that it writes there.
# Needs _nonce and _exit_code. Sets _application, _has_run (0 or 1), _has_good_bye, _is_link_lost, _deliverer,
# _deliverer_start, _failure: why the start has failed, _has_failed: not empty if a step of it has, and
# _ending: what this shell said of the end: s a signal ended the process, c a signal did, with a core dump, -
# nothing, u it never says anything (zsh, and bash with -c).
# Returns 0.
_read_notes() {
    echo "$_nonce" >&8
    _application= _has_run=0 _has_good_bye= _is_link_lost= _deliverer= _deliverer_start=
    _ending=${BASH_VERSION:+u}${ZSH_VERSION:+u}
    _ending=${_ending:--}
    _failure= _has_failed= _signals=
    while _read_note; do
        case $_note in
        p) _application=$_note_words ;;
        o) _deliverer=${_note_words% *} _deliverer_start=${_note_words#* } ;;
        x) _has_run=1 ;;
        f)
            _has_run=0 _has_failed=1
            ! _failed_by_itself || _failure=$_note_words
            ;;
        unread) [ -n "$_signals$_has_good_bye$_is_link_lost" ] || _failure=no-process ;;
        signal) _signals=1$_signals ;;
        unreached) _signals=${_signals#1} ;;
        b) _has_good_bye=1 ;;
        l) _is_link_lost=1 ;;
        *) case "$_ending $_note $_note_words" in *"core dumped"*) _ending=c ;; "c "*) ;; *) _ending=s ;; esac ;;
        esac
    done
}

# Checks that a step has failed by itself; the notebook has $_note_words of it. Behind a signal, the signal
# may have ended the step: then the shell has ended with another code than its trap saw, or with 1, as zsh
# does.
# Needs what _read_notes sets, and _exit_code.
# Returns 0 if it has.
_failed_by_itself() {
    [ -z "$_signals$_has_good_bye$_is_link_lost" ] ||
        { [ "${_note_words##* }" = "$_exit_code" ] && [ "$_exit_code" -gt 1 ] && [ "$_exit_code" -le 128 ]; }
}

# Releases the shells that wait for the inner process.
# Needs what _read_notes sets, and _attendant.
# Returns 0.
_let_go() {
    if [ -n "$_may_be_slow$_is_kept" ]; then
        _end_hand_over
        [ -n "$_application" ] || _answer_for_inner gone
    # It has ended before its program ran or a step failed: the attendant may be about to hand over to it, and
    # would wait for ever.
    elif [ "$_has_run$_has_failed" = 0 ]; then kill -PROF "$_attendant"
    else _answer_for_inner gone
    fi
}

# Releases the shells that wait at the inner process's fifo: the attendant, which reads $1, or what a killed
# attendant has left. A fifo that is opened for reading and writing does not block. It stays open, because its
# end behind x would mean success. $1 is for the attendant only: the deliverer may have filled the fifo.
# Needs _stem.
# Returns 0.
_answer_for_inner() {
    [ ! -p "$_stem.x" ] || {
        [ -z "$1" ] || echo "$1" >&9
        exec 3<&9
    } 9<>"$_stem.x"
}

# Reports the end, and clears up.
# Needs what _read_notes sets, and the wrapper's variables. Sets _leaves_group (0 or 1), _exit_report and
# _failure.
# Returns 0.
_conclude() {
    _leaves_group=0
    trap '[ -z "$_ready" ] || _kill_sign_reader; _say exit "$_exit_code" "$_ending" "$_has_run" "$_leaves_group"; if [ -n "$_is_kept" ]; then _say "done"; else kill -PROF "$_attendant"; fi' EXIT
    # Behind a lost link nobody reads reports, and a write to a full stream that sshd does not read any more
    # would never return.
    if [ -n "$_is_link_lost" ]; then _say() { :; }; fi
    _let_go
    _end_group
    # Without an inner process, it was the shell that could not be executed.
    [ -n "$_application$_failure" ] || case $_exit_code in
    126 | 127) if [ -n "$_setup_shell" ]; then _failure=shell; else _failure="exec 0 $_exit_code"; fi ;;
    # bash ends with this code if it cannot make a process.
    254) _failure=no-process ;;
    esac
    [ -z "$_failure" ] || _say fail $_failure
    _exit_report="exit $_exit_code $_ending $_has_run $_leaves_group"
    if [ -n "$_is_kept" ]; then _leave_kept; else _report_exit; fi
}

# Kills what is left of the group, which has no supervisor any more. No other group can get this id while the
# group has members.
# Needs _application and _kill_tree. Sets _leaves_group and _strays.
# Returns 0.
_end_group() {
    # In the login's locale, ksh93 would search the host for a translation of the message that there is no group.
    if [ -n "$_application" ] && LC_ALL=C kill -0 "-$_application"; then
        _leaves_group=1
        kill -KILL "-$_application"
    fi
    _strays=
    [ -z "$_kill_tree" ] || _end_escaped "$_application"
    for _stray in $_strays; do _say stray "$_stray"; done
}

# Reports the exit to the manager, waits for its answer, and writes the word of the end if the manager may not
# have read the report.
# Needs _exit_report, _attendant, _is_link_lost and the wrapper's variables. Sets _is_link_lost and _is_heard.
# Returns 0.
_report_exit() {
    # The write of the report may block until this shell is killed, and so may that of the sign reader.
    echo "$_exit_report" >&8
    if [ -z "$_ready" ]; then :
    elif [ -n "$_is_link_lost" ]; then _kill_sign_reader
    else _end_ready
    fi
    [ -n "$_log_file" ] || _say eof 4>&7
    _say $_exit_report
    trap - EXIT
    # By this signal the reader asks whether that write has returned.
    trap 'kill -PROF "$_attendant"' VTALRM
    # The manager answers with bye, which ends the reader. A link that was cut in silence takes the report,
    # too: then the reader's input ends without bye, when the lease does.
    [ -z "$_has_good_bye$_is_link_lost" ] || kill -PROF "$_attendant"
    _await_attendant
    echo "$_nonce" >&8
    _is_heard=$_has_good_bye
    while _read_note; do
        case $_note in
        b) _is_heard=1 ;;
        l) _is_link_lost=1 ;;
        esac
    done
    # If the manager has not read the report, it asks for the word when the link is back. A killed reader has
    # noted neither bye nor that the link is gone.
    [ "$_has_run$_is_heard" != 1 ] || _has_live_reader || _is_link_lost=1
    if [ -n "$_is_link_lost" ] && [ -n "$_metadata_file" ]; then _write_word "$_exit_report"; fi
    _answer_for_inner ""
    # A reader that has seen the end of its input has removed the files itself.
    if [ -n "$_metadata_file" ] && [ -z "$_has_good_bye$_is_link_lost" ] && [ ! -p "$_stem.a" ]; then _say warn files; fi
    _remove || _say warn files
    _say clean
}

# Waits until the attendant has ended.
# Needs _attendant.
# Returns 0.
_await_attendant() {
    until wait "$_attendant"; do kill -0 "$_attendant" || break; done
}
