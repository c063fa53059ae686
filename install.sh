#!/bin/bash
# Builds sshpm and installs what a C or C++ program needs: libraries, headers, and files for pkg-config and CMake.
#
#   ./install.sh [NAME=VALUE…]
#   ./install.sh uninstall [NAME=VALUE…]        removes the installed files; give the values of the installation
#
#   name         default
#   PREFIX       /usr/local         where to install
#   LIBDIR       PREFIX/lib         for example PREFIX/lib/x86_64-linux-gnu or PREFIX/lib64
#   INCLUDEDIR   PREFIX/include
#   DESTDIR      (empty)            goes in front of all of these, for packages; no installed file contains it
#
# These names can also be environment variables. The installed files contain only paths relative to themselves, so you
# can move all of them together. The build uses a directory of its own, target/install, and leaves target/release as it
# is.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

usage() {
    # The comment at the top.
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit "$1"
}
die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 2
}

action=install
PREFIX=${PREFIX:-/usr/local} LIBDIR=${LIBDIR:-} INCLUDEDIR=${INCLUDEDIR:-} DESTDIR=${DESTDIR:-}
for argument in "$@"; do
    case $argument in
    PREFIX=* | LIBDIR=* | INCLUDEDIR=* | DESTDIR=*) printf -v "${argument%%=*}" %s "${argument#*=}" ;;
    install | uninstall) action=$argument ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
    esac
done
LIBDIR=${LIBDIR:-$PREFIX/lib} INCLUDEDIR=${INCLUDEDIR:-$PREFIX/include}
for path in "$PREFIX" "$LIBDIR" "$INCLUDEDIR"; do
    [[ $path == /* ]] || die "$path: PREFIX, LIBDIR and INCLUDEDIR must be absolute paths"
done

cmake_directory=$LIBDIR/cmake/sshpm
pkgconfig_directory=$LIBDIR/pkgconfig

# The version of the package: [package] is the first table in Cargo.toml that has one.
version=$(sed -n '/^version = "/{s/.*"\(.*\)".*/\1/p;q}' "$root/Cargo.toml")
IFS=. read -r major minor patch <<<"$version"
[[ -n $major && -n $minor && -n $patch ]] || die "Cargo.toml has no version of the form MAJOR.MINOR.PATCH"
# Below 1.0, a new minor version may break programs that were linked with an older one; from 1.0 on, only a major
# version may.
if ((major == 0)); then abi=$major.$minor; else abi=$major; fi
soname=libsshpm.so.$abi

built=            # the directory into which cargo puts the libraries
declare -A values # what replaces @NAME@ in packaging/*.in
values=([version]=$version [major]=$major [minor]=$minor [soname]=$soname [native]='')

headers() {
    local file
    for file in "$root"/include/*.h "$root"/include/*.hpp; do
        if [[ -e $file ]]; then printf '%s\n' "${file##*/}"; fi
    done
}

# Prints the path from one place to another. Both are absolute paths, and need not exist.
seen_from() { realpath -m -s --relative-to="$1" "$2"; }

build() {
    # Only new login shells find the cargo that rustup installed.
    # A tilde works without HOME too. Without PATH in the environment, bash sets one and does not export it.
    if ! command -v cargo >/dev/null; then PATH=${CARGO_HOME:-~/.cargo}/bin:$PATH; fi
    export PATH
    command -v cargo >/dev/null || die "cargo is not installed: install Rust, see https://rustup.rs"
    # A named target fixes the directory of the libraries, whatever the user's cargo configuration says.
    local triple=${CARGO_BUILD_TARGET:-} target=${CARGO_TARGET_DIR:-$root/target}/install library
    triple=${triple:-$(rustc -vV | sed -n 's/^host: //p')}
    built=$target/$triple/release
    mkdir -p "$built"
    cargo rustc --manifest-path "$root/Cargo.toml" --target-dir "$target" --target "$triple" --locked --release --lib \
        --quiet --crate-type cdylib --crate-type staticlib \
        -- -C "link-arg=-Wl,-soname,$soname" "--print=native-static-libs=$built/native-static-libs"
    [[ -s $built/native-static-libs ]] || die "rustc did not print what the static library needs: remove $target"
    # The compiler adds -lgcc_s and -lc itself, because it knows whether it links them statically.
    for library in $(<"$built/native-static-libs"); do
        case $library in
        -lgcc_s | -lc) ;;
        *) values[native]+="${values[native]:+ }$library" ;;
        esac
    done
}

# fill TEMPLATE: prints the template with each @NAME@ replaced.
fill() {
    local text name
    text=$(<"$root/packaging/$1")
    for name in "${!values[@]}"; do
        text=${text//"@$name@"/"${values[$name]}"}
    done
    printf '%s\n' "$text"
}

# put MODE FILE [SOURCE]: installs SOURCE, or stdin, as FILE.
put() {
    local file=$DESTDIR$2
    mkdir -p "${file%/*}"
    # Make a new file and do not change the old one: a program may be using the old one.
    rm -f "$file"
    install -m "$1" "${3:-/dev/stdin}" "$file"
}

install_files() {
    local header
    for path in "$PREFIX" "$LIBDIR" "$INCLUDEDIR"; do
        # pkg-config and CMake each have their own rules of quoting.
        case $path in
        *[[:space:]\'\"\`\$\\\;\#]*) die "$path: has characters that pkg-config or CMake cannot read" ;;
        esac
    done
    values[includedir_from_cmake]=$(seen_from "$cmake_directory" "$INCLUDEDIR")
    values[libdir_from_cmake]=$(seen_from "$cmake_directory" "$LIBDIR")
    values[prefix_from_pkgconfig]=$(seen_from "$pkgconfig_directory" "$PREFIX")
    values[libdir_from_prefix]=$(seen_from "$PREFIX" "$LIBDIR")
    values[includedir_from_prefix]=$(seen_from "$PREFIX" "$INCLUDEDIR")

    put 755 "$LIBDIR/libsshpm.so.$version" "$built/libsshpm.so"
    ln -sfn "libsshpm.so.$version" "$DESTDIR$LIBDIR/$soname"
    ln -sfn "$soname" "$DESTDIR$LIBDIR/libsshpm.so"
    put 644 "$LIBDIR/libsshpm.a" "$built/libsshpm.a"
    for header in $(headers); do
        put 644 "$INCLUDEDIR/$header" "$root/include/$header"
    done
    fill sshpm.pc.in | put 644 "$pkgconfig_directory/sshpm.pc"
    fill sshpm-config.cmake.in | put 644 "$cmake_directory/sshpm-config.cmake"
    fill sshpm-config-version.cmake.in | put 644 "$cmake_directory/sshpm-config-version.cmake"
}

uninstall_files() {
    local header
    rm -f "$DESTDIR$LIBDIR"/libsshpm.so{,".$abi",".$version"} "$DESTDIR$LIBDIR/libsshpm.a"
    for header in $(headers); do
        rm -f "$DESTDIR$INCLUDEDIR/$header"
    done
    rm -f "$DESTDIR$pkgconfig_directory/sshpm.pc" "$DESTDIR$cmake_directory"/sshpm-config{,-version}.cmake
    if [[ -d $DESTDIR$cmake_directory ]]; then rmdir --ignore-fail-on-non-empty "$DESTDIR$cmake_directory"; fi
}

if [[ $action == uninstall ]]; then
    uninstall_files
else
    build
    install_files
fi
