/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded copies between the hypervisor and guest-physical memory. Writers mark pages dirty.
 */
#ifndef GUEST_MEM_GMEM_H
#define GUEST_MEM_GMEM_H

#include "guest/mem/gmap.h"

/**
 * gmem_read(), gmem_write() - copy n bytes at gpa from or to RAM.
 * Returns 0; -EFAULT when any byte is not RAM (then nothing was copied).
 */
int MUST_CHECK gmem_read(const struct gmap *m, gpa_t gpa, void *dst, size_t n);
int MUST_CHECK gmem_write(struct gmap *m, gpa_t gpa, const void *src, size_t n);

/** gmem_fill() - set n bytes of RAM to c; -EFAULT as above. */
int MUST_CHECK gmem_fill(struct gmap *m, gpa_t gpa, u8 c, size_t n);

/**
 * gmem_piece() - host address of RAM at gpa. *len: bytes wanted, at least 1; set to how many of
 * them follow there without a gap. NULL: not RAM. Who writes there says so by gmem_dirty()
 * afterwards.
 */
u8 *gmem_piece(const struct gmap *m, gpa_t gpa, u32 *len);
void gmem_dirty(struct gmap *m, gpa_t gpa, u32 len);

#endif
