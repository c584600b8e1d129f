# SPDX-License-Identifier: Apache-2.0
"""A stock Linux guest under load goes from host to host and back (`make demo` shows it live)."""
from lib import lab, load
from lib.registry import test


@test(timeout=600, needs=load.NEEDS, cores=2)
def linux_under_load(t):
    with lab.Lab(t.dir, sections=[load.sections()], memory=768, modules=load.modules()) as hosts:
        hosts.ready()
        load.start(hosts.machine[0])
        before = load.peer(hosts.machine[0])
        for i in (0, 1):
            end = lab.move(hosts.machine[i], "g1", lab.address(1 - i))
            print(end)
            assert end["phase"] == "done", end
            after = load.peer(hosts.machine[0])
            print(after)
            assert after["back"] > before.get("back", 0) and not after["differ"], after
            assert not after["broken"] and not after["twice"], after
            before = after
        seen = load.inside(hosts.machine[0])
        assert not seen["wrong"] and not seen["backward"] and not seen["warnings"], seen
