/* SPDX-License-Identifier: Apache-2.0 */
/*
 * godwit-check: the hypervisor's own configuration parser as a host program.
 * Prints the messages that the hypervisor would log; see docs/config.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/core/config.h"

#define EXIT_USAGE 2
#define MAX_FILE   (4u << 20) /* the parser refuses more than 1 MiB itself */

static struct config conf;

static void print_error(void *ctx, const char *line)
{
	(void)ctx;
	puts(line);
}

static int usage(void)
{
	fputs("usage: godwit-check FILE [--modules NAME...]\n"
	      "  checks a godwit.conf; with --modules also that its boot modules are among "
	      "NAME...\n"
	      "  exit status: 0 no error, 1 errors (on standard output), 2 usage or unreadable\n",
	      stderr);
	return EXIT_USAGE;
}

static char *read_file(const char *path, size_t *len)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char *text = malloc(MAX_FILE);

	if (!f || !text) {
		perror(path);
		exit(EXIT_USAGE);
	}
	*len = fread(text, 1, MAX_FILE, f);
	if (ferror(f)) {
		perror(path);
		exit(EXIT_USAGE);
	}
	return text;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int main(int argc, char **argv)
{
	size_t len;
	char *text;
	int err;

	if (argc < 2 || (argv[1][0] == '-' && argv[1][1]) ||
	    (argc > 2 && strcmp(argv[2], "--modules") != 0))
		return usage();
	text = read_file(argv[1], &len);
	err = config_parse(base_name(argv[1]), text, len, &conf, print_error, NULL);
	free(text);
	if (argc > 2) {
		for (int i = 3; i < argc; i++)
			argv[i] = (char *)base_name(argv[i]);
		if (config_check_modules(&conf, (const char *const *)argv + 3, (u32)argc - 3,
					 print_error, NULL))
			err = 1;
	}
	if (!err)
		printf("%s: no error; %u VMs, %u NICs\n", base_name(argv[1]), conf.vms, conf.nics);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
