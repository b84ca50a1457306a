#!/bin/busybox sh
# The first program of the virtual machine: the host's files under a layer of memory, then the job as process 1.
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /host /layer /root
mount -t proc proc /proc
while read -r module; do insmod "/modules/$module"; done </modules/order
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /host
mount -t tmpfs -o size=90% layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work,xino=off root /root
mkdir -p /root/vm /root/usr/lib/modules
mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t cgroup2 cgroup /root/sys/fs/cgroup
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts pts /root/dev/pts
mount -t tmpfs shm /root/dev/shm
mount -t tmpfs run /root/run
mount -t 9p -o trans=virtio,version=9p2000.L,rw,msize=512000 vm /root/vm
mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose modules /root/usr/lib/modules
ln -sf /proc/self/fd /root/dev/fd
exec switch_root /root /bin/sh /vm/job.sh
