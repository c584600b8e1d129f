# SPDX-License-Identifier: Apache-2.0
"""What system tests are written with: machines, their consoles and control ports."""
