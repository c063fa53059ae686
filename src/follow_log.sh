# A file as it grows, by name, so through rotation and truncation, until ssh's stdin ends: _F the file, _L how many of its
# last lines come first.

if [ -d "$_F" ]; then _say problem directory
elif [ -e "$_F" ] && [ ! -f "$_F" ]; then _say problem not-regular
elif [ -e "$_F" ] && [ ! -r "$_F" ]; then _say problem unreadable
else
    tail -n "$_L" -F "$_F" 3<&- 4>&- &
    cat <&3 >/dev/null
    kill "$!"
fi
