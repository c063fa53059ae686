# The last lines of a file: _F the file, _L how many lines, _C how many bytes at the most.
# tail -c first: it seeks, so a file of any size, or of one endless line, takes the same time.

if [ ! -e "$_F" ]; then _say problem missing
elif [ -d "$_F" ]; then _say problem directory
# A fifo or a device would hold tail for ever.
elif [ ! -f "$_F" ]; then _say problem not-regular
elif [ ! -r "$_F" ]; then _say problem unreadable
else
    tail -c "$_C" "$_F" | tail -n "$_L"
    _say eof 4>&1
fi
