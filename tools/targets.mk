# SPDX-License-Identifier: Apache-2.0
# Targets of the tools: set-up, media, running, tests, checks, figures. Included by ../Makefile.

export B

setup:
	@tools/setup

$(B)/guest/vmlinuz-%: | setup
	@B=$(B) tools/guest-images $*

$(B)/guest/busybox: | setup
	@B=$(B) tools/guest-images stock

$(B)/guest/initrd.img: $(B)/guest/busybox tools/mkinitrd tools/guest/init \
		$(wildcard tests/guest-linux/*.sh)
	@tools/mkinitrd --busybox $< -o $@

guest-linux: $(B)/guest/vmlinuz-stock $(B)/guest/initrd.img

.PHONY: setup guest-linux
.PRECIOUS: $(B)/guest/vmlinuz-%
