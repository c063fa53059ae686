# examples-c/run and tests/run source this file, in bash with `set -euo pipefail`. They set `target` before, the
# directory for everything that they make.
# shellcheck shell=bash disable=SC2154

# The process group of the command that `attended` runs now, and the signal that this script got.
attended_child=
caught_signal=

say() { printf '%s\n' "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# Sets the traps of the calling script: they pass signals on to the running command, and call `$1` at every exit.
attend() {
    local end=$1 name
    # shellcheck disable=SC2064 # expand now, not later
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

# Runs a command in a process group of its own and waits for it. In this shell's group, bash would handle a signal only
# after the command has ended, and Ctrl-C would reach the command twice: from the terminal and from `on_signal`.
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
        # If a signal interrupted the wait, the child was not reaped.
        kill -0 "$attended_child" 2>/dev/null || break
    done
    attended_child=
    return "$code"
}

interrupted() { [[ -n $caught_signal ]]; }

# find_tool NAME: prints the path of a program. sshd is not in every user's PATH.
find_tool() {
    local place
    for place in "" /usr/sbin/ /sbin/ /usr/local/sbin/; do
        if command -v "$place$1"; then return; fi
    done
    return 1
}

# install_missing COMMAND=PACKAGE…: installs the packages of the commands that are missing. Without root or apt-get, it
# names the packages and returns 1.
install_missing() {
    local pair packages=() log
    for pair in "$@"; do
        find_tool "${pair%%=*}" >/dev/null || packages+=("${pair#*=}")
    done
    # Without the headers of the C library, a compiler cannot compile these programs.
    if [[ " $* " == *" cc="* && ! -e /usr/include/stdio.h ]]; then packages+=(libc6-dev); fi
    if ((${#packages[@]} == 0)); then return; fi
    if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
        printf '%s: packages are missing: install %s (Debian: apt-get install %s)\n' \
            "${0##*/}" "${packages[*]}" "${packages[*]}" >&2
        return 1
    fi
    say "installing ${packages[*]}"
    log=$target/apt.log
    mkdir -p "$target"
    deny_services
    # The package lists may be missing or old: then update them and try again. Without stdin, apt-get asks nothing. It
    # has its own session, because Ctrl-C in the middle of dpkg would leave a package half installed.
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

# Debian's packages start their services at once, and openssh-server is one of them. They all ask policy-rc.d first:
# during the installation it refuses. If a policy-rc.d exists already, as in most containers, allow_services puts it
# back.
policy=/usr/sbin/policy-rc.d
deny_services() {
    # If the saved file exists, an earlier run was killed here, and the present policy-rc.d is that run's.
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

# Finds cargo: only new login shells have the directory of rustup in PATH.
find_cargo() {
    # A tilde works without HOME too. Without PATH in the environment, bash sets one and does not export it.
    local bin=${CARGO_HOME:-~/.cargo}/bin
    if ! command -v cargo >/dev/null && [[ -x $bin/cargo ]]; then PATH=$bin:$PATH; fi
    export PATH
    command -v cargo >/dev/null || die "cargo is not installed: install Rust, see https://rustup.rs"
}
