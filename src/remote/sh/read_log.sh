# Writes the last lines of a file.
# needs: short
# takes: _log_file _line_count _byte_count

if [ ! -e "$_log_file" ]; then _say problem missing
elif [ -d "$_log_file" ]; then _say problem directory
# A fifo or a device would block tail for ever.
elif [ ! -f "$_log_file" ]; then _say problem not-regular
elif [ ! -r "$_log_file" ]; then _say problem unreadable
else
    # tail -c comes first because it seeks: the time does not depend on the size of the file, nor on the
    # length of its lines.
    tail -c "$_byte_count" "$_log_file" | tail -n "$_line_count"
    _say eof 4>&1
fi
