# What the wrapper of an application that is kept does otherwise, in POSIX sh; before wrapper.sh, behind link.sh:
#   _W what names the manager: it may put a new link in the place of its own
#
# The shell that sshd started is the link, which ends with its session.  The wrapper is a background job of it that holds
# nothing of ssh's, reads its commands from a fifo, FILE.c, and writes reports to the fifo of the link, FILE.l.LINK.  A later
# session has a link of its own, see attach.sh.

# Where logins that end remove nothing.  By host, because a home can be that of many.
_choose() {
    _q=
    { read -r _q </proc/sys/kernel/hostname; } || _q=$(uname -n)
    _y=${XDG_STATE_HOME:-}
    case $_y in /*) ;; *) _y=${_h:+$_h/.local/state} ;; esac
    if [ -n "$_y" ] && mkdir -p -m 700 "$_y/sshpm" && _try "$_y/sshpm/$_q"; then _d=5
    elif _try /tmp/drunc; then _d=2
    elif _try "/tmp/drunc-${UID:-$(id -u)}"; then _d=3
    else return 1
    fi
}

# Makes what the link and the wrapper speak by, and the files that the output goes to when it has no log file.
_prepare() {
    _name_link
    mkfifo "$_f.c" "$_f.l.$_C" && { [ -n "$_O" ] || { [ x ] >"$_f.out" && [ x ] >"$_f.err"; }; } || {
        rm -f "$_f".*
        _die runtime
    }
    [ -n "$_O" ] || exec 5>>"$_f.out" 6>>"$_f.err"
    # The first that the reader reads: no report is lost.
    exec 9<>"$_f.c"
    echo "attach $_C $_W" >&9
    # The link may be slow, and all be over before it reads.
    exec <>"$_f.l.$_C"
}

# The wrapper, without anything of ssh's.
_stay() {
    trap : HUP INT QUIT PIPE TERM USR1 USR2 XFSZ
    trap _fail_staying EXIT
    read -r _m _q </proc/self/stat || _m=$(exec sh -c 'echo "$PPID"')
    # With 9, which is open for reading and writing, the fifo never ends while this shell lives, and no writer of it blocks.
    exec 3<"$_f.c" 4>&- 7>&- </dev/null >/dev/null
    _say() { echo "say $*" >&9; }
    _L=
    _run
}

# There is no process for who attends, which tells the link, or for the application.
_fail_staying() {
    if [ -z "$_r" ]; then
        echo "fail no-process" 1<>"$_f.l.$_C"
        return
    fi
    # It is there for as long as this shell is.
    _answer_for_it gone
    _say fail no-process
    _say "done"
    wait "$_r"
}

# INT and QUIT are ignored in what a background job starts, and only another program can undo that.
_undo_ignoring() {
    if env --default-signal=INT,QUIT true 2>/dev/null; then set -- env --default-signal=INT,QUIT "$@"
    elif command -v perl >/dev/null; then set -- perl -e '$SIG{INT} = $SIG{QUIT} = "DEFAULT"; exec @ARGV or exit 127' "$@"
    else _say warn signals
    fi
    _inner "$@"
}

# The reader's side.  One that takes the place of another knows no link: the old one has seen the end of its fifo.
_reach_links() {
    _say() { echo "$*" >&4; }
    exec 4>/dev/null
    _lk= _ow=
    _z3=
    # What a reader that was killed had heard stands in empty files: they can be made where a disk is full.
    _is_released=
    _z2=starting
    [ ! -e "$_f.kept" ] || _is_released=1
    [ ! -e "$_f.ran" ] || _z2=running
    # Who sees to the grace of a start that is taken back.
    _s1=
    _had_run=
}
_has_link() { [ -n "$_lk" ] && _link_lives "$_lk"; }
_attend_to_links() {
    case $_c in
    # What the wrapper's other shells report.
    say)
        case $_i in
        # Each link is told when it comes.
        pid) return ;;
        warn) _z3="$_z3 $_a" ;;
        running)
            _z2=running
            [ x ] >"$_f.ran"
            ;;
        exit) case $_k in 1*) _had_run=1 ;; esac ;;
        done)
            _tell PROF "$_t1" "$_s1"
            _end_handing_over
            # Without a process to wait with, it does not.
            trap _end_done EXIT
            # The wrapper removes what is left of a start that failed, but not before the link has read the output: the link's
            # end can come without a word.
            # A link whose relay was killed does not end.
            _i=0
            while [ -z "$_had_run" ] && [ "$_i" -lt 50 ] && _has_link && _pause; do _i=$((_i + 1)); done
            _end_done
            ;;
        esac
        _say "$_i $_a $_w $_k"
        ;;
    # The manager knows the pid: from here on, what is started is not lost with the link.
    keep)
        if [ -z "$_is_released" ]; then
            _is_released=1
            [ x ] >"$_f.kept"
            if [ -n "$_is_alone" ]; then _fail_release
            else
                trap _fail_release EXIT
                _release
                trap - EXIT
            fi
        fi
        ;;
    # attach LINK MANAGER
    attach)
        if [ "$_a" != "$_ow" ] && _has_link; then
            [ ! -p "$_f.l.$_i" ] || echo refused 1<>"$_f.l.$_i"
        # Open all the time: the link takes an end for the wrapper's.
        elif [ -p "$_f.l.$_i" ] && { _say stop; exec 4<>"$_f.l.$_i"; } 9<>"$_f.l.$_i"; then
            _lk=$_i _ow=$_a
            _say wrapper "$_m"
            [ -z "$_p" ] || _say pid "$_p" "$_s" "$_b" "$_d"
            for _q in $_z3; do _say warn "$_q"; done
            _say attached "$_z2"
        fi
        ;;
    # The manager takes the start back, or it or the link went before it was done.
    end)
        if _is "$_p" "$_s"; then
            _signal HUP "$_t"
            kill -CONT "$_t"
            if [ -n "$_is_alone" ]; then _end_grace
            elif [ -z "$_s1" ]; then
                # Without a process to wait for, there is no grace.
                trap _end_grace EXIT
                (
                    exec 3<&- 4>&- 8>&-
                    _wait_out_grace _end_grace
                ) & _t1=$!
                trap - EXIT
                _started "$_t1" && _s1=$_q
            fi
        fi
        ;;
    esac
}

# Whether a link has the end, or none is to be waited for.
_end_done() {
    { [ -n "$_had_run" ] && _has_link; } || echo n >&8
    exit 0
}
# There is no process to hand over with.
_fail_release() {
    kill -0 "$_t" && _say fail no-process
    kill -KILL "$_t"
}
_end_grace() {
    if _is "$_p" "$_s"; then kill -KILL "$_t"; fi
}

# The application has ended: word of it, and all it wrote, stay until a manager has it.
_leave_word() {
    [ "$_ran" = 0 ] || _write_word "$_end"
    trap - EXIT
    _say $_end
    _say "done"
    until wait "$_r"; do kill -0 "$_r" || break; done
    _answer_for_it ""
    _turn_away
    echo "$_N" >&8
    while read -r _w _a <&8; do
        case $_w in "$_N") break ;; n) [ "$_ran" = 1 ] || { _remove; return; } ;; esac
    done
    rm -f "$_f.x" "$_f.a"
}
# Links that came when nobody read the commands any more would wait for an answer.
_turn_away() {
    rm -f "$_f.c"
    echo "$_N" >&9
    while read -r _w _a _q <&9; do
        case $_w in
        "$_N") break ;;
        attach) [ ! -p "$_f.l.$_a" ] || echo over 1<>"$_f.l.$_a" ;;
        esac
    done
}
