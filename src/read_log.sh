# The last lines of a file.
# needs: short
# takes: _log_file _line_count _byte_count

if [ ! -e "$_log_file" ]; then _say problem missing
elif [ -d "$_log_file" ]; then _say problem directory
# A fifo or a device would hold tail for ever.
elif [ ! -f "$_log_file" ]; then _say problem not-regular
elif [ ! -r "$_log_file" ]; then _say problem unreadable
else
    # tail -c first: it seeks, so a file of any size, or of one endless line, takes the same time.
    tail -c "$_byte_count" "$_log_file" | tail -n "$_line_count"
    _say eof 4>&1
fi
