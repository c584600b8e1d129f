#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings eth0 up with godwit.ip=ADDRESS/PREFIX of the kernel command line; godwit.file=KIB makes a
# file of random bytes and serves it by HTTP.
ip= kib=0
for word in $(cat /proc/cmdline); do
	case $word in
	godwit.ip=*) ip=${word#godwit.ip=} ;;
	godwit.file=*) kib=${word#godwit.file=} ;;
	esac
done
ip link set lo up
ip addr add "$ip" dev eth0
ip link set eth0 up || exit 1
[ "$kib" -gt 0 ] || exit 0
mkdir -p /tmp/www
dd if=/dev/urandom of=/tmp/www/file bs=1k count="$kib" 2>/dev/null
(cd /tmp/www && sha256sum file >sum)
httpd -h /tmp/www
