/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/core/ctl.h"

#include "kernel/base/err.h"
#include "tests/unit/unit.h"

static char reply[4096];
static size_t replied;

static void capture(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	CHECK(replied + len < sizeof(reply));
	memcpy(reply + replied, text, len);
	replied += len;
	reply[replied] = '\0';
}

static int run_facts(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	ctl_text(out, "model_name", "an %s", "x y");
	ctl_num(out, "count", 7);
	ctl_bytes(out, "size", 3 * 512 * 1024);
	ctl_line(out, "free \"text\"", 11);
	return 0;
}

static const struct ctl_column columns[] = { { "name", "name", 6 },
					     { "bytes", "bytes", -8 },
					     { "hidden", NULL, 0 },
					     { "last", "last", 5 } };

static int run_list(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	ctl_table(out, "thing", columns, 4);
	for (u32 i = 1; i < 3; i++) {
		ctl_cell(out, "n%u", i);
		ctl_cell_bytes(out, i * 1024);
		ctl_cell_num(out, 5);
		ctl_cell(out, "%s", i == 1 ? "" : "z z");
	}
	return 0;
}

static struct ctl_stream stream;

static int run_start(struct ctl_out *out, const struct ctl_args *args)
{
	u64 n = 1;

	(void)args;
	out->attach = &stream;
	if (strcmp(ctl_arg(out, 0), "web") != 0)
		return ctl_fail(out, -ENOENT, "no vm named %s", ctl_arg(out, 0));
	if (ctl_opt_u64(out, "n", 1, 9, &n))
		return -ERANGE;
	ctl_num(out, "n", n);
	return 0;
}

static int run_mute(struct ctl_out *out, const struct ctl_args *args)
{
	(void)out;
	(void)args;
	return -EIO;
}

static const struct ctl_verb verbs[] = {
	{ "facts", NULL, "", "some facts", NULL, 0, 0, CTL_ARG_NONE, run_facts },
	{ "vm", "list", "", "all of them", NULL, 0, 0, CTL_ARG_NONE, run_list },
	{ "vm", "start", "VM [n=N]", "power on", "n other", 1, 1, CTL_ARG_VM, run_start },
	{ "mute", NULL, "", "fails", NULL, 0, 0, CTL_ARG_NONE, run_mute },
};

static const char *names(enum ctl_arg kind, u32 i)
{
	static const char *const list[] = { "web", "worker", "db" };

	CHECK_EQ(kind, CTL_ARG_VM);
	return i < 3 ? list[i] : NULL;
}

static struct ctl ctl;
static struct ctl_out out;

static int run(bool person, const char *line)
{
	memset(&ctl, 0, sizeof(ctl));
	CHECK_EQ(ctl_add(&ctl, &ctl_help_verb, 1), 0);
	CHECK_EQ(ctl_add(&ctl, verbs, 4), 0);
	ctl.names = names;
	replied = 0;
	reply[0] = '\0';
	out = (struct ctl_out){ .write = capture, .person = person };
	return ctl_run(&ctl, line, strlen(line), &out);
}

TEST(for_tools)
{
	CHECK_EQ(run(false, "id=4 facts"), 0);
	CHECK_STR(reply, "id=4\nmodel_name=\"an x y\"\ncount=7\nsize=1572864\n"
			 "text=\"free \\\"text\\\"\"\nok\n");
	CHECK_EQ(run(false, "vm list"), 0);
	CHECK_STR(reply, "table=thing\nrow=thing name=n1 bytes=1024 hidden=5 last=\"\"\n"
			 "row=thing name=n2 bytes=2048 hidden=5 last=\"z z\"\nok\n");
}

TEST(for_people)
{
	CHECK_EQ(run(true, "facts"), 0);
	CHECK_STR(reply, "model name        an x y\ncount             7\n"
			 "size              1.5 MiB\nfree \"text\"\n");
	CHECK_EQ(run(true, "vm list"), 0);
	CHECK_STR(reply, "name       bytes  last\nn1         1 KiB  \nn2         2 KiB  z z\n");
	CHECK_EQ(run(true, ""), 0);
	CHECK_STR(reply, "");
	CHECK_EQ(run(true, "vm start db"), -ENOENT);
	CHECK_STR(reply, "error: no vm named db\n");
}

TEST(errors)
{
	CHECK_EQ(run(false, ""), -EINVAL);
	CHECK_STR(reply, "error EINVAL empty request\n");
	CHECK_EQ(run(false, "nothing"), -ENOENT);
	CHECK_STR(reply, "error ENOENT unknown verb nothing, try help\n");
	CHECK_EQ(run(false, "vm"), -ENOENT);
	CHECK_STR(reply, "error ENOENT vm takes one of: list, start\n");
	CHECK_EQ(run(false, "vm fly"), -ENOENT);
	CHECK_STR(reply, "error ENOENT vm fly: unknown, there is: list, start\n");
	CHECK_EQ(run(false, "vm start"), -EINVAL);
	CHECK_STR(reply, "error EINVAL usage: vm start VM [n=N]\n");
	CHECK_EQ(run(false, "vm list x"), -EINVAL);
	CHECK_EQ(run(false, "vm start web m=1"), -EINVAL);
	CHECK_STR(reply, "error EINVAL unknown option m=, known: n other\n");
	CHECK_EQ(run(false, "facts n=1"), -EINVAL);
	CHECK_STR(reply, "error EINVAL unknown option n=, there is none\n");
	CHECK_EQ(run(false, "id=3 mute"), -EIO);
	CHECK_STR(reply, "id=3\nerror EIO mute failed\n");
	/* Quoted names cannot break the line. */
	CHECK_EQ(run(false, "vm start \"a\\nok\""), -ENOENT);
	CHECK_STR(reply, "error ENOENT no vm named a?ok\n");
}

TEST(numbers)
{
	CHECK_EQ(run(false, "vm start web"), 0);
	CHECK_STR(reply, "n=1\nok\n");
	CHECK(out.attach == &stream);
	CHECK_EQ(run(false, "vm start web n=0x9"), 0);
	CHECK_STR(reply, "n=9\nok\n");
	CHECK_EQ(run(false, "vm start web n=10"), -ERANGE);
	CHECK_STR(reply, "error ERANGE n=10: a number from 1 to 9 is needed\n");
	CHECK(!out.attach);
	CHECK_EQ(run(false, "vm start web n=x"), -ERANGE);
}

TEST(helps)
{
	CHECK_EQ(run(false, "help vm start"), 0);
	CHECK_STR(reply, "table=verb\nrow=verb verb=\"vm start VM [n=N]\" help=\"power on\"\nok\n");
	CHECK_EQ(run(false, "help"), 0);
	CHECK(strstr(reply, "verb=\"help [VERB [SUB]]\"") && strstr(reply, "verb=mute"));
	CHECK_EQ(run(false, "help no"), -ENOENT);
}

static void expect(const char *line, u32 i, const char *want, size_t typed)
{
	size_t have;
	const char *s = ctl_complete(&ctl, line, strlen(line), i, &have);

	CHECK_EQ(have, typed);
	if (want)
		CHECK(s && !strcmp(s, want));
	else
		CHECK(!s);
}

TEST(completion)
{
	run(true, "");
	expect("", 0, "help", 0);
	expect("", 1, "facts", 0);
	expect("", 2, "vm", 0);
	expect("", 3, "mute", 0); /* vm is offered once */
	expect("", 4, NULL, 0);
	expect("v", 0, "vm", 1);
	expect("v", 1, NULL, 1);
	expect("vm ", 0, "list", 0);
	expect("vm s", 0, "start", 1);
	expect("vm start w", 0, "web", 1);
	expect("vm start w", 1, "worker", 1);
	expect("vm start w", 2, NULL, 1);
	expect("vm list ", 0, NULL, 0);
	expect("zz ", 0, NULL, 0);
}

TEST(full)
{
	memset(&ctl, 0, sizeof(ctl));
	for (u32 i = 0; i < CTL_TABLES_MAX; i++)
		CHECK_EQ(ctl_add(&ctl, verbs, 1), 0);
	CHECK_EQ(ctl_add(&ctl, verbs, 1), -ENOSPC);
}

UNIT_MAIN({ "for_tools", for_tools }, { "for_people", for_people }, { "errors", errors },
	  { "numbers", numbers }, { "helps", helps }, { "completion", completion },
	  { "full", full })
