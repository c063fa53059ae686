# Lists the applications of this user that have a metadata file: for each one a report of its uuid and state,
# and the file.
# needs: short state_of directories
# takes: _uuid

# Lists those in the directories $@.
# Needs _uuid. Sets what _find_state does.
# Returns 0.
_list_applications() {
    for _directory in "$@"; do
        for _metadata_file in "$_directory"/metadata_$_uuid.json; do
            _is_own_file "$_metadata_file" || continue
            _find_state "$_metadata_file"
            _found_uuid=${_metadata_file##*/metadata_}
            _say found "${_found_uuid%.json}" $_state 4>&1
            head -c 65536 "$_metadata_file"
        done
    done
}

_with_directories _list_applications
_say eof 4>&1
