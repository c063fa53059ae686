# The state of the process that a metadata file names.
# needs: identity files wait relations

# Finds the state of the process of metadata file $1.
# Sets _stem, _file_instance and _state: attended (a manager has it), left (it is kept and no manager has it),
# orphaned (it lives, but its wrapper is gone or reads no commands), exit … (the word of its end), gone.
# Returns 0.
_find_state() {
    _stem=${1##*/metadata_}
    _stem=${1%/*}/${_stem%.json}
    if _read_application "$1"; then
        _stem=$_stem.$_file_instance
        # A process without the fifo for commands is not kept: it ends with its link.
        if ! _has_wrapper || ! _has_reader; then _state=orphaned
        elif [ ! -p "$_stem.c" ] || _is_linked; then _state=attended
        else _state=left
        fi
        return 0
    fi
    _stem=$_stem.$_file_instance
    _state=gone
    [ -n "$_file_instance" ] || return 0
    _wait_until 100 _word_is_settled
    _has_word || return 0
    # A manager may still read what the process wrote.
    if _is_linked; then _state=attended; else read -r _state <"$_word_file"; fi
    return 0
}

# Checks that the wrapper of a kept process is not about to leave word of the end.
# Needs _stem and _file_wrapper.
# Returns 0 if it is not.
_word_is_settled() {
    _has_word || [ ! -p "$_stem.c" ] || [ -z "$_file_wrapper" ] || ! kill -0 "$_file_wrapper"
}

# Checks that a link to the process lives, or one that has claimed the word of its end.
# Needs _stem.
# Returns 0 if one does.
_is_linked() {
    for _link_file in "$_stem".l.* "$_stem".end.*; do
        _link_lives "${_link_file#"$_stem".*.}" && return
    done
    return 1
}
