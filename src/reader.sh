# A reader that is replaced when somebody kills it, in POSIX sh: without it, nothing would tell that the manager or the link is gone.
#   _L not empty: it has a lease, see lease.sh, which is before this then
#
# Where no process can be made, most shells end, with the trap for their end (zsh without it), and others go on: so every shell
# that makes one has that trap, and looks at $!.

_tell_lease() { _tell "$1" "$_l" "$_ls"; }

# $1: the reader, which reads descriptor 3 as its stdin, and returns 0 when all is done.  $2: the signal that ends this.
# $3: what ends the reader then, if not the same.  A signal that can be caught is lost on a shell that was forked a moment ago.
_attend_to() {
    _u=
    _v=
    _l=
    _ls=
    _cut=
    _is_alone=
    _serves=$1
    _served_until=$2
    # The lease begins without the trap: dash loses a signal that a child gets before it has forgotten its parent's traps.
    [ -z "$_L" ] || _begin_lease
    trap '_u=1; [ -z "$_v" ] || kill -'"${3:-$2}"' "$_v"' "$2"
    trap _serve_alone EXIT
    while [ -z "$_u" ]; do
        _y=$_cut
        _former=$!
        {
            _open_input
            "$1"
        } &
        _was_made
        _v=$!
        # What came in between could not end it.
        [ "$_y" = "$_cut$_u" ] || kill -KILL "$_v"
        until wait "$_v" && _u=1; do kill -0 "$_v" || break; done
        _v=
    done
    trap - EXIT
    _tell_lease PROF
    [ -z "$_l" ] || wait "$_l"
    exit 0
}
# Waits a moment, if there is a process for that.
_pause() { [ -z "$_is_alone" ] && { sleep 0.2 || sleep 1; }; }
_open_input() {
    if [ -z "$_y" ]; then exec <&3; else exec </dev/null; fi
    exec 3<&-
}
# This shell is the reader itself: there is no process for another.  In its trap it must not try to make one: dash would end.
_serve_alone() {
    _is_alone=1
    trap - EXIT "$_served_until"
    _y=$_cut
    _open_input
    "$_serves"
    _tell_lease PROF
    exit 0
}
