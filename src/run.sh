# Runs the application in the wrapper's main shell, and reports its end.
# needs: identity files wait job protocol runtime attend
# may use: keep tree
#   _attendant: the wrapper's background job, see attend.sh

# Runs the application, and reports its end.
# Needs the wrapper's variables. Sets _attendant and _exit_code.
# Returns 0.
_run() {
    # The first process of the new session writes its pid, waits for what it is to run, and becomes the
    # application.
    set -- "$_shell" ${_shell_option:+"$_shell_option"} -c 'echo "$$" >"$0.x"; trap "[ ! -p \"\$0.a\" ] || echo unread 1<>\"\$0.a\"" EXIT; eval "$(cat "$0.x" || echo exit 125)"' "$_stem"
    _has_no_setsid=
    if [ -x /usr/bin/setsid ]; then set -- /usr/bin/setsid "$@"
    elif command -v setsid >/dev/null; then set -- setsid "$@"
    elif command -v perl >/dev/null; then set -- perl -MPOSIX -e 'setsid; exec @ARGV or exit 127' "$@"
    else _has_no_setsid=1
    fi

    # By exec: a redirection of a function has dash keep what it replaces.
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

# Reads the notebook, up to a mark of our own.
# Needs _nonce and _exit_code. Sets _application, _has_run (0 or 1), _has_good_bye, _is_link_lost, _deliverer,
# _deliverer_start, _failure: why the start has failed, _has_failed: not empty if a step of it has, and
# _ending, which says how the shell told of the end: s by a signal, c by one and a core dump, - it was silent,
# u it always is (zsh, and bash with -c).
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

# Checks that a step, of which the notebook has $_note_words, has failed by itself. Behind a signal it may be
# the signal's doing: then the shell has ended with another code than its trap saw, or with 1, as zsh does.
# Needs what _read_notes sets, and _exit_code.
# Returns 0 if it has.
_failed_by_itself() {
    [ -z "$_signals$_has_good_bye$_is_link_lost" ] ||
        { [ "${_note_words##* }" = "$_exit_code" ] && [ "$_exit_code" -gt 1 ] && [ "$_exit_code" -le 128 ]; }
}

# Lets those go who wait for the inner process.
# Needs what _read_notes sets, and _attendant.
# Returns 0.
_let_go() {
    if [ -n "$_may_be_slow$_is_kept" ]; then
        _end_hand_over
        [ -n "$_application" ] || _answer_for_inner gone
    # Before its program, or the end of its start: then who attends is still on its way to the reader, and
    # would hand over to nobody.
    elif [ "$_has_run$_has_failed" = 0 ]; then kill -PROF "$_attendant"
    else _answer_for_inner gone
    fi
}

# Lets those go who wait at the inner process's fifo: who attends, which reads $1, or what it left when it was
# killed. Opened so, a fifo does not block, and it stays open: an end without a word is a success. A word only
# for who attends: who hands over may have filled the fifo.
# Needs _stem.
# Returns 0.
_answer_for_inner() {
    [ ! -p "$_stem.x" ] || {
        [ -z "$1" ] || echo "$1" >&9
        exec 3<&9
    } 9<>"$_stem.x"
}

# Reports the end, and sees to what is left.
# Needs what _read_notes sets, and the wrapper's variables. Sets _leaves_group (0 or 1), _exit_report and
# _failure.
# Returns 0.
_conclude() {
    _leaves_group=0
    trap '_say exit "$_exit_code" "$_ending" "$_has_run" "$_leaves_group"; if [ -n "$_is_kept" ]; then _say "done"; else kill -PROF "$_attendant"; fi' EXIT
    # Nobody reads reports behind a lost link, and a write to a full stream that sshd does not read any more
    # never returns.
    if [ -n "$_is_link_lost" ]; then _say() { :; }; fi
    _let_go
    _end_group
    # Then it was the shell that could not be executed.
    [ -n "$_application$_failure" ] || case $_exit_code in
    126 | 127) if [ -n "$_setup_shell" ]; then _failure=shell; else _failure="exec 0 $_exit_code"; fi ;;
    # bash's code for a process that cannot be made.
    254) _failure=no-process ;;
    esac
    [ -z "$_failure" ] || _say fail $_failure
    _exit_report="exit $_exit_code $_ending $_has_run $_leaves_group"
    if [ -n "$_is_kept" ]; then _leave_kept; else _report_exit; fi
}

# Ends what is left of the group, which has no supervisor any more. The group id cannot be another's while it
# has members.
# Needs _application and _kill_tree. Sets _leaves_group and _strays.
# Returns 0.
_end_group() {
    if [ -n "$_application" ] && kill -0 "-$_application"; then
        _leaves_group=1
        kill -KILL "-$_application"
    fi
    _strays=
    [ -z "$_kill_tree" ] || _end_escaped "$_application"
    for _stray in $_strays; do _say stray "$_stray"; done
}

# Reports the end to the manager, waits for its answer, and leaves word of the end if there may have been
# none.
# Needs _exit_report, _attendant and the wrapper's variables. Sets _is_link_lost and _is_heard.
# Returns 0.
_report_exit() {
    # A report can stand in its write until this shell is killed.
    echo "$_exit_report" >&8
    [ -n "$_log_file" ] || _say eof 4>&7
    _say $_exit_report
    trap - EXIT
    # The reader asks so whether that write has returned.
    trap 'kill -PROF "$_attendant"' VTALRM
    # The manager answers with good-bye, which ends the reader. A link that was cut in silence took the report
    # as well: then the reader's input ends without a word, when the lease has.
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
    # Nobody may have read that: the manager asks for this file when the link is back. A reader that was
    # killed has noted neither that the manager nor that the link is gone.
    [ "$_has_run$_is_heard" != 1 ] || _has_live_reader || _is_link_lost=1
    if [ -n "$_is_link_lost" ] && [ -n "$_metadata_file" ]; then _write_word "$_exit_report"; fi
    _answer_for_inner ""
    # The reader has removed them where it has seen the end of its input.
    if [ -n "$_metadata_file" ] && [ -z "$_has_good_bye$_is_link_lost" ] && [ ! -p "$_stem.a" ]; then _say warn files; fi
    _remove || _say warn files
    _say clean
}

# Waits for the end of who attends.
# Needs _attendant.
# Returns 0.
_await_attendant() {
    until wait "$_attendant"; do kill -0 "$_attendant" || break; done
}
