# The remote parent of one application, in POSIX sh.  wrapper.rs sends it in one line over ssh's stdin, behind the
# assignments of its parameters and identity.sh, and with the comments taken out:
#   _N nonce   _V uuid   _I instance   _G grace in seconds   _U umask   _O log file   _M its mode: fresh, append, truncate
#   _H setup shell   _B not empty: bash, where there is one   _S not empty: the start can take long   _X what the inner
#   process runs: environment, setup lines, start.sh   _P, _L see lease.sh, which is before this when the process has a
#   connection of its own   _Y the user as the manager knows it   _K rest of the metadata, '"key":…}'
#   _T not empty: what left its process group is ended with it, see tree.sh, which is before this then
#   _C not empty: the application is kept when the link or the manager is gone, see keep.sh, which
#   is before this then, with link.sh
#
# Descriptors: 3 commands (ssh's stdin), 4 reports (ssh's stderr), 5 and 6 the application's stdout and stderr,
# 7 ssh's stdout, 8 the notebook.
#
# The notebook is a fifo that this shell holds open for reading and writing, so that it never blocks and never ends:
# a pipe that needs no other process.  This shell's own messages go there too (2>&8), because "Killed" in it, or its
# absence, tells death by a signal from an exit code above 128.  Lines: p PID, o PID START (who hands over), x (the program is
# next), f WHY (the start failed), b (the manager says good-bye), l (the link is gone), n (there was none any more), and what the
# shell says.
#
# A redirection that fails ends a POSIX shell when it stands at exec or ':', but not at '[': so '[ x ]' tries first.

exec 3<&0 </dev/null
trap : HUP INT QUIT TERM USR1 USR2
# Nobody reads the reports any more: no try could help.
trap '_own=1' PIPE

exec 4>&2 5>&1 6>&2 7>&1 2>/dev/null

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
_die() { _say fail "$@"; _say clean; exit 125; }
# Data: echo would change backslashes, and mksh's printf is a program, whose arguments stand in ps.
_put() {
    case ${KSH_VERSION:-} in
    *MIRBSD* | *LEGACY*) cat <<END
$1
END
        ;;
    *) printf '%s\n' "$1" ;;
    esac
}

_m=$$
_say begin 1 "$$"
# What start-up files wrote on stdout stands before this one.
_say begin 4>&7

# The line that brought this may have waited behind a start-up file that hung, and its start may be over.
IFS= read -r _q <&3 && [ "$_q" = go ] || exit 125

[ -z "$_U" ] || umask "$_U"

# The runtime directory: ours, private, no symbolic link, and a fifo can be made in it.
_try() {
    [ ! -L "$1" ] || return
    # On a shared connection, connection.sh has seen to the mode of those that are there.
    if [ ! -d "$1" ]; then mkdir -p -m 700 "$1" || return
    elif [ -n "$_L" ]; then [ -O "$1" ] && chmod 700 "$1" || return
    fi
    [ -O "$1" ] && [ ! -L "$1" ] || return
    _live "$1/metadata_$_V.json" && _die in-use
    # What a wrapper that was killed has left.
    case $_k in *[!0-9a-f]* | '') ;; *) rm -f "$1/$_V.$_k".* ;; esac
    _f=$1/$_V.$_I
    mkfifo -m 600 "$_f.x" "$_f.a" && _j=$1/metadata_$_V.json && return
    rm -f "$_f.x" "$_f.a"
    return 1
}
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
        mkfifo -m 600 "$_f.x" "$_f.a" && break
        rm -f "$_f.x" "$_f.a"
        _f=
    done
    [ -n "$_f" ] || _die runtime
fi
exec 8<>"$_f.a"
# Word of how processes ended that nobody will ask for: of this uuid, which is used again, and of managers that have been
# gone for a day.  That of an application that is kept has its metadata file beside it, and stays.
for _q in "${_j%/*}"/*.end; do
    if [ -n "$_j" ] && [ -f "$_q" ]; then
        rm -f "${_j%/*}/$_V".????????????????.end
        find "${_j%/*}" -name '*.end' -mtime +0 -exec sh -c 'for f; do m=${f%.*.end}; [ -e "${m%/*}/metadata_${m##*/}.json" ] || rm -f "$f"; done' - {} +
    fi
    break
done

# Removes what this instance made; the metadata file only while it is this instance's.
_remove() {
    # A mv whose shell was ended finds nothing any more, or has done its work.
    [ ! -f "$_f.tmp" ] || rm -f "$_f.tmp"
    if [ -n "$_j" ] && { IFS= read -r _q <"$_j"; }; then
        case $_q in *"\"instance\":\"$_I\""*) rm -f "$_f.x" "$_f.a" "$_j" ${_C:+"$_f".*}; return ;; esac
    fi
    [ ! -p "$_f.a" ] || rm -f "$_f.x" "$_f.a" ${_C:+"$_f".*}
}
_quit() { rm -f "$_f.x" "$_f.a"; _die "$@"; }

if [ -n "$_O" ]; then
    case $_O in */*) [ -d "${_O%/*}/" ] || _quit log-directory ;; esac
    # A fifo without a reader would hang this shell, and nobody reads commands yet.
    [ ! -d "$_O" ] && [ ! -p "$_O" ] || _quit log-file
    case $_M in
    fresh) [ ! -f "$_O" ] || mv -f "$_O" "$_O.1" || _quit log-file ;;
    truncate) [ x ] 5>"$_O" || _quit log-file ;;
    esac
    [ x ] 5>>"$_O" || _quit log-file
    exec 5>>"$_O" 6>&5 7>&- 1>&5
fi

# Watches over the start, and has the commands read.  It is the background job and the application the foreground one:
# POSIX makes background jobs ignore INT and QUIT, and a child cannot undo that in every shell.
_attend() {
    # Signals to the wrapper's group must not end the lifeline.  The main shell ends this one by PROF.
    trap '' HUP INT QUIT PIPE TERM USR1 USR2
    # Sites that end idle logins set TMOUT: bash and ksh93 take it for the time of every read. The application keeps it.
    TMOUT=0
    # One that ended before it wrote: the link is told of it by the reader.
    read -r _p <"$_f.x" || { [ -n "$_C" ] || exit; _p=gone; }
    _o= _os= _bye= _again=
    # The main shell's word: there is nobody.
    if [ "$_p" = gone ]; then _p= _t= _s=; else _introduce; fi
    # Its end tells the reader that the wrapper's main shell is gone.
    exec 9>&-
    _attend_to _reader PROF
}
# The inner process is there: who it is is written down, and reported.
_introduce() {
    echo "p $_p" >&8
    _s=0
    _started "$_p" && _s=$_q
    if [ -n "$_j" ]; then
        umask 077
        _y=${LOGNAME:-}
        case $_y in *[!A-Za-z0-9._@+-]* | '') _y=$_Y ;; esac
        _q="{\"pid\":$_p,\"start_time\":\"$_s\",\"boot_id\":\"$_b\",\"user\":\"$_y\",\"wrapper\":$_m,$_K"
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
# Reads the commands.
_reader() {
    trap - PROF
    [ -z "$_C" ] || _reach_links
    while read -r _c _i _a _w _k; do
        case $_c in
        # kill ID SIGNAL SCOPE, and CONT, if one that was stopped is to get it too.
        kill)
            [ "$_w" = group ] && _w=$_t || _w=$_p
            if _is "$_p" "$_s" && kill -"$_a" "$_w"; then
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
        # A trapped signal ends wait at once, so PROF from the main shell, whose application has ended, ends the grace.
        _w=
        trap '[ -z "$_w" ] || kill -KILL "$_w"; exit 0' PROF
        sleep "$_G" 4>&- 8>&- & _w=$!
        wait "$_w"
    elif kill -0 "$_m"; then
        # The main shell sees to what is left.
        exit 0
    fi
    # The leader is ours, or nobody has its pid: then the group can only be what it left behind.
    if _is "$_p" "$_s" || [ ! -d "/proc/$_p" ]; then kill -KILL "$_t"; fi
    # Only for a main shell that is gone: one that lives writes its word of the end first, and who asks meanwhile takes a process
    # without a metadata file for one that has left none.
    if ! _started "$_m" || _is_zombie; then _remove; fi
    exit 0
}
# The inner process goes on.
_release() {
    if [ -z "$_S$_C" ]; then
        _hand_over
        return
    fi
    # Commands do not wait for it.
    _hand_over & _o=$!
    _started "$_o" && _os=$_q
    echo "o $_o $_os" >&8
}
# Gives the inner process what it is to run.  It holds the fifo open then until its exec, which closes it: no line is success.
_hand_over() {
    # Without, it would wait for ever.
    _put "$_X" >"$_f.x" || kill -KILL "$_t"
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
    set -- "$_h" ${_w:+"$_w"} -c '_sshpm_n="
"
echo "$$" >"$0.x"; IFS= read -r _sshpm_l <"$0.x" && eval "$_sshpm_l"' "$_f"
    _g=
    if [ -x /usr/bin/setsid ]; then set -- /usr/bin/setsid "$@"
    elif command -v setsid >/dev/null; then set -- setsid "$@"
    elif command -v perl >/dev/null; then set -- perl -MPOSIX -e 'setsid; exec @ARGV or exit 127' "$@"
    else _g=1
    fi

    # By exec: a redirection of a function has dash keep what it replaces.
    { exec >/dev/null 5>&- 6>&- 7>&-; _attend; } & _r=$!
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
    _fail=
    while read -r _w _a <&8; do
        case $_w in
        "$_N") break ;;
        p) _p=$_a ;;
        o) _o=${_a% *} _os=${_a#* } ;;
        x) _ran=1 ;;
        f) _ran=0 _fail=$_a ;;
        b) _bye=1 ;;
        l) _lost=1 ;;
        *) case "$_how $_w $_a" in *"core dumped"*) _how=c ;; "c "*) ;; *) _how=s ;; esac ;;
        esac
    done
}
# Nobody waits any more for the inner process.
_let_go() {
    if [ -n "$_S$_C" ]; then
        _end_handing_over
        [ -n "$_p" ] || _answer_for_it
    # Before its program, or the end of its start: then who attends is still on its way to the reader, and would hand over to nobody.
    elif [ "$_ran$_fail" = 0 ]; then kill -PROF "$_r"
    else _answer_for_it
    fi
}
# Opened so, a fifo does not block, and it stays open: an end without a word is a success.
_answer_for_it() {
    [ ! -p "$_f.x" ] || {
        echo gone >&9
        exec 3<&9
    } 9<>"$_f.x"
}
_conclude() {
    _let_go
    # What is left of the group has no supervisor any more.  The group id cannot be another's while it has members.
    _left=0
    if [ -n "$_p" ] && kill -0 "-$_p"; then
        _left=1
        kill -KILL "-$_p"
    fi
    _z=
    [ -z "$_T" ] || _end_escaped
    for _q in $_z; do _say stray "$_q"; done
    # Then it was the shell that could not be executed.
    [ -n "$_p$_fail" ] || case $_x in 126 | 127) if [ -n "$_H" ]; then _fail=shell; else _fail="exec 0 $_x"; fi ;; esac
    [ -z "$_fail" ] || _say fail $_fail
    if [ -n "$_C" ]; then
        _leave_word
        return
    fi
    [ -n "$_O" ] || _say eof 4>&7
    _say exit "$_x" "$_how" "$_ran" "$_left"
    # The manager answers with good-bye, which ends the reader.  A link that was cut in silence took the report as well: then
    # the reader's input ends without a word, when the lease has.
    [ -z "$_bye$_lost" ] || kill -PROF "$_r"
    until wait "$_r"; do kill -0 "$_r" || break; done
    echo "$_N" >&8
    while read -r _w _a <&8; do
        case $_w in "$_N") break ;; l) _lost=1 ;; esac
    done
    # Nobody may have read that: the manager asks for this file when the link is back.
    if [ -n "$_lost" ] && [ -n "$_j" ]; then
        umask 077
        [ x ] >"$_f.tmp" && _put "exit $_x $_how $_ran $_left $(date +%s)" >"$_f.tmp" && mv -f "$_f.tmp" "$_f.end"
    fi
    # The reader has removed them where it has seen the end of its input.
    if [ -n "$_j" ] && [ -z "$_bye$_lost" ] && [ ! -p "$_f.a" ]; then _say warn files; fi
    _remove || _say warn files
    _say clean
}

if [ -n "$_C" ]; then
    _prepare
    _stay &
    exec 5>&- 6>&- 8<&0 9<"$_f.l.$_C" </dev/null
    _link
    exit
fi
_run
[ "$_x" -lt 256 ] || _x=$((_x % 128 + 128))
exit "$_x"
