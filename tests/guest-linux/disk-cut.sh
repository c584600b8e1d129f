#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# disk-cut.sh make DEV: a filesystem with files whose sums are known, everything on the disk; then
# records, each flushed before it is announced as "mark DEV N", among writes that are not flushed.
# disk-cut.sh check DEV N: the filesystem is sound, and files and records 1 to N are all there.
set -e
dev=$2 dir=/tmp/$2
mkdir -p "$dir"
if [ "$1" = make ]; then
	mkfs.ext4 -q -F "/dev/$dev"
	mount -t ext4 "/dev/$dev" "$dir"
	cd "$dir"
	mkdir -p a/b
	dd if=/dev/urandom of=one bs=64k count=40 2>/dev/null
	cp one a/b/two
	sha256sum one a/b/two >sums
	sync
	n=0
	while :; do
		n=$((n + 1))
		dd if=/dev/zero of="junk$((n % 8))" bs=4k count=16 2>/dev/null
		echo "record $n of $dev" | dd of="r$n" conv=fsync 2>/dev/null
		echo "mark $dev $n"
	done
fi
e2fsck -f -p "/dev/$dev" || [ $? -eq 1 ]
e2fsck -f -n "/dev/$dev" >/dev/null
mount -t ext4 "/dev/$dev" "$dir"
cd "$dir"
sha256sum -c sums >/dev/null
n=0
while [ "$n" -lt "$3" ]; do
	n=$((n + 1))
	[ "$(cat "r$n")" = "record $n of $dev" ]
done
rm -r a
cd /
umount "$dir"
e2fsck -f -n "/dev/$dev" >/dev/null
echo "whole $dev $n"
