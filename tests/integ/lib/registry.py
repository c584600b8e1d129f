# SPDX-License-Identifier: Apache-2.0
"""The decorator of system tests and the context a test gets."""
import dataclasses
import itertools
import pathlib
import typing

from lib.machine import Machine


class Skip(Exception):
    """Raised by a test that cannot run here; its text says why."""


@dataclasses.dataclass
class Test:
    name: str
    function: typing.Callable
    timeout: float              # seconds, hard
    needs: tuple                # make targets below the build directory
    cores: int                  # of the host, while it runs


TESTS = {}


def test(timeout, needs=("godwit.elf",), cores=1):
    """Registers a function of one argument (a Context) as the test FILE.FUNCTION, the file
    without its test_ prefix. A test of a machine with busy processors says so by `cores`,
    so that the runner does not start more of them than the host can carry."""
    def register(function):
        name = f"{function.__module__.removeprefix('test_')}.{function.__name__}"
        TESTS[name] = Test(name, function, timeout, tuple(needs), cores)
        return function
    return register


class Context:
    """`t` of a test: its directory and its machines."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self._machines = []
        self._count = itertools.count()

    def machine(self, **options):
        """A started machine, closed when the test ends. See lib.machine.Spec."""
        n = next(self._count)
        machine = Machine(self.dir / (f"m{n}" if n else "m"), **options)
        self._machines.append(machine)
        return machine.start()

    def skip(self, why):
        raise Skip(why)

    def close(self, failed=False):
        for machine in self._machines:
            if failed:
                machine.describe()
            machine.close()
