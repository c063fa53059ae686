# Lists the applications of this user that have a metadata file, in POSIX sh, behind short.sh, identity.sh and directories.sh:
#   _V their uuid, or * for all

for _d in "$@"; do
    for _j in "$_d"/metadata_$_V.json; do
        [ -f "$_j" ] && [ ! -L "$_j" ] && [ -O "$_j" ] || continue
        _state_of "$_j"
        _u=${_j##*/metadata_}
        _say found "${_u%.json}" $_a 4>&1
        head -c 65536 "$_j"
    done
done
_say eof 4>&1
