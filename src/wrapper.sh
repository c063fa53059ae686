# The remote parent of one application, in POSIX sh.  wrapper.rs sends it over ssh's stdin, behind the assignments of
# its parameters and identity.sh, and without the comments:
#   _N nonce   _V uuid   _I instance   _G grace in seconds   _umask umask   _O log file   _M its mode: fresh, append, truncate
#   _H setup shell   _B not empty: bash, where there is one   _S not empty: the start can take long   _P, _L see
#   lease.sh, which is before this when the process has a connection of its own   _R not empty: another launcher than ssh
#   _K rest of the metadata, '"key":…}'
#   _T not empty: what left its process group is ended with it, see tree.sh, which is before this then
#   _C not empty: the application is kept when the link or the manager is gone, see keep.sh, which
#   is before this then, with link.sh
#
# Descriptors: 3 commands (ssh's stdin) and 4 reports (ssh's stderr), as script.rs has it for every script, 5 and 6 the
# application's stdout and stderr, 7 ssh's stdout, 8 the notebook.
#
# The notebook is a fifo that this shell holds open for reading and writing, so that it never blocks and never ends:
# a pipe that needs no other process.  This shell's own messages go there too (2>&8), because "Killed" in it, or its
# absence, tells death by a signal from an exit code above 128.  Lines:
#   p PID        the inner process
#   o PID START  the shell that hands over to it
#   x            the program is next
#   f WHY        a step of the start has failed
#   unread       the inner process has ended before it had read what it is to run: it needs a process for that
#   signal       the application, or its group, is about to get a signal that ends a shell
#   unreached    it did not get that
#   b            the manager says good-bye: HUP follows
#   l            the link is gone: HUP follows
#   n            there was no link any more
#   exit …       the application's end, as it is about to be reported
#   else         what the shell says
# Their order decides what a failed step is: behind a signal it can be the signal's doing, and no failure of the start.
#
# A redirection that fails ends a POSIX shell when it stands at exec or ':', but not at '[': so '[ x ]' tries first.

# XFSZ comes of a write where files may not grow; the write fails then.
trap : HUP INT QUIT TERM USR1 USR2 VTALRM XFSZ
# Nobody reads the reports any more: no try could help.
trap '_own=1' PIPE

exec 5>&1 6>&4 7>&1

# Open file descriptions of our own: the application may make the shared ones non-blocking.
_own=
if [ x ] 9>>/dev/fd/4 && [ x ] 9>>/dev/fd/7; then
    _own=1
    exec 4>>/dev/fd/4 7>>/dev/fd/7
fi

# One report.  It is one write(2): at most PIPE_BUF bytes, so nothing gets between.  echo, because mksh has no
# printf of its own, and the program would show the nonce in ps.
_say() {
    echo "$_N $*" >&4 && return
    [ -z "$_own" ] || return
    _i=0
    while [ "$_i" -lt 100 ]; do
        _i=$((_i + 1))
        sleep 0.1 || sleep 1
        echo "$_N $*" >&4 && return
    done
    return 1
}
_die() {
    # A shell that goes on without a process finds no directory either.
    [ "$1" != runtime ] || (:) || set -- no-process
    trap - EXIT
    _say fail "$@"
    _say clean
    _leave 125
}
# Ends this shell with a code that only ssh is to tell: srun would write it among what the application says.
_leave() {
    [ -z "$_R" ] || exit 0
    exit "$1"
}
# This shell ends for want of a process, see reader.sh.
_r=
trap '_say fail no-process; [ -z "$_r" ] || kill -PROF "$_r"' EXIT
# Data: echo would change backslashes, and mksh's printf is a program, whose arguments stand in ps.
_put() {
    case ${KSH_VERSION:-} in
    *MIRBSD* | *LEGACY*) print -r -- "$1" ;;
    *) printf '%s\n' "$1" ;;
    esac
}

_m=$$
# Who the process is.  sshd has set LOGNAME, and that costs no fork; with others it can be that of their own user.
_user=
[ -n "$_R" ] || _user=${LOGNAME:-}
[ -n "$_user" ] || _user=$(id -un)
case $_user in *[!A-Za-z0-9._@+-]* | -* | '') _user=$(id -u) ;; esac
_say begin 1 "$$" "$_user"
# What start-up files wrote on stdout stands before this one.
_say begin 4>&7

# Nothing starts without the manager's go-ahead: this script may have waited behind a start-up file that hung, and its
# start may be over.  Behind it stands what the inner process runs, so many bytes: environment, setup lines, start.sh.
read -r _q _z <&3 && [ "$_q" = go ] || { trap - EXIT; _leave 125; }
_X=$(head -c "$_z" <&3 || dd bs=1 count="$_z" <&3)
# A link that broke cuts it, and then nobody hears this.
case $_X in *"
}") ;; *) _die no-process ;; esac

# The umask of the application and its log file.  The wrapper's own files are private.  The second line of status has it since
# Linux 4.7, and costs no process.
[ -n "$_umask" ] || { read -r _q && read -r _q _umask; } </proc/self/status
case $_umask in 0[0-7]*) ;; *) _umask=$(umask) ;; esac
umask 077

# The runtime directory: ours, private, no symbolic link, and a fifo can be made in it.
_try() {
    [ ! -L "$1" ] || return
    # On a shared connection, connection.sh has seen to the mode of those that are there.
    if [ ! -d "$1" ]; then mkdir -p -m 700 "$1" || return
    elif [ -n "$_L" ]; then [ -O "$1" ] && chmod 700 "$1" || return
    fi
    [ -O "$1" ] && [ ! -L "$1" ] || return
    _live "$1/metadata_$_V.json" && _die in-use
    # Removes what killed wrappers left of this uuid: the one in the metadata file, and those that wrote none.
    case $_k in *[!0-9a-f]* | '') ;; *) rm -f "$1/$_V.$_k".* ;; esac
    for _q in "$1/$_V".????????????????.*; do
        [ -e "$_q" ] || continue
        _k=${_q#"$1/$_V."}
        _remove_abandoned "$1/$_V.${_k%%.*}"
    done
    _f=$1/$_V.$_I
    # The draft of the metadata file comes first, and stays open until the notebook is: see _remove_abandoned.
    _make_fifos 9>"$_f.tmp" && _j=$1/metadata_$_V.json && return
    rm -f "$_f".*
    return 1
}
_make_fifos() { mkfifo "$_f.x" "$_f.a" && exec 8<>"$_f.a"; }
_j=
_f=
# A relative one would be another after each cd.
_e=${XDG_RUNTIME_DIR:-}
_h=${HOME:-}
case $_e in /*) ;; *) _e= ;; esac
case $_h in /*) ;; *) _h= ;; esac
# A uuid has one owner here, wherever its policy or its login had it put its files.
_q=
{ read -r _q </proc/sys/kernel/hostname; } || _q=$(uname -n)
_y=${XDG_STATE_HOME:-}
case $_y in /*) ;; *) _y=$_h/.local/state ;; esac
for _f in "$_e/drunc" /run/user/*/drunc /tmp/drunc /tmp/drunc-* "$_h/.local/state/sshpm" "$_y/sshpm/$_q"; do
    [ -O "$_f" ] && [ ! -L "$_f" ] && _live "$_f/metadata_$_V.json" && _die in-use
done
_f=
if [ -n "$_C" ]; then _choose || _die runtime
elif [ -n "$_e" ] && [ -d "$_e" ] && _try "$_e/drunc"; then _d=1
elif _try /tmp/drunc; then _d=2
elif _try "/tmp/drunc-${UID:-$(id -u)}"; then _d=3
elif [ -n "$_h" ] && _try "$_h/.local/state/sshpm"; then _d=4
else
    # No metadata then; the fifos can be anywhere, their name is not to be guessed.
    _d=0
    for _f in /dev/shm /var/tmp /tmp "$_h"; do
        _f=$_f/.sshpm.$_I
        _make_fifos && break
        rm -f "$_f".*
        _f=
    done
    [ -n "$_f" ] || _die runtime
fi
# Word of how processes ended that nobody will ask for: of this uuid, which is used again, and of managers that have been
# gone for a day.  That of an application that is kept has its metadata file beside it, and stays.
for _q in "${_j%/*}"/*.end "${_j%/*}"/*.end.*; do
    if [ -n "$_j" ] && [ -f "$_q" ]; then
        rm -f "${_j%/*}/$_V".????????????????.end "${_j%/*}/$_V".????????????????.end.*
        find "${_j%/*}" '(' -name '*.end' -o -name '*.end.*' ')' -type f -mtime +0 -exec sh -c 'for word; do
            stem=${word%.end*} stem=${stem%.*}
            [ -e "${stem%/*}/metadata_${stem##*/}.json" ] || rm -f "$word"
        done' - {} +
        break
    fi
done

# Removes what this instance made; the metadata file only while it is this instance's.
_remove() {
    # A mv whose shell was ended finds nothing any more, or has done its work.
    [ ! -f "$_f.tmp" ] || rm -f "$_f.tmp"
    [ -z "$_C" ] || _stop_links "$_f"
    if [ -n "$_j" ] && { IFS= read -r _q <"$_j"; }; then
        case $_q in *"\"instance\":\"$_I\""*) rm -f "$_f.x" "$_f.a" "$_j" "$_f".r.* ${_C:+"$_f".*}; return ;; esac
    fi
    [ ! -p "$_f.a" ] || rm -f "$_f.x" "$_f.a" "$_f".r.* ${_C:+"$_f".*}
}
_quit() { rm -f "$_f".*; _die "$@"; }

if [ -n "$_O" ]; then
    case $_O in */*) [ -d "${_O%/*}/" ] || _quit log-directory ;; esac
    # A fifo without a reader would hang this shell, and nobody reads commands yet.
    [ ! -d "$_O" ] && [ ! -p "$_O" ] || _quit log-file
    case $_M in
    fresh) [ ! -f "$_O" ] || mv -f "$_O" "$_O.1" || _quit log-file ;;
    truncate) [ ! -e "$_O" ] || [ x ] 5>"$_O" || _quit log-file ;;
    esac
    # Opens it once: with the umask 0777, only the open that creates the file succeeds.
    umask "$_umask"
    { exec 5>&9 6>&9 7>&- 1>&9; } 9>>"$_O" || _quit log-file
    umask 077
fi

# Watches over the start, and has the commands read.  It is the background job and the application the foreground one:
# POSIX makes background jobs ignore INT and QUIT, and a child cannot undo that in every shell.
_attend() {
    # Signals to the wrapper's group must not end the lifeline.  The main shell ends this one by PROF.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2 XFSZ
    # Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read. The application keeps it.
    TMOUT=0
    # One that ended before it wrote: the link is told of it by the reader.
    read -r _p <"$_f.x" || { [ -n "$_C" ] || exit; _p=gone; }
    _o= _os= _bye= _is_signalled=
    # The main shell's word: there is nobody.
    if [ "$_p" = gone ]; then _p= _t= _s=
    else
        trap _break_off EXIT
        _introduce
    fi
    # Its end tells the reader that the wrapper's main shell is gone.
    exec 9>&-
    _attend_to _reader PROF
}
# There is no process to introduce the inner one with: the start ends, and this shell reads itself.
_break_off() {
    trap - EXIT
    _t=-$_p
    if kill -0 "$_p"; then
        # First: the main shell reports the end.
        _say fail no-process
        kill -KILL "$_t" || kill -KILL "$_p"
    # The main shell has ended this one, because the inner process has ended.
    elif [ -z "$_C" ]; then exit
    fi
    exec 9>&-
    _cut= _l= _ls= _serves=_reader _served_until=PROF
    _serve_alone
}
# The inner process is there: who it is is written down, and reported.
_introduce() {
    echo "p $_p" >&8
    _s=0
    _started "$_p" && _s=$_q
    if [ -n "$_j" ]; then
        _q="{\"pid\":$_p,\"start_time\":\"$_s\",\"boot_id\":\"$_b\",\"user\":\"$_user\",\"wrapper\":$_m,$_K"
        # mv would move it into a directory, and into that of a link.
        [ ! -L "$_j" ] || rm -f "$_j"
        if [ ! -d "$_j" ] && [ x ] >"$_f.tmp" && _put "$_q" >"$_f.tmp"; then mv -f "$_f.tmp" "$_j"; else false; fi || _say warn metadata
    else
        _say warn runtime
    fi
    _t=-$_p
    kill -0 "$_t" || { _t=$_p; _say warn group; }
    _say pid "$_p" "$_s" "$_b" "$_d"
    # The reader does it for one that is kept, when the manager says so: it must have the pid before.
    [ -n "$_C" ] || _release
}
# Marks this process as the one that reads the commands, by the name of an empty file: who finds a wrapper looks whether it lives.
_mark_reader() {
    [ -p "$_f.a" ] && read -r _reader_pid _q </proc/self/stat && _started "$_reader_pid" || return
    # That of a reader that was killed must not stand alone.
    [ x ] >"$_f.r.$_reader_pid.$_q" || [ -n "$_is_alone" ] || rm -f "$_f".r.*
}
# Reads the commands.
_reader() {
    trap - PROF
    _mark_reader
    [ -z "$_C" ] || _reach_links
    while read -r _c _i _a _w _k; do
        case $_c in
        # kill ID SIGNAL SCOPE, and CONT, if one that was stopped is to get it too.
        kill)
            [ "$_w" = group ] && _w=$_t || _w=$_p
            if _is "$_p" "$_s" && _signal "$_a" "$_w"; then
                [ -z "$_k" ] || kill -"$_k" "$_w"
                _say ok "$_i"
            else
                _say no "$_i"
            fi
            ;;
        ping) _tell_lease VTALRM ;;
        bye) _bye=1 ;;
        *) [ -z "$_C" ] || _attend_to_links ;;
        esac
    done

    _tell_lease PROF
    _end_handing_over
    # End of input: the manager knows the end, or lets go, or it or the link is gone.
    if [ -n "$_bye" ]; then echo b >&8; else echo l >&8; fi
    if _is "$_p" "$_s"; then
        kill -HUP "$_t"
        kill -CONT "$_t"
        [ -n "$_is_alone" ] || _wait_out_grace _end_reading
    # The main shell sees to what is left, when it has reported.
    elif [ -n "$_bye" ] && kill -0 "$_m"; then exit 0
    else _await_reports
    fi
    _end_reading
}
# Waits for the grace.  PROF, from the main shell whose application has ended, ends this shell before: a trapped signal ends wait
# at once.  Without a process to wait for, there is no grace, and $1 is what comes next.
_wait_out_grace() {
    _former=$!
    trap 'trap - EXIT; _kill_new_job; exit 0' PROF
    _after_grace=$1
    trap '$_after_grace' EXIT
    exec sleep "$_G" 4>&- 8>&- &
    wait "$!"
    _former=$!
}
# What is left is ended, when the manager or the link is gone.
_end_reading() {
    trap 'exit 0' EXIT
    # The leader is ours, or nobody has its pid: then the group can only be what it left behind.
    if _is "$_p" "$_s" || [ ! -d "/proc/$_p" ]; then kill -KILL "$_t"; fi
    # Only for a main shell that is gone: one that lives writes its word of the end first, and who asks meanwhile takes a process
    # without a metadata file for one that has left none.
    if ! _started "$_m" || _is_zombie; then
        _leave_noted_word
        _remove
    fi
    exit 0
}
# Asks the main shell whether it has reported, and ends this shell with its answer, PROF.  After 10 s the main shell stands
# in a write to a stream that sshd does not read any more: it is killed, or it would hold its connection for ever.
_await_reports() {
    trap 'exit 0' PROF EXIT
    _tries=0
    while _started "$_m" && ! _is_zombie; do
        _tries=$((_tries + 1))
        if [ "$_tries" -le 50 ]; then kill -VTALRM "$_m"; else kill -KILL "$_m"; fi
        _pause || exit 0
    done
}
# The main shell was killed in its report of the end.
_leave_noted_word() {
    echo "$_N" >&8
    while read -r _note _words <&8; do
        case $_note in
        "$_N") break ;;
        exit) _write_word "exit $_words" ;;
        esac
    done
}
# Leaves word of the end, $1, for whoever asks for it when the link is back.
_write_word() {
    _noted=$1
    # Without a process there is no time in it, and nothing to replace it with in one step.
    trap '_put "$_noted" >"$_f.end"; [ -z "$_C" ] || { _say $_noted; _say "done"; }' EXIT
    [ x ] >"$_f.tmp" && _put "$1 $(date +%s)" >"$_f.tmp" && mv -f "$_f.tmp" "$_f.end"
    trap - EXIT
}
# Sends signal $1 to the application or its group, $2, and notes that beforehand if it is one that ends a shell.
_signal() {
    kill -0 "$2" || return
    case $1 in
    0 | CONT | STOP | TSTP | TTIN | TTOU | CHLD | URG | WINCH)
        kill -"$1" "$2"
        return
        ;;
    esac
    # One note is for all: the notebook, which nobody reads before the end, takes only so many.
    [ -n "$_is_signalled" ] || echo signal >&8
    if kill -"$1" "$2"; then
        _is_signalled=1
        return
    fi
    [ -n "$_is_signalled" ] || echo unreached >&8
    return 1
}
# The inner process goes on.
_release() {
    if [ -z "$_S$_C" ]; then
        _hand_over
        return
    fi
    # Commands do not wait for it.
    _former=$!
    _hand_over &
    _was_made
    _o=$!
    _started "$_o" && _os=$_q
    echo "o $_o $_os" >&8
}
# Gives the inner process what it is to run.  It holds the fifo open then until its exec, which closes it: no line is success.
_hand_over() {
    # Without, it would wait for ever.  One that has opened it ends by itself, and by its signal if that is why this is cut.
    { [ -p "$_f.x" ] && { _put "$_X" || :; } >"$_f.x"; } || kill -KILL "$_t"
    # One that cannot be opened any more tells nothing.
    _w=-
    { read -r _w || _w=; } <"$_f.x"
    [ -z "$_w" ] || return
    if [ -z "$_C" ]; then _say running; else echo "say running" 1<>"$_f.c"; fi
}
# Who hands over would wait for ever for a process that has died, or at a fifo that somebody has removed.
_end_handing_over() { _tell KILL "$_o" "$_os"; }

_h=/bin/sh
if [ -n "$_H" ]; then
    command -v "$_H" >/dev/null || _quit shell
    _h=$_H
elif [ -n "$_B" ] && command -v bash >/dev/null; then
    _h=bash
fi
# bash reads ~/.bashrc where SSH_CLIENT is set and SHLVL is below 2, zsh ~/.zshenv always: start-up files are for the lines to source.
case $_h in
bash | */bash) _w=--norc ;;
zsh | */zsh) _w=-f ;;
*) _w= ;;
esac

# Runs the application, and reports its end.
_run() {
    # The first process of the new session tells its pid, waits for what it is to run, and becomes the application.
    set -- "$_h" ${_w:+"$_w"} -c 'echo "$$" >"$0.x"; trap "[ ! -p \"\$0.a\" ] || echo unread 1<>\"\$0.a\"" EXIT; eval "$(cat "$0.x" || echo exit 125)"' "$_f"
    _g=
    if [ -x /usr/bin/setsid ]; then set -- /usr/bin/setsid "$@"
    elif command -v setsid >/dev/null; then set -- setsid "$@"
    elif command -v perl >/dev/null; then set -- perl -MPOSIX -e 'setsid; exec @ARGV or exit 127' "$@"
    else _g=1
    fi

    # By exec: a redirection of a function has dash keep what it replaces.
    _former=$!
    { exec >/dev/null 5>&- 6>&- 7>&-; _attend; } &
    _was_made
    _r=$!
    exec 3<&- 2>&8
    if [ -n "$_C" ]; then _undo_ignoring "$@"; else _inner "$@"; fi
    _x=$?
    exec 2>/dev/null
    _take_notes
    _conclude
}
_inner() (
    exec 2>/dev/null
    exec >&5 2>&6 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    umask "$_umask"
    [ -n "$_g" ] || exec "$@"
    set -m
    "$@" &
    set +m
    wait "$!"
)
# What the notebook holds, up to our own mark.
_take_notes() {
    echo "$_N" >&8
    _p= _ran=0 _bye= _lost= _o= _os=
    # s: the shell told of a signal, c: and of a core dump, -: it was silent, u: it is always (zsh, and bash with -c).
    _how=${BASH_VERSION:+u}${ZSH_VERSION:+u}
    _how=${_how:--}
    _fail= _failed= _signals=
    while read -r _w _a <&8; do
        case $_w in
        "$_N") break ;;
        p) _p=$_a ;;
        o) _o=${_a% *} _os=${_a#* } ;;
        x) _ran=1 ;;
        f)
            _ran=0 _failed=1
            ! _failed_by_itself || _fail=$_a
            ;;
        unread) [ -n "$_signals$_bye$_lost" ] || _fail=no-process ;;
        signal) _signals=1$_signals ;;
        unreached) _signals=${_signals#1} ;;
        b) _bye=1 ;;
        l) _lost=1 ;;
        *) case "$_how $_w $_a" in *"core dumped"*) _how=c ;; "c "*) ;; *) _how=s ;; esac ;;
        esac
    done
}
# Whether a step, of which the notebook has $_a, has failed by itself.  Behind a signal it may be the signal's doing: then
# the shell has ended with another code than its trap saw, or with 1, as zsh does.
_failed_by_itself() {
    [ -z "$_signals$_bye$_lost" ] || { [ "${_a##* }" = "$_x" ] && [ "$_x" -gt 1 ] && [ "$_x" -le 128 ]; }
}
# Nobody waits any more for the inner process.
_let_go() {
    if [ -n "$_S$_C" ]; then
        _end_handing_over
        [ -n "$_p" ] || _answer_for_it gone
    # Before its program, or the end of its start: then who attends is still on its way to the reader, and would hand over to nobody.
    elif [ "$_ran$_failed" = 0 ]; then kill -PROF "$_r"
    else _answer_for_it gone
    fi
}
# Whoever waits at the inner process's fifo goes: who attends, which reads $1, or what it left when it was killed.  Opened so, a
# fifo does not block, and it stays open: an end without a word is a success.  A word only for who attends: who hands over may
# have filled it.
_answer_for_it() {
    [ ! -p "$_f.x" ] || {
        [ -z "$1" ] || echo "$1" >&9
        exec 3<&9
    } 9<>"$_f.x"
}
_conclude() {
    _left=0
    trap '_say exit "$_x" "$_how" "$_ran" "$_left"; if [ -n "$_C" ]; then _say "done"; else kill -PROF "$_r"; fi' EXIT
    # Nobody reads reports behind a lost link, and a write to a full stream that sshd does not read any more never returns.
    if [ -n "$_lost" ]; then _say() { :; }; fi
    _let_go
    # What is left of the group has no supervisor any more.  The group id cannot be another's while it has members.
    if [ -n "$_p" ] && kill -0 "-$_p"; then
        _left=1
        kill -KILL "-$_p"
    fi
    _z=
    [ -z "$_T" ] || _end_escaped
    for _q in $_z; do _say stray "$_q"; done
    # Then it was the shell that could not be executed.
    [ -n "$_p$_fail" ] || case $_x in
    126 | 127) if [ -n "$_H" ]; then _fail=shell; else _fail="exec 0 $_x"; fi ;;
    # bash's code for a process that cannot be made.
    254) _fail=no-process ;;
    esac
    [ -z "$_fail" ] || _say fail $_fail
    _end="exit $_x $_how $_ran $_left"
    if [ -n "$_C" ]; then
        _leave_word
        return
    fi
    # A report can stand in its write until this shell is killed.
    echo "$_end" >&8
    [ -n "$_O" ] || _say eof 4>&7
    _say $_end
    trap - EXIT
    # The reader asks so whether that write has returned.
    trap 'kill -PROF "$_r"' VTALRM
    # The manager answers with good-bye, which ends the reader.  A link that was cut in silence took the report as well: then
    # the reader's input ends without a word, when the lease has.
    [ -z "$_bye$_lost" ] || kill -PROF "$_r"
    until wait "$_r"; do kill -0 "$_r" || break; done
    echo "$_N" >&8
    _is_heard=$_bye
    while read -r _w _a <&8; do
        case $_w in
        "$_N") break ;;
        b) _is_heard=1 ;;
        l) _lost=1 ;;
        esac
    done
    # Nobody may have read that: the manager asks for this file when the link is back.  A reader that was killed has noted neither
    # that the manager nor that the link is gone.
    [ "$_ran$_is_heard" != 1 ] || _is_read || _lost=1
    if [ -n "$_lost" ] && [ -n "$_j" ]; then _write_word "$_end"; fi
    _answer_for_it ""
    # The reader has removed them where it has seen the end of its input.
    if [ -n "$_j" ] && [ -z "$_bye$_lost" ] && [ ! -p "$_f.a" ]; then _say warn files; fi
    _remove || _say warn files
    _say clean
}

if [ -n "$_C" ]; then
    _prepare
    _former=$!
    _stay &
    _was_made
    exec 5>&- 6>&- 8<&0 9<"$_f.l.$_C" </dev/null
    _link
    exit
fi
_run
[ "$_x" -lt 256 ] || _x=$((_x % 128 + 128))
_leave "$_x"
