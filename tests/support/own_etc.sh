# own_etc PLACE FILE...: gives this mount namespace an /etc of its own, with copies of these files, and links to the
# machine's /etc for everything else. The machine's /etc is bound to PLACE, an existing directory, written without the
# leading slash.
#
# A mount on /etc/passwd itself would not last: the kernel removes it from every namespace as soon as somebody on the
# machine replaces that file, as useradd does. The links are relative, because absolute ones would lead out of the
# namespace for a process that looks into it through /proc/PID/root.
own_etc() {
    mount --rbind /etc "/$1"
    mount -n -t tmpfs -o mode=755 sshpm-test /etc
    (cd /etc && ln -s "../$1"/* .)
    # Relative links of the machine's own would lead to nothing from PLACE.
    find "/$1" -maxdepth 1 -type l -exec cp -Pf {} /etc ';'
    shift
    cp -p --remove-destination "$@" /etc
}
