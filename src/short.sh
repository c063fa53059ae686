# The beginning of every short script, in POSIX sh: descriptor 3 is ssh's stdin, 4 its stderr, for reports; stdout is
# for data. _N is the nonce.

_say() { echo "$_N $*" >&4; }
_say begin 1 "$$"
_say begin 4>&1
