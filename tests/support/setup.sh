# Run by `unshare --mount` with the remote's directory as the current one: makes the remote's private view of the file
# system, then becomes its sshd. All of it ends with the namespace. Paths are relative where they can be, because the
# checkout may be below one of the directories that get hidden here.
set -e
echo $$ >pid
for file in passwd shadow group; do
    mount --bind "$PWD/$file" /etc/$file
done
for directory in /tmp /home /run /dev/shm /var/log; do
    mount -t tmpfs -o mode=755 sshpm-test $directory
done
for directory in tmp home run; do
    cp -a files/$directory/. /$directory/
done
chmod 1777 /dev/shm
# In a network namespace of its own it has no loopback yet.
[ "$2" != own-network ] || ip link set lo up
[ "$3" != respawn ] || while :; do "$1" -D -e -f /run/remote/sshd_config || sleep 0.1; done
exec "$1" -D -e -f /run/remote/sshd_config
