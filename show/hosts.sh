# The first process of a test host: its own root file system (an overlay on this computer's), /proc, /sys, sshd.
# hosts.sh DISK NAME ADDRESS [SHARED]
set -eu
disk=$1 name=$2 address=$3 shared=$4 root=$1/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
cd "$root"
mount --rbind /dev dev
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t tmpfs tmpfs tmp
chmod 1777 tmp
mount -t tmpfs tmpfs sys/fs/cgroup 2>/dev/null && mkdir -p sys/fs/cgroup/memory &&
  mount -t cgroup -o memory cgroup sys/fs/cgroup/memory 2>/dev/null || true
[ -z "$shared" ] || { mkdir -p ".$shared" && mount --bind "$shared" ".$shared"; }
mkdir -p run/sshd root/.ssh
rm -f root/.bashrc root/.profile root/.bash_profile # of whoever works on this computer
chmod 711 root # so that other users may run this computer's Python
cp etc/amasia-host/id.pub root/.ssh/authorized_keys
chmod -R go= root/.ssh
hostname "$name"
cat >etc/amasia-host/sshd_config <<CONF
ListenAddress $address:22
ListenAddress $address:2222
HostKey /etc/amasia-host/hostkey
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
PidFile /run/sshd.pid
MaxStartups 100
CONF
# A new boot: what programs take for its id.
cat /proc/sys/kernel/random/uuid >run/boot_id
mount --bind run/boot_id proc/sys/kernel/random/boot_id
exec chroot . /bin/bash -c '/usr/sbin/sshd -f /etc/amasia-host/sshd_config
  trap "kill -KILL -1; exit 0" TERM
  while :; do sleep 3600 & wait $!; done'
