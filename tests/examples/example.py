"""What the tests of examples share: running one with arguments, and checks that show what it printed."""
import os
import pathlib
import subprocess
import sys
import tempfile


class Example:
    """`name` is the program; the folder of the programs is this script's first argument."""

    def __init__(self, name):
        self.name = name
        self.program = pathlib.Path(sys.argv[1]) / "examples" / name

    def run(self, *arguments):
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, encoding="latin-1")

    def check(self, what, right, shown=""):
        if not right:
            sys.exit(f"{self.name}_example_test: {what}\n{shown}")

    def check_refusals(self, table):
        """Rows of wrong arguments and what the program has to say to them."""
        for arguments, says in table:
            done = self.run(*arguments)
            self.check(f"{arguments}: exit code {done.returncode}", done.returncode == 1, done.stdout)
            self.check(f"{arguments}: says {done.stderr!r}, not {says!r}", says in done.stderr)

    def main(self, test):
        """test(folder) in a temporary folder; 77 where the example is not built."""
        if not os.path.exists(self.program):
            print("the example is not built")
            sys.exit(77)
        with tempfile.TemporaryDirectory() as name:
            test(pathlib.Path(name))
