# Asks after a process whose link was lost, in POSIX sh, behind the assignments of its parameters and identity.sh:
#   _N nonce   _V uuid   _I instance   _P pid   _T its start time   _B the boot it was started in
#   _G seconds that its wrapper may take to end it
# Reports how it ended, if its wrapper left a status file, and removes that; else that it is gone.  A process that outlives
# its wrapper's time is killed: its link loss policy is to be ended.

_ours() { _is "$_P" "$_T" && ! _is_zombie; }
# Tells how it ended, where its wrapper has left word of that; else _w is where the wrapper, _k, is still at work, unless it was killed.
_left() {
    _w=
    for _d in "${XDG_RUNTIME_DIR:-/nowhere}/drunc" /tmp/drunc "/tmp/drunc-${UID:-$(id -u)}" "${HOME:-/nowhere}/.local/state/sshpm"; do
        # What stands in another user's could be a fifo, and hang this.
        [ -O "$_d" ] && [ ! -L "$_d" ] || continue
        _f=$_d/metadata_$_V.json
        if [ -f "$_f" ] && [ -O "$_f" ] && [ ! -L "$_f" ] && read -r _q <"$_f"; then
            case $_q in *"\"instance\":\"$_I\""*) _w=$_d _k=${_q#*\"wrapper\":} _k=${_k%%,*} ;; esac
        fi
        _f=$_d/$_V.$_I.end
        [ -f "$_f" ] && [ -O "$_f" ] && [ ! -L "$_f" ] || continue
        read -r _q <"$_f"
        _say $_q
        # Not before the manager has it: the link can break again.
        if read -r _q <&3 && [ "$_q" = bye ]; then rm -f "$_f"; fi
        return
    done
    return 1
}
if [ "$_b" = "$_B" ]; then
    _i=0
    while ! _left; do
        # The wrapper writes the file when it has seen the end, and removes the metadata then. It gets 2 s for that, also when the end is
        # ours; but none where it was killed, as Slurm does to a step that has lost its srun.
        if ! _ours && { [ -z "$_w" ] || ! kill -0 "$_k" || [ "$_i" -ge "$((_G * 5 + 10))" ]; }; then
            # What the wrapper's reader removed can be gone a moment before.
            sleep 0.3 || sleep 1
            _left || {
                [ -z "$_w" ] || rm -f "$_w/metadata_$_V.json" "$_w/$_V.$_I".[axt]*
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
