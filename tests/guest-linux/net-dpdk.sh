#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# net-dpdk.sh [OPTION]: DPDK's own virtio driver (in user space, with the driver's OPTION such as
# packed_vq=1) instead of Linux's, bridged to the network device tap0, which has its address.
driver=/sys/bus/pci/drivers/uio_pci_generic
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor") $(cat "$device/device")" = "0x1af4 0x1041" ] && break
done
at=${device##*/}
mkdir -p /dev/hugepages /var/run
chmod 755 /	# where DPDK looks for drivers nobody else may write
mount -t hugetlbfs none /dev/hugepages 2>/dev/null
echo 48 >/proc/sys/vm/nr_hugepages
echo uio_pci_generic >"$device/driver_override"
[ -e "$driver/$at" ] || echo "$at" >/sys/bus/pci/drivers_probe
[ -e "$driver/$at" ] || exit 1
for word in $(cat /proc/cmdline); do
	case $word in
	godwit.mac=*) mac=${word#godwit.mac=} ;;
	esac
done
ip link set lo up
tail -f /dev/null | dpdk-testpmd -l 0-1 --no-telemetry -a "$at${1:+,$1}" \
	--vdev=net_tap0,iface=tap0,mac="$mac" -- --auto-start --total-num-mbufs=4096 \
	>/tmp/dpdk 2>&1 &
for i in $(seq 100); do
	grep -q 'Checking link' /tmp/dpdk && exit 0
	sleep 0.5
done
cat /tmp/dpdk
exit 1
