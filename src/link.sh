# The link between a session and the wrapper of an application that is kept, in POSIX sh: it passes the manager's commands on, and
# brings back what the wrapper reports and the application writes.  It ends with its session; the application does not.
#   _f the stem of the application's files   _O its log file, if it has one   _C what names this link, see _name_link
#   _oo, _eo how much of its output the manager has   _G seconds of grace
#
# Descriptors: 3 ssh's stdin, 4 reports, 7 ssh's stdout, 9 what the wrapper says, and what the manager says to the link ("m …").

# Passes on the commands; a process of its own, which is replaced when it is killed, because only it sees that ssh is gone.
_guard_relay() {
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    # Without a process for the lease, there is no link.
    trap '[ -n "$_k" ] || { _command end; _say fail no-process; }; kill -KILL "$$" $_t1 $_t2' EXIT
    _attend_to _relay PROF KILL
}
# Opened so, a fifo without a reader does not block.
_relay() {
    trap - PROF
    exec 4>&-
    _w=15
    while IFS= read -r _q; do
        # The start may be taken back: the link waits for the application's grace then.
        [ "$_q" != bye ] || _w=$((_G * 5 + 15))
        case $_q in
        ping) _tell_lease VTALRM ;;
        bye | keep | mark | "rest "*)
            [ "$_q" != keep ] || _k=1
            echo "m $_q" 1<>"$_f.l.$_C"
            ;;
        *) _command "$_q" ;;
        esac
    done
    # A write would make a file of that name where the link is about to end, or where a later one has cleared away; then
    # this one waits for nothing.
    if [ -p "$_f.l.$_C" ]; then echo "m eof" 1<>"$_f.l.$_C"; else _w=15; fi
    # sshd can stop reading when its client is gone, and then the link's shell stands in a write for ever.
    trap _end_link EXIT
    _i=0
    while _is_open && [ "$_i" -lt "$_w" ] && _pause; do _i=$((_i + 1)); done
    _end_link
}
# Ends what is left of the link.
_end_link() {
    trap 'exit 0' EXIT
    ! _is_open || kill -KILL "$$"
    # It was killed, perhaps before it could have a start taken back that the manager had not confirmed.
    [ -n "$_k" ] || _command end
    # Where that shell was killed, sshd waits for what else has its streams.
    _tell TERM "$_t1" "$_s1"
    _tell TERM "$_t2" "$_s2"
    _tell_lease PROF
    rm -f "$_f.l.$_C"
    exit 0
}

# Sends the wrapper a command, unless it has removed its fifo: a write would make a file of that name.
_command() {
    [ ! -p "$_f.c" ] || echo "$1" 1<>"$_f.c"
}

# Whether the link's shell lives.
_is_open() { _link_lives "$_C"; }

# A name that tells whether the link lives, and whose it is.
_name_link() {
    _q=0
    _started "$$"
    _C=$$.$_q.$_W
}

# The word of an end has one reader: the link that has claimed it, by giving its own name to the file.  Renaming a file
# by the name that it has succeeds for one only.  A claim holds while its link lives, against all but later links of the
# same manager.

# Claims it for this link.  Returns 0 when it has, and _e is the word; 1 when there is none; 2 when another manager has
# claimed it.
_claim() {
    _has_word || return
    _holder=${_word#"$_f.end"}
    _holder=${_holder#.}
    [ -z "$_holder" ] || [ "${_holder##*.}" = "$_W" ] || ! _link_lives "$_holder" || return 2
    if [ "$_holder" = "$_C" ] || mv "$_word" "$_f.end.$_C"; then _word=$_f.end.$_C
    # Another was faster, or nothing can be renamed here: then there is no claim, and this is as good as one.
    elif [ ! -f "$_word" ]; then
        _claim
        return
    fi
    read -r _e <"$_word"
}
# Waits until the link that the application had when it ended has claimed the word, or has ended, for 2 s at most.
_await_claim() {
    _i=0
    while [ -f "$_f.end" ] && _has_other_link && [ "$_i" -lt 10 ]; do
        _i=$((_i + 1))
        sleep 0.2 || sleep 1
    done
}
# Does a link of another manager live?
_has_other_link() {
    for _other in "$_f".l.*; do
        _other=${_other#"$_f.l."}
        [ "${_other##*.}" != "$_W" ] && _link_lives "$_other" && return
    done
    return 1
}

# $1: how the application has ended, if it has; if not, the fifo is open, as 8 for writing too until the wrapper's first
# word.
# $2: 1 for a link that is yet to be accepted: it ends nothing with it.
_link() {
    exec 2>/dev/null
    # Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read.
    TMOUT=0
    # A signal that is trapped ends dash's read.
    trap '' USR1 USR2
    _bye= _k=${2:-} _e=$1 _u=
    # It ends for want of a process, see reader.sh: a start that was not done is taken back.
    trap '[ -n "$_k" ] || { _command end; _say fail no-process; }; kill -KILL $_t1 $_t2' EXIT
    _t1= _t2= _s1= _s2= _c= _cs=
    if [ -z "$_O" ] && [ -z "$_e" ]; then
        _former=$!
        exec tail -f -c "+$((_oo + 1))" "$_f.out" >&7 3<&- 4>&- 7>&- 8>&- 9<&- &
        _was_made
        _t1=$!
        _started "$_t1" && _s1=$_q
        _former=$!
        exec tail -f -c "+$((_eo + 1))" "$_f.err" >&4 3<&- 4>&- 7>&- 8>&- 9<&- &
        _was_made
        _t2=$!
        _started "$_t2" && _s2=$_q
    fi
    # By exec: a redirection of a function has dash keep what it replaces, and a fifo that is held so never ends.
    _former=$!
    { exec >/dev/null 7>&- 8>&- 9<&-; _guard_relay; } &
    _was_made
    _c=$!
    _started "$_c" && _cs=$_q
    exec 3<&-
    [ -z "$_e" ] || _tell_word
    while read -r _w _a <&9; do
        # The wrapper has opened the fifo now, and the fifo ends when the wrapper does.  Not before: what the manager
        # says can come first, and the fifo would end for want of a writer.  For a wrapper that never says a word, the
        # relay ends this shell.
        [ "$_w" = m ] || exec 8>&-
        case $_w in
        m) _obey $_a || break ;;
        exit)
            # What is left of the output is asked for: a tail may not have seen it yet.
            _stop_tails
            _claim
            if [ "$?" = 2 ]; then
                _say refused
                break
            fi
            [ -n "$_O" ] || _say eof 4>&7
            _e=1
            # Nobody asks for what is left of a start that was taken back.  A later link may be on its way, and keeps
            # its fifo.
            if [ -n "$_u" ] && ! _has_run $_a; then
                _remove_metadata
                rm -f "$_f.out" "$_f.err"
            fi
            # The wrapper goes now.
            exec 9<>"$_f.l.$_C"
            _say exit "$_a"
            [ -z "$_bye$_u" ] || break
            ;;
        running | attached)
            case "$_w $_a" in *running*) _k=1 ;; *) _k= ;; esac
            _say "$_w" "$_a"
            ;;
        stop) break ;;
        # The wrapper had ended before it took this link; or somebody has removed the fifo by which it would have heard of it.
        over)
            [ -z "$_e" ] || continue
            _stop_tails
            # Only what attach.sh begins finds a word that was left, or another wrapper.
            _claimed=1
            if [ -n "$_k" ]; then
                _await_claim
                _claim
                _claimed=$?
            fi
            case $_claimed in
            0) _tell_word ;;
            2)
                _say refused
                break
                ;;
            *)
                [ -n "$_k" ] && _attended && break
                _clear_away
                _say gone
                break
                ;;
            esac
            ;;
        refused)
            _say refused
            break
            ;;
        *) _say "$_w" "$_a" ;;
        esac
    done
    trap - EXIT
    _stop_tails
    _stop "$_c" "$_cs" PROF
    rm -f "$_f.l.$_C"
    if [ -n "$_bye" ] && [ -n "$_e" ]; then
        _clear_away
        _say clean
    fi
}
# Whether the program had run, by the words of its exit report.
_has_run() { [ "$3" = 1 ]; }
# How it has ended, as its wrapper has written.
_tell_word() {
    exec 9<>"$_f.l.$_C"
    _say attached running
    [ -n "$_O" ] || _say eof 4>&7
    _say $_e
}
# What the manager says to the link.
_obey() {
    case $1 in
    keep) _command keep ;;
    mark) _say pong ;;
    bye)
        _bye=1
        [ -z "$_e" ]
        ;;
    rest)
        tail -c "+$(($2 + 1))" "$_f.out" >&7
        _say rest 1 4>&7
        tail -c "+$(($3 + 1))" "$_f.err" >&4
        _say rest 2
        ;;
    eof)
        [ -z "$_e" ] && { [ -z "$_k" ] || [ -n "$_bye" ]; } || return
        # The start was not done, or the manager takes it back.
        _u=1
        _command end
        ;;
    esac
}
_stop_tails() {
    _stop "$_t1" "$_s1" KILL
    _stop "$_t2" "$_s2" KILL
    _t1= _t2= _s1= _s2=
}
# Ends a child by signal $3.  Not all are waited for: the wrapper is a child of the first link.  A child that was forked a moment
# ago loses what this shell traps, TERM too: and then the wait is for ever.
_stop() {
    _tell "$3" "$1" "$2" && wait "$1"
}
# The manager has all of it.
_clear_away() {
    _remove_metadata
    rm -f "$_f".*
}
_remove_metadata() {
    _j=${_f%/*}/metadata_$_V.json
    if { IFS= read -r _q <"$_j"; }; then
        case $_q in *"\"instance\":\"$_I\""*) rm -f "$_j" ;; esac
    fi
}
