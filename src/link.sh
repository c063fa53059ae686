# The link between a session and the wrapper of an application that is kept, in POSIX sh: it passes the manager's commands on, and
# brings back what the wrapper reports and the application writes.  It ends with its session; the application does not.
#   _f the stem of the application's files   _O its log file, if it has one   _C what names this link, see _name_link
#   _oo, _eo how much of its output the manager has   _G seconds of grace
#
# Descriptors: 3 ssh's stdin, 4 reports, 7 ssh's stdout, 9 what the wrapper says, and what the manager says to the link ("m …").

# Passes on the commands; a process of its own, which is replaced when it is killed, because only it sees that ssh is gone.
_guard_relay() {
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
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
        bye | keep | mark | "rest "*) echo "m $_q" 1<>"$_f.l.$_C" ;;
        *) echo "$_q" 1<>"$_f.c" ;;
        esac
    done
    # A write would make a file of that name where the link is about to end, or where a later one has cleared away; then
    # this one waits for nothing.
    if [ -p "$_f.l.$_C" ]; then echo "m eof" 1<>"$_f.l.$_C"; else _w=15; fi
    # sshd can stop reading when its client is gone, and then the link's shell stands in a write for ever.
    _i=0
    while _is_open && [ "$_i" -lt "$_w" ]; do
        _i=$((_i + 1))
        sleep 0.2 || sleep 1
    done
    if _is_open; then
        kill -KILL "$$"
        sleep 0.1
    fi
    # Where that shell was killed, sshd waits for what else has its streams.
    _tell TERM "$_t1" "$_s1"
    _tell TERM "$_t2" "$_s2"
    _tell_lease PROF
    rm -f "$_f.l.$_C"
    exit 0
}

# Whether the link's shell lives.
_is_open() { _is "$$" "${_C#*.}" && ! _is_zombie; }

# A name that tells whether the link lives: its pid and start time.
_name_link() {
    _q=0
    _started "$$"
    _C=$$.$_q
}

# $1: how the application has ended, if it has; if not, the fifo is open, as 8 for writing too until the first word.
# $2: 1 for a link that is yet to be accepted: it ends nothing with it.
_link() {
    exec 2>/dev/null
    # Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read.
    TMOUT=0
    # A signal that is trapped ends dash's read.
    trap '' USR1 USR2
    _bye= _k=${2:-} _e=$1 _u=
    _t1= _t2= _s1= _s2= _c= _cs=
    if [ -z "$_O" ] && [ -z "$_e" ]; then
        tail -f -c "+$((_oo + 1))" "$_f.out" >&7 3<&- 4>&- 7>&- 8>&- 9<&- & _t1=$!
        _started "$_t1" && _s1=$_q
        tail -f -c "+$((_eo + 1))" "$_f.err" >&4 3<&- 4>&- 7>&- 8>&- 9<&- & _t2=$!
        _started "$_t2" && _s2=$_q
    fi
    # By exec: a redirection of a function has dash keep what it replaces, and a fifo that is held so never ends.
    { exec >/dev/null 7>&- 8>&- 9<&-; _guard_relay; } & _c=$!
    _started "$_c" && _cs=$_q
    exec 3<&-
    [ -z "$_e" ] || _tell_word
    while read -r _w _a <&9; do
        # It ends when the wrapper does.
        exec 8>&-
        case $_w in
        m) _obey $_a || break ;;
        exit)
            # What is left of the output is asked for: a tail may not have seen it yet.
            _stop_tails
            [ -n "$_O" ] || _say eof 4>&7
            _e=1
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
            if [ -n "$_k" ] && _word; then _tell_word
            elif [ -n "$_k" ] && _attended; then break
            else
                _clear_away
                _say gone
                break
            fi
            ;;
        refused)
            _say refused
            break
            ;;
        *) _say "$_w" "$_a" ;;
        esac
    done
    _stop_tails
    _stop "$_c" "$_cs" PROF
    rm -f "$_f.l.$_C"
    if [ -n "$_bye" ] && [ -n "$_e" ]; then
        _clear_away
        _say clean
    fi
}
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
    keep) echo keep 1<>"$_f.c" ;;
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
        echo end 1<>"$_f.c"
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
    _j=${_f%/*}/metadata_$_V.json
    if { IFS= read -r _q <"$_j"; }; then
        case $_q in *"\"instance\":\"$_I\""*) rm -f "$_j" ;; esac
    fi
    rm -f "$_f".*
}
