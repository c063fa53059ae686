# A reader that is replaced when somebody kills it, in POSIX sh: without it, nothing would tell that the manager or the link is gone.
#   _L not empty: it has a lease, see lease.sh, which is before this then

_tell_lease() { _tell "$1" "$_l" "$_ls"; }

# $1: the reader, which reads descriptor 3 as its stdin, and returns 0 when all is done.  $2: the signal that ends this.
# $3: what ends the reader then, if not the same.  A signal that can be caught is lost on a shell that was forked a moment ago.
_attend_to() {
    _u=
    _v=
    _l=
    _ls=
    _cut=
    # The lease begins without the trap: dash loses a signal that a child gets before it has forgotten its parent's traps.
    [ -z "$_L" ] || _begin_lease
    trap '_u=1; [ -z "$_v" ] || kill -'"${3:-$2}"' "$_v"' "$2"
    while [ -z "$_u" ]; do
        _y=$_cut
        {
            if [ -z "$_y" ]; then exec <&3; else exec </dev/null; fi
            exec 3<&-
            "$1"
        } & _v=$!
        # What came in between could not end it.
        [ "$_y" = "$_cut$_u" ] || kill -KILL "$_v"
        _again=running
        until wait "$_v" && _u=1; do kill -0 "$_v" || break; done
        _v=
    done
    _tell_lease PROF
    [ -z "$_l" ] || wait "$_l"
    exit 0
}
