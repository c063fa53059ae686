# The attendant: the wrapper's background job, which sees to the start and keeps a reader for the commands.
# The application is the foreground job, because POSIX makes background jobs ignore INT and QUIT, and a child
# cannot undo that in every shell.
# needs: identity files wait job reader protocol runtime
# may use: keep lease ready
#   _application, _application_start: the inner process, which becomes the application
#   _group: what kill takes for its process group, or its pid where it has no group

# Sees to the start, and then keeps a reader for the commands.
# Needs the wrapper's variables. Sets _application, _application_start and _group.
# Returns never: it ends its shell.
_attend() {
    # Signals to the wrapper's group must not end the lifeline. The main shell ends this one by PROF.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2 XFSZ
    # Sites that end idle logins set TMOUT, which bash and ksh93 take for the timeout of every read. The
    # application keeps its value.
    TMOUT=0
    # It fails if the inner process has ended before it wrote. The link of a kept process learns that from the
    # reader.
    read -r _application <"$_stem.x" || { [ -n "$_is_kept" ] || exit; _application=gone; }
    _deliverer= _deliverer_start= _has_good_bye= _is_signalled=
    # The main shell has written this: there is no inner process.
    if [ "$_application" = gone ]; then _application= _application_start= _group=
    else
        trap _break_off EXIT
        _introduce
    fi
    # The end of this fifo tells the reader that the wrapper's main shell is gone.
    exec 9>&-
    _attend_to _read_commands PROF
}

# Ends the start, because the host cannot make a process that introduces the inner one. Then this shell reads
# the commands itself.
# Needs _application. Sets _group.
# Returns never: it ends its shell.
_break_off() {
    trap - EXIT
    _group=-$_application
    if kill -0 "$_application"; then
        # The reason comes first: after the KILL, the main shell reports the exit.
        _say fail no-process
        kill -KILL "$_group" || kill -KILL "$_application"
    # The main shell ends this one, because the inner process has ended.
    elif [ -z "$_is_kept" ]; then exit
    fi
    exec 9>&-
    _is_cut= _lease= _lease_start= _read_function=_read_commands _end_signal=PROF
    _read_alone
}

# Writes down who the inner process is, and reports it.
# Needs _application. Sets _application_start and _group.
# Returns 0.
_introduce() {
    echo "p $_application" >&8
    _application_start=0
    ! _find_start "$_application" || _application_start=$_process_start
    if [ -z "$_metadata_file" ]; then _say warn runtime
    elif ! _write_metadata; then _say warn metadata
    fi
    _group=-$_application
    kill -0 "$_group" || { _group=$_application; _say warn group; }
    _say pid "$_application" "$_application_start" "$_boot_id" "$_directory_kind"
    # For a kept process the reader does it, when the manager says keep: the manager must have the pid before.
    [ -n "$_is_kept" ] || _release
}

# Writes the metadata file.
# Needs _metadata_file, _metadata_rest and who the process is.
# Returns 1 if it could not be written.
_write_metadata() {
    # mv would move the draft into a directory of this name, or into one that a symbolic link leads to.
    [ ! -L "$_metadata_file" ] || rm -f "$_metadata_file"
    [ ! -d "$_metadata_file" ] && [ x ] >"$_stem.tmp" || return
    _put "{\"pid\":$_application,\"start_time\":\"$_application_start\",\"boot_id\":\"$_boot_id\",\"user\":\"$_user\",\"wrapper\":$_wrapper,$_metadata_rest" >"$_stem.tmp" &&
        LC_ALL=C mv -f "$_stem.tmp" "$_metadata_file"
}

# ---- the hand-over ----

# Lets the inner process go on.
# Needs _may_be_slow, _is_kept and what _hand_over needs. Sets _deliverer and _deliverer_start.
# Returns 0, or ends the shell if the host cannot make a process for it.
_release() {
    if [ -z "$_may_be_slow$_is_kept" ]; then
        _hand_over
        return
    fi
    # Commands must not wait for the hand-over.
    _former_job=$!
    _hand_over &
    _check_job
    _deliverer=$!
    ! _find_start "$_deliverer" || _deliverer_start=$_process_start
    echo "o $_deliverer $_deliverer_start" >&8
}

# Gives the inner process its script. When its program is next, the inner process writes x, and holds the fifo open
# until its exec closes it. Any other line, or an end without x, means that it has ended before.
# Needs _stem, _inner_script and _group.
# Returns 0.
_hand_over() {
    # Without the fifo, the inner process would wait for ever. One that has opened the fifo ends by itself, or
    # by the signal that has cut this write short.
    { [ -p "$_stem.x" ] && { _put "$_inner_script" || :; } >"$_stem.x"; } || kill -KILL "$_group"
    { read -r _answer && [ "$_answer" = x ] && ! read -r _answer; } <"$_stem.x" || return 0
    if [ -z "$_is_kept" ]; then _say running; else echo "say running" 1<>"$_stem.c"; fi
}

# Ends the deliverer: it would wait for ever for a process that has died, or at a fifo that somebody has
# removed.
# Needs _deliverer and _deliverer_start.
# Returns 0 if it was there.
_end_hand_over() {
    _signal_process KILL "$_deliverer" "$_deliverer_start"
}

# ---- the commands ----

# Reads the commands from its stdin until that ends, and then ends what is left.
# Needs the wrapper's variables. Sets _has_good_bye.
# Returns never: it ends its shell.
_read_commands() {
    trap - PROF
    _mark_reader
    [ -z "$_is_kept" ] || _reach_links
    while read -r _command _word1 _word2 _word3 _words; do
        case $_command in
        kill) _obey_kill ;;
        ping) _tell_lease VTALRM ;;
        bye) _has_good_bye=1 ;;
        look | seen | late) [ -z "$_ready" ] || _attend_to_ready ;;
        *) [ -z "$_is_kept" ] || _attend_to_links ;;
        esac
    done

    _tell_lease PROF
    _end_hand_over
    # The input has ended: the manager knows the exit, or lets go of the process, or the manager or the link
    # is gone.
    if [ -n "$_has_good_bye" ]; then echo b >&8; else echo l >&8; fi
    if _is_process "$_application" "$_application_start"; then
        kill -HUP "$_group"
        kill -CONT "$_group"
        [ -n "$_is_alone" ] || _wait_out_grace _end_reading
    # The main shell clears up when it has reported.
    elif [ -n "$_has_good_bye" ] && kill -0 "$_wrapper"; then exit 0
    else _await_reports
    fi
    _end_reading
}

# Marks this process as the one that reads the commands, by the name of an empty file. A script that finds a
# wrapper checks that this process lives.
# Needs _stem, _metadata_file and _is_alone.
# Returns 0 if it is marked.
_mark_reader() {
    # Without a metadata file, no script finds this wrapper. Its fifos are in a directory where others can make links of
    # any name, so that nothing may be written there by a name that they can guess.
    [ -n "$_metadata_file" ] && [ -p "$_stem.a" ] || return
    [ -r /proc/self/stat ] && _find_self || return
    # The marker of a killed reader must not stand alone: it would say that nobody reads.
    [ x ] >"$_stem.r.$_self.$_process_start" || [ -n "$_is_alone" ] || rm -f "$_stem".r.*
}

# Obeys kill ID SIGNAL SCOPE, with CONT behind it if a stopped process is to get CONT too.
# Needs the command's words, and who the process is.
# Returns 0.
_obey_kill() {
    case $_word3 in group) _target=$_group ;; *) _target=$_application ;; esac
    if _is_process "$_application" "$_application_start" && _signal_application "$_word2" "$_target"; then
        [ -z "$_words" ] || kill -"$_words" "$_target"
        _say ok "$_word1"
    else
        _say no "$_word1"
    fi
}

# Sends signal $1 to the application or its group, $2, and notes that beforehand if the signal can end a
# shell.
# Sets _is_signalled.
# Returns 0 if it was sent.
_signal_application() {
    kill -0 "$2" || return
    case $1 in
    0 | CONT | STOP | TSTP | TTIN | TTOU | CHLD | URG | WINCH)
        kill -"$1" "$2"
        return
        ;;
    esac
    # One note stands for all signals: nobody reads the notebook before the end, and it has room for a limited
    # number.
    [ -n "$_is_signalled" ] || echo signal >&8
    if kill -"$1" "$2"; then
        _is_signalled=1
        return
    fi
    [ -n "$_is_signalled" ] || echo unreached >&8
    return 1
}

# ---- the end of the commands ----

# Waits for the grace. PROF ends this shell before: the main shell sends it when the application has ended,
# and a trapped signal ends wait at once. Where the host cannot make a process to wait for, there is no grace:
# command $1 runs at once.
# Needs _grace. Sets _after_grace and the traps for PROF and EXIT.
# Returns 0 when the grace is over.
_wait_out_grace() {
    _former_job=$!
    trap 'trap - EXIT; _kill_new_job; exit 0' PROF
    _after_grace=$1
    trap '$_after_grace' EXIT
    exec sleep "$_grace" 4>&- 8>&- &
    wait "$!"
    _former_job=$!
}

# Ends what is left of the process, when the manager or the link is gone.
# Needs the wrapper's variables.
# Returns never: it ends its shell.
_end_reading() {
    trap 'exit 0' EXIT
    # Either the leader is the application, or nobody has its pid: then the group can only be what the
    # application has left.
    if _is_process "$_application" "$_application_start" || [ ! -d "/proc/$_application" ]; then kill -KILL "$_group"; fi
    # Only if the main shell is gone: a main shell that lives writes the word of the end first. Until then an
    # inquiry would take a process without a metadata file for one that has left no word.
    if _is_gone "$_wrapper"; then
        [ -z "$_ready" ] || _kill_sign_reader
        _leave_noted_word
        _remove
    fi
    exit 0
}

# Asks the main shell whether it has reported; its answer, PROF, ends this shell. A main shell that has not
# answered after 10 s is blocked in a write to a stream that sshd does not read any more. It would hold its
# connection for ever, so this kills it.
# Needs _wrapper.
# Returns 0 when the main shell has ended.
_await_reports() {
    trap 'exit 0' PROF EXIT
    _asked=0
    until _is_gone "$_wrapper"; do
        if [ "$_asked" -le 100 ]; then kill -VTALRM "$_wrapper"; else kill -KILL "$_wrapper"; fi
        _pause || exit 0
        _asked=$((_asked + _pause_tenths))
    done
}

# Writes the word of the end that the notebook has: the main shell was killed while it reported.
# Needs _nonce and _metadata_file.
# Returns 0.
_leave_noted_word() {
    echo "$_nonce" >&8
    while _read_note; do
        case $_note in exit) [ -z "$_metadata_file" ] || _write_word "exit $_note_words" ;; esac
    done
}

# Writes the word of the end, exit report $1, for the inquiry or the link that asks for it later.
# Needs _stem and _is_kept. Sets _noted_word.
# Returns 0.
_write_word() {
    _noted_word=$1
    # Where the host cannot make a process, the word has no time, and no mv puts it there in one step.
    trap '_put "$_noted_word" >"$_stem.end"; [ -z "$_ready" ] || _kill_sign_reader; [ -z "$_is_kept" ] || { _say $_noted_word; _say "done"; }' EXIT
    [ x ] >"$_stem.tmp" && _put "$1 $(date +%s)" >"$_stem.tmp" && mv -f "$_stem.tmp" "$_stem.end"
    trap - EXIT
}
