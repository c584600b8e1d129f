# SPDX-License-Identifier: Apache-2.0
PURE_SRCS += iommu/vtd/vtd_fmt.c
PURE_SRCS += iommu/amdvi/amdvi_fmt.c
PURE_SRCS += iommu/vtd/dmar.c
PURE_SRCS += iommu/amdvi/ivrs.c
