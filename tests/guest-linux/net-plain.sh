#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Loads the driver of eth0 again, without checksum and segmentation offload.
killall httpd
ip link set eth0 down
rmmod virtio_net || exit 1
insmod /modules/virtio_net.ko csum=0 gso=0 || exit 1
sh /tests/net-up.sh
