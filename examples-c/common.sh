# Sourced by examples-c/run and tests/run: bash, `set -euo pipefail`. They have set `target`, the directory for what is made.
# shellcheck shell=bash disable=SC2154

# The process group that runs for us now, and the signal that we were sent: see `attended`.
attended_child=
caught_signal=

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Sets the traps of the calling script: signals go on to what runs now, and `$1` is called at the end, whatever it is.
attend() {
    local end=$1 name
    # shellcheck disable=SC2064 # now, not later
    trap "$end" EXIT
    for name in HUP INT QUIT TERM; do
        # shellcheck disable=SC2064
        trap "on_signal $name" "$name"
    done
}

on_signal() {
    caught_signal=$1
    [[ -z $attended_child ]] || kill -s "$1" -- "-$attended_child" 2>/dev/null || true
}

# Runs a command in a process group of its own and waits for it. Were it in ours, bash would look at a signal only when the
# command has ended; and Ctrl-C would reach the command twice, from the terminal and from us.
attended() {
    local code=0
    ! interrupted || return 130
    set -m
    "$@" &
    attended_child=$!
    set +m
    while :; do
        code=0
        wait "$attended_child" || code=$?
        # A wait that a signal has ended has not reaped the child.
        kill -0 "$attended_child" 2>/dev/null || break
    done
    attended_child=
    return "$code"
}

interrupted() { [[ -n $caught_signal ]]; }

# find_tool NAME: sshd is not in every user's PATH.
find_tool() {
    local place
    for place in "" /usr/sbin/ /sbin/ /usr/local/sbin/; do
        if command -v "$place$1"; then return; fi
    done
    return 1
}

# install_missing COMMAND=PACKAGE…: installs the packages of the commands that are not there. Not root: says which, and
# returns 1.
install_missing() {
    local pair packages=() log
    for pair in "$@"; do
        find_tool "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    # A compiler without the C library's headers compiles nothing.
    if [[ " $* " == *" cc="* && ! -e /usr/include/stdio.h ]]; then packages+=(libc6-dev); fi
    if ((${#packages[@]} == 0)); then return; fi
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        printf '%s: missing here: install %s (Debian: apt-get install %s)\n' \
            "${0##*/}" "${packages[*]}" "${packages[*]}" >&2
        return 1
    fi
    say "installing ${packages[*]}"
    log=$target/apt.log
    mkdir -p "$target"
    deny_services
    # The lists of packages may be missing or old: then it is tried again with new ones. No stdin, so no questions; a group
    # of its own, because a Ctrl-C in the middle of dpkg would leave half of a package.
    if ! { apt_get install "${packages[@]}" || { apt_get update && apt_get install "${packages[@]}"; }; } >"$log" 2>&1
    then
        allow_services
        tail -n 20 "$log" >&2
        die "cannot install ${packages[*]}: see $log"
    fi
    allow_services
    rm -f "$log"
}

apt_get() {
    setsid -w env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends "$@" </dev/null
}

# Debian's packages start their services at once, and openssh-server is one: policy-rc.d, which they all ask, says no while
# they are being installed. One that is there already, as in most containers, is put back.
policy=/usr/sbin/policy-rc.d
deny_services() {
    # Where there is a former one, a run was killed in the middle of this, and what is there now is its own.
    if [[ ! -e $policy.before-sshpm && (-e $policy || -L $policy) ]]; then mv "$policy" "$policy.before-sshpm"; fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    services_denied=1
}
allow_services() {
    [[ -n ${services_denied:-} ]] || return 0
    services_denied=
    rm -f "$policy"
    if [[ -e $policy.before-sshpm || -L $policy.before-sshpm ]]; then mv "$policy.before-sshpm" "$policy"; fi
}

# rustup puts cargo where only new login shells look.
find_cargo() {
    # The tilde works without HOME too. A PATH that bash has made up is not exported by itself.
    local bin=${CARGO_HOME:-~/.cargo}/bin
    if ! command -v cargo >/dev/null && [[ -x $bin/cargo ]]; then PATH=$bin:$PATH; fi
    export PATH
    command -v cargo >/dev/null || die "cargo is not there: install Rust, see https://rustup.rs"
}
