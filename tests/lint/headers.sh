#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each header compiles on its own, and twice in a row (its guard works).
#
# usage: headers.sh HEADER...
set -u
flags="-std=gnu11 -I. -ffreestanding -mgeneral-regs-only -Wall -Wextra -Werror -fsyntax-only"
status=0
for header; do
	printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
		gcc $flags -DGODWIT_VERSION='""' -Wno-unused-function -x c - || {
		echo "$header: does not stand on its own"
		status=1
	}
done
exit $status
