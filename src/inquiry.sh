# Asks after a process whose link was lost, in POSIX sh, behind the assignments of its parameters, identity.sh and
# directories.sh:
#   _N nonce   _V uuid   _I instance   _G seconds that its wrapper may take to end it
#   _P pid   _T its start time   _B the boot it was started in; all empty when the link broke before the wrapper told them
#   _wrapper_pid the shell that reported to have begun
# Reports how it ended, if its wrapper left a status file, and removes that; else that it is gone.  A process that outlives
# its wrapper's time is killed: its link loss policy is to be ended.

_ours() { [ -n "$_P" ] && _is "$_P" "$_T" && ! _is_zombie; }
# Reads the metadata file of the instance in directory $1.  _metadata is its name then, and _wrapper_pid its wrapper.
# From here on it is known who the process is.
_read_metadata() {
    _is_own_file "$1/metadata_$_V.json" && read -r _q <"$1/metadata_$_V.json" || return
    case $_q in *"\"instance\":\"$_I\""*) ;; *) return 1 ;; esac
    _metadata=$1/metadata_$_V.json
    _wrapper_pid=${_q#*\"wrapper\":}
    _wrapper_pid=${_wrapper_pid%%,*}
    [ -z "$_P" ] || return 0
    case $_q in *"\"boot_id\":\"$_b\""*) ;; *) return 0 ;; esac
    _P=${_q#*\"pid\":}
    _P=${_P%%,*}
    _T=${_q#*\"start_time\":\"}
    _T=${_T%%\"*}
}
# Reports how it ended, where its wrapper has left word of that in one of these directories.
_tell_word() {
    _metadata= _commands=
    for _d in "$@"; do
        # What stands in another user's could be a fifo, and hang this.
        [ -O "$_d" ] && [ ! -L "$_d" ] || continue
        _read_metadata "$_d"
        _f=$_d/$_V.$_I
        [ ! -p "$_f.c" ] || _commands=$_f.c
        _has_word || continue
        read -r _q <"$_word"
        _say $_q
        # Not before the manager has it: the link can break again. A kept process has its output beside the word.
        if read -r _q <&3 && [ "$_q" = bye ]; then
            _remove_files "$_f" gone
            [ -z "$_metadata" ] || rm -f "$_metadata"
        fi
        return
    done
    return 1
}
# Whether its wrapper may still leave word: it has a metadata file, which it removes when it has, or is yet to write
# one.  That of a kept process has its fifo for commands, and is not the shell that has begun.
_is_attended() {
    [ -z "$_commands" ] || return 0
    [ -n "$_metadata" ] || [ -z "$_P" ] || return
    [ -n "$_wrapper_pid" ] && kill -0 "$_wrapper_pid"
}
# Ends a wrapper that nobody hears, and removes what one that was killed has left.
_clear_away() {
    # It stands in a report to a stream that sshd does not read any more.  Its pid is another's unless that one has its files.
    [ -z "$_wrapper_pid" ] || case $(ls -l "/proc/$_wrapper_pid/fd") in *".$_I."*) kill -KILL "$_wrapper_pid" ;; esac
    [ -z "$_metadata" ] || rm -f "$_metadata"
    for _d in "$@"; do
        [ ! -O "$_d" ] || _remove_files "$_d/$_V.$_I" gone
    done
}
if [ -z "$_B" ] || [ "$_b" = "$_B" ]; then
    _i=0
    while ! _tell_word "$@"; do
        # The wrapper writes the file when it has seen the end, and removes the metadata then. It gets 2 s for that, also when the end is
        # ours; but none where it was killed, as Slurm does to a step that has lost its srun.
        if ! _ours && { ! _is_attended || [ "$_i" -ge "$((_G * 5 + 10))" ]; }; then
            # What the wrapper's reader removed can be gone a moment before.
            sleep 0.3 || sleep 1
            _tell_word "$@" || {
                _clear_away "$@"
                _say gone
            }
            break
        fi
        if [ "$_i" -ge "$((_G * 5))" ] && _ours; then kill -KILL "-$_P" || kill -KILL "$_P"; fi
        _i=$((_i + 1))
        sleep 0.2 || sleep 1
    done
else
    _say gone
fi
_say clean
