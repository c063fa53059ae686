# Takes over an application that is kept, in POSIX sh, behind the assignments of its parameters, short.sh, identity.sh, lease.sh,
# link.sh and directories.sh:
#   _V uuid   _I instance   _W what names the manager   _oo, _eo how much of its output it has   _G seconds of grace
#   _P, _L the lease, if this is a connection of its own
# An application without a wrapper, or whose wrapper hears nobody, has nobody who could end it: it is ended.

exec 7>&1
trap : HUP INT QUIT PIPE TERM
_f=
_j=
for _d in "$@"; do
    _q=
    [ -O "$_d" ] || continue
    _j=$_d/metadata_$_V.json
    _f=$_d/$_V.$_I
    if _is_own_file "$_j" && { IFS= read -r _q <"$_j"; }; then
        case $_q in *"\"instance\":\"$_I\""*) break ;; esac
    fi
    _j=
    ! _has_word || break
    _f=
done
# Reports the end of which there is word, or that another manager does: then the session is over.
_report_end() {
    [ -n "$_f" ] && _has_word || return
    _await_claim
    _claim
    case $? in
    0) (umask 077 && mkfifo "$_f.l.$_C") && _link "$_e" ;;
    2) _say refused ;;
    *) return 1 ;;
    esac
    exit
}
# It is under the wrapper that its metadata names.
_attended() {
    [ -n "$_j" ] && _live "$_j" && _has_wrapper && _has_reader
}
_O=1
[ ! -f "$_f.out" ] || _O=
_name_link
_report_end
_attended || _report_end
if _attended; then
    # Open for writing too until the first word: a refusal that comes before the link reads would be lost. Open before it is
    # named: a wrapper that ends removes it.
    if (umask 077 && mkfifo "$_f.l.$_C") && exec 8<>"$_f.l.$_C" 9<"$_f.l.$_C" && echo "attach $_C $_W" 1<>"$_f.c"; then
        # The wrapper looks once more when it has removed it: what came later than that made a file.
        [ -p "$_f.c" ] || echo over >&8
        _link "" 1
    fi
else
    # Its reader may be ending it.
    _i=0
    _x=0
    while [ -n "$_j" ] && ! _has_word; do
        if _live "$_j"; then
            [ "$_i" -lt "$((_G * 5))" ] || kill -KILL "-$_p" || kill -KILL "$_p"
        # One that has just ended: its wrapper gets 2 s to leave word of it, and removes the fifo then.
        elif [ -p "$_f.c" ] && [ "$_x" -lt 10 ]; then _x=$((_x + 1))
        else break
        fi
        _i=$((_i + 1))
        sleep 0.2 || sleep 1
    done
    _report_end
    [ -z "$_f" ] || _clear_away
    # Nothing else: a link's streams may be full, and read by nobody, when its session has ended.
    _say gone
fi
