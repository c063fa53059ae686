# The beginning of a script that does one task. Descriptor 3 is ssh's stdin, 4 its stderr, for reports; stdout
# is for data.

# Reports $@ to the manager.
# Needs _nonce.
# Returns 1 if nobody reads the reports any more.
_say() {
    echo "$_nonce $*" >&4
}

_say begin 1 "$$"
_say begin 4>&1
