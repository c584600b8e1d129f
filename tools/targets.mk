# SPDX-License-Identifier: Apache-2.0
# Targets of the tools: set-up, media, running, tests, checks, figures. Included by ../Makefile.

export B

setup:
	@tools/setup

$(B)/guest/vmlinuz-%: | setup
	@tools/guest-images $*

$(B)/guest/busybox: | setup
	@tools/guest-images stock

$(B)/guest/initrd.img: $(B)/guest/busybox tools/mkinitrd tools/guest/init \
		$(wildcard tests/guest-linux/*.sh)
	@tools/mkinitrd --busybox $< -o $@

# With the drivers of the paravirtual devices.
VIRTIO_MODULES := virtio_pci,virtio_net,virtio_console
$(B)/guest/initrd-virtio.img: $(B)/guest/initrd.img $(B)/guest/netbench $(B)/guest/moveload tools/targets.mk
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-stock \
		--modules $(VIRTIO_MODULES) --add $(B)/guest/netbench \
		--add $(B)/guest/moveload -o $@

$(B)/guest/netbench $(B)/guest/moveload: $(B)/guest/%: tests/guest-linux/%.c
	@mkdir -p $(@D)
	@$(CC) -O2 -Wall -Wextra -Werror -static -s -o $@ $<

# The stock drivers of assigned functions, and the paravirtual ones; a filesystem for a disk.
ASSIGN_MODULES := igbvf,igb,nvme,$(VIRTIO_MODULES),crc32c_generic,ext4
$(B)/guest/initrd-assign.img: $(B)/guest/initrd.img $(B)/guest/moveload $(B)/guest/netbench tools/targets.mk
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-stock \
		--modules $(ASSIGN_MODULES) --add $(B)/guest/moveload --add $(B)/guest/netbench -o $@

# A disk and the usual tools to make and check a filesystem on it.
$(B)/guest/initrd-disk.img: $(B)/guest/initrd.img tools/targets.mk
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-stock \
		--modules virtio_pci,virtio_blk,crc32c_generic,ext4 \
		--host /sbin/mkfs.ext4 --host /sbin/e2fsck -o $@

# iperf3, for the paravirtual NIC and a VF beside it.
$(B)/guest/programs-%: | setup
	@tools/guest-images $*

$(B)/guest/initrd-iperf3.img: $(B)/guest/initrd-virtio.img $(B)/guest/programs-iperf3
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-stock \
		--modules igbvf,$(VIRTIO_MODULES) --root $(B)/guest/programs-iperf3 \
		--host usr/bin/iperf3 -o $@

# DPDK's own virtio driver in user space, bridged to a tap.
DPDK_LIBS := usr/lib/x86_64-linux-gnu/dpdk/pmds-*/librte_
$(B)/guest/initrd-dpdk.img: $(B)/guest/initrd-virtio.img $(B)/guest/programs-dpdk
	@tools/guest-images stock
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-stock \
		--modules tun,uio_pci_generic --root $(B)/guest/programs-dpdk \
		$(foreach l,bus_pci bus_vdev mempool_ring net_virtio net_tap,--host '$(DPDK_LIBS)$l.so.*.*') \
		--host usr/bin/dpdk-testpmd -o $@

# Linux as the host, for tools/peer: KVM, this machine's QEMU with its firmware, and the guests.
PEER_MODULES := kvm-amd,vfio-pci,vfio_iommu_type1,igb,tun,bridge,vhost_net
PEER_FILES := $(addprefix $(B)/guest-kernels/,bench.elf dev_vf.elf writer.elf) $(addprefix $(B)/guest/, \
	vmlinuz-stock initrd.img initrd-virtio.img initrd-assign.img) $(wildcard $(foreach f, \
	bios-256k.bin kvmvapic.bin linuxboot_dma.bin multiboot_dma.bin,/usr/share/seabios/$f \
	/usr/share/qemu/$f))
$(B)/guest/initrd-peer.img: $(PEER_FILES) $(B)/guest/vmlinuz-peer tools/mkinitrd tools/targets.mk
	@tools/mkinitrd --busybox $(B)/guest/busybox --tree $(B)/guest/modules-peer \
		--modules $(PEER_MODULES) --host $$(command -v qemu-system-x86_64) \
		$(addprefix --add ,$(PEER_FILES)) -o $@

guest-linux: $(B)/guest/vmlinuz-stock $(B)/guest/initrd.img

# The ISO carries the default configuration and its guest.
ISO_MODULES := godwit.conf=tools/guest/godwit.conf vmlinuz=$(B)/guest/vmlinuz-stock \
	initrd.img=$(B)/guest/initrd.img

$(B)/godwit.iso: $(B)/godwit.elf $(B)/guest/vmlinuz-stock $(B)/guest/initrd.img tools/mkiso \
		tools/guest/godwit.conf
	@tools/mkiso -o $@ --kernel $< $(ISO_MODULES)

iso: $(B)/godwit.iso
	@echo "$<: `stat -c %s $<` bytes, BIOS and UEFI"

run: $(B)/godwit.elf guest-linux
	@tools/run

# The handover of a guest, searched by spin.
model: | setup
	@tests/model/run $(B)

lab: setup
	@$(MAKE) -s $(B)/godwit.elf $(B)/courier.elf guest-linux $(B)/guest/initrd-virtio.img
	@tools/lab

# ---- static checks: the analyzers' findings per file, then everything else ---------------
LINT_LOGS := $(patsubst %.c,$(B)/lint/%.log,$(PURE_SRCS) $(EDGE_SRCS))
LINT_CFLAGS := -std=gnu11 -I. -DGODWIT_VERSION=\"$(VERSION)\" -ffreestanding -mgeneral-regs-only \
	-Wno-analyzer-write-to-const

# As fresh as the object, which knows what headers the source has.
$(B)/lint/%.log: $(B)/hv/%.o .clang-tidy
	@mkdir -p $(@D)
	@{ clang-tidy --quiet $*.c -- $(LINT_CFLAGS) 2>/dev/null || echo "$*.c: clang-tidy fails"; \
	   $(CC) -fanalyzer -O1 $(LINT_CFLAGS) -c $*.c -o /dev/null 2>&1; } >$@.new; mv $@.new $@

lint: $(OBJS) $(LINT_LOGS)
	@tests/lint/run $(B)

# The analyzers take minutes from a clean checkout: make lint and make test-long have them.
lint-quick: $(OBJS)
	@tests/lint/run $(B) --quick

# ---- everything at once -------------------------------------------------------------------
test: setup
	@tests/all

demo: setup
	@$(MAKE) -s $(B)/godwit.elf $(B)/courier.elf guest-linux $(B)/guest/initrd-virtio.img \
		$(B)/guest/initrd-assign.img
	@tools/demo $(if $(MOVES),--moves $(MOVES))

bench: setup
	@$(MAKE) -s $(B)/godwit.elf $(addprefix $(B)/guest-kernels/,bench.elf dev_vf.elf writer.elf) \
		guest-linux $(B)/guest/initrd-virtio.img $(B)/guest/initrd-assign.img
	@tools/bench

$(OBJS) $(HOST_OBJS) $(SHIM_OBJS) $(FUZZ_OBJS): | setup

test-long: setup
	@$(MAKE) -s lint
	@tests/run --long

.PHONY: setup model guest-linux iso run lab lint lint-quick test test-long demo bench
.PRECIOUS: $(B)/guest/vmlinuz-%
