# SPDX-License-Identifier: Apache-2.0
# The courier: bare guest image with lwIP, mbedTLS and LZ4 from the distribution's source packages.

COURIER    := $(B)/courier
CO_LWIP    := $(addprefix lwip/src/core/,def.c inet_chksum.c init.c ip.c mem.c memp.c netif.c pbuf.c \
	      tcp.c tcp_in.c tcp_out.c timeouts.c ipv4/etharp.c ipv4/icmp.c ipv4/ip4.c \
	      ipv4/ip4_addr.c ipv4/ip4_frag.c) lwip/src/netif/ethernet.c
CO_TLS     := $(addprefix mbedtls/library/,bignum.c chacha20.c chachapoly.c cipher.c cipher_wrap.c \
	      constant_time.c ecdh.c ecp.c ecp_curves.c entropy.c hmac_drbg.c md.c \
	      memory_buffer_alloc.c platform.c platform_util.c poly1305.c sha256.c ssl_ciphersuites.c \
	      ssl_cli.c ssl_msg.c ssl_srv.c ssl_tls.c)
CO_LZ4     := lz4/lib/lz4.c
CO_SRCS    := $(wildcard guest/image/courier/*.c)
CO_THEIRS  := $(addprefix $(COURIER)/,$(CO_LWIP:.c=.o) $(CO_TLS:.c=.o) $(CO_LZ4:.c=.o))
CO_OBJS    := $(CO_SRCS:%.c=$(COURIER)/%.o) $(CO_THEIRS)
CO_CFLAGS  := -Iguest/image/courier/port -isystem $(B)/courier-src/lwip/src/include \
	      -isystem $(B)/courier-src/mbedtls/include -isystem $(B)/courier-src/lz4/lib \
	      -DMBEDTLS_CONFIG_FILE='"mbedtls_config.h"' -ffunction-sections -fdata-sections

$(B)/courier-src/fetched: tools/courier-src | setup
	@tools/courier-src && touch $@

$(COURIER)/%.o: %.c $(B)/courier-src/fetched
	@mkdir -p $(@D)
	@$(CC) $(filter-out -Wundef,$(GK_CFLAGS)) $(CO_CFLAGS) -c $< -o $@

$(COURIER)/$(CO_LZ4:.c=.o): CO_CFLAGS += -include lz4_port.h

# Compilers leave out of their lists what a library's header includes, as theirs do our options.
$(CO_OBJS): $(wildcard guest/image/courier/port/*.h guest/image/courier/port/*/*.h)

# Not ours: no warnings.
$(CO_THEIRS): $(COURIER)/%.o: $(B)/courier-src/fetched
	@mkdir -p $(@D)
	@$(CC) $(GK_CFLAGS) $(CO_CFLAGS) -w -c $(B)/courier-src/$*.c -o $@

$(B)/courier.elf: $(CO_OBJS) $(GK_LIB_O) guest/image/lib/guest.ld
	@ld -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments \
		--build-id=none --gc-sections -T guest/image/lib/guest.ld $(GK_LIB_O) $(CO_OBJS) \
		-o $@64
	@objcopy -O elf32-i386 --strip-debug $@64 $@

# Its compression under the fuzzer, LZ4 too.
FUZZ_LIBS_fuzz_pack := $(B)/fuzzobj/guest/image/courier/pack.o $(B)/fuzzobj/lz4.o
$(B)/fuzz/fuzz_pack: $(FUZZ_LIBS_fuzz_pack)
$(FUZZ_LIBS_fuzz_pack): $(B)/courier-src/fetched
$(FUZZ_LIBS_fuzz_pack): FUZZ_CFLAGS += -Iguest/image/courier/port \
	-isystem $(B)/courier-src/lz4/lib -include lz4_port.h
$(B)/fuzzobj/lz4.o: guest/image/courier/targets.mk
	@mkdir -p $(@D)
	@$(CLANG) $(FUZZ_CFLAGS) -w -fsanitize=fuzzer-no-link -c $(B)/courier-src/$(CO_LZ4) -o $@

.PHONY: courier
courier: $(B)/courier.elf

-include $(CO_OBJS:.o=.d)
