# What the wrapper of a kept process does differently.
# needs: identity files wait job reader protocol runtime attend run link
# may use: ready
# takes: _nonce _is_kept _manager _instance _grace _log_file
#
# The shell that sshd started is the link, which ends with its session. The wrapper is a background job of
# that shell. It holds nothing of ssh's, reads its commands from a fifo, STEM.c, and writes reports to the
# fifo of the link, STEM.l.LINK. A later session has a link of its own, see attach.sh.

# Starts the wrapper, and becomes the link.
# Needs the wrapper's variables. Sets _wrapper and _link_name.
# Returns 0 when the link has ended.
_start_kept() {
    _make_kept_files
    _former_job=$!
    _stay &
    _check_job
    _wrapper=$!
    exec 5>&- 6>&- 8<&0 9<"$_stem.l.$_link_name" </dev/null
    _link
}

# Makes the fifos of the wrapper and the link, and the files for the output if there is no log file.
# Needs _stem and _log_file. Sets _link_name.
# Returns 0, or reports that the start has failed, and ends this shell.
_make_kept_files() {
    _name_link
    mkfifo "$_stem.c" "$_stem.l.$_link_name" &&
        { [ -n "$_log_file" ] || { [ x ] >"$_stem.out" && [ x ] >"$_stem.err"; }; } || _quit runtime
    [ -n "$_log_file" ] || exec 5>>"$_stem.out" 6>>"$_stem.err"
    # The reader reads this first: so no report is lost.
    exec 9<>"$_stem.c"
    echo "attach $_link_name $_manager" >&9
    # The link may be slow: all may be over before it reads.
    exec <>"$_stem.l.$_link_name"
}

# Runs the wrapper, without anything of ssh's.
# Needs the wrapper's variables. Sets _wrapper.
# Returns 0.
_stay() {
    trap : HUP INT QUIT PIPE TERM USR1 USR2 XFSZ
    trap _fail_staying EXIT
    _find_self
    _wrapper=$_self
    # Descriptor 9 is open for reading and writing: so the fifo does not end while this shell lives, and no
    # writer blocks.
    exec 3<"$_stem.c" 4>&- 7>&- </dev/null >/dev/null
    _say() { echo "say $*" >&9; }
    _lease_ticks=
    _run
}

# Reports that the host could not make a process: for the attendant, which would report to the link, or for
# the application.
# Needs _attendant and _ready.
# Returns 0.
_fail_staying() {
    [ -z "$_ready" ] || _kill_sign_reader
    if [ -z "$_attendant" ]; then
        echo "fail no-process" 1<>"$_stem.l.$_link_name"
        return
    fi
    # The attendant lives as long as this shell.
    _answer_for_inner gone
    _say fail no-process
    _say "done"
    wait "$_attendant"
}

# Runs the inner process, $@, so that it does not ignore INT and QUIT: what a background job starts ignores
# them, and only another program can undo that.
# Sets nothing.
# Returns its exit code.
_undo_ignoring() {
    if env --default-signal=INT,QUIT true 2>/dev/null; then set -- env --default-signal=INT,QUIT "$@"
    elif command -v perl >/dev/null; then set -- perl -e '$SIG{INT} = $SIG{QUIT} = "DEFAULT"; exec @ARGV or exit 127' "$@"
    else _say warn signals
    fi
    _run_inner "$@"
}

# ---- the reader's side ----

# Prepares a reader to report to links. A reader that replaces a killed one has no link: the former link has
# seen the end of its fifo.
# Needs _stem. Sets _current_link, _link_owner: its manager, _warnings, _is_released, _stage (starting or
# running), _grace_keeper: the shell that ends a start that is taken back after its grace, and _had_run.
# Returns 0.
_reach_links() {
    _say() { _write_to_link "$@"; }
    exec 4>/dev/null
    _current_link= _link_owner= _warnings= _grace_keeper= _grace_keeper_start= _had_run=
    # Empty files say what a killed reader had heard: they can be made on a full disk.
    _is_released=
    [ ! -e "$_stem.kept" ] || _is_released=1
    _stage=starting
    [ ! -e "$_stem.ran" ] || _stage=running
    [ -z "$_ready" ] || _recall_readiness
}

# Writes $@ to the link.
# Sets nothing.
# Returns 1 if it could not be written.
_write_to_link() {
    echo "$*" >&4
}

# Checks that there is no link, or that it has ended.
# Needs _current_link.
# Returns 0 if there is none.
_has_no_link() {
    [ -z "$_current_link" ] || ! _link_lives "$_current_link"
}

# Obeys one line of a link or of another shell of the wrapper: _command and its words.
# Needs and sets the variables of _reach_links.
# Returns 0; ends this shell when all is done.
_attend_to_links() {
    case $_command in
    say) _hear_wrapper_shell ;;
    # The manager knows the pid: from here on, it can find the process again when the link is lost.
    keep) [ -n "$_is_released" ] || _release_kept ;;
    attach) _take_link "$_word1" "$_word2" ;;
    # The manager takes the start back, or the manager or the link was lost before the program ran.
    end) ! _is_process "$_application" "$_application_start" || _hang_up ;;
    esac
}

# Passes on what another shell of the wrapper reports.
# Needs the command's words. Sets _warnings, _stage and _had_run.
# Returns 0; ends this shell when all is done.
_hear_wrapper_shell() {
    case $_word1 in
    # Each link gets the pid when it is taken.
    pid) return ;;
    ready | unready)
        _note_readiness "$_word1" $_word2
        return
        ;;
    warn) _warnings="$_warnings $_word2" ;;
    running)
        _stage=running
        [ x ] >"$_stem.ran"
        [ -z "$_ready" ] || _note_run
        ;;
    exit) case $_words in 1*) _had_run=1 ;; esac ;;
    done)
        _signal_process PROF "$_grace_keeper" "$_grace_keeper_start"
        _end_hand_over
        # Where the host cannot make a process, this shell does not wait.
        trap _end_done EXIT
        # The wrapper removes the files of a start that has failed, but not before the link has read the
        # output, and the link may end without a report. A link whose relay was killed does not end.
        [ -n "$_had_run" ] || _wait_until 100 _has_no_link
        _end_done
        ;;
    esac
    _say "$_word1 $_word2 $_word3 $_words"
}

# Ends the reading of the commands. Notes n unless the program had run and a link lives.
# Needs _had_run and _current_link.
# Returns never: it ends this shell.
_end_done() {
    [ -n "$_had_run" ] && ! _has_no_link || echo n >&8
    exit 0
}

# Lets the inner process of a kept start go on.
# Needs _stem. Sets _is_released.
# Returns 0.
_release_kept() {
    _is_released=1
    [ x ] >"$_stem.kept"
    if [ -n "$_is_alone" ]; then _fail_release
    else
        trap _fail_release EXIT
        _release
        trap - EXIT
    fi
}

# Ends the start, because the host cannot make a process that hands over.
# Needs _group.
# Returns 0.
_fail_release() {
    kill -0 "$_group" && _say fail no-process
    kill -KILL "$_group"
}

# Takes link $1 of manager $2 in place of the current link, if that has ended or belongs to the same manager.
# Needs and sets the variables of _reach_links.
# Returns 0.
_take_link() {
    if [ "$2" != "$_link_owner" ] && ! _has_no_link; then
        [ ! -p "$_stem.l.$1" ] || echo refused 1<>"$_stem.l.$1"
    # The fifo stays open all the time: the link takes its end for the end of the wrapper.
    elif [ -p "$_stem.l.$1" ] && { _say stop; exec 4<>"$_stem.l.$1"; } 9<>"$_stem.l.$1"; then
        _current_link=$1 _link_owner=$2
        _say wrapper "$_wrapper"
        [ -z "$_application" ] || _say pid "$_application" "$_application_start" "$_boot_id" "$_directory_kind"
        for _warning in $_warnings; do _say warn "$_warning"; done
        _say attached "$_stage"
        [ -z "$_ready" ] || _repeat_readiness
    fi
}

# Sends HUP to the application of a start that is taken back, and starts its grace once.
# Needs _group and _grace. Sets _grace_keeper and _grace_keeper_start.
# Returns 0.
_hang_up() {
    _signal_application HUP "$_group"
    kill -CONT "$_group"
    if [ -n "$_is_alone" ]; then
        _end_grace
        return
    fi
    [ -z "$_grace_keeper_start" ] || return 0
    # Where the host cannot make a process to wait for, there is no grace.
    trap _end_grace EXIT
    (
        exec 3<&- 4>&- 8>&-
        _wait_out_grace _end_grace
    ) & _grace_keeper=$!
    trap - EXIT
    ! _find_start "$_grace_keeper" || _grace_keeper_start=$_process_start
}

# Ends an application whose grace is over.
# Needs who it is.
# Returns 0.
_end_grace() {
    if _is_process "$_application" "$_application_start"; then kill -KILL "$_group"; fi
}

# ---- the end ----

# Leaves what a manager is yet to read of an application that has ended: the word of the end, and the output.
# Needs _exit_report, _has_run, _attendant and _stem.
# Returns 0.
_leave_kept() {
    [ "$_has_run" = 0 ] || _write_word "$_exit_report"
    [ -z "$_ready" ] || _end_ready
    trap - EXIT
    _say $_exit_report
    _say "done"
    _await_attendant
    _answer_for_inner ""
    _turn_away
    echo "$_nonce" >&8
    while _read_note; do
        case $_note in n) [ "$_has_run" = 1 ] || { _remove; return; } ;; esac
    done
    rm -f "$_stem.x" "$_stem.a" ${_ready:+"$_stem.n"}
}

# Turns away links that came when nobody read the commands any more: they would wait for an answer for ever.
# Needs _stem.
# Returns 0.
_turn_away() {
    rm -f "$_stem.c"
    echo "$_nonce" >&9
    while read -r _command _word1 _words <&9; do
        case $_command in
        "$_nonce") break ;;
        attach) [ ! -p "$_stem.l.$_word1" ] || echo over 1<>"$_stem.l.$_word1" ;;
        esac
    done
}
