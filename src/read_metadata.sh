# The metadata file of a process, waited for: _V the uuid, _W how many tenths of a second to wait; behind
# directories.sh.
# 64 KiB is more than any has; a hostile one is not read on.

# Nobody waits any more when ssh's stdin ends.
(
    read -r _q
    kill "$$"
) <&3 >/dev/null 4>&- &
exec 3<&-
_i=0
_q=
while :; do
    for _d in "$@"; do
        # Another user could exchange what stands in theirs after the next look.
        [ -O "$_d" ] && [ ! -L "$_d" ] || continue
        _f=$_d/metadata_$_V.json
        [ -f "$_f" ] && [ -O "$_f" ] && [ ! -L "$_f" ] || continue
        _q=1
        # One that is empty may be about to be written.
        if [ -s "$_f" ]; then
            head -c 65536 "$_f"
            break 2
        fi
    done
    [ "$_i" -lt "$_W" ] || break
    _i=$((_i + 1))
    sleep 0.1 || sleep 1
done
if [ -n "$_q" ]; then _say eof 4>&1; else _say problem missing; fi
kill "$!"
