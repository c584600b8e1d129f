/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS connections on lwIP's TCP, both ends proved by the shared key. mbedTLS reads from the pbufs
 * that came and writes to TCP's queue; nothing waits.
 */
#include "guest/image/courier/courier.h"
#include "guest/image/lib/serial.h"
#include "kernel/base/bits.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "lwip/tcp.h"
#include "lwip/sys.h"
#include "mbedtls/entropy.h"
#include "mbedtls/hmac_drbg.h"
#include "mbedtls/memory_buffer_alloc.h"
#include "mbedtls/ssl.h"

#define CONNS 12u
#define CALL_MS	 6000u
#define START_MS 15000u
#define RECORD 16384u
#define RECORD_EXTRA 64u
#define IDENTITY "godwit"

static const char no_answer[] = "the other host does not answer";
static const char no_proof[] = "the other host has another key, or no courier";

struct conn {
	enum conn_state state;
	bool connected, was_up, eof;
	u16 port;	   /* it came to; 0: it was made here */
	struct tcp_pcb *pcb; /* NULL: gone */
	struct pbuf *in;
	mbedtls_ssl_context ssl;
	u32 since;	/* ms */
	u32 unsent;	/* bytes of a record that TCP had no memory for */
	const char *error;
	char peer[24];
	void *user;
};

static struct conn conns[CONNS];
static mbedtls_ssl_config as_client, as_server;
static mbedtls_entropy_context entropy;
static mbedtls_hmac_drbg_context drbg;

/* Names for ALPN (RFC 7301), what is wanted first. Who names none does not compress. */
static const char packed_name[] = "godwit-lz4";
static const char *protocols[] = { packed_name, "godwit", NULL };

static const int suites[] = { MBEDTLS_TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256, 0 };

/* ---- ends ------------------------------------------------------------------------------- */

static void drop_input(struct conn *c)
{
	if (c->in && c->pcb)
		tcp_recved(c->pcb, c->in->tot_len);
	if (c->in)
		pbuf_free(c->in);
	c->in = NULL;
}

/* What is queued still goes out. */
static void hang_up(struct conn *c)
{
	struct tcp_pcb *pcb = c->pcb;

	drop_input(c);
	c->pcb = NULL;
	if (!pcb)
		return;
	tcp_arg(pcb, NULL);
	tcp_recv(pcb, NULL);
	tcp_err(pcb, NULL);
	if (tcp_close(pcb) != ERR_OK)
		tcp_abort(pcb);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_UP && c->pcb)
		(void)mbedtls_ssl_close_notify(&c->ssl);
	hang_up(c);
	mbedtls_ssl_free(&c->ssl);
	c->state = CONN_FREE;
	c->user = NULL;
}

/* Nobody has seen yet what never came up. */
static void down(struct conn *c, const char *why)
{
	serial_printf("courier: %s: %s\n", c->peer, why[0] ? why : "closed");
	c->error = why;
	hang_up(c);
	c->state = CONN_DOWN;
	if (c->port && !c->was_up)
		conn_close(c);
}

/* ---- TCP's calls ------------------------------------------------------------------------- */

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct conn *c = arg;

	(void)pcb, (void)err;
	if (!p)
		c->eof = true;
	else if (c->in)
		pbuf_cat(c->in, p);
	else
		c->in = p;
	return ERR_OK;
}

static void on_err(void *arg, err_t err)
{
	struct conn *c = arg;

	c->pcb = NULL;
	down(c, err != ERR_RST ? no_answer :
		c->was_up      ? "connection reset" :
		c->connected   ? no_proof :
				 "connection refused");
}

static int bio_recv(void *ctx, unsigned char *buf, size_t n)
{
	struct conn *c = ctx;

	if (!c->in)
		return c->eof ? 0 : MBEDTLS_ERR_SSL_WANT_READ;
	n = pbuf_copy_partial(c->in, buf, (u16)min_u64(n, 0xffff), 0);
	c->in = pbuf_free_header(c->in, (u16)n);
	if (c->pcb)
		tcp_recved(c->pcb, (u16)n);
	return (int)n;
}

static int bio_send(void *ctx, const unsigned char *buf, size_t n)
{
	struct conn *c = ctx;

	if (!c->pcb)
		return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
	n = min_u64(n, tcp_sndbuf(c->pcb));
	if (!n || tcp_write(c->pcb, buf, (u16)min_u64(n, RECORD), TCP_WRITE_FLAG_COPY) != ERR_OK)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	return (int)min_u64(n, RECORD);
}

static struct conn *start(struct tcp_pcb *pcb, const mbedtls_ssl_config *conf)
{
	struct conn *c = conns;

	while (c < conns + CONNS && c->state != CONN_FREE)
		c++;
	if (c == conns + CONNS)
		return NULL;
	*c = (struct conn){ .state = CONN_STARTS, .pcb = pcb, .since = sys_now() };
	mbedtls_ssl_init(&c->ssl);
	if (mbedtls_ssl_setup(&c->ssl, conf)) {
		mbedtls_ssl_free(&c->ssl);
		c->state = CONN_FREE;
		return NULL;
	}
	mbedtls_ssl_set_bio(&c->ssl, c, bio_send, bio_recv, NULL);
	tcp_arg(pcb, c);
	tcp_recv(pcb, on_recv);
	tcp_err(pcb, on_err);
	tcp_nagle_disable(pcb);
	ip_set_option(pcb, SOF_KEEPALIVE);
	return c;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct conn *c = err == ERR_OK ? start(pcb, &as_server) : NULL;

	if (!c) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	c->port = (u16)(uintptr_t)arg;
	fmt_snprintf(c->peer, sizeof(c->peer), "%s:%u", ip4addr_ntoa(&pcb->remote_ip),
		     pcb->remote_port);
	return ERR_OK;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb, (void)err;
	((struct conn *)arg)->connected = true;
	return ERR_OK;
}

/* ---- for users --------------------------------------------------------------------------- */

void tls_listen(u16 port)
{
	struct tcp_pcb *pcb = tcp_new();

	if (!pcb || tcp_bind(pcb, IP4_ADDR_ANY, port) != ERR_OK)
		courier_die("no port to listen at");
	pcb = tcp_listen(pcb);
	tcp_arg(pcb, (void *)(uintptr_t)port);
	tcp_accept(pcb, on_accept);
}

struct conn *conn_connect(const char *host_port)
{
	struct tcp_pcb *pcb;
	struct conn *c;
	char host[20];
	ip4_addr_t ip;
	u32 n = 0, port = 0;

	while (host_port[n] && host_port[n] != ':' && n < sizeof(host) - 1)
		host[n] = host_port[n], n++;
	host[n] = '\0';
	for (const char *s = host_port + n + (host_port[n] == ':'); *s >= '0' && *s <= '9'; s++)
		port = (port * 10 + (u32)(*s - '0')) & 0xfffff;
	if (!ip4addr_aton(host, &ip) || !port || port > 0xffff)
		return NULL;
	pcb = tcp_new();
	c = pcb ? start(pcb, &as_client) : NULL;
	if (!c) {
		if (pcb)
			tcp_abort(pcb);
		return NULL;
	}
	str_copy(c->peer, sizeof(c->peer), host_port);
	if (tcp_connect(pcb, &ip, (u16)port, on_connected) != ERR_OK)
		down(c, "no route to that host");
	return c;
}

struct conn *conn_next(u16 port, u32 *i)
{
	while (*i < CONNS) {
		struct conn *c = &conns[(*i)++];

		if (c->state != CONN_FREE && c->was_up && c->port == port)
			return c;
	}
	return NULL;
}

enum conn_state conn_state(const struct conn *c)
{
	return c->state;
}

const char *conn_peer(const struct conn *c)
{
	return c->peer;
}

const char *conn_error(const struct conn *c)
{
	return c->error;
}

void **conn_user(struct conn *c)
{
	return &c->user;
}

bool conn_packed(const struct conn *c)
{
	const char *name = mbedtls_ssl_get_alpn_protocol(&c->ssl);

	return name && strcmp(name, packed_name) == 0;
}

void conn_fail(struct conn *c, const char *why)
{
	down(c, why);
}

u32 conn_read(struct conn *c, void *buf, u32 n)
{
	int rc;

	if (c->state != CONN_UP)
		return 0;
	rc = mbedtls_ssl_read(&c->ssl, buf, n);
	if (rc > 0)
		return (u32)rc;
	if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
		down(c, "");
	else if (rc == 0 || rc == MBEDTLS_ERR_SSL_CONN_EOF)
		down(c, "cut off");
	else if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE)
		down(c, "what came was forged or damaged");
	return 0;
}

u32 conn_room(struct conn *c)
{
	u32 room;

	if (c->state != CONN_UP || c->unsent || tcp_sndqueuelen(c->pcb) > TCP_SND_QUEUELEN - 32)
		return 0;
	room = tcp_sndbuf(c->pcb);
	return room <= RECORD_EXTRA ? 0 : (u32)min_u64(room - RECORD_EXTRA, RECORD);
}

void conn_write(struct conn *c, const void *data, u32 n)
{
	int rc = c->state == CONN_UP ? mbedtls_ssl_write(&c->ssl, data, n) : 0;

	c->unsent = 0;
	if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
		c->unsent = n; /* the record is made; it only has to leave */
	else if (rc < 0)
		down(c, "TLS cannot send");
}

static bool shake(struct conn *c)
{
	bool calls = c->pcb->state == SYN_SENT;
	int rc = calls ? MBEDTLS_ERR_SSL_WANT_READ : mbedtls_ssl_handshake(&c->ssl);

	if (!rc) {
		c->state = CONN_UP;
		c->was_up = true;
		return true;
	}
	if (rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE)
		down(c, no_proof);
	else if (sys_now() - c->since > (calls ? CALL_MS : START_MS))
		down(c, no_answer);
	return false;
}

bool tls_poll(void)
{
	bool some = false;

	for (struct conn *c = conns; c < conns + CONNS; c++) {
		if (c->state == CONN_STARTS)
			some |= shake(c);
		else if (c->state == CONN_UP && c->unsent)
			conn_write(c, "", c->unsent);
		if (c->pcb)
			(void)tcp_output(c->pcb);
	}
	return some;
}

static void configure(mbedtls_ssl_config *conf, int end, const u8 *key, u32 len, bool compress)
{
	mbedtls_ssl_config_init(conf);
	if (mbedtls_ssl_config_defaults(conf, end, MBEDTLS_SSL_TRANSPORT_STREAM,
					MBEDTLS_SSL_PRESET_DEFAULT) ||
	    mbedtls_ssl_conf_alpn_protocols(conf, protocols + !compress) ||
	    mbedtls_ssl_conf_psk(conf, key, len, (const u8 *)IDENTITY, sizeof(IDENTITY) - 1))
		courier_die("TLS cannot be set up");
	mbedtls_ssl_conf_rng(conf, mbedtls_hmac_drbg_random, &drbg);
	mbedtls_ssl_conf_ciphersuites(conf, suites);
}

void tls_init(const u8 *key, u32 len, bool compress)
{
	static u8 heap[1 << 20];

	mbedtls_memory_buffer_alloc_init(heap, sizeof(heap));
	mbedtls_entropy_init(&entropy);
	mbedtls_hmac_drbg_init(&drbg);
	if (mbedtls_hmac_drbg_seed(&drbg, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256),
				   mbedtls_entropy_func, &entropy, NULL, 0))
		courier_die("no random numbers");
	configure(&as_client, MBEDTLS_SSL_IS_CLIENT, key, len, compress);
	configure(&as_server, MBEDTLS_SSL_IS_SERVER, key, len, compress);
}
