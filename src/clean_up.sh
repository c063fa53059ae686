# Ends the applications of this user that no manager has, and removes all that is left of those and of others, in POSIX sh, behind
# short.sh, identity.sh, state_of.sh, tree.sh and directories.sh:
#   _G seconds from HUP to KILL   _T not empty: what left their process groups is ended too

# Once more before each signal: who is it?
_signal() {
    _is "$_p" "$_s" && _group "$_p" || return
    case $_q in
    # Our own group, whatever a file says.
    "$_g") return 1 ;;
    "$_p") kill -"$1" "-$_p" ;;
    *) kill -"$1" "$_p" ;;
    esac
}
# Waits until it has ended, so many tenths of a second.
_await_end() {
    _i=0
    while _is "$_p" "$_s" && ! _is_dead "$_p"; do
        [ "$_i" -lt "$1" ] || return
        _i=$((_i + 1))
        sleep 0.1 || sleep 1
    done
}
_end() {
    _signal HUP && _signal CONT
    _await_end "$((_G * 10))" || { _signal KILL; _await_end 20; }
}

# Does metadata file $1 speak of instance $2?
_names() {
    _q=
    [ ! -f "$1" ] || IFS= read -r _q <"$1"
    case $_q in *"\"instance\":\"$2\""*) ;; *) return 1 ;; esac
}

_group "$$" || exit
_g=$_q
for _d in "$@"; do
    for _j in "$_d"/metadata_*.json; do
        [ -f "$_j" ] && [ ! -L "$_j" ] && [ -O "$_j" ] || continue
        _V=${_j##*/metadata_}
        _V=${_V%.json}
        _state_of "$_j"
        _x=$_f
        _I=$_k
        _z=
        case $_a in
        attended)
            _say cleaned "$_V" attended
            continue
            ;;
        left | orphaned)
            if _end; then
                _a=ended
                # Who looks at a process has what it read there.
                _z=
                # The wrapper writes its word, and goes; nobody is to read it.
                _i=0
                while [ -p "$_x.c" ] && [ "$_i" -lt 20 ]; do
                    _i=$((_i + 1))
                    sleep 0.1 || sleep 1
                done
            else
                _z=" $_p"
                _a=running
            fi
            ;;
        *) _a=removed ;;
        esac
        if [ -n "$_T" ] && [ -n "$_I" ]; then
            _y=$_z
            case $_a in ended | running) ;; *) _p=- ;; esac
            _end_escaped
            _z="$_z$_y"
        fi
        if [ "$_a" != running ]; then
            [ -z "$_I" ] || rm -f "$_x".*
            # A start may have put its own in this place.
            [ -n "$_I" ] && ! _names "$_j" "$_I" || rm -f "$_j"
        fi
        _say cleaned "$_V" "$_a" $_z
    done
    # Words that nobody asked for; and what a start leaves that was killed before it had a metadata file, which none is about to make.
    for _e in "$_d"/*.????????????????.end "$_d"/*.????????????????.[xac] "$_d"/*.????????????????.l.*; do
        case $_e in
        *.end | *.[xac]) _f=${_e%.*} ;;
        *) _f=${_e%.l.*} ;;
        esac
        _V=${_f##*/}
        _names "$_d/metadata_${_V%.*}.json" "${_V##*.}" && continue
        if [ -p "$_e" ] && [ -n "$(find "$_e" -mmin +60)" ]; then
            _j=$_e
            _is_linked || rm -f "$_j"
        elif [ -f "$_e" ]; then
            case $_e in *.end) rm -f "$_e" ;; esac
        fi
    done
done
_say clean
