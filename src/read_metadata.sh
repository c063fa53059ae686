# The metadata file of a process, waited for: _V the uuid, _W how many tenths of a second to wait.
# 64 KiB is more than any has; a hostile one is not read on.

_i=0
while :; do
    for _f in "${XDG_RUNTIME_DIR:-/nowhere}/drunc" /tmp/drunc "/tmp/drunc-${UID:-$(id -u)}" "${HOME:-/nowhere}/.local/state/sshpm"; do
        _f=$_f/metadata_$_V.json
        if [ -s "$_f" ] && [ -O "$_f" ] && [ ! -L "$_f" ]; then
            head -c 65536 "$_f"
            _say eof 4>&1
            break 2
        fi
    done
    if [ "$_i" -ge "$_W" ]; then
        _say problem missing
        break
    fi
    _i=$((_i + 1))
    sleep 0.1 || sleep 1
done
