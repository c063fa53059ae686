# Waits for the metadata file of a process, and writes it.
# needs: short files wait directories
# takes: _uuid _wait_tenths

# When ssh's stdin ends, nobody waits for the file any more.
(
    read -r _word
    kill "$$"
) <&3 >/dev/null 4>&- &
exec 3<&-

# Writes the metadata file, if one of the directories $@ has it: 64 KiB, which is more than any has.
# Needs _uuid. Sets _is_there: not empty if there is such a file. One that is empty may be about to be
# written.
# Returns 1 if there is none, or if it is empty.
_show_metadata() {
    for _directory in "$@"; do
        # In a directory of another user, that user could replace the file after the next check.
        [ -O "$_directory" ] && [ ! -L "$_directory" ] || continue
        _metadata_file=$_directory/metadata_$_uuid.json
        _is_own_file "$_metadata_file" || continue
        _is_there=1
        [ -s "$_metadata_file" ] || continue
        head -c 65536 "$_metadata_file"
        return 0
    done
    return 1
}

# Waits for the metadata file in the directories $@, and writes it.
# Needs _uuid and _wait_tenths. Sets _is_there.
# Returns 1 if there is none.
_await_metadata() {
    _wait_until "$_wait_tenths" _show_metadata "$@"
}

_is_there=
_with_directories _await_metadata
if [ -n "$_is_there" ]; then _say eof 4>&1; else _say problem missing; fi
kill "$!"
