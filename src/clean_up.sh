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

# No more of the processes that could not be ended than a report holds.
_name_some() { _z="$1 $2 $3 $4 $5 $6 $7 $8"; }
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
        _wrapper_pid=$_w
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
                while _started "$_wrapper_pid" && ! _is_zombie && [ "$_i" -lt 20 ]; do
                    _i=$((_i + 1))
                    sleep 0.1 || sleep 1
                done
                _z=
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
            [ -z "$_I" ] || _remove_files "$_x" gone
            # A start may have put its own in this place.
            [ -n "$_I" ] && ! _names "$_j" "$_I" || rm -f "$_j"
        fi
        _name_some $_z
        _say cleaned "$_V" "$_a" $_z
    done
    # Removes the words that nobody asked for, and what killed wrappers left of starts that had no metadata file yet.
    for _e in "$_d"/*.????????????????.*; do
        case $_e in
        *.end | *.[xac] | *.out | *.err | *.tmp | *.kept | *.ran) _f=${_e%.*} ;;
        # Behind these stands the name of a link, which has three parts.
        *.end.*.*.* | *.l.*.*.*) _f=${_e%.*.*.*.*} ;;
        # And behind this that of a reader.
        *.r.*.*) _f=${_e%.*.*.*} ;;
        *) continue ;;
        esac
        _V=${_f##*/}
        [ -e "$_e" ] && ! _names "$_d/metadata_${_V%.*}.json" "${_V##*.}" || continue
        case $_e in
        "$_f".end*) [ ! -f "$_e" ] || rm -f "$_e" ;;
        *) _is_linked || _remove_abandoned "$_f" ;;
        esac
    done
done
_say clean
