# `unshare --mount` runs this with the remote's directory as the current one. It makes the remote's private view of the
# file system, and then becomes the remote's sshd. Everything ends with the namespace. Paths are relative where they can
# be, because the checkout may be below one of the directories that are hidden here.
set -e
echo $$ >pid
# Hides $directory, except those of the paths behind $3 that are below it.
hide_all_but() {
    shift 3
    mkdir -p "$place/spare"
    mount -n -t tmpfs -o mode=755 sshpm-test "$place/spare"
    for kept; do
        case $kept in
        "$directory"/*)
            mkdir -p "$place/spare/${kept#"$directory"/}"
            mount -n --bind "$kept" "$place/spare/${kept#"$directory"/}"
            ;;
        esac
    done
    mount -n --move "$place/spare" $directory
}
place=$PWD
for directory in /tmp /home /run /dev/shm /var/log; do
    [ "$#" -lt 4 ] || hide_all_but "$@"
    [ "$#" -ge 4 ] || mount -t tmpfs -o mode=755 sshpm-test $directory
done
for directory in tmp home run; do
    cp -a files/$directory/. /$directory/
done
chmod 1777 /dev/shm
mkdir /run/remote/etc
own_etc run/remote/etc passwd shadow group
# A network namespace of its own has no loopback at first.
[ "$2" != own-network ] || ip link set lo up
[ "$3" != respawn ] || while :; do "$1" -D -e -f /run/remote/sshd_config || sleep 0.1; done
exec "$1" -D -e -f /run/remote/sshd_config
